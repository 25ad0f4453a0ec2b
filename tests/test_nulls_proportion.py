"""Degrees beside their null: parts that add up, scores by hand, and what remains of the odd quadrants."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from coact.graph.degree import degrees
from coact.nulls.proportion import correct_quadrants, degree_table, listed_features
from coact.nulls.replicates import sample_null
from coact.nulls.summary import prediction_interval
from test_nulls_replicates import CHAIN, COMMUNITIES, nodes_of, random_sets

QUADRANTS = ("low_degree_high_frequency", "high_degree_low_frequency")


def part(null, *drawn):
    """What a job writes: degrees (replicates, features)."""
    drawn = np.array(drawn, np.int64)
    return pd.DataFrame(
        {
            "feature": np.arange(drawn.shape[1], dtype=np.int32),
            "null": null,
            "degree": drawn[0],
            "degree_sum": drawn.sum(0),
            "degree_squares": (drawn**2).sum(0),
            "replicates": len(drawn),
        }
    )


def make_nodes(degree, live=None):
    n = len(degree)
    alive = np.ones(n, bool) if live is None else np.array(live)
    return pd.DataFrame({"feature": np.arange(n, dtype=np.int32), "degree": np.array(degree, np.int64), "live": alive})


def odd(*features):
    return [{"feature": feature} for feature in features]


def test_replicates_sum_their_degrees():
    sets, documents = random_sets()
    nodes = nodes_of(sets, 30)
    options = {"chain": CHAIN, "communities": COMMUNITIES, "part": 0}
    found = sample_null("tokens", sets, documents, nodes, replicates=3, **options)
    assert found.nodes["replicates"].tolist() == [3] * 30
    first = degrees(found.edges["source"].to_numpy(), found.edges["target"].to_numpy(), 30)
    assert found.nodes["degree"].tolist() == first.tolist()
    means = found.statistics.query("scope == 'all' and statistic == 'mean_degree'")["value"]
    assert found.nodes["degree_sum"].sum() == pytest.approx(30 * means.sum())
    one = sample_null("tokens", sets, documents, nodes, replicates=1, **options).nodes
    assert (one["degree_squares"] == one["degree"] ** 2).all()
    assert (one["degree_sum"] == one["degree"]).all()


def test_parts_add_up_to_the_whole():
    drawn = np.random.default_rng(0).integers(0, 50, (7, 12))
    nodes = make_nodes(range(12))
    whole = degree_table(nodes, [part("tokens", *drawn)])
    parts = degree_table(nodes, [part("tokens", *drawn[:3]), part("tokens", *drawn[3:])])
    pd.testing.assert_frame_equal(whole, parts)
    assert whole.attrs == parts.attrs == {"replicates": {"tokens": 7}}
    np.testing.assert_allclose(whole["mean_tokens"], drawn.mean(0))
    np.testing.assert_allclose(whole["sd_tokens"], drawn.std(0, ddof=1))


def test_scores_and_ranks_by_hand():
    nodes = make_nodes([0, 4, 9, 2, 7], [True, True, True, True, False])
    table = degree_table(nodes, [part("tokens", [0, 8, 4, 2, 1], [0, 10, 5, 2, 3]), part("documents", [0, 4, 9, 3, 7])])
    assert list(table) == ["feature", "degree"] + [
        f"{name}_{null}" for null in ("tokens", "documents") for name in ("mean", "sd", "score", "rank")
    ]
    assert table["mean_tokens"].tolist() == [0, 9, 4.5, 2, 2]
    assert table["score_tokens"].tolist() == pytest.approx(
        [0, math.log(5 / 10), math.log(10 / 5.5), 0, math.log(8 / 3)]
    )
    # Features 0 and 3 have the same degree in all replicates, feature 4 is not live.
    np.testing.assert_array_equal(table["rank_tokens"], [np.nan, 0.25, 0.75, np.nan, np.nan])
    # One replicate says nothing of the spread.
    assert table["sd_documents"].isna().all()
    assert table["rank_documents"].isna().all()


def test_what_remains_by_hand():
    # Null degrees of 10 +- 1 for all but feature 7, which is 3 in every replicate.
    drawn = np.array([[9] * 7 + [3], [10] * 7 + [3], [11] * 7 + [3]])
    nodes = make_nodes([1, 2, 5, 10, 11, 30, 40, 3])
    table = degree_table(nodes, [part("tokens", *drawn)])
    interval = prediction_interval(np.array([9.0, 10, 11]), 0.9)
    assert 5 < interval["low"] < 9
    quadrants = dict(zip(QUADRANTS, (odd(0, 2, 3, 7), odd(6, 5, 4)), strict=True))
    found = correct_quadrants(table, quadrants, listed=2, confidence=0.9)["tokens"]
    assert (found["ranked"], found["n_below"], found["n_above"]) == (7, 3, 2)
    assert [record["feature"] for record in found["below"]] == [0, 1]
    assert [record["feature"] for record in found["above"]] == [6, 5]
    low, high = (found[name] for name in QUADRANTS)
    # Ranks of 7 features: 0.07, 0.21, 0.36, ... Feature 2 is below the interval, but not in the lowest quarter.
    assert [record["remains"] for record in low["features"]] == [True, False, False, False]
    assert (low["listed"], low["settled"], low["remain"]) == (4, 1, 1)
    assert [record["remains"] for record in high["features"]] == [True, True, False]
    assert low["features"][3] == {
        "feature": 7, "degree": 3, "mean": 3.0, "sd": 0.0, "score": 0.0, "rank": pytest.approx(math.nan, nan_ok=True),
        "remains": False}  # fmt: skip
    assert listed_features(quadrants, {"tokens": found}) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_equal_scores_are_listed_by_feature():
    drawn = [[5, 5, 5, 20, 20], [6, 6, 6, 21, 21]]
    table = degree_table(make_nodes([1000, 1000, 1000, 1, 1]), [part("tokens", *drawn)])
    found = correct_quadrants(table, {name: [] for name in QUADRANTS}, 2, 0.5)["tokens"]
    assert [record["feature"] for record in found["above"]] == [0, 1]
    assert [record["feature"] for record in found["below"]] == [3, 4]


@pytest.mark.parametrize("replicates", [1, 2])
def test_without_spread_nothing_is_ranked(replicates):
    table = degree_table(make_nodes([1, 2, 3]), [part("tokens", *[[4, 5, 6]] * replicates)])
    found = correct_quadrants(table, {QUADRANTS[0]: odd(0), QUADRANTS[1]: odd(2)}, 5, 0.95)["tokens"]
    assert found["ranked"] == found["n_below"] == found["n_above"] == 0
    assert found["below"] == found["above"] == []
    assert [found[name]["remain"] for name in QUADRANTS] == [0, 0]
    assert found[QUADRANTS[0]]["settled"] == (replicates > 1)


def test_no_feature_at_all():
    empty = part("tokens", [1, 2]).iloc[:0]
    table = degree_table(make_nodes([]), [empty.assign(null="tokens")])
    assert len(table) == 0
    json.dumps(correct_quadrants(table, {name: [] for name in QUADRANTS}, 5, 0.95), allow_nan=False)


def test_a_graph_drawn_from_the_null_leaves_nothing_to_remain():
    sets, documents = random_sets(tokens=1500, features=60, seed=1)
    nodes = nodes_of(sets, 60)
    found = sample_null("tokens", sets, documents, nodes, replicates=20, chain=CHAIN, communities=COMMUNITIES, part=0)
    nodes["degree"] = found.nodes["degree"]
    table = degree_table(nodes, [found.nodes])
    corrected = correct_quadrants(table, {name: [] for name in QUADRANTS}, 60, 0.99)["tokens"]
    assert corrected["ranked"] > 30
    assert corrected["n_below"] + corrected["n_above"] <= 3
