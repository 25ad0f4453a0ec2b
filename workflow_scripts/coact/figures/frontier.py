"""The frontier of the SAEs: what they leave out against how many features they use, a line for each architecture."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from coact.comparison.columns import Column
from coact.comparison.frontier import (
    MEASURES,
    QUANTILES,
    frontier_conclusion,
    frontier_table,
    mean_points,
    pareto_sentence,
    seed_sentence,
)
from coact.comparison.wording import count, percent, plural, spread
from coact.figures.layout import names_across, plain_log_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, PAGE_WIDTH, Look, looks, style

PANELS = {"fvu": "FVU", "loss_recovered_mean": "Loss recovered against mean-ablation"}
POINT = {"markersize": 4.8, "markeredgewidth": 0.8}
BAR = {"linewidth": 0.9, "solid_capstyle": "butt", "zorder": 2}
SHOWN = [
    "model",
    "sae",
    "series",
    "sparsity",
    "architecture",
    "d_sae",
    "training_tokens",
    "control",
    "frontier",
    *(f"l0_{key}" for key in QUANTILES),
    *MEASURES,
]


def frontier(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> Drawing:
    """FVU and loss recovered against L0, held out; dictionaries that differ in sparsity only are joined by a line.

    Args:
        columns, evaluations: the columns and, in the same order, evaluation.json of each.
    """
    data = frontier_table(columns, evaluations)
    points = mean_points(data)
    names = list(data["series"].unique())
    with style():
        found = _looks(columns, data)
        rows = math.ceil(len(names) / names_across(names))
        figure = Figure(figsize=(PAGE_WIDTH, 2.65 + 0.17 * rows), layout="constrained")
        for panel, (measure, title) in zip(figure.subplots(1, 2, sharex=True), PANELS.items(), strict=True):
            # What a dictionary on an untrained model recovers is a ratio of two differences of next to nothing.
            shown = points if measure == "fvu" else points[~points["control"]]
            _draw(panel, shown, measure, found)
            panel.set_title(title, loc="left")
        _scale(panel, points)
        _legend(figure, points, found)
    return Drawing(figure, data[SHOWN], _caption(columns, evaluations, data, points))


def _looks(columns: Sequence[Column], data: pd.DataFrame) -> dict[str, Look]:
    """Name of each series -> its look: that of its one dictionary in all figures, or its own where any has several."""
    first = data.drop_duplicates("series")
    if (data.groupby("series")["sparsity"].nunique() > 1).any():
        kept = first[["model", "series", "control"]].itertuples(index=False)
        return {name.partition("/")[2]: look for name, look in looks([Column(*row) for row in kept]).items()}
    found = looks(columns)
    return {row.series: found[f"{row.model}/{row.sae}"] for row in first.itertuples()}


def _draw(panel: Axes, points: pd.DataFrame, measure: str, found: dict[str, Look]) -> None:
    known = points[points["l0"] > 0].dropna(subset=[measure])
    for series, mine in known.groupby("series", sort=False):
        look = found[series]
        panel.plot(mine["l0"], mine[measure], color=look.color, linestyle=_line(look), linewidth=1.1, zorder=3)
        for row in mine[mine["seeds"] > 1].to_dict("records"):
            panel.plot([row["l0"]] * 2, [row[f"{measure}_low"], row[f"{measure}_high"]], color=look.color, **BAR)
            panel.plot([row["l0_low"], row["l0_high"]], [row[measure]] * 2, color=look.color, **BAR)
        for row in mine.to_dict("records"):
            panel.plot(row["l0"], row[measure], zorder=4, **_mark(look, row["control"]))
    panel.margins(y=0.1)
    if measure == "fvu":
        panel.set_ylim(bottom=-0.02 * max(known["fvu_high"].max(), 0.01) if len(known) else 0)
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel("L0: active features per token (logarithmic)")


def _scale(panel: Axes, points: pd.DataFrame) -> None:
    """The logarithmic axis of L0 that both panels share."""
    known = points[points["l0_low"] > 0]
    if len(known):
        panel.set_xscale("log")
        panel.set_xlim(known["l0_low"].min() / 1.2, known["l0_high"].max() * 1.2)
        plain_log_ticks(panel.xaxis, known["l0"])


def _mark(look: Look, control: bool) -> dict[str, Any]:
    face = "white" if control else look.color
    return {"marker": look.marker, "linestyle": "", "color": look.color, "markerfacecolor": face, **POINT}


def _line(look: Look) -> Any:
    return (0, look.dashes) if look.dashes else "-"


def _legend(figure: Figure, points: pd.DataFrame, found: dict[str, Look]) -> None:
    first = points.drop_duplicates("series")
    handles = [
        Line2D([], [], **_mark(found[row.series], row.control) | {"linestyle": _line(found[row.series])}, linewidth=1.1)
        for row in first.itertuples()
    ]
    names = [f"{row.series} (control)" if row.control else row.series for row in first.itertuples()]
    figure.legend(handles, names, loc="outside upper left", ncols=names_across(names), labelcolor=INK, handlelength=2.4)


def _caption(
    columns: Sequence[Column], evaluations: Sequence[dict[str, Any]], data: pd.DataFrame, points: pd.DataFrame
) -> dict[str, str]:
    conclusion, ranked = frontier_conclusion(columns, evaluations), pareto_sentence(data)
    tokens = spread((entry["tokens"] for entry in evaluations), count)
    marks = f"{plural(len(points), 'point')} of {plural(len(data), 'dictionary', 'dictionaries')}"
    left_out = int((~(points["l0"] > 0)).sum())
    details = (
        f"Held out (n = {tokens} tokens each). A line joins dictionaries that differ in nothing but sparsity (n ="
        f" {marks}); a mark is the mean over seeds, with bars from the smallest to the largest value where there are"
        " several. Open marks are controls; they are left out on the right, where an untrained model has next to"
        " nothing to recover."
        + (f" {plural(left_out, 'point')} without an active feature cannot be shown." if left_out else "")
        + ("" if ranked == conclusion else f" {ranked}")
        + f" {seed_sentence(points)}"
    )
    alt = (
        f"Held-out FVU and loss recovered against L0 for {marks}. FVU {spread(data['fvu'], percent)}, L0"
        f" {spread(data['l0'])}."
    )
    return words(conclusion, details, alt)
