"""How the graph depends on choices: against the number of batches, and over sets and special positions."""

import itertools
import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from coact.comparison.columns import Column
from coact.comparison.findings import NEAR
from coact.comparison.saturation import batches_in_words, saturation_conclusion, saturation_sentence, text_sentence
from coact.comparison.sensitivity import (
    effects_sentence,
    own_curve,
    reversals_sentence,
    rule_name,
    sensitivity_conclusion,
    whole_grid,
)
from coact.comparison.wording import count, percent, plural, spread
from coact.figures.layout import names_across, plain_log_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, Look, looks, style

OBSERVED, NULL = "observed", "null"
CURVES = {"edges": "Edges", "mean_degree": "Mean degree", "pearson": "Pearson's r"}
LOGARITHMIC = {"edges"}
STATISTICS = {
    "edge_share": "Edges over null edges",
    "average_clustering": "Average clustering",
    "pearson": "Pearson's r of degree and frequency",
}
LINES: dict[str, dict[str, object]] = {
    OBSERVED: {"linestyle": "-", "linewidth": 1.3, "zorder": 3},
    NULL: {"linestyle": (0, (3, 1.5)), "linewidth": 0.9, "zorder": 2},
}
FROM_ZERO = {"edge_share", "average_clustering"}
SHADE = "#F7F7F7"
GROUP = 0.86  # of the width of a rule, what its dictionaries take
BAR = {"linestyle": "", "marker": "_", "color": INK, "markeredgewidth": 0.9, "zorder": 5}
MARK, BAR_LENGTH = 3.4, 4.4  # points, where there is room
POINT = {"linestyle": "", "markersize": 4.2, "markeredgecolor": "white", "markeredgewidth": 0.4}


def saturation(columns: Sequence[Column], tables: Sequence[pd.DataFrame], k: int, include_bos: bool) -> Drawing:
    """Edges, mean degree and Pearson's r against the number of batches, by the study's own choices.

    Args:
        columns, tables: the columns and, in the same order, sensitivity.parquet of each.
        k, include_bos: the study's own.
    """
    curves = [own_curve(table, k, include_bos) for table in tables]
    data = pd.concat([_points(*entry) for entry in zip(columns, curves, strict=True)], ignore_index=True)
    with style():
        found = looks(columns)
        rows = math.ceil((len(columns) + 2) / names_across([column.name for column in columns]))
        figure = Figure(figsize=(PAGE_WIDTH, 2.6 + 0.17 * rows), layout="constrained")
        for panel, statistic in zip(figure.subplots(1, len(CURVES)), CURVES, strict=True):
            _draw_curves(panel, data, statistic, columns, found)
        lines = [(Line2D([], [], color=INK, **LINES[series]), series) for series in LINES]
        _legend(figure, columns, found, lines)
    return Drawing(figure, data, _saturation_caption(columns, curves, k))


def _points(column: Column, curve: pd.DataFrame) -> pd.DataFrame:
    """model, sae, series, batches, edges, mean_degree, pearson."""
    parts = [
        curve[["batches", *(f"{key}{suffix}" for key in CURVES)]]
        .set_axis(["batches", *CURVES], axis=1)
        .assign(model=column.model, sae=column.sae, series=series)
        for series, suffix in ((OBSERVED, ""), (NULL, "_null"))
    ]
    return pd.concat(parts, ignore_index=True)[["model", "sae", "series", "batches", *CURVES]]


def _draw_curves(
    panel: Axes, data: pd.DataFrame, statistic: str, columns: Sequence[Column], found: dict[str, Look]
) -> None:
    names, logarithmic = data["model"] + "/" + data["sae"], statistic in LOGARITHMIC
    shown = data[statistic].where(data[statistic] > 0) if logarithmic else data[statistic]
    for column in columns:
        look = found[column.name]
        for series, line in LINES.items():
            mine = (names == column.name) & (data["series"] == series)
            batches, values = data.loc[mine, "batches"], shown[mine]
            panel.plot(batches, values, color=look.color, **line)
            panel.plot(batches.iloc[-1:], values.iloc[-1:], look.marker, color=look.color, **POINT, zorder=4)
    if logarithmic:
        low, high = data["batches"].min(), data["batches"].max()
        panel.set_xscale("log")
        panel.set_xlim(low / 1.15, high * 1.15)
        plain_log_ticks(panel.xaxis, data["batches"])
        if shown.notna().any():
            panel.set_yscale("log")
            plain_log_ticks(panel.yaxis, shown)
    else:
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(5))
        panel.set_xlim(0, 1.04 * data["batches"].max())
    panel.set_xlabel("Batches (logarithmic)" if logarithmic else "Batches")
    panel.set_title(CURVES[statistic] + (" (logarithmic)" if logarithmic else ""), loc="left")


