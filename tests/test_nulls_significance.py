"""Significance of edges: moments against all families and replicates, tails against SciPy, calibration and recovery."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control, hypergeom, nchypergeom_fisher

from coact.errors import ConfigError
from coact.graph.pairs import count_members, edges_of_sets
from coact.graph.sets import TokenSets
from coact.nulls import significance
from coact.nulls.curveball import resample_sets
from coact.nulls.inclusion import _fill_joint, _inclusion, _tilt, fit_inclusion, pair_moments
from coact.nulls.significance import edge_significance
from coact.nulls.tails import benjamini_hochberg, tail_probabilities

pytestmark = pytest.mark.usefixtures("one_thread")


def sets_of(members: list[tuple[int, ...]]) -> TokenSets:
    sizes = [len(member) for member in members]
    indices = np.array([f for member in members for f in sorted(member)], np.int32)
    return TokenSets(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), indices)


def random_sets(seed: int, odds: np.ndarray, sizes: np.ndarray, allowed: np.ndarray | None = None) -> TokenSets:
    """A set of the given size per token, features drawn one after another with the given odds where allowed."""
    generator = np.random.default_rng(seed)
    keys = generator.exponential(size=(len(sizes), len(odds))) / odds
    if allowed is not None:
        keys[~allowed] = np.inf
    return sets_of([tuple(order[:size].tolist()) for order, size in zip(np.argsort(keys), sizes, strict=True)])


def zipf(features: int, power: float) -> np.ndarray:
    return (1.0 + np.arange(features)) ** -power


def all_pairs(features: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(features, 1)


def pair_matrix(sets: TokenSets, features: int) -> np.ndarray:
    """(D, D) pair counts, upper triangle."""
    held = np.zeros((len(sets.indptr) - 1, features), np.float32)
    held[np.repeat(np.arange(len(held)), np.diff(sets.indptr)), sets.indices] = 1
    return np.triu(held.T @ held, 1).astype(np.int64)


def moments_of_all_families(members: list[tuple[int, ...]], features: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the pair counts, by going through every family with the same sizes and counts."""
    counts = count_members(sets_of(members), features).tolist()
    choices = [list(combinations(range(features), len(member))) for member in members]
    found = [
        [sum(i in member and j in member for member in family) for i, j in zip(*all_pairs(features), strict=True)]
        for family in product(*choices)
        if [sum(f in member for member in family) for f in range(features)] == counts
    ]
    return np.mean(found, axis=0), np.var(found, axis=0)


@pytest.mark.parametrize("spread", [0.1, 1.0, 6.0, 15.0])
@pytest.mark.parametrize("nearly_equal", [False, True])
def test_inclusion_probabilities_are_those_of_all_sets(spread, nearly_equal):
    generator = np.random.default_rng(0)
    for _ in range(8):
        n = int(generator.integers(2, 9))
        odds = np.exp(generator.normal(0, spread, n))
        if nearly_equal:  # the difference of two nearly equal terms would lose its digits
            odds[1:] = odds[0] * (1 + 1e-8 * generator.random(n - 1))
        odds = np.sort(odds)[::-1].copy()
        for size in range(1, n):
            members = list(combinations(range(n), size))
            weights = np.array([np.prod(odds[list(member)]) for member in members])
            held = np.array([[f in member for f in range(n)] for member in members], float)
            joint = (held * (weights / weights.sum())[:, None]).T @ held
            single, neighbour = np.empty(n), np.empty(n)
            _inclusion(odds, size, _tilt(odds, size, 1.0), np.empty((n + 1, size + 1)), single, neighbour)
            np.testing.assert_allclose(single, np.diag(joint), rtol=1e-9)
            by_size = np.zeros((2, n, n + 1))
            by_size[:, :, size] = single, neighbour
            found = np.empty(n + 1)
            for a, b in combinations(range(n), 2):
                _fill_joint(a, b, 0, n, odds, *by_size, found)
                assert found[size] == pytest.approx(joint[a, b], rel=1e-6, abs=1e-12 * joint[b, b])
                assert (found[0], found[1], found[n]) == (0, 0, 1)


