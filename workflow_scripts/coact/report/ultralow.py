"""Features that hardly ever fire: table and sentences, beside random and exchanged features."""

from typing import Any

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.wording import NOT_DEFINED, count, defined, dictionaries, number, p_value, percent
from coact.report.markup import pipe_table
from coact.report.meaning import beside_controls
from coact.report.results import Results

SILENT, RARE = "silent", "rare"
LEVEL = 0.05
ONE_DIRECTION = 0.9  # mean cosine from which on directions may be said to be nearly one
HEADER = ("dictionary", "features that", "number", "in no top-k set", "mean cosine", "random live", "p",
          "length of the mean", "random live", "degree", "exchanged", "isolated", "exchanged", "neighbours among them",
          "exchanged", "p")  # fmt: skip


def ultralow_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    rows = [_row(row) for row in results.meaning.ultralow.to_dict("records")]
    caption = (
        "Features that hardly ever fire on held-out tokens. Mean cosine of two of their encoder columns and length of"
        " the mean of the unit vectors, beside as many random features, live ones or of the group; mean degree, share"
        " without an edge, and of their neighbours the share among them, beside exchanges with features of about equal"
        " top-k count; in brackets 95% of the draws"
    )
    return {"_ultralow.md": pipe_table(HEADER, rows, caption, "tbl-ultralow", 2)}


def _row(row: dict[str, Any]) -> list[str]:
    cells = [f"{row['model']}/{row['sae']}", _group(row), count(row["features"])]
    cells.append(count(row["features"] - row["in_sets"]) if row["features"] else "")
    if not defined(row["degree"]):
        return [*cells, NOT_DEFINED, *[""] * 11]
    for name, form, p in (("alike", number, True), ("length", number, False), ("degree", number, False),
                          ("isolated", percent, False), ("inside", percent, True)):  # fmt: skip
        value = row[name]
        cells += [form(value), _draws(row, name, form)] if defined(value) else [NOT_DEFINED, ""]
        cells += [p_value(row[f"{name}_p"]).removeprefix("= ") if defined(row[f"{name}_p"]) else ""] if p else []
    return cells


def _draws(row: dict[str, Any], name: str, form: Any) -> str:
    if not defined(row[f"{name}_mean"]):
        return ""
    return f"{form(row[f'{name}_mean'])} [{form(row[f'{name}_low'])}, {form(row[f'{name}_high'])}]"


def _group(row: dict[str, Any]) -> str:
    """What the features of a group have in common."""
    if row["group"] == SILENT:
        return "are silent"
    if not defined(row["cutoff"]):
        return "are of the lower mode (there are not two)"
    below = f"fire on less than {number(row['cutoff'])}"
    return below if row["group"] == RARE else f"{below}: the lower mode"


def ultralow_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        "ultralow_sentence": ultralow_sentence(results),
        "ultralow_direction_sentence": ultralow_direction_sentence(results),
        "ultralow_graph_sentence": ultralow_graph_sentence(results),
    }


def _of_group(results: Results, group: str) -> list[tuple[Column, dict[str, Any]]]:
    """The row of each dictionary for a group of features."""
    table = results.meaning.ultralow
    own = table[table["group"] == group]
    rows = dict(zip(own["model"] + "/" + own["sae"], own.to_dict("records"), strict=True))
    return [(column, rows[column.name]) for column in results.columns]


def _tested(results: Results, group: str, name: str) -> list[tuple[Column, dict[str, Any]]]:
    """The same, of dictionaries in which a measure of the group can be held against random draws."""
    return [(column, row) for column, row in _of_group(results, group) if defined(row[f"{name}_p"])]


def _told(rows: list[tuple[Column, dict[str, Any]]], name: str, form: Any = number) -> str:
    return beside_controls([column for column, _ in rows], [row[name] for _, row in rows], form)


def ultralow_sentence(results: Results) -> str:
    """What counts as rare here, and how many such features there are."""
    rows = _of_group(results, RARE)
    settings = results.study.config["interpretation"]["ultralow"]
    tokens, cutoff = (pd.Series([row[key] for _, row in rows]) for key in ("tokens", "cutoff"))
    if not tokens.max():
        return f"Which features are rare is {NOT_DEFINED}: there are no held-out tokens."
    text = f"{count(tokens.max())} held-out tokens"
    bound = settings["most_density"]
    if cutoff.max() > bound:
        needed = settings["least_tokens"] / bound
        text += (
            f" are too few to see a density of {number(bound)}, which takes {count(needed)}: features are rare here"
            f" that fire on less than {number(cutoff.max())} of them ({count(settings['least_tokens'])} tokens)"
        )
    else:
        text += f" are enough to see a density of {number(bound)}, below which features are rare"
    return f"{text}. Their number is {_told(rows, 'features', count)}."


def ultralow_direction_sentence(results: Results) -> str:
    """How alike the encoder directions of rare and of silent features are, beside random live ones."""
    rows, silent = _tested(results, RARE, "alike"), _tested(results, SILENT, "alike")
    parts = []
    if rows:
        above = sum(row["alike_p"] < LEVEL for _, row in rows)
        single = sum(row["alike"] >= ONE_DIRECTION for _, row in rows)
        parts.append(
            f"The mean cosine of two encoder columns of rare features is {_told(rows, 'alike')}, of as many random live"
            f" features {_told(rows, 'alike_mean')}; it is larger than by chance (p < {number(LEVEL, 1)}) in"
            f" {dictionaries(above, len(rows))} with two or more of them. Directions that are nearly one (a mean cosine"
            f" of {number(ONE_DIRECTION, 1)} or more) are found in {dictionaries(single, len(rows))}."
        )
    else:
        parts.append(f"How alike rare features are is {NOT_DEFINED}: no dictionary has two of them.")
    if silent:
        parts.append(f"For silent features it is {_told(silent, 'alike')}, beside {_told(silent, 'alike_mean')}.")
    return " ".join(parts)


def ultralow_graph_sentence(results: Results) -> str:
    """Where rare features sit in the graph."""
    rows = [(column, row) for column, row in _of_group(results, RARE) if defined(row["isolated"])]
    if not rows:
        return f"Where rare features sit in the graph is {NOT_DEFINED}."
    outside = [1 - row["in_sets"] / row["features"] for _, row in rows]
    text = (
        f"The share of rare features without an edge is {_told(rows, 'isolated', percent)}; the share in no top-k set,"
        f" which can have none, is {beside_controls([column for column, _ in rows], outside, percent)}."
    )
    tested = _tested(results, RARE, "inside")
    if not tested:
        return f"{text} Whether they are neighbours of one another is {NOT_DEFINED}, since they have no edges."
    above = sum(row["inside_p"] < LEVEL for _, row in tested)
    return (
        f"{text} Where they have edges, the share of their neighbours that is rare too is"
        f" {_told(tested, 'inside', percent)}, with features exchanged for others of about equal top-k count"
        f" {_told(tested, 'inside_mean', percent)}: more than by chance in {dictionaries(above, len(tested))}."
    )
