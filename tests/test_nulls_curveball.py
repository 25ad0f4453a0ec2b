"""The null model: it keeps what it promises to keep, and reaches everything else alike."""

from itertools import combinations, product

import numba
import numpy as np
import pytest
from scipy.stats import chisquare

from coact.errors import ConfigError
from coact.graph.build import coactivation_graph, topk_sets
from coact.graph.pairs import count_members
from coact.graph.sets import TokenSets
from coact.nulls.curveball import null_edges, resample_sets
from coact.nulls.kernels import draw_below
from reference_graph import sparse_batch

pytestmark = pytest.mark.usefixtures("one_thread")


def random_sets(seed: int, tokens: int, features: int, k: int) -> TokenSets:
    """Sets of 0 to k features, some features far more frequent than others."""
    generator = np.random.default_rng(seed)
    share = np.minimum(0.9, 3 / (1 + np.arange(features)))
    rows = np.where(generator.random((tokens, features)) < share, generator.random((tokens, features)), 0)
    return topk_sets(sparse_batch(rows), k)


def sets_of(members: list[tuple[int, ...]]) -> TokenSets:
    sizes = [len(member) for member in members]
    return TokenSets(np.concatenate([[0], np.cumsum(sizes)]), np.array([f for m in members for f in m], np.int32))


def members_of(sets: TokenSets) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(part.tolist()) for part in np.split(sets.indices, sets.indptr[1:-1]))


@pytest.mark.parametrize(("tokens", "features", "k"), [(2000, 60, 4), (501, 10, 3), (50, 300, 8), (1, 5, 3)])
def test_keeps_both_marginals(tokens, features, k):
    sets = random_sets(0, tokens, features, k)
    for seed in range(3):
        drawn, diagnostics = resample_sets(sets, features, sweeps=5, seed=seed)
        np.testing.assert_array_equal(drawn.indptr, sets.indptr)
        np.testing.assert_array_equal(count_members(drawn, features), count_members(sets, features))
        for member in members_of(drawn):
            assert list(member) == sorted(set(member))
        assert [record["sweep"] for record in diagnostics] == [1, 2, 3, 4, 5]


def test_leaves_the_observed_sets_alone():
    sets = random_sets(0, 200, 20, 4)
    before = sets.indices.copy()
    resample_sets(sets, 20, sweeps=3, seed=0)
    np.testing.assert_array_equal(sets.indices, before)


def test_seeds():
    sets = random_sets(0, 1000, 40, 4)
    first, again = (resample_sets(sets, 40, sweeps=4, seed=7) for _ in range(2))
    other, _ = resample_sets(sets, 40, sweeps=4, seed=8)
    assert first[0].indices.tobytes() == again[0].indices.tobytes()
    assert first[1] == again[1]
    assert first[0].indices.tobytes() != other.indices.tobytes()


def test_bytes_do_not_depend_on_threads():
    sets, found = random_sets(0, 20_000, 40, 4), []
    for threads in (numba.config.NUMBA_NUM_THREADS, 1):
        numba.set_num_threads(threads)
        found.append(resample_sets(sets, 40, sweeps=2, seed=0)[0].indices.tobytes())
    assert found[0] == found[1]


def test_diagnostics():
    sets = random_sets(0, 5000, 200, 4)
    drawn, diagnostics = resample_sets(sets, 200, sweeps=12, seed=0)
    same = sum(len(set(a) & set(b)) for a, b in zip(members_of(sets), members_of(drawn), strict=True))
    unchanged = [record["unchanged"] for record in diagnostics]
    assert unchanged[-1] == same / len(sets.indices)
    assert unchanged[0] > unchanged[3] > unchanged[-1]
    assert abs(unchanged[-1] - unchanged[-3]) < 0.01


@pytest.mark.parametrize(
    "members",
    [
        [(0, 1), (0, 2), (3,)],  # 12 matrices; of three tokens one sits out each sweep
        [(0,), (0, 1), (1, 2), (3,)],  # all tokens trade in every sweep
        [(0, 1), (), (0, 2), (1, 3), (2, 3)],  # one token is empty
    ],
)
def test_all_matrices_are_reached_alike(members):
    features, draws = 4, 4000
    sets = sets_of(members)
    counts = count_members(sets, features).tolist()
    possible = [
        matrix
        for matrix in product(*(list(combinations(range(features), len(member))) for member in members))
        if np.bincount(sum(matrix, ()), minlength=features).tolist() == counts
    ]
    found = dict.fromkeys(possible, 0)
    for seed in range(draws):
        found[members_of(resample_sets(sets, features, sweeps=15, seed=seed)[0])] += 1
    assert len(possible) > 10
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_bounded_draws_are_uniform():
    word, found = np.uint64(5), np.zeros(7, int)
    for _ in range(14_000):
        word, drawn = draw_below(np.uint64(word), 7)
        found[drawn] += 1
    assert chisquare(found).pvalue > 1e-3


def test_association_disappears():
    # Features 0 and 1 always go together, and so do 2 and 3; by chance each pair is as frequent as any other.
    sets = sets_of([(0, 1), (2, 3)] * 2000)
    drawn, _ = resample_sets(sets, 4, sweeps=10, seed=0)
    edges = null_edges(drawn, 4)
    assert len(null_edges(sets, 4)) == 2
    assert len(edges) == 6
    assert edges["count"].sum() == 4000
    np.testing.assert_allclose(edges["count"], 4000 / 6, rtol=0.15)


def test_null_edges_of_observed_sets_are_the_graphs():
    generator = np.random.default_rng(0)
    batch = sparse_batch(np.where(generator.random((300, 25)) < 0.3, generator.random((300, 25)), 0))
    graph = coactivation_graph([batch], 4)
    edges = null_edges(graph.sets, 25)
    np.testing.assert_array_equal(edges.to_numpy(), graph.edges[["source", "target", "count"]].to_numpy())


def test_nothing_to_trade():
    empty = sets_of([(), ()])
    drawn, diagnostics = resample_sets(empty, 4, sweeps=2, seed=0)
    assert len(drawn.indices) == 0
    assert diagnostics == [{"sweep": 1, "unchanged": None}, {"sweep": 2, "unchanged": None}]
    full = sets_of([(0, 1), (0, 1)])  # every feature in every set: one matrix
    assert members_of(resample_sets(full, 2, sweeps=3, seed=0)[0]) == ((0, 1), (0, 1))


def test_refusals():
    sets = sets_of([(0, 5), (1, 2)])
    with pytest.raises(ConfigError, match=r"nulls\.sweeps is 0"):
        resample_sets(sets, 6, sweeps=0, seed=0)
    with pytest.raises(ConfigError, match="feature 5"):
        resample_sets(sets, 5, sweeps=1, seed=0)
    with pytest.raises(ConfigError, match="feature 5"):
        null_edges(sets, 5)
