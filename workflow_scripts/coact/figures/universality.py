"""How well every feature is found again in another dictionary: distributions of best-match correlations, and chance."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from coact.comparison.agreement import OTHERS, kind_of_pair, universality_conclusion
from coact.comparison.columns import Column
from coact.comparison.wording import count, defined, plural, spread
from coact.figures.layout import legend, observed_handle, shorten
from coact.figures.save import Drawing, nothing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, SMALL_POINTS, Look, looks, style

MATCHING = "activations"
MOST_ROWS = 24  # that have room; the data have all
ROW_INCHES, HEAD_INCHES = 0.21, 0.95
NAME_POINTS = 205
NOTHING = "No two dictionaries read the same tokens, so no feature can be looked up in another dictionary."
QUANTILES = ("q05", "q25", "median", "q75", "q95")
DATA = ["kind", "a", "b", "features", *QUANTILES, *(f"null_{name}" for name in QUANTILES), "above_null"]
MEDIAN = {"linestyle": "", "marker": "|", "markersize": 9, "markeredgewidth": 1.6, "color": INK, "zorder": 5}
NULL = {"color": "#9A9A9A", "linewidth": 5.0, "solid_capstyle": "butt", "alpha": 0.55, "zorder": 2}


def universality(columns: Sequence[Column], best: pd.DataFrame) -> Drawing:
    """Quantiles of the largest correlation of each feature with one of another dictionary; a row per pair, both ways.

    Args:
        columns: of the study.
        best: comparison/best_matches.parquet.
    """
    data = _rows(columns, best)
    if not len(data):
        return _nothing()
    shown = data.groupby("kind", sort=False).head(_most_per_kind(data))
    groups = list(shown.groupby("kind", sort=False))
    with style():
        found = looks(columns)
        lines = len(shown) + len(groups)
        figure = Figure(figsize=(PAGE_WIDTH, HEAD_INCHES + ROW_INCHES * lines), layout="constrained")
        panel, place, ticks = figure.subplots(), 0, {}
        for kind, rows in groups:
            panel.annotate(OTHERS[kind], (0, place), (4, 0), xycoords=("axes fraction", "data"), va="center",
                           textcoords="offset points", fontsize=SMALL_POINTS, fontweight="bold", color=INK)  # fmt: skip
            for row in rows.itertuples():
                place += 1
                _draw(panel, place, row, found[row.a])
                ticks[place] = shorten(f"{row.a} \N{RIGHTWARDS ARROW} {row.b}", NAME_POINTS, SMALL_POINTS)
            place += 1
        panel.set_yticks(list(ticks), list(ticks.values()), fontsize=SMALL_POINTS)
        panel.set_ylim(place - 0.4, -0.7)
        _set_axis(panel, data)
        figure.supxlabel("Largest correlation of a feature with one of the other dictionary (Pearson's r)")
        _legend(figure, [found[name] for name in dict.fromkeys(shown["a"])])
    return Drawing(figure, data, _caption(columns, best, data, shown))


def _rows(columns: Sequence[Column], best: pd.DataFrame) -> pd.DataFrame:
    """Pairs and directions by what the dictionaries differ in, in the order of `OTHERS`."""
    named = {column.name: column for column in columns}
    rows = best[(best["matching"] == MATCHING) & best["median"].notna()]
    kinds = [kind_of_pair(named, *row) for row in rows[["a", "b", "differ"]].itertuples(index=False)]
    order = {kind: place for place, kind in enumerate(OTHERS)}
    rows = rows.assign(kind=kinds).sort_values("kind", key=lambda found: found.map(order), kind="stable")
    return rows[DATA].reset_index(drop=True)


def _most_per_kind(data: pd.DataFrame) -> int:
    """Rows of a kind, the first ones, so that all kinds have room."""
    sizes = data["kind"].value_counts()
    most = int(sizes.max())
    while most > 1 and sizes.clip(upper=most).sum() > MOST_ROWS:
        most -= 1
    return most


def _draw(panel: Axes, place: int, row: Any, look: Look) -> None:
    if defined(row.null_median):
        panel.plot([row.null_q05, row.null_q95], [place, place], **NULL)
    panel.plot([row.q05, row.q95], [place, place], color=look.color, linewidth=0.9, zorder=3)
    panel.plot([row.q25, row.q75], [place, place], color=look.color, linewidth=5.0, solid_capstyle="butt", zorder=4)
    panel.plot(row.median, place, **MEDIAN)


def _set_axis(panel: Axes, data: pd.DataFrame) -> None:
    lowest = min(0.0, data[["q05", "null_q05"]].min().min())
    panel.set_xlim(lowest - 0.01, 1)
    if lowest < 0:
        panel.axvline(0, color=MUTED, linewidth=0.6, zorder=1)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)


def _legend(figure: Figure, used: Sequence[Look]) -> None:
    quarter = (observed_handle(used), "features: middle half, line 5 to 95%")
    legend(figure, [quarter, (Line2D([], [], **MEDIAN), "median"),
                    (Patch(facecolor=NULL["color"], alpha=NULL["alpha"]), "tokens shifted, 5 to 95%")])  # fmt: skip


def _caption(columns: Sequence[Column], best: pd.DataFrame, data: pd.DataFrame, shown: pd.DataFrame) -> dict[str, str]:
    details = (
        f"n = {spread(data['features'], count)} features of the first dictionary of each row, those that fire on the"
        " tokens that the graph does not use. For each the largest correlation of its activations with those of any"
        " feature of the second one; grey, the same with the second one's tokens shifted, since the largest of many is"
        " above 0 by chance."
    )
    if len(shown) < len(data):
        details += f" Drawn are {count(len(shown))} of {plural(len(data), 'row')}, the first of every kind."
    medians = spread(data["median"])
    alt = f"Quantiles of best-match correlations of {plural(len(shown), 'pair and direction', 'pairs and directions')}."
    return words(universality_conclusion(columns, best), details, f"{alt} Medians {medians}.")


def _nothing() -> Drawing:
    details = "Features are looked up in dictionaries on the same model, or on one with the same tokenizer."
    return nothing("no two dictionaries on the same tokens", DATA, NOTHING, details)