def test_moments_by_hand():
    # Two sets of two, four features once each: the partner of a feature is any of the three others.
    moments = pair_moments(fit_inclusion(sets_of([(0, 1), (2, 3)]), 4), *all_pairs(4))
    np.testing.assert_allclose(moments.expected, 1 / 3)
    np.testing.assert_allclose(moments.variance, 2 / 9)
    assert (moments.least.tolist(), moments.most.tolist()) == ([0] * 6, [1] * 6)


@pytest.mark.parametrize(
    ("members", "features"),
    [
        ([(0, 1), (0, 2), (0,), ()], 4),  # 0 is in every set that is not empty, 3 in none
        ([(0, 1, 2)] * 3, 3),  # every set holds every feature
        ([(0,), (1,), (1,)], 3),  # no set has two
        ([(0, 1, 2, 3), (0, 1)], 5),  # one family only
        ([(0, 1, 2), (0, 1), (0,), (1,)], 3),  # 0 and 1 fill what they can, without being in every set
        ([(0, 1, 2), (0, 1, 3), (0,), (1,), (0,)], 5),  # the same, with a choice left for 2 and 3
        ([(0, 1, 2, 3), (0, 1, 2, 4), (0, 1), (2,)], 5),
        ([(0, 1), (0, 1), (0, 1), (1, 2)], 3),
    ],
)
def test_moments_where_the_counts_leave_little_choice(members, features):
    expected, variance = moments_of_all_families(members, features)
    moments = pair_moments(fit_inclusion(sets_of(members), features), *all_pairs(features))
    np.testing.assert_allclose(moments.expected, expected, atol=0.06)
    np.testing.assert_allclose(moments.expected[variance == 0], expected[variance == 0], atol=1e-6)
    np.testing.assert_allclose(moments.variance, variance, atol=0.08)
    assert np.all(moments.least <= expected + 1e-9)
    assert np.all(moments.most >= expected - 1e-9)


