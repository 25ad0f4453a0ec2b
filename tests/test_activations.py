"""Activation shards: what is captured, how it is stored, and what is refused."""

import numpy as np
import pytest
import torch

from coact.activations import Shard, open_shard
from coact.activations.capture import capture
from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.errors import ArtefactError, StudyError
from coact.models.bridge import activations_at, make_bridge
from coact.models.folder import new_gpt2

HOOK = "blocks.0.mlp.hook_post"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(["some text to learn from"] * 20, 300), folder)
    tokenizer = load_tokenizer(folder)
    shape = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 24, "activation": "gelu"}
    return make_bridge(
        new_gpt2(**shape, vocabulary=len(tokenizer), context_length=8, seed=0, tokenizer=tokenizer), tokenizer, "m"
    )


@pytest.fixture(scope="module")
def contexts():
    generator = np.random.default_rng(0)
    documents = generator.integers(0, 3, (10, 8)).astype(np.int32)
    documents[:, 0] = -1
    return {
        "tokens": generator.integers(0, 250, (10, 8)).astype(np.int32),
        "documents": documents,
        "labels": documents.astype(np.int16),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_a_shard_holds_the_activations_in_order(bridge, contexts, tmp_path, dtype, tolerance):
    capture(bridge, HOOK, contexts, dtype, 4, tmp_path / "s", {})
    shard = open_shard(tmp_path / "s")
    expected = activations_at(bridge, HOOK, torch.from_numpy(contexts["tokens"].astype(np.int64))).flatten(0, 1)
    torch.testing.assert_close(shard.rows(np.arange(80)), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(shard.array(np.arange(3, 80, 2)), shard.rows(np.arange(3, 80, 2)).numpy())
    assert shard.array(np.arange(80)).dtype == np.float32
    np.testing.assert_array_equal(shard.documents, contexts["documents"].ravel())
    assert shard.width == 24


def test_special_positions_can_be_left_out(bridge, contexts, tmp_path):
    capture(bridge, HOOK, contexts, "float32", 4, tmp_path / "s", {})
    shard = open_shard(tmp_path / "s")
    assert len(shard.kept_rows(include_special=True)) == 80
    np.testing.assert_array_equal(shard.kept_rows(include_special=False), np.flatnonzero(np.arange(80) % 8))


def test_the_size_of_the_forward_batch_changes_nothing(bridge, contexts, tmp_path):
    for size in (3, 10):
        capture(bridge, HOOK, contexts, "float16", size, tmp_path / str(size), {})
    first, second = (open_shard(tmp_path / str(size)).values for size in (3, 10))
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_an_overflow_of_float16_is_refused_and_leaves_no_file(bridge, contexts, tmp_path):
    with torch.no_grad():
        bridge.original_model.transformer.h[0].mlp.c_fc.bias.add_(1e6)
    try:
        with pytest.raises(StudyError, match=r"activations.dtype: .* not finite in float16"):
            capture(bridge, HOOK, contexts, "float16", 4, tmp_path / "s", {})
        assert list(tmp_path.iterdir()) == []
        capture(bridge, HOOK, contexts, "bfloat16", 4, tmp_path / "s", {})
    finally:
        with torch.no_grad():
            bridge.original_model.transformer.h[0].mlp.c_fc.bias.sub_(1e6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("read", [Shard.rows, Shard.array])
def test_a_value_that_is_not_finite_is_named_by_its_token(dtype, read):
    values = torch.zeros(6, 3, dtype=getattr(torch, dtype))
    values[4, 1], values[5, 0] = torch.nan, torch.inf
    stored = values.view(torch.uint16) if dtype == "bfloat16" else values
    shard = Shard("s", stored.numpy(), np.zeros(6, np.int32), dtype)
    assert len(read(shard, np.array([0, 3]))) == 2
    with pytest.raises(ArtefactError, match="s: activation of token 4 is not finite"):
        read(shard, np.array([1, 4, 5]))
    with pytest.raises(ArtefactError, match="s: activation of token 5 is not finite"):
        read(shard, np.array([1, 5]))


def test_a_truncated_shard_is_named(bridge, contexts, tmp_path):
    capture(bridge, HOOK, contexts, "float32", 4, tmp_path / "s", {})
    data = (tmp_path / "s").read_bytes()
    (tmp_path / "s").write_bytes(data[:-100])
    with pytest.raises(ArtefactError, match="truncated"):
        open_shard(tmp_path / "s")
