"""Small multiples: one panel per column of the study, shared axes, words above the panels, legend above all."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import offset_copy

from coact.comparison.columns import Column
from coact.comparison.wording import power
from coact.figures.style import FONT, INK, MUTED, NOT_LIVE, PAGE_WIDTH, SMALL_POINTS, TEXT_POINTS, Look

MAX_PANELS_ACROSS = 4
LINE_POINTS = 9.5


def of_column(table: pd.DataFrame, column: Column) -> pd.DataFrame:
    """The rows of a column of the study, of a table with `model` and `sae`."""
    return table[(table["model"] == column.model) & (table["sae"] == column.sae)]


def panels(columns: Sequence[Column], header_lines: int, height: float = 1.35) -> tuple[Figure, list[Axes]]:
    """A page-wide figure with one panel per column, up to four across.

    Args:
        header_lines: lines of text that each panel gets above it.
        height: of a panel's axes, inches.
    """
    across = _across(len(columns))
    rows = math.ceil(len(columns) / across)
    row_height = height + header_lines * LINE_POINTS / 72 + 0.12
    figure = Figure(figsize=(PAGE_WIDTH, rows * row_height + 0.75), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05, wspace=0.02, hspace=0.04)
    axes = list(np.atleast_1d(figure.subplots(rows, across, sharex=True, sharey=True, squeeze=False)).flat)
    for place, panel in enumerate(axes):
        if place >= len(columns):
            panel.set_axis_off()
        elif place + across >= len(columns):
            panel.tick_params(labelbottom=True)
        panel.tick_params(length=2.5)
    return figure, axes[: len(columns)]


def _across(number: int) -> int:
    """Panels in a row: at most four, and rows as full as can be."""
    if number <= MAX_PANELS_ACROSS:
        return number
    return min((4, 3), key=lambda across: (-number) % across)


def header(panel: Axes, column: Column, lines: Sequence[str], look: Look) -> None:
    """Write the column's name and some lines above a panel."""
    room = 72 * ((PAGE_WIDTH - 0.6) / panel.get_subplotspec().get_gridspec().ncols - 0.1)
    total = len(lines) + 2
    entries = [(column.sae, "bold", INK, TEXT_POINTS), (f"on {column.model}", "normal", MUTED, SMALL_POINTS)]
    entries += [(line, "normal", INK, SMALL_POINTS) for line in lines]
    for place, (text, weight, color, points) in enumerate(entries):
        indent = 0 if place else 9
        panel.annotate(
            shorten(text, room - indent, points, weight) if place < 2 else text,
            (0, 1),
            (indent, 4 + (total - 1 - place) * LINE_POINTS),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=points,
            fontweight=weight,
            color=color,
            va="baseline",
        )
    swatch = offset_copy(panel.transAxes, panel.figure, 3, 6.6 + (total - 1) * LINE_POINTS, units="points")
    panel.plot(0, 1, "s", transform=swatch, color=look.color, markersize=5.5, markeredgewidth=0, clip_on=False)


def shorten(text: str, room: float, points: float, weight: str = "normal") -> str:
    """`text`, its middle left out where it would be wider than `room` points in the figures' font."""
    font = FontProperties(family=FONT, weight=weight)
    shown, keep = text, len(text)
    while keep > 4 and TextPath((0, 0), shown, size=points, prop=font).get_extents().width > room:
        keep -= 1
        shown = f"{text[: keep - keep // 2]}\N{HORIZONTAL ELLIPSIS}{text[-(keep // 2) :]}"
    return shown


def legend(figure: Figure, entries: Sequence[tuple[object, str]]) -> None:
    """A legend above all panels, outside the data."""
    handles, labels = zip(*entries, strict=True)
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=min(4, len(entries)),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.1)},
        handlelength=2.4,
        columnspacing=1.6,
        borderaxespad=0.2,
        borderpad=0.2,
    )


def observed_handle(looks: Sequence[Look]) -> tuple[Patch, ...]:
    """Legend handle for what is drawn in each panel's own colour: swatches of up to three of them."""
    colors = list(dict.fromkeys(look.color for look in looks))[:3]
    return tuple(Patch(facecolor=color, edgecolor="none") for color in colors)


def not_live_handle() -> Patch:
    """Legend handle for features that are not live."""
    return Patch(facecolor="white", edgecolor=NOT_LIVE, hatch="//////", linewidth=0.5)


def null_handle() -> Line2D:
    """Legend handle for the null sample's outline."""
    return Line2D([], [], color=INK, linewidth=1.0)


def percent_ticks(panel: Axes) -> None:
    """Label the y axis, which is in shares, in percent."""
    panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%" if value else "0")


def power_ticks(panel: Axes, low: float, high: float, axis: str = "x") -> None:
    """Ticks at whole powers of ten on an axis that is in log10 units; every second one where there are many."""
    exponents = range(math.ceil(low), math.floor(high) + 1)
    step = 1 if len(exponents) <= 5 else 2
    shown = [exponent for exponent in exponents if exponent % step == 0]
    panel_axis = panel.xaxis if axis == "x" else panel.yaxis
    panel_axis.set_ticks(shown, [power(exponent) for exponent in shown])


def plain_log_ticks(axis: Axis, values: pd.Series) -> None:
    """Ticks 1, 2, 5 times powers of ten, as plain numbers, on a logarithmic axis."""
    known = values[values > 0]
    decades = np.log10(known.max() / known.min()) if len(known) else 1
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:.4g}")


def short_log_ticks(axis: Axis, values: pd.Series) -> None:
    """Ticks 1 and 3 times powers of ten, 30k for 30,000, on a short logarithmic axis."""
    known = values[values > 0]
    decades = np.log10(known.max() / known.min()) if len(known) else 1
    axis.set_major_locator(LogLocator(subs=(1, 3) if decades < 1.7 else (1,), numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(_short)


def _short(value: float, _: int | None = None) -> str:
    """A number with k or M for thousands or millions."""
    unit, letter = next((pair for pair in ((1e6, "M"), (1e3, "k")) if value >= pair[0]), (1.0, ""))
    return f"{value / unit:g}{letter}"


def names_across(names: Sequence[str]) -> int:
    """Columns of a legend of dictionaries: at most three, fewer where names are long."""
    longest = max(map(len, names), default=1)
    return max(1, min(3, len(names), 105 // (longest + 8)))


def count_ticks(panel: Axes, high: float) -> None:
    """Ticks 1, 10, 100, ... on an x axis that is in log10 units."""
    exponents = range(math.floor(high) + 1)
    panel.xaxis.set_ticks(list(exponents), [f"{10**exponent:,}" for exponent in exponents])
