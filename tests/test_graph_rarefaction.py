"""Rarefied degrees against enumeration of all samples and against SciPy's hypergeometric distribution."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import hypergeom

from coact.graph.rarefaction import rarefied_degree


def test_against_all_samples():
    # Feature 0 is in five sets: with 1 in the first three, with 2 in the last, alone in the fourth.
    members = [{1}, {1}, {1}, set(), {2}]
    source, target, count = np.array([0, 0]), np.array([1, 2]), np.array([3, 1])
    for tokens in range(1, 6):
        samples = [len(set().union(*(members[t] for t in chosen))) for chosen in combinations(range(5), tokens)]
        found = rarefied_degree(source, target, count, np.array([5, 3, 1]), tokens)
        assert found[0] == pytest.approx(np.mean(samples))


def test_all_tokens_give_the_degree_and_one_token_the_mean_size():
    source, target = np.array([0, 0, 1]), np.array([1, 2, 2])
    count, topk_count = np.array([2, 2, 1]), np.array([4, 4, 4])
    np.testing.assert_allclose(rarefied_degree(source, target, count, topk_count, 4), [2, 2, 2])
    np.testing.assert_allclose(rarefied_degree(source, target, count, topk_count, 1), [4 / 4, 3 / 4, 3 / 4])


def test_against_scipy():
    generator = np.random.default_rng(0)
    topk_count = generator.integers(1, 100_000, 40)
    source, target = np.triu_indices(40, 1)
    count = generator.integers(1, np.minimum(topk_count[source], topk_count[target]) + 1)
    found = rarefied_degree(source, target, count, topk_count, 50)
    for feature in range(40):
        if topk_count[feature] < 50:
            assert np.isnan(found[feature])
            continue
        shared = count[(source == feature) | (target == feature)]
        expected = np.sum(1 - hypergeom.pmf(0, topk_count[feature], shared, 50))
        assert found[feature] == pytest.approx(expected, rel=1e-7)


def test_no_edges():
    none = np.empty(0, np.int64)
    np.testing.assert_array_equal(rarefied_degree(none, none, none, np.array([0, 5]), 3), [np.nan, 0.0])