def test_moments_of_small_families():
    generator = np.random.default_rng(5)
    for _ in range(10):
        sizes = generator.integers(0, 4, 5)
        sets = random_sets(int(generator.integers(1000)), zipf(4, 1.0), sizes)
        members = [tuple(part.tolist()) for part in np.split(sets.indices, sets.indptr[1:-1])]
        expected, variance = moments_of_all_families(members, 4)
        moments = pair_moments(fit_inclusion(sets, 4), *all_pairs(4))
        np.testing.assert_allclose(moments.expected, expected, atol=0.08)
        np.testing.assert_allclose(moments.variance, variance, atol=0.12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    features=st.integers(1, 25),
    tokens=st.integers(0, 50),
    largest=st.integers(0, 8),
    power=st.floats(0, 4),
    n_groups=st.integers(1, 4),
)
def test_expected_counts_add_up(seed, features, tokens, largest, power, n_groups):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(0, min(largest, features) + 1, tokens)
    sets, groups = random_sets(seed, zipf(features, power), sizes), generator.integers(-1, n_groups - 1, tokens)
    source, target = all_pairs(features)
    moments = pair_moments(fit_inclusion(sets, features, groups), source, target)
    # Every set of s features has s (s - 1) / 2 pairs, whatever they are.
    assert moments.expected.sum() == pytest.approx((sizes * (sizes - 1) // 2).sum(), rel=1e-5, abs=1e-6)
    count = pair_matrix(sets, features)[source, target]
    assert np.all((moments.least <= count) & (count <= moments.most))
    assert np.all((moments.least <= moments.expected + 1e-5) & (moments.expected <= moments.most + 1e-5))
    assert np.all(moments.variance >= 0)
    # Groups are resampled by themselves, so their moments add up.
    for name in ("expected", "variance", "least", "most"):
        parts = []
        for group in np.unique(groups):
            part = [tuple(sets.indices[sets.indptr[t] : sets.indptr[t + 1]]) for t in np.flatnonzero(groups == group)]
            parts.append(getattr(pair_moments(fit_inclusion(sets_of(part), features), source, target), name))
        total = np.sum(parts, axis=0) if parts else np.zeros(len(source))
        np.testing.assert_allclose(getattr(moments, name), total, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("features", "power", "sizes"),
    [
        (15, 1.0, np.full(300, 4)),  # the most frequent feature is in 8 of 10 sets
        (30, 0.7, np.full(20, 4)),  # a short document
        (25, 1.0, np.arange(300) % 9),  # sets of 0 to 8
    ],
)
def test_moments_of_replicates(features, power, sizes):
    sets, replicates = random_sets(1, zipf(features, power), sizes), 2000
    source, target = all_pairs(features)
    moments = pair_moments(fit_inclusion(sets, features), source, target)
    drawn, _ = resample_sets(sets, features, sweeps=30, seed=10**6)
    counts = np.empty((replicates, len(source)))
    for seed in range(replicates):
        drawn, _ = resample_sets(drawn, features, sweeps=6, seed=seed)
        counts[seed] = pair_matrix(drawn, features)[source, target]
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    error = np.sqrt(variance / replicates)
    assert np.mean(np.abs(mean - moments.expected) <= 3 * error + 0.01 * moments.expected) > 0.98
    # Together; a pair by itself has a standard error of 3 %. For the most frequent pairs of the first case
    # E (1 - n_i / t) (1 - n_j / t), which leaves out that features exclude each other, is 11 % above.
    for low, high in ((0.1, 1), (1, 10), (10, 1000)):
        chosen = (moments.expected >= low) & (moments.expected < high)
        if chosen.sum() > 5:
            assert mean[chosen].sum() == pytest.approx(moments.expected[chosen].sum(), rel=0.01)
            assert variance[chosen].sum() == pytest.approx(moments.variance[chosen].sum(), rel=0.035)


@pytest.mark.parametrize(("tokens", "one", "other"), [(10, 3, 3), (50, 5, 40), (1000, 20, 60), (10**6, 3, 3)])
def test_tails_of_independent_features_are_hypergeometric(tokens, one, other):
    law = hypergeom(tokens, one, other)
    least, most = max(0, one + other - tokens), min(one, other)
    count = np.arange(least, most + 1)
    moments = [np.full(len(count), value) for value in (law.mean(), law.var(), least, most)]
    at_least, at_most = tail_probabilities(count, *moments)
    np.testing.assert_allclose(at_least, law.sf(count - 1), rtol=1e-6)
    np.testing.assert_allclose(at_most, law.cdf(count), rtol=1e-6)


def test_tails_without_correction_are_binomial():
    law, count = binom(300, 0.04), np.arange(0, 60)
    moments = [np.full(len(count), value) for value in (law.mean(), law.var(), 0, 300)]
    at_least, at_most = tail_probabilities(count, *moments)
    np.testing.assert_allclose(at_least, law.sf(count - 1), rtol=1e-9)
    np.testing.assert_allclose(at_most, law.cdf(count), rtol=1e-9)


def test_tails_of_features_that_exclude_each_other():
    # Sets of fixed size: the exact law for two features beside many like ones is Fisher's, with odds below 1.
    law = nchypergeom_fisher(400, 120, 90, 0.75)
    count = np.arange(5, 45)
    moments = [np.full(len(count), value) for value in (law.mean(), law.var(), 0, 90)]
    at_least, at_most = tail_probabilities(count, *moments)
    near = (law.sf(count - 1) > 1e-5) & (law.cdf(count) > 1e-5)
    assert near.sum() > 20
    np.testing.assert_allclose(at_least[near], law.sf(count[near] - 1), rtol=0.05)
    np.testing.assert_allclose(at_most[near], law.cdf(count[near]), rtol=0.05)


def test_no_variance_no_evidence():
    count, zero = np.array([2, 0, 3]), np.zeros(3)
    at_least, at_most = tail_probabilities(count, count.astype(float), zero, count, count)
    assert at_least.tolist() == at_most.tolist() == [1, 1, 1]


@given(most=st.integers(1, 60), share=st.floats(0.001, 0.99), shrink=st.floats(0.05, 1), below=st.integers(0, 60))
def test_tails_are_complements(most, share, shrink, below):
    least = min(below, int(share * most))
    count = np.arange(least, most + 1)
    variance = share * most * (1 - share) * shrink
    moments = [np.full(len(count), value) for value in (share * most, variance, least, most)]
    at_least, at_most = tail_probabilities(count, *moments)
    np.testing.assert_allclose(at_least[1:] + at_most[:-1], 1, rtol=1e-9)
    np.testing.assert_allclose([at_least[0], at_most[-1]], 1)
    assert np.all(at_least > 0)  # no count that can be is ruled out
    assert np.all(at_most > 0)
    assert np.all(np.diff(at_least) <= 1e-12)


@given(p=st.lists(st.floats(0, 1), max_size=30), others=st.integers(0, 40))
def test_q_values_as_scipys(p, others):
    padded = np.array(p + [1.0] * others)
    found = benjamini_hochberg(np.array(p), len(padded))
    expected = false_discovery_control(padded)[: len(p)] if len(padded) else np.empty(0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_q_values_by_hand():
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.5, 0.001, 0.002]), 100), [1, 0.1, 0.1])
    with pytest.raises(ConfigError, match="tests is 2; expected at least the number of p-values, 3"):
        benjamini_hochberg(np.ones(3), 2)


