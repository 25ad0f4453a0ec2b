"""What the null models say of the graphs, in sentences and numbers."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    defined,
    dictionaries,
    listed,
    number,
    percent,
    sentence,
    spread,
)
from coact.study import TESTED_NULLS

Statistics = Sequence[dict[str, Any]]
NULL_NAMES = {"tokens": "tokens", "documents": "within documents", "shift": "shifts within documents"}
SHOWN = {
    "edges": "Edges",
    "average_clustering": "Clustering",
    "modularity": "Modularity",
    "assortativity": "Assortativity",
    "pearson": "Pearson's r",
}


def side(compared: dict[str, Any], null: str) -> str | None:
    """Where an observed statistic lies against a null model's interval: "above", "below", "within", or None."""
    value, low, high = compared["observed"], compared[null]["low"], compared[null]["high"]
    if not (defined(value) and defined(low) and defined(high)):
        return None
    return "above" if value > high else "below" if value < low else "within"


def sides(statistics: Statistics, statistic: str, null: str) -> dict[str, int]:
    """How many graphs of live features lie above, below and within a null model's interval."""
    found = [side(entry["nulls"]["live"][statistic], null) for entry in statistics]
    return {name: found.count(name) for name in ("above", "below", "within")}


def nulls_conclusion(columns: Sequence[Column], statistics: Statistics) -> str:
    """Which statistics of the graphs no null model gives."""
    names = {"edges": "number of edges", "average_clustering": "clustering", "modularity": "modularity",
             "assortativity": "assortativity", "pearson": "correlation of degree and frequency"}  # fmt: skip
    outside = []
    for statistic, name in names.items():
        everywhere = all(
            side(entry["nulls"]["live"][statistic], null) in ("above", "below")
            for entry in statistics
            for null in NULL_NAMES
        )
        outside += [name] if everywhere else []
    if not statistics:
        return f"A comparison with null models is {NOT_DEFINED}."
    if not outside:
        return "No statistic lies outside every null model's interval in every dictionary."
    return sentence(f"{listed(outside)} {'lie' if len(outside) > 1 else 'lies'} outside the interval of every null"
                    f" model in {dictionaries(len(columns), len(columns))}.")  # fmt: skip


def null_sentence(statistics: Statistics, statistic: str, name: str, null: str, form: Any = number) -> str:
    """A statistic of live features, observed and under one null model, and where it lies."""
    compared = [entry["nulls"]["live"][statistic] for entry in statistics]
    observed, mean = [entry["observed"] for entry in compared], [entry[null]["mean"] for entry in compared]
    found = sides(statistics, statistic, null)
    places = [f"{word} the interval in {number_of}" for word, number_of in found.items() if number_of]
    where = f"; it is {listed(places)}" if places else ""
    under = f"under the null ({NULL_NAMES[null]}) {spread(mean, form)}"
    return sentence(f"{name} is {spread(observed, form)}, {under}{where}.")


def significance_sentence(statistics: Statistics) -> str:
    """How many edges are more than chance under the two null models that are tested edge by edge."""
    shares = {null: [entry["tested"][null]["significant_share"] for entry in statistics] for null in TESTED_NULLS}
    repelled = [entry["tested"]["tokens"]["repelled"] for entry in statistics]
    fdr = [entry["tested"]["fdr"] for entry in statistics]
    return (
        f"At a false discovery rate of {spread(fdr, percent)}, {spread(shares['tokens'], percent)} of the edges join"
        " features that share more tokens than by chance; within documents it is"
        f" {spread(shares['documents'], percent)}."
        f" {sentence(spread(repelled, count))} pairs share fewer tokens than by chance."
    )


def matched_sentence(pairs: pd.DataFrame) -> str:
    """Whether dictionaries that differ in their seed only have similar graphs.

    Args:
        pairs: of comparison/pairs.parquet.
    """
    seeds = pairs[(pairs["differ"] == "seed") & pairs["measure"].isin(["edge_jaccard", "community_ami"])]
    seeds = seeds[(seeds["null"] == "frequency") & seeds["value"].notna()]
    if not len(seeds):
        return f"How similar the graphs of two seeds are is {NOT_DEFINED} here."
    edges, groups = (seeds[seeds["measure"] == measure] for measure in ("edge_jaccard", "community_ami"))
    text = (
        f"Between dictionaries that differ in their seed only, {spread(edges['value'], percent)} of the edges on"
        " matched features are in both graphs (Jaccard), where matchings among features of about equal frequency give"
        f" {spread(edges['null_mean'], percent)} (p {spread(edges['p'])})"
    )
    if not len(groups):
        return f"{text}."
    return (
        f"{text}; their communities agree with an AMI of {spread(groups['value'])}, against"
        f" {spread(groups['null_mean'])} (p {spread(groups['p'])})."
    )
