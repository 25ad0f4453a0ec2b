"""What is said of how the graph depends on choices, on tables that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest

from coact.comparison.columns import Column
from coact.comparison.rarefaction import DEGREES, rarefied, rarefied_conclusion, rarefied_sentence
from coact.comparison.saturation import last_stretch, saturation_conclusion, saturation_sentence, text_sentence
from coact.comparison.sensitivity import (
    FINDINGS,
    beside_null,
    effects,
    effects_sentence,
    joined,
    own_curve,
    reversals_sentence,
    rule_name,
    sensitivity_conclusion,
    sides,
    whole_grid,
)

COLUMNS = [
    Column("main", "topk-x1-s0", False, 1.0, "topk"),
    Column("main", "topk-x2-s0", False, 2.0, "topk"),
    Column("main", "topk-x2-s1", False, 2.0, "topk"),
    Column("main", "neurons", True, None, "neurons"),
]
INTERVALS = {"bootstrap": 200, "confidence": 0.95, "seed": 0}
DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def rows(rule, special, graph, edges, pearson, clustering, batches=(1, 2, 4)):
    """Rows of sensitivity.parquet for one curve; values are those at the numbers of batches."""
    size, threshold = (int(rule[1:]), np.nan) if rule[0] == "k" else (0, float(rule.removeprefix("above")))
    last = [np.nan] * (len(batches) - 1) + [clustering]
    return pd.DataFrame({"rule": rule, "k": size, "threshold": threshold, "include_special": special, "graph": graph,
                         "batches": batches, "edges": edges, "mean_degree": np.array(edges) / 5.0, "pearson": pearson,
                         "average_clustering": last})  # fmt: skip


def table(rules=("above0.5", "k8", "k4"), special=(True, False), edges=(10, 14, 20), null=(20, 40, 80), r=0.6):
    """sensitivity.parquet, in no particular order: rules share their curves."""
    parts = []
    for rule in rules:
        for kept in special:
            parts.append(rows(rule, kept, "observed", list(edges), [np.nan, 0.5, r], 0.3))
            parts.append(rows(rule, kept, "null", list(null), [0.5, 0.5, 0.5], 0.4))
    return pd.concat(parts, ignore_index=True)


def changed(frame, value, *, rule=None, special=None, graph="observed", key="edges"):
    """`frame` with another value in some rows."""
    where = frame["graph"] == graph
    where &= (frame["rule"] == rule) if rule else True
    where &= (frame["include_special"] == special) if special is not None else True
    return frame.assign(**{key: frame[key].where(~where, value)})


def test_observed_and_null_stand_side_by_side_in_order():
    found = beside_null(table())
    assert found["rule"].drop_duplicates().tolist() == ["k4", "k8", "above0.5"]
    assert found["include_special"].iloc[:6].tolist() == [False] * 3 + [True] * 3
    assert found["edge_share"].iloc[:3].tolist() == [0.5, 0.35, 0.25]
    assert found["pearson_gap"].iloc[2] == pytest.approx(0.1)
    assert found["clustering_gap"].iloc[2] == pytest.approx(-0.1)
    assert np.isnan(found["clustering_gap"].iloc[0])
    assert own_curve(table(), 4, False)["batches"].tolist() == [1, 2, 4]
    assert len(whole_grid(table())) == 6
    assert [rule_name(4, np.nan), rule_name(0, 0.5)] == ["k = 4", "above 0.5"]


def test_graphs_without_edges_are_not_compared():
    found = whole_grid(changed(changed(table(), 0), 0, graph="null"))
    assert found["edge_share"].isna().all()
    assert found["clustering_gap"].isna().all()
    assert sides(joined(COLUMNS[:1], [found]), "clustering_gap").total == 0
    # Edges in the graph and none in the null: no share, but a comparison of clustering.
    assert whole_grid(changed(table(), 0, graph="null"))["clustering_gap"].notna().all()


# --- saturation


def test_the_end_of_a_curve_by_hand():
    found = last_stretch(own_curve(table(), 4, False))
    assert (found.start, found.stop) == (2, 4)
    assert found.slope == pytest.approx(np.log2(20 / 14))
    assert found.slope_null == pytest.approx(1.0)
    assert found.pearson == pytest.approx(0.1)
    assert found.pearson_null == 0.0


def test_the_stretch_begins_nearest_to_half_the_batches():
    curve = pd.DataFrame(
        {"batches": [1, 5, 21, 32, 50], "edges": 9, "edges_null": 9, "pearson": 0.1, "pearson_null": 0}
    )
    assert (last_stretch(curve).start, last_stretch(curve).stop) == (21, 50)


def test_what_is_not_defined_at_the_end_of_a_curve_is_none():
    found = last_stretch(own_curve(table(edges=(0, 0, 20), r=np.nan), 4, False))
    assert found.slope is None
    assert found.pearson is None
    assert last_stretch(own_curve(table(), 4, False).iloc[:1]) is None


def test_saturation_is_said_by_dictionary_and_of_the_null():
    flat, grows = (own_curve(table(edges=edges), 4, False) for edges in ((10, 20, 20), (10, 10, 20)))
    text = saturation_conclusion(COLUMNS[:2], [flat, grows])
    assert text.startswith("The number of edges has saturated in 1 of 2 dictionaries (main/topk-x1-s0), and in 0 of 2")
    assert f"twice the text means 0%{DASH}100% more edges, in the null 100%" in text
    assert "in all" not in saturation_conclusion(COLUMNS[:1], [grows])
    assert "not defined" in saturation_conclusion(COLUMNS[:1], [grows.iloc[:1]])
    assert "not defined" in saturation_conclusion(COLUMNS[:1], [grows.assign(edges=0)])
    detail = saturation_sentence([flat, grows])
    assert detail.startswith(
        f"From 2 to 4 batches the slope of log edges on log batches is 0{DASH}1.0, in the null 1.0"
    )
    assert "a single point" in saturation_sentence([flat.iloc[:1]])


def test_the_least_and_all_of_the_text_are_compared():
    text = text_sentence(COLUMNS[:2], [own_curve(table(), 4, False)] * 2)
    first, last = text.split("; ")
    assert last == (
        "with 4 batches edges over null edges are 0.25 and r is above the null's, by more than 5%, in both"
        " dictionaries."
    )
    assert first == "With 1 batch edges over null edges are 0.50 and a comparison of r is not defined"
    assert "not defined" in text_sentence(COLUMNS[:1], [own_curve(table(), 4, False).iloc[:1]])


# --- sensitivity


def test_how_far_each_choice_moves_a_finding_by_hand():
    first = changed(changed(table(), 40, rule="k8"), 24, rule="above0.5")  # shares of the null: 0.25, 0.5, 0.3
    second = changed(first, 28, rule="k4")  # 0.35
    third = changed(second, 32, rule="k4", special=True)  # 0.4 with special positions
    found = effects(COLUMNS, [whole_grid(each) for each in (first, second, third, first)], "edge_share", 4)
    assert next(iter(found)) == "k"
    # k4 against k8: eight spans of 0.25 (first and last column), 0.15 (second), 0.15 and 0.1 (third).
    assert found["k"] == pytest.approx(np.median([0.25] * 4 + [0.15] * 3 + [0.1]))
    assert found["a threshold instead of k"] == pytest.approx(0.05)
    assert found["special positions"] == 0.0
    # Six combinations, seeds averaged: k4 0.1 and 0.125, all others 0.
    assert found["width"] == 0.0
    assert found["seed"] == 0.0
    only = effects(
        COLUMNS[:3], [whole_grid(table(rules=("k4",), edges=(1, 2, e))) for e in (20, 40, 48)], "edge_share", 4
    )
    assert only == {"width": pytest.approx(0.3), "seed": pytest.approx(0.1), "special positions": 0.0}


def test_the_conclusion_counts_graphs_on_each_side():
    grids = [whole_grid(changed(table(), 0.3, rule="k8", key="pearson")), whole_grid(table(r=0.51))]
    text = sensitivity_conclusion(COLUMNS[:2], grids, 4)
    assert text.startswith(
        "Held against their null, graphs of the grid have fewer edges in all 12; less clustering in all 12; about the"
        " same r in 6 of 12, a higher r in 4 and a lower r in 2."
    )
    assert "What moves these most is" in text
    assert "k 0.15" in effects_sentence(COLUMNS[:2], grids, 4)
    alone = whole_grid(table(rules=("k4",), special=(False,)))
    assert sensitivity_conclusion(COLUMNS[:1], [alone], 4).endswith("a higher r in the one case.")
    assert "no choice is varied" in effects_sentence(COLUMNS[:1], [alone], 4)


def test_nothing_is_concluded_where_nothing_is_defined():
    empty = whole_grid(changed(changed(table(r=np.nan), 0), 0, graph="null"))
    assert "not defined" in sensitivity_conclusion(COLUMNS[:1], [empty], 4)
    assert "not defined" in effects_sentence(COLUMNS[:1], [empty], 4)


def test_reversals_are_counted_against_the_own_graph_of_each_dictionary():
    turned = changed(table(), 0.2, rule="above0.5", key="pearson")
    below = changed(table(), 0.2, key="pearson")
    text = reversals_sentence(COLUMNS[:2], [whole_grid(turned), whole_grid(below)], 4, False)
    assert text.endswith("for edges in 0 of 10, for clustering in 0 of 10 and for r in 2 of 10 (above 0.5).")
    alone = whole_grid(table(rules=("k4",), special=(False,)))
    assert "No other graph" in reversals_sentence(COLUMNS[:1], [alone], 4, False)


def test_every_finding_is_a_column():
    assert set(FINDINGS) <= set(beside_null(table()))


# --- degree at an equal number of tokens


def features(number=40, sign=1.0):
    """rarefaction.parquet: the last ten features have too few tokens; in the null only the plain degree rises."""
    rank = np.arange(number)
    enough, wave = rank < number - 10, np.where(rank % 2, 1.0, -1.0)
    return pd.DataFrame({
        "feature": rank, "frequency_heldout": (rank + 1) / 1000, "topk_count": np.where(enough, 500, 5),
        "degree": 10 + rank, "degree_null": 100 + rank,
        "rarefied_degree": np.where(enough, 50 + sign * rank, np.nan),
        "rarefied_degree_null": np.where(enough, 90 + 0.1 * wave, np.nan),
    })  # fmt: skip


def test_correlations_are_over_features_with_enough_tokens():
    found = rarefied(features(), **INTERVALS)
    assert (found.features, found.live) == (30, 40)
    assert set(found.pearson) == set(DEGREES)
    assert [found.pearson[key]["value"] for key in DEGREES[:3]] == pytest.approx([1.0, 1.0, 1.0])
    assert abs(found.pearson["rarefied_degree_null"]["value"]) < 0.1
    assert found.pearson["degree"]["n"] == 30
    # Quarters of 30 features: the first and the last eight.
    assert found.ratios["rarefied_degree"] == pytest.approx((50 + 25.5) / (50 + 3.5))
    assert found.ratios["degree"] == pytest.approx((10 + 25.5) / (10 + 3.5))


def test_what_rarefaction_leaves_is_told_with_its_sign():
    found = [rarefied(features(sign=sign), **INTERVALS) for sign in (1.0, -1.0)]
    text = rarefied_conclusion(found, 100)
    assert text.startswith(f"Of a correlation of degree and frequency of 1.0, {MINUS}1.0 to 1.0 is left when every")
    detail = rarefied_sentence(COLUMNS[:2], found)
    assert "rises with frequency in 1 of 2 dictionaries (main/topk-x1-s0) and falls in 1 (main/topk-x2-s0)" in detail
    assert "above the null in 1 of 2 dictionaries" in detail


@pytest.mark.parametrize("number", [0, 10, 12])
def test_too_few_features_leave_the_correlation_undefined(number):
    found = rarefied(features(number), **INTERVALS)
    assert found.features == max(number - 10, 0)
    assert found.pearson["rarefied_degree"] is None
    assert found.ratios["degree"] is None
    assert "not defined" in rarefied_conclusion([found], 100)
    assert "not defined" in rarefied_sentence(COLUMNS[:1], [found])
