"""Binned counts as tables, and the one way in which they are drawn."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from coact.comparison.columns import Column
from coact.comparison.wording import number, percent
from coact.figures.style import INK, NOT_LIVE, SMALL_POINTS, Look

LIVE, NOT_LIVE_SERIES, NULL, OTHER = "live", "not live", "null, live", "other tokens, live"
CUT = 1.5


def log_integer_edges(high: float, ratio: float = 1.17) -> np.ndarray:
    """Edges in log10 units for integers 1..high, between integers, so that no bin is empty by its place alone."""
    edges = [0.5]
    while edges[-1] <= max(high, 1):
        edges.append(max(edges[-1] + 1, math.floor(edges[-1] * ratio) + 0.5))
    return np.log10(edges)


def log_edges(low: float, high: float, per_decade: int = 8) -> np.ndarray:
    """Edges in log10 units, on a fixed grid of `per_decade` bins a decade, that cover low..high (log10 units)."""
    start, stop = math.floor(low * per_decade), math.floor(high * per_decade) + 1
    return np.arange(start, stop + 1) / per_decade


def binned(column: Column, series: str, values: np.ndarray, edges: np.ndarray, features: int) -> pd.DataFrame:
    """Counts of `values` per bin.

    Args:
        features: number of features in the dictionary, what shares are shares of.
    Returns:
        model, sae, series, low, high (edges, in the units of `values`), features (count), share.
    """
    counts = np.histogram(values, edges)[0]
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "features": counts, "share": counts / max(features, 1)})
    table.insert(0, "series", series)
    table.insert(0, "sae", column.sae)
    table.insert(0, "model", column.model)
    return table


def draw_histogram(
    panel: Axes, table: pd.DataFrame, edges: np.ndarray, look: Look, outline: str | None, density: bool = False
) -> None:
    """Bars of live features, features that are not live stacked on them, and one series as an outline before them.

    Args:
        table: of `binned`, several series of one column.
        outline: series that is drawn as an outline; None where there is none.
        density: heights are shares over the width of their bin, for bins of unequal width.
    """
    table = table.assign(middle=(table["low"] + table["high"]) / 2)
    table["height"] = table["share"] / (table["high"] - table["low"]) if density else table["share"]
    bars = table[table["series"].isin([LIVE, NOT_LIVE_SERIES])]
    common = {"x": "middle", "weights": "height", "bins": list(edges), "ax": panel, "legend": False}
    before = len(panel.patches)
    sns.histplot(
        bars,
        hue="series",
        hue_order=[NOT_LIVE_SERIES, LIVE],
        palette={LIVE: look.color, NOT_LIVE_SERIES: "white"},
        multiple="stack",
        linewidth=0,
        alpha=1,
        **common,
    )
    for patch in panel.patches[before:]:
        if patch.get_facecolor()[:3] == (1.0, 1.0, 1.0):
            patch.set(hatch="//////", edgecolor=NOT_LIVE, linewidth=0.5)
        else:
            patch.set(edgecolor="white", linewidth=0.2)
    if outline is not None:
        sns.histplot(table[table["series"] == outline], element="step", fill=False, color=INK, linewidth=0.9, **common)
    panel.set(xlabel="", ylabel="")


def limit_height(panels: Sequence[Axes], tables: Sequence[pd.DataFrame], density: bool = False) -> str:
    """End the shared y axis above the bars of live features; cut and label what is much higher than all of them.

    Returns:
        A sentence for the caption, with a blank before it, where something is cut; else nothing.
    """
    cut = ""
    heights = []
    for table in tables:
        width = table["high"] - table["low"] if density else 1.0
        shown = table.assign(height=table["share"] / width)
        heights.append(shown.pivot_table(index="low", columns="series", values="height", aggfunc="sum"))
    top = max(float(table[LIVE].max()) for table in heights) or 1.0
    others = [_others(table) for table in heights]
    peaks = [float(series.max()) for found in others for series in found]
    top = 1.06 * max([top, *(peak for peak in peaks if peak <= CUT * top)])
    for panel, found in zip(panels, others, strict=True):
        panel.set_ylim(0, top)
        for series in found:
            if series.max() > top:
                cut = " What the upper edge cuts is labelled with its height."
                panel.annotate(
                    f"\N{UPWARDS ARROW} {number(series.max(), 2) if density else percent(series.max(), 2)}",
                    (series.idxmax(), top),
                    (-3, -1),
                    textcoords="offset points",
                    fontsize=SMALL_POINTS,
                    ha="right",
                    va="top",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
                )
    return cut


def _others(heights: pd.DataFrame) -> list[pd.Series]:
    """Heights by bin of all that is drawn beside or on top of the bars of live features."""
    stack = heights[LIVE] + heights.get(NOT_LIVE_SERIES, 0.0)
    return [stack, *(heights[name] for name in heights if name not in (LIVE, NOT_LIVE_SERIES))]
