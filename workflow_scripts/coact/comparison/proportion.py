"""What features out of proportion are, in sentences: which remain once null models are heard, and where they fire."""

from collections.abc import Sequence
from typing import Any

from coact.comparison.nulls import NULL_NAMES
from coact.comparison.wording import NOT_DEFINED, count, listed, percent, plural, spread
from coact.study import TESTED_NULLS

Statistics = Sequence[dict[str, Any]]
QUADRANTS = {
    "low_degree_high_frequency": "low degree and high frequency",
    "high_degree_low_frequency": "high degree and low frequency",
}
MOST = 0.5  # share of a feature's activations from which on they are said to be on one token or label
RARE = 0.1  # largest share of the corpus of a label that is worth a word


def remaining_sentence(statistics: Statistics) -> str:
    """How many of the odd features remain odd beside what null models give them."""
    parts = []
    for quadrant, name in QUADRANTS.items():
        found = {null: [entry["corrected"][null][quadrant] for entry in statistics] for null in TESTED_NULLS}
        number = sum(record["listed"] for record in found[TESTED_NULLS[0]])
        if not number:
            continue
        settled = sum(record["settled"] for record in found[TESTED_NULLS[0]])
        remain = [
            f"{count(sum(record['remain'] for record in records))} (null: {NULL_NAMES[null]})"
            for null, records in found.items()
        ]
        parts.append(
            f"Of {plural(number, 'listed feature')} of {name}, {count(settled)} have a degree that the margins settle,"
            f" and {listed(remain)} remain out of proportion."
        )
    return " ".join(parts) or f"Whether odd features remain odd beside a null model is {NOT_DEFINED}: none is listed."


def sides_sentence(statistics: Statistics) -> str:
    """How many features have fewer, and how many more, neighbours than null models give them."""
    parts = []
    for null in TESTED_NULLS:
        found = [entry["corrected"][null] for entry in statistics if entry["corrected"][null]["ranked"]]
        below, above = ([entry[side] / entry["ranked"] for entry in found] for side in ("n_below", "n_above"))
        if found:
            parts.append(f"{spread(below, percent)} lie below and {spread(above, percent)} above (null:"
                         f" {NULL_NAMES[null]})")  # fmt: skip
    if not parts:
        return f"How the degrees of single features stand against null models is {NOT_DEFINED}."
    return f"Of the live features whose degree the margins leave open, {listed(parts)} the interval of their degree."


def texts_sentence(statistics: Statistics) -> str:
    """What the odd features of low degree have in common."""
    found = [
        record
        for entry in statistics
        for record in _described(entry, "low_degree_high_frequency")
        if record["labels"] and record["tokens"]
    ]
    if not found:
        return "No live feature of high frequency has a low degree."
    unchosen = sum(not record["chosen"] for record in found)
    on_token = sum(record["tokens"][0]["share"] > MOST for record in found)
    on_label = sum(
        record["labels"][0]["share"] > MOST and record["labels"][0]["corpus_share"] <= RARE for record in found
    )
    return (
        f"Of {plural(len(found), 'listed feature')} of low degree and high frequency, {count(unchosen)} are in no"
        f" top-k set at all; {count(on_token)} have more than half of their activations on one token, and"
        f" {count(on_label)} on one label that makes up at most {percent(RARE, 2)} of the text."
    )


def _described(entry: dict[str, Any], quadrant: str) -> list[dict[str, Any]]:
    records = {record["feature"]: record for record in entry["listed_features"]}
    return [records[odd["feature"]] for odd in entry["observed"]["quadrants"][quadrant]]