def _legend(
    figure: Figure, columns: Sequence[Column], found: dict[str, Look], others: Sequence[tuple[object, str]]
) -> None:
    """Dictionaries by marker and colour, then what marks and lines mean."""
    names = [column.name for column in columns]
    handles = [Line2D([], [], marker=found[name].marker, color=found[name].color, **POINT) for name in names]
    figure.legend(
        [*handles, *(handle for handle, _ in others)],
        [*names, *(label for _, label in others)],
        loc="outside upper left",
        ncols=names_across(names),
        handlelength=2.4,
        borderpad=0.2,
        columnspacing=1.6,
    )


def _saturation_caption(columns: Sequence[Column], curves: Sequence[pd.DataFrame], k: int) -> dict[str, str]:
    batches = batches_in_words(curve["batches"].max() for curve in curves)
    dictionaries = plural(len(columns), "dictionary", "dictionaries")
    numbers = f"{saturation_sentence(curves)} {text_sentence(columns, curves)}"
    details = (
        f"Graphs of the first batches, up to {batches}, with sets of the {count(k)} largest activations (n ="
        f" {dictionaries}): edges, mean degree, and Pearson's r of degree and held-out frequency, among features that"
        " are live on all batches. Dashed: the first batches of one sample of the null, which keeps every feature's"
        f" number of sets and every token's set size over all batches. {numbers} A curve counts as saturated where"
        f" twice the text adds at most {percent(NEAR, 1)}."
    )
    alt = f"Edges, mean degree and r against the number of batches for {dictionaries}, observed and null. {numbers}"
    return words(saturation_conclusion(columns, curves), details, alt)


def sensitivity(columns: Sequence[Column], tables: Sequence[pd.DataFrame], k: int, include_bos: bool) -> Drawing:
    """Edges over null edges, clustering and Pearson's r for every rule and choice of special positions.

    Args:
        columns, tables: the columns and, in the same order, sensitivity.parquet of each.
        k, include_bos: the study's own.
    """
    grids = [whole_grid(table) for table in tables]
    data = pd.concat([_cells(*entry) for entry in zip(columns, grids, strict=True)], ignore_index=True)
    rules = grids[0][["rule", "k", "threshold"]].drop_duplicates(ignore_index=True)
    with style():
        found = looks(columns)
        rows = math.ceil((len(columns) + 3) / names_across([column.name for column in columns]))
        figure = Figure(figsize=(PAGE_WIDTH, 4.3 + 0.17 * rows), layout="constrained")
        axes = list(figure.subplots(len(STATISTICS), 1, sharex=True))
        for panel, (statistic, title) in zip(axes, STATISTICS.items(), strict=True):
            _draw_grid(panel, data, statistic, list(rules["rule"]), columns, found)
            panel.set_title(title, loc="left")
        shown = [rule_name(*rule) for rule in rules[["k", "threshold"]].itertuples(index=False)]
        own = [f"{name} (the study's)" if size == k else name for name, size in zip(shown, rules["k"], strict=True)]
        axes[-1].set_xticks(range(len(rules)), own)
        axes[-1].set_xlabel("A token's set: its k largest activations, or all above a threshold")
        _legend(figure, columns, found, _marks(_choices(data)))
    return Drawing(figure, data, _sensitivity_caption(columns, grids, k, include_bos))


