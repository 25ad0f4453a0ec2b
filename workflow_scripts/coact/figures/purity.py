"""Whether communities gather contexts: purity and mutual information, a row per dictionary, beside permutations."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from coact.comparison.columns import Column
from coact.comparison.wording import count, defined, number, plural, spread
from coact.figures.layout import legend, observed_handle, of_column
from coact.figures.rows import dictionary_rows, not_measured, null_bar, null_bar_handle
from coact.figures.save import Drawing, words
from coact.figures.style import looks, style

PANELS = {"purity": "Purity", "nmi": "Normalised mutual information"}
SCOPES = {"all_contexts": "all contexts", "without_ordinary": "without ordinary text"}
NULL = "frequency"
DATA = ["model", "sae", "scope", "measure", "features", "communities", "contexts", "value", "null_mean",
        "null_deviation", "p"]  # fmt: skip
LEVEL = 0.05
SIGMAS = 1.96  # of an interval that holds 95% of a normal distribution
OFFSET = 0.18  # of the two scopes of a row from its middle
MARKER = {"linestyle": "", "marker": "o", "markersize": 4.6, "markeredgewidth": 1.1, "zorder": 4}


def purity(columns: Sequence[Column], summaries: Sequence[dict[str, Any]]) -> Drawing:
    """Purity and mutual information of contexts and communities on held-out tokens, beside permutations.

    Args:
        columns, summaries: the columns and, in the same order, purity.json of each.
    """
    data = pd.DataFrame(
        [row for entry in zip(columns, summaries, strict=True) for row in _rows(*entry)], columns=DATA
    ).astype(dict.fromkeys(DATA[-4:], float))
    with style():
        found = looks(columns)
        figure, axes = dictionary_rows(columns, list(PANELS.values()))
        for panel, measure in zip(axes, PANELS, strict=True):
            for place, column in enumerate(columns):
                own = of_column(data[data["measure"] == measure], column)
                _draw(panel, place, own, found[column.name].color)
            panel.set_xlim(-0.03, 1.03)
        figure.supxlabel("Of held-out tokens")
        legend(
            figure,
            [
                (observed_handle(list(found.values())), "observed (in the dictionary's colour)"),
                *((Line2D([], [], color="#777777", markerfacecolor=_face(scope, "#777777"), **MARKER), title)
                  for scope, title in SCOPES.items()),
                (null_bar_handle(), "permuted, 95%"),
            ],
        )  # fmt: skip
    return Drawing(figure, data, _caption(columns, data))


def _rows(column: Column, summary: dict[str, Any]) -> list[list[Any]]:
    rows = []
    for scope in SCOPES:
        entry = summary["heldout"][scope]
        sizes = [entry[key] for key in ("features", "communities", "contexts")]
        for measure in PANELS:
            null = entry[measure][NULL]
            known = [entry[measure]["value"], null["mean"], null["deviation"], null["p"]]
            rows.append([column.model, column.sae, scope, measure, *sizes, *known])
    return rows


def _draw(panel: Axes, place: int, rows: pd.DataFrame, color: str) -> None:
    for row, offset in zip(rows.itertuples(), (-OFFSET, OFFSET), strict=True):
        if not defined(row.value):
            not_measured(panel, place + offset)
            continue
        half = SIGMAS * row.null_deviation
        null_bar(panel, place + offset, row.null_mean - half, row.null_mean + half, height=0.32)
        panel.plot(row.value, place + offset, color=color, markerfacecolor=_face(row.scope, color), **MARKER)


def _face(scope: str, color: str) -> str:
    return color if scope == "all_contexts" else "white"


def _caption(columns: Sequence[Column], data: pd.DataFrame) -> dict[str, str]:
    sizes = {
        scope: spread(data.loc[(data["scope"] == scope) & data["value"].notna(), "features"], count) for scope in SCOPES
    }
    details = (
        f"n = {sizes['all_contexts']} features per dictionary with a community and a context,"
        f" {sizes['without_ordinary']} without those of ordinary text. Contexts are permuted among features of about"
        " equal frequency; bars are the mean of the permutations and 1.96 standard deviations to either side. Purity"
        " is high by chance where one context has most features; mutual information is not, but is above 0 by chance"
        " where communities are many."
    )
    alt = (
        f"For {plural(len(columns), 'dictionary', 'dictionaries')}, purity and normalised mutual information with and"
        " without ordinary text, each beside the interval of permutations."
    )
    return words(_conclusion(columns, data), details, alt)


def _conclusion(columns: Sequence[Column], data: pd.DataFrame) -> str:
    """How many dictionaries have purer communities than permutations, with and without ordinary text."""
    controls = {column.name for column in columns if column.control}
    parts = []
    for scope in SCOPES:
        tested = data[(data["scope"] == scope) & (data["measure"] == "purity") & data["p"].notna()]
        names = tested["model"] + "/" + tested["sae"]
        sides = []
        for control, kind in ((False, "trained dictionaries"), (True, "controls")):
            own = tested[names.isin(controls) == control]
            if len(own):
                sides.append(f"{(own['p'] < LEVEL).sum()} of {len(own)} {kind}")
        parts.append(" and ".join(sides))
    if not parts[0]:
        return "No community has features with a context, so whether communities gather contexts is not measured."
    text = (
        f"Communities are purer in contexts than permutations (p < {number(LEVEL, 1)}) in {parts[0]} with all contexts"
    )
    return f"{text}, in {parts[1]} without ordinary text." if parts[1] else f"{text}."
