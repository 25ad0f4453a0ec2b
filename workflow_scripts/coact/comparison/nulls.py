"""What the null models say of the graphs, in sentences and numbers."""

from collections.abc import Sequence
from typing import Any

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
IN_SENTENCES = {
    "edges": "number of edges",
    "average_clustering": "clustering",
    "modularity": "modularity",
    "assortativity": "assortativity",
    "pearson": "correlation of degree and frequency",
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
    outside = []
    for statistic, name in IN_SENTENCES.items():
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


def modes_sentence(statistics: Statistics) -> str:
    """Whether log degree has two modes more clearly than null models give, by the dip and by the BIC gain of two."""
    both, single, totals = {}, {}, {}
    for null in NULL_NAMES:
        found = [
            [side(entry["nulls"]["live"][statistic], null) for statistic in ("dip_log_degree", "bic_gain_log_degree")]
            for entry in statistics
        ]
        above = [places.count("above") for places in found if None not in places]
        both[null], single[null], totals[null] = above.count(2), above.count(1), len(above)
    known = [null for null in NULL_NAMES if totals[null]]
    if not known:
        return f"How the modes of log degree stand against null models is {NOT_DEFINED}."
    parts = [f"{dictionaries(both[null], totals[null])} (null: {NULL_NAMES[null]})" for null in known]
    text = (
        "By both the dip and the BIC gain of two components, log degree has two modes more clearly than replicates of"
        f" the null in {listed(parts)}"
    )
    if any(single.values()):
        return f"{text}; by one of them alone in {listed([count(single[null]) for null in known])}."
    if any(both.values()):
        return f"{text}."
    return f"{text}; nor by one of them alone. Two modes are thus no evidence of anything but the margins."


def documents_sentence(statistics: Statistics) -> str:
    """How many documents the graphs are counted on, and how uneven these are."""
    shares = [entry["longest_document"] / entry["tokens"] for entry in statistics if entry["tokens"]]
    return (
        f"The tokens of a graph come from {spread([entry['documents'] for entry in statistics], count)} documents, the"
        f" longest of which holds {spread(shares, percent)} of them."
    )


def resampled_sentence(statistics: Statistics) -> str:
    """Whether null models stay apart from the observed values when documents are resampled."""
    parts = []
    for statistic, name in IN_SENTENCES.items():
        compared = [entry["nulls"]["live"][statistic] for entry in statistics]
        known = [entry for entry in compared if entry["observed_interval"]]
        apart = sum(
            all(_outside(entry[null]["mean"], entry["observed_interval"]) for null in NULL_NAMES) for entry in known
        )
        parts += [f"{name} in {dictionaries(apart, len(known))}"] if known else []
    if not parts:
        return f"How the statistics vary with the documents is {NOT_DEFINED}."
    return (
        "With documents resampled, the mean of every null model lies outside the interval of the observed"
        f" {listed(parts)}."
    )


def _outside(mean: float | None, interval: dict[str, Any]) -> bool:
    return defined(mean) and not interval["low"] <= mean <= interval["high"]


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