def repulsive_sets(seed: int) -> TokenSets:
    """Sets of up to 4 of 40 features of very unequal frequency; 0 and 1, 2 and 5, 8 and 9 do not go together."""
    sets = random_sets(seed, zipf(40, 0.6), np.full(3000, 4))
    members = [set(part.tolist()) for part in np.split(sets.indices, sets.indptr[1:-1])]
    for token, member in enumerate(members):
        for one, other in ((0, 1), (2, 5), (8, 9)):
            if one in member and other in member and (token % 12 or one == 8):
                member.discard((one, other)[token % 2])
    return sets_of([tuple(member) for member in members])


@pytest.mark.parametrize("n_groups", [None, 30])
@pytest.mark.parametrize("at_once", [1 << 20, 1, 50])
def test_the_screen_loses_no_repelled_pair(n_groups, at_once, monkeypatch):
    monkeypatch.setattr(significance, "PAIRS_AT_ONCE", at_once)
    sets = repulsive_sets(0)
    groups = None if n_groups is None else np.arange(3000) * n_groups // 3000
    source, target = all_pairs(40)
    count = pair_matrix(sets, 40)[source, target]
    moments = pair_moments(fit_inclusion(sets, 40, groups), source, target)
    p = tail_probabilities(count, *moments)[1]
    q = false_discovery_control(p)
    everything = pd.DataFrame(
        {
            "source": source.astype(np.int32),
            "target": target.astype(np.int32),
            "count": count,
            "expected": moments.expected,
            "z": (count - moments.expected) / np.sqrt(moments.variance),
            "p": p,
            "q": q,
        }
    )
    for fdr in (0.05, 0.5):
        _, repelled = edge_significance(sets, edges_of_sets(sets), 40, fdr, groups)
        wanted = everything[q <= fdr].reset_index(drop=True)
        pd.testing.assert_frame_equal(repelled, wanted)
        found = set(zip(repelled["source"], repelled["target"], strict=True))
        assert {(0, 1), (2, 5), (8, 9)} <= found
        assert (repelled.loc[(repelled["source"] == 8) & (repelled["target"] == 9), "count"] == 0).all()


def test_rows_are_aligned_with_the_edges():
    sets = repulsive_sets(1)
    edges = edges_of_sets(sets)
    shuffled = edges.sample(frac=1, random_state=0)
    attracted, repelled = edge_significance(sets, edges, 40, 0.05)
    again, repelled_again = edge_significance(sets, shuffled, 40, 0.05)
    pd.testing.assert_frame_equal(again.sort_index(), attracted, check_exact=True)
    pd.testing.assert_frame_equal(repelled_again, repelled, check_exact=True)
    assert attracted.dtypes.astype(str).to_dict() == dict.fromkeys(["expected", "z", "p", "q"], "float64") | {
        "significant": "bool"
    }


