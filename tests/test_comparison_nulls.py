"""What sentences say of the graphs beside their null models."""

from coact.comparison.columns import Column
from coact.comparison.nulls import (
    NULL_NAMES,
    SHOWN,
    documents_sentence,
    modes_sentence,
    null_sentence,
    nulls_conclusion,
    resampled_sentence,
    side,
    sides,
    significance_sentence,
)

COLUMN = Column("main", "topk-x1-s0", False, 1.0, "topk")


def beside(value, low=1.0, high=2.0):
    return {
        "observed": value,
        "observed_interval": None,
        **{null: {"mean": 1.5, "low": low, "high": high} for null in NULL_NAMES},
    }


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


def modes(dip, gain):
    return {"nulls": {"live": {"dip_log_degree": beside(dip), "bic_gain_log_degree": beside(gain)}}}


def test_modes_are_more_than_the_margins_where_both_measures_are_above():
    text = modes_sentence([modes(3.0, 3.0), modes(0.5, 3.0)])
    assert "in 1 of 2 dictionaries (null: tokens)" in text
    assert text.endswith("by one of them alone in 1, 1 and 1.")
    assert modes_sentence([modes(3.0, 3.0)]).endswith("the one dictionary (null: shifts within documents).")
    assert modes_sentence([modes(1.5, 0.5)]).endswith("no evidence of anything but the margins.")
    assert "is not defined" in modes_sentence([modes(None, 0.5)])
    assert "is not defined" in modes_sentence([])


def test_intervals_over_documents_are_held_against_the_nulls():
    def resampled(value, low, high):
        return {**beside(value), "observed_interval": {"low": low, "high": high}}

    one = entry() | {"tokens": 200, "documents": 7, "longest_document": 50}
    one["nulls"]["live"]["edges"] = resampled(3.0, 2.5, 3.5)  # the nulls' mean is 1.5
    one["nulls"]["live"]["pearson"] = resampled(1.6, 1.4, 1.8)
    text = resampled_sentence([one, entry()])
    assert text.endswith(
        "observed number of edges in the one dictionary and correlation of degree and frequency in no dictionary."
    )
    assert "is not defined" in resampled_sentence([entry()])
    assert documents_sentence([one]).startswith(
        "The tokens of a graph come from 7 documents, the longest of which holds"
    )
    assert "25.0% of them" in documents_sentence([one])
