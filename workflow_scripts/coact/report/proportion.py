"""Tables of the features whose degree is out of proportion, as Markdown. Texts of the corpus are shown, not obeyed."""

from typing import Any

from coact.comparison.nulls import NULL_NAMES
from coact.comparison.proportion import QUADRANTS
from coact.comparison.wording import count, number, percent
from coact.report.markup import feature_link, pipe_table
from coact.report.results import Results
from coact.spelling import show_token
from coact.study import TESTED_NULLS

LABELS_SHOWN = 2
TOKENS_SHOWN = 3
CORRECTED_SHOWN = 5
TEXT = ["fires on", "tokens"]


def proportion_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown of the tables."""
    return {
        "_low_degree.md": _quadrant(results, "low_degree_high_frequency", "tbl-low-degree"),
        "_high_degree.md": _quadrant(results, "high_degree_low_frequency", "tbl-high-degree"),
        "_remaining.md": _remaining(results),
        "_corrected.md": _corrected(results),
    }


def _entries(results: Results) -> list[tuple[str, dict[str, Any]]]:
    return [(column.name, entry) for column, entry in zip(results.columns, results.statistics, strict=True)]


def _quadrant(results: Results, quadrant: str, identifier: str) -> str:
    header = ["dictionary", "feature", "degree", *(f"degree, null: {NULL_NAMES[null]}" for null in TESTED_NULLS)]
    header += ["remains", "in top-k sets / active", "percentile, frequency / degree", *TEXT]
    rows = []
    for name, entry in _entries(results):
        texts = _texts(entry)
        records = [entry["corrected"][null][quadrant]["features"] for null in TESTED_NULLS]
        for odd, *beside in zip(entry["observed"]["quadrants"][quadrant], *records, strict=True):
            text = texts[odd["feature"]]
            row = [
                name,
                feature_link(name, odd["feature"]),
                count(odd["degree"]),
                *(number(record["mean"]) for record in beside),
            ]
            row += [" / ".join("yes" if record["remains"] else "no" for record in beside)]
            row += [f"{count(text['chosen'])} / {count(text['active'])}"]
            row += [" / ".join(number(100 * odd[rank]) for rank in ("frequency_rank", "degree_rank"))]
            rows.append([*row, *_text_cells(text)])
    caption = (
        f"Live features of {QUADRANTS[quadrant]}, by the gap in rank; whether they remain out of proportion beside"
        f" {' / '.join(NULL_NAMES[null] for null in TESTED_NULLS)}"
    )
    return pipe_table(header, rows, caption, identifier, 1, len(TEXT))


def _remaining(results: Results) -> str:
    header = ["dictionary", "null", "left open", "below", "above"]
    header += [f"{name}: {what}" for name in QUADRANTS.values() for what in ("listed", "settled", "remain")]
    rows = []
    for name, entry in _entries(results):
        for null in TESTED_NULLS:
            found = entry["corrected"][null]
            cells = [count(found[key]) for key in ("ranked", "n_below", "n_above")]
            cells += [count(found[quadrant][key]) for quadrant in QUADRANTS for key in ("listed", "settled", "remain")]
            rows.append([name, NULL_NAMES[null], *cells])
    caption = (
        "Live features whose degree the margins leave open, those below and above the null's interval, and what remains"
        " of the features out of proportion"
    )
    return pipe_table(header, rows, caption, "tbl-remaining", 2)


def _corrected(results: Results) -> str:
    header = ["dictionary", "null", "side", "feature", "degree", "degree, null", "score", "percentile", *TEXT]
    rows = []
    for name, entry in _entries(results):
        texts = _texts(entry)
        for null in TESTED_NULLS:
            for side in ("below", "above"):
                for record in entry["corrected"][null][side][:CORRECTED_SHOWN]:
                    row = [name, NULL_NAMES[null], side, feature_link(name, record["feature"]), count(record["degree"])]
                    row += [number(record["mean"]), number(record["score"]), number(100 * record["rank"])]
                    rows.append([*row, *_text_cells(texts[record["feature"]])])
    caption = (
        f"Features whose degree is farthest outside what a null gives them, at most {CORRECTED_SHOWN} on a side; the"
        " score is the logarithm of degree over the null's mean degree"
    )
    return pipe_table(header, rows, caption, "tbl-corrected", 3, len(TEXT))


def _texts(entry: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {record["feature"]: record for record in entry["listed_features"]}


def _text_cells(record: dict[str, Any]) -> list[str]:
    """Labels and tokens of a feature's activations with their shares."""
    labels = [f"{entry['label']} {percent(entry['share'], 2)}" for entry in record["labels"][:LABELS_SHOWN]]
    tokens = [f"{show_token(entry['token'])} {percent(entry['share'], 2)}" for entry in record["tokens"][:TOKENS_SHOWN]]
    return [", ".join(labels), ", ".join(tokens)]