@pytest.mark.parametrize("n_groups", [None, 20])
def test_calibration(n_groups):
    """Sets drawn from the null itself. Counts are discrete, so fewer than `level` of the p-values are below it."""
    features, tokens, replicates = 120, 4000, 15
    sets = random_sets(3, zipf(features, 0.9), np.where(np.arange(tokens) % 5, 4, 2))
    groups = None if n_groups is None else np.arange(tokens) * n_groups // tokens
    pairs = features * (features - 1) // 2
    shares, frequent, lower, alarms = [], [], [], 0
    for seed in range(replicates):
        drawn = resample_within(sets, features, groups, seed)
        edges = edges_of_sets(drawn)
        attracted, repelled = edge_significance(drawn, edges, features, 0.05, groups)
        p = attracted["p"].to_numpy()
        shares.append([(p <= level).sum() / pairs for level in (0.05, 0.001)])
        frequent.append((p[attracted["expected"] >= 20] <= 0.05).mean())
        moments = pair_moments(fit_inclusion(drawn, features, groups), *all_pairs(features))
        count = pair_matrix(drawn, features)[all_pairs(features)]
        p_lower = tail_probabilities(count, *moments)[1]
        lower.append([(p_lower <= level).mean() for level in (0.05, 0.001)])
        alarms += bool(attracted["significant"].any() or len(repelled))
    for found in (np.mean(shares, axis=0), np.mean(lower, axis=0)):
        assert 0.005 < found[0] <= 0.05
        assert found[1] <= 0.001
    assert 0.03 < np.mean(frequent) < 0.053  # hardly discrete there
    assert alarms <= 4  # each of two families at most 1 time in 20


def resample_within(sets: TokenSets, features: int, groups: np.ndarray | None, seed: int) -> TokenSets:
    """Sets from the null; groups are successive tokens."""
    if groups is None:
        return resample_sets(sets, features, sweeps=15, seed=seed)[0]
    indices = []
    for group in np.unique(groups):
        first, last = np.searchsorted(groups, [group, group + 1])
        bounds = sets.indptr[first : last + 1]
        part = TokenSets(bounds - bounds[0], sets.indices[bounds[0] : bounds[-1]])
        indices.append(resample_sets(part, features, sweeps=15, seed=1000 * seed + int(group))[0].indices)
    return TokenSets(sets.indptr, np.concatenate(indices))


def planted_sets(seed: int, strength: float) -> tuple[TokenSets, set[tuple[int, int]]]:
    """20,000 sets of 4 of 200 features; a share `strength` of them hold three of one of ten communities of five."""
    generator = np.random.default_rng(seed)
    sets = random_sets(seed, zipf(200, 0.8), np.full(20_000, 4))
    members = sets.indices.reshape(-1, 4).tolist()
    communities = [tuple(range(20 + 5 * c, 25 + 5 * c)) for c in range(10)]
    for token in np.flatnonzero(generator.random(len(members)) < strength):
        joint = generator.choice(communities[generator.integers(10)], 3, replace=False).tolist()
        members[token] = [*joint, generator.choice([f for f in members[token] if f not in joint])]
    # 0 and 3, both frequent: one of them leaves nine of ten sets that they share.
    for token, member in enumerate(members):
        if {0, 3} <= set(member) and token % 10:
            member.remove((0, 3)[token % 2])
    return sets_of([tuple(m) for m in members]), {pair for c in communities for pair in combinations(c, 2)}


def test_recovery():
    recalls = []
    for strength in (0.01, 0.02, 0.04, 0.1):
        right = wrong = 0
        for seed in range(2):
            sets, planted = planted_sets(seed, strength)
            edges = edges_of_sets(sets)
            attracted, repelled = edge_significance(sets, edges, 200, 0.05)
            chosen = edges[attracted["significant"]]
            found = set(zip(chosen["source"], chosen["target"], strict=True))
            right += len(found & planted)
            wrong += len(found - planted)
            assert (attracted.loc[attracted["significant"], "z"] > 2).all()
            assert (0, 3) in set(zip(repelled["source"], repelled["target"], strict=True))
            assert repelled["z"].max() < -2
        assert wrong <= 0.05 * (right + wrong) + 2 * np.sqrt(0.05 * (right + wrong))
        recalls.append(right / (2 * len(planted)))
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.2  # 20 shared tokens more than chance, for features of hundreds
    assert recalls[2] > 0.9
    assert recalls[3] == 1


