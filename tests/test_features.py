"""Sparse features: the CSR shards against the dense encoding, batches, and counts."""

import numpy as np
import pytest
import torch

from coact.errors import ArtefactError
from coact.features.batches import count_active, read_batches
from coact.features.encode import encode_shard
from coact.sae.architectures import ARCHITECTURES
from test_sae import make_shard, random_sae


@pytest.fixture
def shard(tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 6))
    documents = np.where(np.arange(60) % 10 == 0, -1, 0).astype(np.int32)
    return make_shard(tmp_path / "activations", values, documents)


def to_dense(batches):
    rows = []
    for batch in batches:
        dense = np.zeros((len(batch.kept), batch.n_features), np.float32)
        for row in range(len(dense)):
            part = slice(batch.indptr[row], batch.indptr[row + 1])
            assert np.all(np.diff(batch.indices[part]) > 0)
            dense[row, batch.indices[part]] = batch.values[part]
        rows.append(dense)
    return np.concatenate(rows)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("include_special", [False, True])
def test_the_shard_equals_the_dense_encoding(shard, tmp_path, name, include_special):
    sae = random_sae(name)
    encode_shard(sae, shard, 48, include_special, tmp_path / "f", {})
    expected = sae.encode(torch.from_numpy(np.array(shard.values[:48]))).detach().numpy()
    if not include_special:
        expected[shard.documents[:48] < 0] = 0
    batches = list(read_batches([tmp_path / "f"], 16))
    assert len(batches) == 3
    np.testing.assert_allclose(to_dense(batches), expected, rtol=1e-6, atol=1e-7)
    assert all((batch.values > 0).all() for batch in batches)
    assert sum(batch.kept.sum() for batch in batches) == (48 if include_special else 43)


def test_chunks_and_shards_join(shard, tmp_path, monkeypatch):
    sae = random_sae("topk")
    sae.pack()
    encode_shard(sae, shard, 60, False, tmp_path / "whole", {})
    monkeypatch.setattr("coact.features.encode.CHUNK_ROWS", 7)
    encode_shard(sae, shard, 60, False, tmp_path / "parts", {})
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()
    count, tokens = count_active([tmp_path / "whole", tmp_path / "parts"])
    dense = to_dense(read_batches([tmp_path / "whole"], 20))
    np.testing.assert_array_equal(count, 2 * (dense > 0).sum(0))
    assert tokens == 2 * 54


def test_a_shard_of_broken_batches_is_refused(shard, tmp_path):
    encode_shard(random_sae("relu"), shard, 60, False, tmp_path / "f", {})
    with pytest.raises(ArtefactError, match="60 tokens are not a whole number of batches of 16 tokens"):
        list(read_batches([tmp_path / "f"], 16))


@pytest.mark.parametrize("include_special", [False, True])
def test_special_positions_can_be_kept_or_left_out_of_any_shard(shard, tmp_path, include_special):
    sae = random_sae("relu")
    for name, kept in (("with", True), ("without", False)):
        encode_shard(sae, shard, 60, kept, tmp_path / name, {})
    one, other = (list(read_batches([tmp_path / name], 20, include_special)) for name in ("with", "without"))
    np.testing.assert_array_equal(to_dense(one), to_dense(other))
    assert sum(batch.kept.sum() for batch in one) == (60 if include_special else 54)
    dense = to_dense(one)[shard.documents[:60] < 0]
    assert (dense > 0).any() == include_special
