"""What sentences say of the graphs beside their null models."""

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.nulls import (
    NULL_NAMES,
    SHOWN,
    matched_sentence,
    null_sentence,
    nulls_conclusion,
    side,
    sides,
    significance_sentence,
)

COLUMN = Column("main", "topk-x1-s0", False, 1.0, "topk")


def beside(value, low=1.0, high=2.0):
    return {"observed": value, **{null: {"mean": 1.5, "low": low, "high": high} for null in NULL_NAMES}}


def entry(**values):
    return {"nulls": {"live": {name: beside(values.get(name, 1.5)) for name in SHOWN}}}


def test_a_value_lies_above_below_or_within_an_interval():
    assert [side(beside(value), "tokens") for value in (0.5, 1.0, 2.0, 2.5)] == ["below", "within", "within", "above"]
    assert side(beside(None), "tokens") is None
    assert side(beside(1.5, None, None), "tokens") is None
    assert sides([entry(edges=0), entry(edges=9), entry()], "edges", "shift") == {"above": 1, "below": 1, "within": 1}


def test_the_conclusion_names_what_is_outside_everywhere():
    columns = [COLUMN, COLUMN]
    assert nulls_conclusion(columns, [entry(edges=0), entry(edges=9)]) == (
        "Number of edges lies outside the interval of every null model in both dictionaries.")  # fmt: skip
    assert nulls_conclusion(columns, [entry(edges=0, modularity=3), entry(edges=9, modularity=3)]).startswith(
        "Number of edges and modularity lie outside")  # fmt: skip
    assert nulls_conclusion(columns, [entry(edges=0), entry()]).startswith("No statistic lies outside")


def test_a_statistic_is_told_with_its_places():
    text = null_sentence([entry(pearson=3.0), entry(pearson=0.0), entry()], "pearson", "pearson's r", "tokens")
    places = "it is above the interval in 1, below the interval in 1 and within the interval in 1."
    assert text == f"Pearson's r is 0\N{EN DASH}3.00, under the null (tokens) 1.50; {places}"


def test_tested_edges_are_told_in_shares():
    tested = {"fdr": 0.05, "tokens": {"significant_share": 0.5, "repelled": 7},
              "documents": {"significant_share": None, "repelled": 0}}  # fmt: skip
    text = significance_sentence([{"tested": tested}])
    assert text.startswith("At a false discovery rate of 5.00%, 50.0% of the edges")
    assert "within documents it is not defined" in text
    assert text.endswith("7 pairs share fewer tokens than by chance.")


def test_seeds_are_told_beside_the_matching_within_frequencies():
    rows = [
        ("seed", "edge_jaccard", "random", 0.4, 0.1, 0.01),
        ("seed", "edge_jaccard", "frequency", 0.4, 0.3, 0.02),
        ("seed", "community_ami", "frequency", 0.6, 0.2, 0.01),
        ("width", "edge_jaccard", "frequency", 0.9, 0.1, 0.01),
    ]
    pairs = pd.DataFrame(rows, columns=["differ", "measure", "null", "value", "null_mean", "p"])
    text = matched_sentence(pairs)
    assert "40.0% of the edges" in text
    assert "30.0% (p 0.0200)" in text
    assert "AMI of 0.600, against 0.200 (p 0.0100)" in text
    assert matched_sentence(pairs[pairs["differ"] == "width"]).endswith("is not defined here.")