def test_topics_are_not_pairs():
    """Features of a topic are frequent in its documents, and independent there, but for a planted pair in each."""
    generator = np.random.default_rng(0)
    documents = np.repeat(np.arange(80), 250).astype(np.int32)
    topic = documents % 8
    allowed = np.zeros((20_000, 140), bool)
    allowed[:, :20] = True
    for one in range(8):
        allowed[np.ix_(topic == one, range(20 + 15 * one, 35 + 15 * one))] = True
    sets = random_sets(0, zipf(140, 0.2), np.full(20_000, 4), allowed)
    members = sets.indices.reshape(-1, 4).tolist()
    planted = [(20 + 15 * one, 21 + 15 * one) for one in range(8)]
    for token in np.flatnonzero(generator.random(20_000) < 0.08):
        others = [f for f in members[token] if f not in planted[topic[token]]]
        members[token] = [*planted[topic[token]], *others[:2]]
    sets = sets_of([tuple(m) for m in members])
    edges = edges_of_sets(sets)
    within = (edges["source"] >= 20) & ((edges["source"] - 20) // 15 == (edges["target"] - 20) // 15)
    is_planted = pd.Series(zip(edges["source"], edges["target"], strict=True)).isin(planted)
    anywhere, _ = edge_significance(sets, edges, 140, 0.05)
    in_documents, _ = edge_significance(sets, edges, 140, 0.05, documents)
    for found in (anywhere, in_documents):
        assert found.loc[is_planted, "significant"].all()
    assert is_planted.sum() == 8
    assert anywhere.loc[within & ~is_planted, "significant"].mean() > 0.9
    assert in_documents.loc[~is_planted, "significant"].sum() <= 2


def test_special_positions_are_a_group():
    # BOS-like tokens hold 0 and 1 together, which no other token does: by groups that is no surprise.
    sets = sets_of([(0, 1)] * 30 + [(2, 3), (4, 5), (2, 5), (3, 4)] * 60)
    groups = np.array([-1] * 30 + [0, 0, 1, 1] * 60, np.int32)
    edges = edges_of_sets(sets)
    assert edge_significance(sets, edges, 6, 0.05)[0]["significant"].tolist()[0]
    found = edge_significance(sets, edges, 6, 0.05, groups)[0]
    assert (found["expected"][0], found["p"][0], found["q"][0]) == (30, 1, 1)
    assert np.isnan(found["z"][0])


@pytest.mark.parametrize(
    ("members", "features"), [([], 5), ([], 0), ([(), ()], 3), ([(0,)], 1), ([(0,), (1,)], 2), ([(0, 1, 2)], 3)]
)
@pytest.mark.parametrize("by_group", [False, True])
def test_nothing_to_test(members, features, by_group):
    sets = sets_of(members)
    groups = np.full(len(members), -1, np.int32) if by_group else None
    attracted, repelled = edge_significance(sets, edges_of_sets(sets), features, 0.05, groups)
    assert len(attracted) == len(edges_of_sets(sets))
    assert not attracted["significant"].any()
    assert list(attracted) == ["expected", "z", "p", "q", "significant"]
    assert list(repelled) == ["source", "target", "count", "expected", "z", "p", "q"]
    assert len(repelled) == 0


def test_refusals():
    sets = sets_of([(0, 5), (1, 2)])
    edges = edges_of_sets(sets)
    for fdr in (0, 1, -0.1, float("nan")):
        with pytest.raises(ConfigError, match=r"nulls\.fdr is .* expected a share between 0 and 1"):
            edge_significance(sets, edges, 6, fdr)
    with pytest.raises(ConfigError, match="feature 5; expected features below 5"):
        edge_significance(sets, edges, 5, 0.05)
    with pytest.raises(ConfigError, match="groups are given for 3 tokens; expected 2"):
        edge_significance(sets, edges, 6, 0.05, np.zeros(3, int))
