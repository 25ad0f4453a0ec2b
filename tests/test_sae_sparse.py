"""Sparse features against the dense operations they stand for."""

import numba
import numpy as np
import pytest
import torch

from coact.sae.architectures import ARCHITECTURES
from coact.sae.selection import find_largest, number_of_lanes
from coact.sae.sparse import join, largest_positive, take_largest, take_positive
from test_sae import random_sae


def to_dense(features, width):
    dense = torch.zeros(len(features.indptr) - 1, width)
    for row, (first, last) in enumerate(zip(features.indptr[:-1], features.indptr[1:], strict=True)):
        columns = features.indices[first:last].long()
        assert (columns.diff() > 0).all()
        dense[row, columns] = features.values[first:last]
    return dense


def plain_largest(before, k):
    """Columns of the k largest entries above 0 of a row, of equal ones the lower; NaN counts as infinite."""
    row = np.where(np.isnan(before), np.inf, before)
    best = np.argsort(-row, kind="stable")[:k]
    return np.sort(best[row[best] > 0])


def assert_largest(before, k):
    """Whether the entries are those of `plain_largest`, with lanes and without."""
    for lanes in {0, number_of_lanes(before.shape[1], k)}:
        indices, values = np.full((len(before), k), -1, np.int32), np.empty((len(before), k), np.float32)
        counts = np.empty(len(before), np.int32)
        find_largest(before, np.zeros(before.shape[1], np.float32), k, lanes, indices, values, counts)
        for row, columns, found, count in zip(before, indices, values, counts, strict=True):
            np.testing.assert_array_equal(columns[:count], plain_largest(row, k))
            np.testing.assert_array_equal(found, row[columns])
            assert count == k or (row[columns[count:]] <= 0).all()


SIZES = [(300, 200, 7), (70, 64, 64), (5, 3, 1), (0, 9, 4), (130, 1000, 1), (90, 512, 16), (40, 2049, 32)]


@pytest.mark.parametrize(("rows", "width", "k"), SIZES)
def test_the_largest_positive_entries_are_taken(rows, width, k):
    before = torch.randn(rows, width, generator=torch.Generator().manual_seed(0)) - 0.5
    before[: rows // 10] = -1.0
    kept = torch.zeros_like(before).scatter_(1, before.topk(k).indices, 1.0)
    torch.testing.assert_close(to_dense(take_largest(before, k), width), before.relu() * kept, rtol=0, atol=0)
    torch.testing.assert_close(to_dense(take_positive(before), width), before.relu(), rtol=0, atol=0)


def test_of_equal_entries_the_lower_indices_are_taken():
    generator = np.random.default_rng(0)
    before = generator.integers(-2, 4, (200, 150)).astype(np.float32)
    indices, counts = largest_positive(torch.from_numpy(before), 20)
    for row, found, count in zip(before, indices.numpy(), counts.numpy(), strict=True):
        best = np.argsort(-row, kind="stable")[:20]
        np.testing.assert_array_equal(found[:count], np.sort(best[row[best] > 0]))


@pytest.mark.parametrize(("width", "k"), [(513, 3), (512, 16), (2047, 16), (4096, 40)])
def test_rows_of_every_kind_give_their_largest(width, k):
    assert number_of_lanes(width, k) > 0
    generator = np.random.default_rng(width)
    normal = generator.normal(size=(40, width))
    kinds = {
        "distinct": normal,
        "ties": np.round(normal * 20) / 20,
        "few above 0": np.where(generator.random(normal.shape) < 0.005, normal, -abs(normal)),
        "crowded": np.where(generator.random(normal.shape) < 0.5, 1.0, normal),
        "all equal": np.full((2, width), 0.5),
        "nothing above 0": -abs(normal[:2]),
        "one giant": np.where(np.arange(width) == 5, 3e38, normal),
        "infinite": np.where(np.arange(width) % 100 == 7, np.inf, normal),
        "tiny": normal * 1e-42,
        "of all sizes": normal * 10.0 ** generator.integers(-30, 30, normal.shape),
        "in one lane": np.where(np.arange(width) % 128 == 3, abs(normal), -abs(normal)),
    }
    for rows in kinds.values():
        assert_largest(rows.astype(np.float32), k)


@pytest.mark.parametrize("sign", [1, -1])
def test_nan_of_either_sign_is_among_the_largest(sign):
    before = np.random.default_rng(0).normal(size=(60, 2048)).astype(np.float32)
    before[np.arange(0, 60, 2), np.random.default_rng(1).integers(0, 2048, 30)] = np.copysign(np.nan, sign)
    assert_largest(before, 16)
    kept = take_largest(torch.from_numpy(before), 16)
    assert kept.values.isnan().sum() == 30


def test_the_bias_is_added():
    generator = torch.Generator().manual_seed(0)
    product, bias = torch.randn(150, 700, generator=generator), torch.randn(700, generator=generator)
    for take in (take_positive, lambda *arguments: take_largest(arguments[0], 9, *arguments[1:])):
        fused, plain = take(product, bias), take(product + bias)
        for name in ("indptr", "indices", "values"):
            assert torch.equal(getattr(fused, name), getattr(plain, name))


def test_the_number_of_threads_changes_nothing():
    before = torch.randn(1000, 600, generator=torch.Generator().manual_seed(0)) - 1
    threads, found = numba.get_num_threads(), []
    for number in (numba.config.NUMBA_NUM_THREADS, 1):
        numba.set_num_threads(number)
        found.append([take_positive(before), take_largest(before, 16)])
    numba.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one.indptr, other.indptr)
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.values, other.values)


def test_parts_are_joined():
    before = torch.randn(9, 30, generator=torch.Generator().manual_seed(0))
    whole = take_positive(before)
    joined = join([take_positive(part) for part in before.split(4)])
    assert torch.equal(to_dense(joined, 30), to_dense(whole, 30))
    assert joined.indptr.dtype == torch.int64


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_chunks_do_not_change_the_features(name, monkeypatch):
    sae, x = random_sae(name), torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    whole = to_dense(sae.encode_sparse(x), 10)
    monkeypatch.setattr("coact.sae.architectures.base.CHUNK_ROWS", 7)
    torch.testing.assert_close(to_dense(sae.encode_sparse(x), 10), whole, rtol=1e-6, atol=1e-7)


def test_places_that_do_not_count_point_to_an_entry_that_is_not_positive():
    before = torch.tensor([[1.0, -1.0, 2.0], [-1.0, 0.0, -2.0]])
    indices, counts = largest_positive(before, 3)
    assert counts.tolist() == [2, 0]
    assert (before.gather(1, indices.long())[torch.arange(3) >= counts[:, None]] <= 0).all()


def test_nan_is_not_lost():
    before = torch.tensor([[3.0, float("nan"), 1.0, 2.0]])
    assert take_largest(before, 2).values.isnan().any()
    assert take_positive(before).values.isnan().any()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_sparse_reconstruction_is_the_dense_one(name):
    sae, x = random_sae(name), torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    guess, features = sae.reconstruct(x)
    torch.testing.assert_close(to_dense(features, 10), sae.encode(x).detach(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(guess, sae(x).detach(), rtol=1e-5, atol=1e-6)


def test_a_token_without_features_is_reconstructed_as_the_bias():
    sae = random_sae("topk")
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    guess, features = sae.reconstruct(torch.randn(3, 6))
    assert len(features.indices) == 0
    torch.testing.assert_close(guess, sae.b_dec.detach().expand(3, 6))