def _cells(column: Column, grid: pd.DataFrame) -> pd.DataFrame:
    """model, sae, series, rule, include_special, batches, edges, edge_share (1 for the null), and the statistics."""
    kept = ["rule", "include_special", "batches"]
    measured = ["edges", "average_clustering", "pearson"]
    observed = grid[[*kept, *measured, "edge_share"]].assign(series=OBSERVED)
    null = grid[[*kept, *(f"{key}_null" for key in measured)]].set_axis([*kept, *measured], axis=1).assign(series=NULL)
    null["edge_share"] = (null["edges"] / null["edges"]).astype(float)
    both = pd.concat([observed, null], ignore_index=True).assign(model=column.model, sae=column.sae)
    return both[["model", "sae", "series", *kept, "edges", "edge_share", *measured[1:]]]


def _choices(data: pd.DataFrame) -> list[bool]:
    """The choices of special positions that the grid has, left out first."""
    return sorted(bool(choice) for choice in data["include_special"].unique())


def _draw_grid(
    panel: Axes,
    data: pd.DataFrame,
    statistic: str,
    rules: Sequence[str],
    columns: Sequence[Column],
    found: dict[str, Look],
) -> None:
    names = data["model"] + "/" + data["sae"]
    choices = _choices(data)
    step = GROUP / (len(columns) * len(choices))
    room = 0.75 * step * 72 * (PAGE_WIDTH - 0.5) / len(rules)
    for place, rule in enumerate(rules):
        panel.axvspan(place - 0.5, place + 0.5, color=SHADE if place % 2 else "white", zorder=0, linewidth=0)
        for number_of, (column, special) in enumerate(itertools.product(columns, choices)):
            mine = data[(names == column.name) & (data["rule"] == rule) & (data["include_special"] == special)]
            values = mine.set_index("series")[statistic]
            x = place - GROUP / 2 + step * (number_of + 0.5)
            color = found[column.name].color
            panel.plot([x, x], [values[OBSERVED], values[NULL]], color=color, linewidth=0.5, alpha=0.6, zorder=2)
            panel.plot(x, values[NULL], markersize=min(BAR_LENGTH, room), **BAR)
            face = "white" if special else color
            panel.plot(x, values[OBSERVED], found[column.name].marker, color=color, markerfacecolor=face,
                       markersize=min(MARK, room), markeredgewidth=0.8, zorder=4)  # fmt: skip
    panel.set_xlim(-0.5, len(rules) - 0.5)
    panel.grid(axis="x", visible=False)
    panel.tick_params(axis="x", length=0)
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.margins(y=0.08)
    if statistic in FROM_ZERO:
        top = max(data[statistic].max(), 0.01) if data[statistic].notna().any() else 1
        panel.set_ylim(-0.06 * top, 1.06 * top)


def _marks(choices: Sequence[bool]) -> list[tuple[object, str]]:
    """Handles for what is filled, open and a bar."""
    mark = {"linestyle": "", "marker": "o", "markersize": MARK, "markeredgewidth": 0.8, "color": MUTED}
    entries = {
        False: (Line2D([], [], **mark), "special positions left out"),
        True: (Line2D([], [], **mark, markerfacecolor="white"), "special positions kept"),
    }
    return [*(entries[choice] for choice in choices), (Line2D([], [], markersize=BAR_LENGTH, **BAR), "null")]


def _sensitivity_caption(
    columns: Sequence[Column], grids: Sequence[pd.DataFrame], k: int, include_bos: bool
) -> dict[str, str]:
    batches = batches_in_words(grid["batches"].max() for grid in grids)
    dictionaries = plural(len(columns), "dictionary", "dictionaries")
    details = (
        f"Graphs of {batches} and of the features that are live in the study's graph (n ="
        f" {plural(sum(map(len, grids)), 'graph')} of {dictionaries}). Bars are one sample of the null for each graph,"
        " which keeps every feature's number of sets and every token's set size; numbers within"
        f" {percent(NEAR, 1)} of it count as about the same. {effects_sentence(columns, grids, k)}"
        f" {reversals_sentence(columns, grids, k, include_bos)}"
    )
    alt = (
        f"Edges over null edges, clustering and r for each rule and {dictionaries}, as marks joined to those of the"
        f" null. Edges over null edges {spread(value for grid in grids for value in grid['edge_share'])}."
    )
    return words(sensitivity_conclusion(columns, grids, k), details, alt)
