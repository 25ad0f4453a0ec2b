"""Null models: the marginals that each keeps, and the figures set beside them."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coact.graph.degree import degrees
from coact.graph.pairs import edges_of_sets
from coact.graph.sets import TokenSets
from coact.graph.shape import log_degree, mixture_test
from coact.nulls.curveball import Curveball, null_edges
from coact.nulls.replicates import plain_statistics, sample_null
from coact.nulls.shift import shift_sets
from coact.nulls.summary import compare_with_nulls, count_tested, prediction_interval

CHAIN = {"seed": 0, "sweeps": 6, "sweeps_between": 2}
COMMUNITIES = {"seed": 0, "resolution": 1.0}


def sets_of(rows):
    """Top-k sets from lists of features."""
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return TokenSets(indptr, np.array([feature for row in rows for feature in sorted(row)], np.int32))


def rows_of(sets):
    return [sets.indices[first:last].tolist() for first, last in zip(sets.indptr[:-1], sets.indptr[1:], strict=True)]


def random_sets(tokens=400, features=30, k=4, documents=8, seed=0):
    generator = np.random.default_rng(seed)
    weight = 1 / (1 + np.arange(features))
    rows = [
        generator.choice(features, generator.integers(0, k + 1), replace=False, p=weight / weight.sum()).tolist()
        for _ in range(tokens)
    ]
    return sets_of(rows), np.sort(generator.integers(0, documents, tokens)).astype(np.int32)


def nodes_of(sets, features):
    count = np.bincount(sets.indices, minlength=features)
    frequency = count / (len(sets.indptr) - 1)
    return pd.DataFrame(
        {
            "feature": np.arange(features, dtype=np.int32),
            "frequency": frequency,
            "frequency_heldout": frequency,
            "live": count > 0,
        }
    )


def counts_by(sets, groups):
    return Counter(
        (group, feature) for group, row in zip(groups.tolist(), rows_of(sets), strict=True) for feature in row
    )


rows = st.lists(st.sets(st.integers(0, 7), max_size=5), min_size=1, max_size=30)


@settings(deadline=None)
@given(rows, st.integers(0, 3), st.data())
def test_trades_within_groups_keep_every_marginal(rows, seed, data):
    groups = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=len(rows), max_size=len(rows))))
    sets = sets_of(rows)
    chain = Curveball(sets, 8, seed, groups)
    chain.sweep(3)
    drawn = chain.sets()
    assert [len(row) for row in rows_of(drawn)] == [len(row) for row in rows]
    assert all(len(set(row)) == len(row) and row == sorted(row) for row in rows_of(drawn))
    assert counts_by(drawn, groups) == counts_by(sets, groups)


def test_trades_within_groups_reach_every_arrangement_alike():
    # Two documents of two tokens with two features each: two arrangements of each, four in all.
    sets, groups = sets_of([[0], [1], [2], [3]]), np.array([5, 5, 9, 9])
    found = Counter()
    for seed in range(2000):
        chain = Curveball(sets, 4, seed, groups)
        chain.sweep(2)
        found[tuple(chain.sets().indices.tolist())] += 1
    assert set(found) == {(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2)}
    assert all(abs(number - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75) for number in found.values())


def test_a_token_alone_in_its_group_stays_as_it_is():
    sets = sets_of([[0, 1], [2], [3], [4]])
    chain = Curveball(sets, 5, 0, np.array([7, 1, 2, 3]))
    assert chain.sweep(4)[-1]["unchanged"] == 1.0
    np.testing.assert_array_equal(chain.sets().indices, sets.indices)


@settings(deadline=None)
@given(rows, st.integers(0, 3), st.data())
def test_a_shift_moves_every_feature_along_its_document_as_one(rows, seed, data):
    documents = np.sort(np.array(data.draw(st.lists(st.integers(-1, 3), min_size=len(rows), max_size=len(rows)))))
    sets = sets_of(rows)
    before, after = rows_of(sets), rows_of(shift_sets(sets, documents, seed))
    assert all(row == sorted(set(row)) for row in after)
    for document in np.unique(documents):
        tokens = np.flatnonzero(documents == document)
        for feature in range(8):
            held = np.array([feature in before[token] for token in tokens])
            moved = np.array([feature in after[token] for token in tokens])
            assert any(np.array_equal(np.roll(held, distance), moved) for distance in range(len(tokens)))


def test_shifts_of_two_features_are_independent_and_uniform():
    sets, documents = sets_of([[0, 1], [], [], []]), np.zeros(4, np.int32)
    found = Counter()
    for seed in range(4000):
        after = rows_of(shift_sets(sets, documents, seed))
        found[tuple(next(token for token in range(4) if feature in after[token]) for feature in (0, 1))] += 1
    assert len(found) == 16
    assert all(abs(number - 250) < 5 * np.sqrt(250) for number in found.values())


def test_documents_apart_in_the_stream_are_still_one_document():
    sets, documents = sets_of([[0], [1], [2], [3]]), np.array([4, 6, 4, 6], np.int32)
    seen = {tuple(map(tuple, rows_of(shift_sets(sets, documents, seed)))) for seed in range(60)}
    places = [{row.index((feature,)) for row in seen if (feature,) in row} for feature in range(4)]
    assert [found <= {feature % 2, feature % 2 + 2} for feature, found in enumerate(places)] == [True] * 4
    assert [len(found) for found in places] == [2] * 4


@pytest.mark.parametrize("null", ["tokens", "documents", "shift"])
def test_replicates_differ_and_repeat_with_their_seed(null):
    sets, documents = random_sets()
    options = {"replicates": 3, "communities": COMMUNITIES, "part": 0}
    nodes = nodes_of(sets, 30)
    found = sample_null(null, sets, documents, nodes, chain=CHAIN, **options)
    again = sample_null(null, sets, documents, nodes, chain=CHAIN, **options)
    other = sample_null(null, sets, documents, nodes, chain=CHAIN, **{**options, "part": 1})
    pd.testing.assert_frame_equal(found.statistics, again.statistics)
    assert not found.edges.equals(other.edges)
    edges = found.statistics.query("scope == 'all' and statistic == 'average_clustering'")["value"]
    assert len(edges) == 3
    assert edges.nunique() == 3
    pairs = edges_of_sets(sets)["count"].sum()
    assert (found.edges["count"].sum() == pairs) == (null != "shift")
    assert [len(record) for record in found.mixing] == ([0] * 3 if null == "shift" else [6, 2, 2])


def test_statistics_of_an_empty_graph_are_not_defined_or_zero():
    sets, documents = sets_of([[], [], []]), np.zeros(3, np.int32)
    nodes = nodes_of(sets, 5)
    for null in ("tokens", "documents", "shift"):
        found = sample_null(
            null, sets, documents, nodes, replicates=2, chain=CHAIN, communities=COMMUNITIES, part=0
        ).statistics.query("replicate == 0")
        values = found.set_index(["scope", "statistic"])["value"]
        assert values["all", "edges"] == values["live", "edges"] == 0
        for name in ("pearson", "assortativity", "modularity", "dip_log_degree", "log_degree_skewness"):
            assert np.isnan(values["all", name])
        assert np.isnan(values["live", "mean_degree"])


def test_the_live_scope_is_the_graph_of_live_features():
    nodes = nodes_of(sets_of([[0, 1], [1, 2]]), 4)
    edges = pd.DataFrame({"source": [0, 0, 1], "target": [1, 3, 3], "count": [1, 2, 3]})
    values = plain_statistics(nodes, edges, **COMMUNITIES).set_index(["scope", "statistic"])["value"]
    assert values["all", "edges"] == 3
    assert values["all", "average_clustering"] == pytest.approx(3 / 4)
    assert values["live", "edges"] == 1
    assert values["live", "components"] == 2


def test_a_prediction_interval_by_hand():
    found = prediction_interval(np.array([1.0, 2.0, 3.0, np.nan]), 0.95)
    # sd 1, t with 2 degrees of freedom 4.3027, sqrt(1 + 1/3) = 1.1547.
    assert found == {
        "mean": 2.0,
        "sd": 1.0,
        "low": pytest.approx(2 - 4.9682, abs=1e-3),
        "high": pytest.approx(2 + 4.9682, abs=1e-3),
        "replicates": 3,
    }
    assert prediction_interval(np.array([4.0]), 0.95) == {
        "mean": 4.0, "sd": None, "low": None, "high": None, "replicates": 1}  # fmt: skip
    assert prediction_interval(np.array([]), 0.95)["mean"] is None


def test_a_prediction_interval_covers_as_often_as_it_says():
    values = np.random.default_rng(0).normal(size=(4000, 6))
    found = [prediction_interval(row[:5], 0.95) for row in values]
    inside = np.mean([entry["low"] <= row[5] <= entry["high"] for entry, row in zip(found, values, strict=True)])
    assert abs(inside - 0.95) < 0.015


def test_a_graph_without_association_lies_in_its_null():
    sets, documents = random_sets(tokens=1500, seed=1)
    chain = Curveball(sets, 30, 5)
    chain.sweep(15)
    sets = chain.sets()
    nodes = nodes_of(sets, 30)
    found = sample_null(
        "tokens", sets, documents, nodes, replicates=12, chain=CHAIN, communities=COMMUNITIES, part=0
    ).statistics
    compared = compare_with_nulls(plain_statistics(nodes, null_edges(sets, 30), **COMMUNITIES), [found], 0.999)
    for name in ("edges", "average_clustering", "pearson", "modularity", "assortativity"):
        entry = compared["live"][name]
        assert entry["tokens"]["low"] <= entry["observed"] <= entry["tokens"]["high"], name


def test_tested_edges_are_counted():
    edges = pd.DataFrame({"significant": [True, True, False], "significant_documents": [True, False, False]})
    repelled = pd.DataFrame({"null": ["tokens", "tokens", "documents"]})
    found = count_tested(edges, repelled, 0.05)
    assert found["tokens"] == {"significant": 2, "significant_share": pytest.approx(2 / 3), "repelled": 2}
    assert found["documents"] == {"significant": 1, "significant_share": pytest.approx(1 / 3), "repelled": 1}
    assert count_tested(edges[:0], repelled[:0], 0.05)["tokens"]["significant_share"] is None


def test_communities_of_live_features_are_found_anew_where_edges_leave_them():
    sets, _ = random_sets(seed=3)
    nodes = nodes_of(sets, 30)
    some = nodes.assign(live=np.arange(30) % 4 > 0)
    values = {}
    for name, table in (("every", nodes), ("some", some)):
        found = plain_statistics(table, edges_of_sets(sets), **COMMUNITIES)
        values[name] = found.set_index(["scope", "statistic"])["value"]
    pd.testing.assert_series_equal(values["every"]["all"], values["some"]["all"])
    assert values["every"]["live"]["modularity"] == pytest.approx(values["every"]["all"]["modularity"])
    assert values["some"]["live"]["modularity"] != pytest.approx(values["some"]["all"]["modularity"], abs=1e-6)


def test_the_gain_of_two_modes_is_that_of_the_mixture():
    sets, _ = random_sets(tokens=60, seed=2)
    nodes, edges = nodes_of(sets, 30), edges_of_sets(sets)
    mixture = mixture_test(log_degree(degrees(edges["source"].to_numpy(), edges["target"].to_numpy(), 30)))
    found = plain_statistics(nodes, edges, **COMMUNITIES).set_index(["scope", "statistic"])["value"]
    assert found["all", "bic_gain_log_degree"] == mixture["bic_one"] - mixture["bic_two"]


def test_intervals_over_documents_stand_beside_the_observed_value():
    observed = pd.DataFrame({"scope": ["live"] * 2, "statistic": ["edges", "modularity"], "value": [5.0, 0.2]})
    replicates = pd.concat([observed.assign(null="tokens", replicate=item) for item in range(2)])
    own = {"low": 4.0, "high": 6.0, "sd": 0.5, "samples": 9}
    found = compare_with_nulls(observed, [replicates], 0.9, {"live": {"edges": own}})["live"]
    assert found["edges"]["observed_interval"] == own
    assert found["modularity"]["observed_interval"] is None
    assert found["edges"]["tokens"]["mean"] == 5.0
