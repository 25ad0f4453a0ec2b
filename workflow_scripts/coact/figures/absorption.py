"""What other features absorb of contexts: absorbed fraction and silent main features, a row per dictionary."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from coact.comparison.columns import Column
from coact.comparison.wording import count, defined, percent, plural, spread
from coact.figures.layout import legend, observed_handle, of_column
from coact.figures.rows import dictionary_rows, not_measured, null_bar, null_bar_handle, percent_axis
from coact.figures.save import Drawing, words
from coact.figures.style import INK, Look, looks, style

PANELS = {
    "fraction": "Absorbed fraction",
    "absorbed": "Tokens absorbed whole",
    "silent": "Main features silent",
}
NOTHING = "No dictionary has a context whose linear probe is good enough, so absorption is not measured."
MEAN = {"linestyle": "", "marker": "|", "markersize": 13, "markeredgewidth": 1.8, "color": INK, "zorder": 4}


def absorption(
    columns: Sequence[Column], tables: Sequence[pd.DataFrame], summaries: Sequence[dict[str, Any]]
) -> Drawing:
    """Absorbed fraction, absorbed tokens and tokens with silent main features, a dot per context.

    Args:
        columns, tables, summaries: the columns and, in the same order, absorption.parquet and absorption.json of each.
    """
    data = pd.concat([_rows(*entry) for entry in zip(columns, tables, strict=True)], ignore_index=True)
    with style():
        found = looks(columns)
        figure, axes = dictionary_rows(columns, list(PANELS.values()))
        for panel, measure in zip(axes, PANELS, strict=True):
            for place, (column, summary) in enumerate(zip(columns, summaries, strict=True)):
                mine = of_column(data, column)
                _draw(panel, place, mine[measure].to_numpy(), summary[measure], found[column.name])
            largest = data[measure].max()
            percent_axis(panel, max(0.05, largest) if defined(largest) else 1.0)
        figure.supxlabel("Of held-out tokens of a context that its linear probe finds")
        _legend(figure, list(found.values()))
    return Drawing(figure, data, _caption(columns, tables, summaries))


def _rows(column: Column, table: pd.DataFrame) -> pd.DataFrame:
    """model, sae, context, tokens and the measures, of the contexts that are measured."""
    own = table[table["tokens"] > 0].assign(model=column.model, sae=column.sae)
    return own[["model", "sae", "context", "tokens", *PANELS]]


def _draw(panel: Axes, place: int, values: np.ndarray, summary: Any, look: Look) -> None:
    if not len(values):
        not_measured(panel, place)
        return
    if isinstance(summary, dict):
        null_bar(panel, place, summary["low"], summary["high"])
        summary = summary["value"]
    # In the order of their values, above and below the line in turn: equal dots are seen as many.
    heights = place + 0.16 * ((np.argsort(np.argsort(values, kind="stable"), kind="stable") % 3) - 1)
    panel.plot(values, heights, "o", color=look.color, markersize=3.6, alpha=0.7, markeredgewidth=0, zorder=3)
    panel.plot(summary, place, **MEAN)


def _legend(figure: Figure, used: Sequence[Look]) -> None:
    legend(
        figure,
        [
            (observed_handle(used), "a context (in the dictionary's colour)"),
            (Line2D([], [], **MEAN), "mean over contexts"),
            (null_bar_handle(), "null of the mean: rows exchanged, 95%"),
        ],
    )


def _caption(
    columns: Sequence[Column], tables: Sequence[pd.DataFrame], summaries: Sequence[dict[str, Any]]
) -> dict[str, str]:
    measured = [summary["measured"] for summary in summaries if summary["measured"]]
    if not measured:
        return words(NOTHING, "Contexts need a probe that finds them on held-out text.", "No data.")
    tokens = spread((total for table in tables if (total := table["tokens"].sum())), count)
    details = (
        f"n = {spread(measured, count)} contexts per dictionary measured, {tokens} tokens of them. Main features stand"
        " for a context together, chosen on training tokens. A token is absorbed whole where they are silent and one"
        " other feature carries at least 40% of its activation along the probe; the absorbed fraction, by token, is the"
        " share of up to three other features in what they and the main ones carry. In the null, decoder rows of other"
        " features are exchanged among those that fire about equally often."
    )
    alt = (
        f"For {plural(len(columns), 'dictionary', 'dictionaries')}, dots per context of three shares. Mean absorbed"
        f" fraction {spread((summary['fraction']['value'] for summary in summaries), percent)}."
    )
    return words(absorption_conclusion(columns, summaries), details, alt)


def absorption_conclusion(columns: Sequence[Column], summaries: Sequence[dict[str, Any]]) -> str:
    """How much is absorbed, in trained dictionaries and in controls, for any outcome."""
    known = [
        (column, summary)
        for column, summary in zip(columns, summaries, strict=True)
        if defined(summary["fraction"]["value"])
    ]
    trained = [summary for column, summary in known if not column.control] or [summary for _, summary in known]
    controls = [(column, summary) for column, summary in known if column.control and summary not in trained]
    if not known:
        return NOTHING
    text = (
        f"Other features carry {spread((summary['fraction']['value'] for summary in trained), percent)} of what stands"
        " for a context, but"
        f" {spread((summary['absorbed']['value'] for summary in trained), percent)} of its tokens are absorbed whole"
    )
    if controls:
        shares = ", ".join(f"{column.name} {percent(summary['fraction']['value'])}" for column, summary in controls)
        text += f" (controls: {shares} carried)"
    return f"{text}."
