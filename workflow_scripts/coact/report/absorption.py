"""What other features absorb of contexts: table and sentences, beside exchanged features and controls."""

from itertools import pairwise
from typing import Any

from coact.comparison.columns import Column
from coact.comparison.wording import NOT_DEFINED, count, defined, dictionaries, number, p_value, percent, plural
from coact.report.markup import feature_link, pipe_table
from coact.report.meaning import beside_controls
from coact.report.results import Results

LEVEL = 0.05
HEADER = (
    "dictionary",
    "contexts",
    "main features",
    "silent",
    "absorbed",
    "exchanged",
    "p",
    "fraction",
    "exchanged",
    "p",
)
CONTEXT_HEADER = ("dictionary", "context", "probe F1", "tokens", "F1 of main features", "silent", "absorbed",
                  "exchanged", "fraction", "exchanged", "main features", "absorbs most",
                  "of the absorbed")  # fmt: skip


def absorption_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    summaries = results.meaning.absorption_summaries
    rows = [_row(column, summary) for column, summary in zip(results.columns, summaries, strict=True)]
    caption = (
        "Absorption: of the tokens of a context that its probe finds, those on which all main features are silent;"
        " those absorbed whole by one other feature; and the fraction that others carry, means over contexts (those"
        " measured, of all); beside decoder rows exchanged among features that fire about equally often, with 95% of"
        " the exchanges. Main features: median number"
    )
    contexts = (
        "Absorption by context: the features that stand for it together, and the one that absorbs most of its tokens"
    )
    return {
        "_absorption.md": pipe_table(HEADER, rows, caption, "tbl-absorption"),
        "_absorption_contexts.md": pipe_table(
            CONTEXT_HEADER, _context_rows(results), contexts, "tbl-absorption-contexts", 2, 3
        ),
    }


def _row(column: Column, summary: dict[str, Any]) -> list[str]:
    cells = [column.name, f"{count(summary['measured'])} of {count(summary['contexts'])}"]
    if not summary["measured"]:
        return [*cells, NOT_DEFINED, *[""] * (len(HEADER) - 3)]
    cells += [number(summary["main_features"], 2), percent(summary["silent"])]
    for name in ("absorbed", "fraction"):
        found = summary[name]
        null = f"{percent(found['mean'])} [{percent(found['low'])}, {percent(found['high'])}]"
        cells += [percent(found["value"]), null, p_value(found["p"]).removeprefix("= ")]
    return cells


def _context_rows(results: Results) -> list[list[object]]:
    rows = []
    for column, table in zip(results.columns, results.meaning.absorption, strict=True):
        for row in table[table["tokens"] > 0].to_dict("records"):
            shares = [
                percent(row[name]) for name in ("silent", "absorbed", "absorbed_null", "fraction", "fraction_null")
            ]
            first = [column.name, row["context"], number(row["probe_f1"]), count(row["tokens"]), number(row["main_f1"])]
            absorbed = row["absorber"] >= 0
            last = [
                ", ".join(map(str, row["main"])),
                feature_link(column.name, row["absorber"]) if absorbed else "none",
                percent(row["absorber_share"], 2) if absorbed else "",
            ]
            rows.append([*first, *shares, *last])
    return rows


def absorption_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        "absorption_sentence": absorption_sentence(results),
        "absorption_null_sentence": absorption_null_sentence(results),
        "absorption_width_sentence": absorption_width_sentence(results),
    }


def _values(results: Results, name: str) -> list[float | None]:
    found = [summary[name] for summary in results.meaning.absorption_summaries]
    return [entry["value"] if isinstance(entry, dict) else entry for entry in found]


def absorption_sentence(results: Results) -> str:
    """How often main features are silent, how much is absorbed whole, and which part others carry."""
    if not any(summary["measured"] for summary in results.meaning.absorption_summaries):
        return "No context has a linear probe that finds it well enough, so absorption is not measured (0 contexts)."
    return (
        "Of the tokens that a context's probe finds, the share on which its main features are silent is"
        f" {beside_controls(results.columns, _values(results, 'silent'), percent)}; the share absorbed whole is"
        f" {beside_controls(results.columns, _values(results, 'absorbed'), percent)}. Of what main and other features"
        " carry of a context, the others' part is"
        f" {beside_controls(results.columns, _values(results, 'fraction'), percent)}."
    )


def absorption_null_sentence(results: Results) -> str:
    """Whether this is more than decoder rows of other features would give, and where it is not measured."""
    tested = [summary for summary in results.meaning.absorption_summaries if defined(summary["fraction"]["p"])]
    if not tested:
        return f"Beside exchanged features this is {NOT_DEFINED}."
    parts = []
    for name, label in (("absorbed", "Tokens absorbed whole"), ("fraction", "The fraction")):
        above = sum(summary[name]["p"] < LEVEL for summary in tested)
        parts.append(f"{label}: more than exchanged features give (p < 0.05) in {dictionaries(above, len(tested))}.")
    missing = len(results.columns) - len(tested)
    if missing:
        parts.append(f"In {plural(missing, 'dictionary', 'dictionaries')} no context could be measured.")
    return " ".join(parts)


def absorption_width_sentence(results: Results) -> str:
    """Whether the fraction grows with width, among dictionaries of one model and recipe."""
    groups: dict[tuple[str, str], dict[float, list[float]]] = {}
    for column, value in zip(results.columns, _values(results, "fraction"), strict=True):
        if column.expansion is not None and not column.control and defined(value):
            groups.setdefault((column.model, column.recipe), {}).setdefault(column.expansion, []).append(value)
    parts = []
    for (model, _), widths in groups.items():
        if len(widths) > 1:
            means = [(width, sum(widths[width]) / len(widths[width])) for width in sorted(widths)]
            steps = ", ".join(f"{width:g}x {percent(mean)}" for width, mean in means)
            rises = all(one[1] < other[1] for one, other in pairwise(means))
            parts.append(
                f"On {model} the fraction {'grows' if rises else 'does not grow steadily'} with width: {steps}."
            )
    return " ".join(parts) or "No two widths of one recipe are measured, so nothing is known of width."
