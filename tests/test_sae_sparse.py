"""Sparse features against the dense operations they stand for."""

import numpy as np
import pytest
import torch

from coact.sae.architectures import ARCHITECTURES
from coact.sae.sparse import largest_positive, take_largest, take_positive
from test_sae import random_sae


def to_dense(features, width):
    dense = torch.zeros(len(features.indptr) - 1, width)
    for row, (first, last) in enumerate(zip(features.indptr[:-1], features.indptr[1:], strict=True)):
        columns = features.indices[first:last].long()
        assert (columns.diff() > 0).all()
        dense[row, columns] = features.values[first:last]
    return dense


@pytest.mark.parametrize(("rows", "width", "k"), [(300, 200, 7), (70, 64, 64), (5, 3, 1), (0, 9, 4), (130, 1000, 1)])
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
