"""Directed co-activation from a token to the next, its nulls, and chains."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom

from coact.corpus.tokens import TokenStream
from coact.errors import ConfigError
from coact.features.batches import SparseBatch
from coact.graph.sets import TokenSets
from coact.interpretation.chain_tables import tabulate_chains
from coact.interpretation.chains import ChainSettings, Walks, read_succession
from coact.interpretation.succession import (
    count_next,
    independent_moments,
    join_tokens,
    look_up_keys,
    margins,
    shift_next,
    shifted_moments,
)
from coact.interpretation.succession import test_edges as edges_of

LENGTH = 16


def make_succession(sets, documents=None, labels=None, positions=None, features=6, length=LENGTH, tokens=None):
    """Successive tokens with the given sets."""
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in sets])])
    indices = np.array([feature for one in sets for feature in sorted(one)], np.int32)
    n = len(sets)
    columns = [
        np.arange(n) if positions is None else np.asarray(positions),
        np.zeros(n, int) if tokens is None else np.asarray(tokens),
        np.zeros(n, int) if documents is None else np.asarray(documents),
        np.zeros(n, int) if labels is None else np.asarray(labels),
    ]
    return join_tokens(TokenSets(indptr, indices), *columns, length, features)


def random_succession(seed, n=120, documents=3, features=6):
    rng = np.random.default_rng(seed)
    sets = [set(rng.choice(features, rng.integers(0, 4), replace=False).tolist()) for _ in range(n)]
    return sets, make_succession(sets, np.sort(rng.integers(0, documents, n)), rng.integers(0, 2, n))


def plain_counts(sets, following):
    counts, exchanges, loops = Counter(), Counter(), Counter()
    for token, after in enumerate(following):
        if after < 0:
            continue
        for i in sets[token]:
            for j in sets[after]:
                if i == j:
                    loops[i] += 1
                else:
                    counts[i, j] += 1
                    exchanges[i, j] += j not in sets[token] and i not in sets[after]
    return counts, exchanges, loops


@pytest.mark.parametrize("seed", range(4))
def test_directed_pairs_are_counted_as_by_plain_loops(seed):
    sets, succession = random_succession(seed)
    for following in (succession.next, shift_next(succession, seed)):
        counts, exchanges, loops = plain_counts(sets, following)
        found = count_next(succession, following)
        pairs = [(int(key) >> 32, int(key) & 0xFFFFFFFF) for key in found.keys]
        assert pairs == sorted(counts)
        assert found.counts.tolist() == [counts[pair] for pair in pairs]
        assert found.exchanges.tolist() == [exchanges[pair] for pair in pairs]
        assert found.loops.tolist() == [loops[feature] for feature in range(6)]


def test_a_token_is_followed_in_its_own_document_and_context_only():
    # Positions 3 and 8 are left out, the context ends after position 7, the document changes after position 11.
    positions = [0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13]
    documents = [0] * 10 + [1] * 2
    succession = make_succession([{0}] * 12, documents, positions=positions, length=8)
    assert succession.next.tolist() == [1, 2, -1, 4, 5, 6, -1, 8, 9, -1, -1, -1]  # document 1 is too short to shift
    assert succession.offsets.tolist() == [0, 1, 2, 4, 5, 6, 7, 1, 2, 3, 4, 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.integers(0, 1000))
def test_a_shift_keeps_a_documents_tokens_and_brings_nothing_near_its_place(lengths, seed):
    documents = np.repeat(np.arange(len(lengths)), lengths)
    succession = make_succession([set()] * len(documents), documents, length=10**6)
    shifted = shift_next(succession, seed)
    ahead = np.flatnonzero(succession.next >= 0)
    assert (np.flatnonzero(shifted >= 0) == ahead).all()
    assert (np.sort(shifted[ahead]) == succession.next[ahead]).all()
    assert (documents[shifted[ahead]] == documents[ahead]).all()
    assert (abs(shifted[ahead] - ahead) >= 2).all()
    assert (shifted == shift_next(succession, seed)).all()


@pytest.mark.parametrize("seed", range(3))
def test_margins_are_the_same_in_shifted_text(seed):
    sets, succession = random_succession(seed)
    out, into = margins(succession)
    for following in (succession.next, shift_next(succession, 5)):
        expected = Counter(j for after in following if after >= 0 for j in sets[after])
        assert into.tolist() == [expected[feature] for feature in range(6)]
        expected = Counter(i for token, after in enumerate(following) if after >= 0 for i in sets[token])
        assert out.tolist() == [expected[feature] for feature in range(6)]


def test_independence_within_labels_is_a_sum_of_hypergeometric_counts():
    sets, succession = random_succession(1)
    mean, variance, least, most = independent_moments(succession, np.array([0, 2]), np.array([3, 1]))
    for place, (i, j) in enumerate([(0, 3), (2, 1)]):
        parts = []
        for label in (0, 1):
            ahead = [t for t in range(len(sets)) if succession.next[t] >= 0 and succession.labels[t] == label]
            a, b = sum(i in sets[t] for t in ahead), sum(j in sets[succession.next[t]] for t in ahead)
            parts.append((hypergeom(len(ahead), a, b), max(a + b - len(ahead), 0), min(a, b)))
        assert mean[place] == pytest.approx(sum(part.mean() for part, *_ in parts))
        assert variance[place] == pytest.approx(sum(part.var() for part, *_ in parts))
        assert least[place] == sum(low for _, low, _ in parts)
        assert most[place] == sum(high for *_, high in parts)


def test_moments_under_shifts_are_those_of_the_replicates_and_of_independence():
    sets, succession = random_succession(2)
    key = np.array([0 << 32 | 1])
    ((mean, variance),) = shifted_moments(succession, [key], [np.array([2.5])], replicates=6, seed=3)
    counts = [plain_counts(sets, shift_next(succession, [3, number + 1]))[0][0, 1] for number in range(6)]
    assert mean[0] == pytest.approx((sum(counts) + 2.5) / 7)
    assert variance[0] == pytest.approx(max(mean[0], np.var(counts, ddof=1)) * (1 + 1 / 7))


def make_cyclic(seed, n=2400, noise=0.1, documents=6, length=48):
    """Features 0, 1, 2 go round now and then; 3 is on at random, 4 and 5 on along stretches, in any order."""
    rng = np.random.default_rng(seed)
    sets, state = [], None
    for token in range(n):
        state = (state + 1) % 3 if state is not None and rng.random() > noise else None
        if state is None and rng.random() < 0.2:
            state = int(rng.integers(3))
        found = set() if state is None else {state}
        found |= {3} if rng.random() < 0.2 else set()
        if token // 40 % 4 == 0:
            found |= {4, 5} if rng.random() < 0.5 else {int(rng.integers(4, 6))}
        sets.append(found)
    ids = [10 + min(found, default=9) for found in sets]
    return make_succession(sets, np.arange(n) * documents // n, length=length, tokens=ids)


@pytest.fixture(scope="module")
def cyclic():
    return make_cyclic(0), make_cyclic(1)


def test_a_planted_cycle_is_found_and_measured_on_held_out_tokens(cyclic):
    train, heldout = cyclic
    tables = tabulate_chains(train, heldout, ChainSettings(minimum_count=20))
    first = tables.chains.iloc[0]
    mine = tables.steps[tables.steps["chain"] == 0]
    assert mine["feature"].tolist() == [0, 1, 2]
    assert mine["token"].tolist() == [10, 11, 12]
    assert (mine["probability"] > 0.7).all()
    assert first["closed"]
    assert not first["positional"]
    walked, starts = Walks(heldout, heldout.next).count([0, 1, 2, 0])
    assert (first["count_heldout"], first["starts_heldout"]) == (walked, starts)
    assert first["probability_heldout"] == pytest.approx(walked / starts)
    assert first["probability_heldout"] > 0.5
    assert first["expected_heldout"] < walked / 4
    assert tables.summary["observed"]["cycles"] == 1
    assert tables.summary["shifted"]["chains"] == 0


def test_features_of_a_stretch_follow_one_another_but_hand_nothing_over(cyclic):
    train, _ = cyclic
    (edges,) = edges_of(train, [train.next], 10, 0)
    stretch = edges[(edges["source"] == 4) & (edges["target"] == 5)].iloc[0]
    assert stretch["q"] < 0.01
    assert stretch["q_asymmetry"] > 0.05
    chain = edges[(edges["source"] == 0) & (edges["target"] == 1)].iloc[0]
    assert chain["q"] < 1e-6
    assert chain["q_asymmetry"] < 1e-6
    assert edges[(edges["source"] == 3) & (edges["target"] == 0)]["q"].iloc[0] > 0.05


def test_the_columns_of_an_edge_are_what_they_are_called(cyclic):
    train, _ = cyclic
    (edges,) = edges_of(train, [train.next], 5, 0)
    out, into = margins(train)
    tests = int((out > 0).sum() * (into > 0).sum() - ((out > 0) & (into > 0)).sum())
    by_pair = edges.set_index(["source", "target"])
    for (i, j), edge in by_pair.iterrows():
        back = by_pair["count"].get((j, i), 0)
        assert edge["reverse"] == back
        assert edge["probability"] == pytest.approx(edge["count"] / out[i])
        assert edge["lift"] == pytest.approx(edge["count"] / edge["expected"])
        assert edge["asymmetry"] == pytest.approx((edge["count"] - back) / (edge["count"] + back))
    p = [binomtest(int(e["count"]), int(e["count"] + e["reverse"]), 0.5, "greater").pvalue for _, e in edges.iterrows()]
    order = np.argsort(p)
    scaled = np.array(p)[order] * tests / np.arange(1, len(p) + 1)
    expected = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    np.testing.assert_allclose(edges["q_asymmetry"].to_numpy()[order], expected, rtol=1e-6)


def test_text_without_order_has_no_edges_beyond_shifts():
    rng = np.random.default_rng(0)
    sets = [set(rng.choice(30, 3, replace=False).tolist()) for _ in range(4000)]
    succession = make_succession(sets, np.arange(4000) // 1000, features=30)
    tables = tabulate_chains(succession, succession, ChainSettings())
    assert tables.summary["observed"]["beyond_shifts"] <= 1
    assert tables.summary["observed"]["chains"] == 0
    assert len(tables.chains) == 0
    assert len(tables.steps) == 0
    assert len(tables.loops) == 30


def test_features_of_the_place_in_the_context_are_positional_chains():
    sets = [{position % 8} for position in range(800)]
    succession = make_succession(sets, np.arange(800) // 100, features=8, length=8)
    tables = tabulate_chains(succession, succession, ChainSettings())
    assert tables.summary["observed"]["positional_chains"] >= 1
    assert tables.summary["observed"]["chains"] == 0
    assert tables.chains["positional"].all()


def test_two_features_that_take_turns_are_a_cycle_of_two():
    runs = [{(token + token // 40) % 2} if token // 10 % 4 == 0 else {2} for token in range(2000)]  # each first in turn
    succession = make_succession(runs, np.arange(2000) // 500, features=3, length=50)
    tables = tabulate_chains(succession, succession, ChainSettings(minimum_lift=1.5))
    assert tables.steps[tables.steps["chain"] == 0]["feature"].tolist() in ([0, 1], [1, 0])
    assert tables.chains.iloc[0]["closed"]


def test_a_chain_of_one_document_is_left_out(cyclic):
    train, heldout = make_cyclic(0, documents=2), cyclic[1]
    tables = tabulate_chains(train, heldout, ChainSettings())
    assert tables.summary["observed"]["handovers"] > 0
    assert tables.summary["observed"]["chains"] == 0


def test_no_two_chains_share_an_edge_and_all_are_walked_often_enough(cyclic):
    train, heldout = cyclic
    tables = tabulate_chains(train, heldout, ChainSettings(minimum_count=15, minimum_probability=0.05, minimum_lift=1))
    seen = set()
    for chain in tables.chains.itertuples():
        features = tables.steps[tables.steps["chain"] == chain.chain]["feature"].tolist()
        walk = features + features[: int(chain.closed)]
        edges = set(itertools.pairwise(walk))
        assert not edges & seen
        seen |= edges
        assert chain.count >= 15
        assert (chain.count, chain.starts) == Walks(train, train.next).count(walk)
        sets = [train.sets.indices[train.sets.indptr[p] : train.sets.indptr[p + 1]].tolist() for p in chain.positions]
        assert all(walk[0] in one for one in sets)


def test_self_loops_are_kept_apart(cyclic):
    train, heldout = cyclic
    tables = tabulate_chains(train, heldout, ChainSettings())
    assert (tables.edges["source"] != tables.edges["target"]).all()
    loops = tables.loops.set_index("feature")
    found = count_next(train, train.next)
    assert loops["count"].tolist() == found.loops.tolist()
    assert loops.loc[4, "lift"] > 2 > loops.loc[3, "lift"]


def test_held_out_text_without_a_feature_gives_no_probability(cyclic):
    train, _ = cyclic
    empty = make_succession([set()] * 100, np.arange(100) // 50)
    tables = tabulate_chains(train, empty, ChainSettings())
    assert tables.chains["starts_heldout"].tolist() == [0] * len(tables.chains)
    assert tables.chains["probability_heldout"].isna().all()
    assert tables.edges["probability_heldout"].isna().all()


def test_counts_of_edges_that_are_not_there_are_0():
    assert look_up_keys(np.array([2, 5]), np.array([7, 8]), np.array([1, 2, 5, 9])).tolist() == [0, 7, 8, 0]
    assert look_up_keys(np.zeros(0, int), np.zeros(0, int), np.array([1])).tolist() == [0]


def test_top_sets_are_read_from_kept_tokens_of_all_shards():
    tokens = np.arange(8, dtype=np.int32).reshape(2, 4)
    documents = np.array([[-1, 0, 0, 0], [-1, 0, 0, 0]], np.int32)
    stream = TokenStream(tokens, documents, np.where(documents >= 0, 2, -1).astype(np.int16), ["a", "b", "c"])
    batches = []
    for row in range(2):
        kept = documents[row] >= 0
        indptr = np.array([0, 0, 3, 4, 5])
        values = np.array([1, 3, 2, 5, 5], np.float32)
        batches.append(SparseBatch(indptr, np.array([0, 1, 2, 0, 1], np.int32), values, 3, kept, documents[row]))
    found = read_succession(batches, stream, k=2)
    assert found.sets.indices.tolist() == [1, 2, 0, 1] * 2
    assert found.positions.tolist() == [1, 2, 3, 5, 6, 7]
    assert found.tokens.tolist() == [1, 2, 3, 5, 6, 7]
    assert found.labels.tolist() == [2] * 6
    assert found.next.tolist() == [1, 2, -1, 4, 5, -1]
    with pytest.raises(ConfigError, match="no features"):
        read_succession([], stream, k=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicates": 1}, r"chains\.replicates is 1; expected at least 2"),
        ({"longest": 1}, r"chains\.longest is 1; expected at least 2"),
        ({"minimum_lift": 0.5}, r"chains\.minimum_lift is 0\.5; expected at least 1"),
        ({"fdr": 0}, r"chains\.fdr is 0; expected between 0 and 1"),
        ({"minimum_probability": 1}, r"chains\.minimum_probability is 1; expected between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        ChainSettings(**changes)
