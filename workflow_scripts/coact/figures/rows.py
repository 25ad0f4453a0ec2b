"""A row per dictionary, a panel per measure: values beside the interval of their null."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from coact.comparison.columns import Column
from coact.comparison.wording import defined
from coact.figures.style import MUTED, PAGE_WIDTH, SMALL_POINTS

ROW_INCHES = 0.36
LEAST_WIDTH = 1e-4  # of a bar, in units of the axis, so that an interval of one value is drawn
NULL = {"facecolor": "#C4C4C4", "edgecolor": "#8A8A8A", "linewidth": 0.5}


def dictionary_rows(columns: Sequence[Column], titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A page-wide figure with a panel per title; column i of the study has its row at y = i, the first on top."""
    figure = Figure(figsize=(PAGE_WIDTH, 1.05 + ROW_INCHES * len(columns)), layout="constrained")
    axes = list(figure.subplots(1, len(titles), sharey=True, squeeze=False).flat)
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(title, loc="left")
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(columns)), [column.name for column in columns])
    axes[0].set_ylim(len(columns) - 0.5, -0.5)
    return figure, axes


def null_bar(panel: Axes, place: float, low: float | None, high: float | None, height: float = 0.5) -> None:
    """Draw the interval of a null; nothing where it is not defined."""
    if defined(low) and defined(high):
        panel.barh(place, max(high - low, LEAST_WIDTH), height, low, zorder=2, **NULL)  # type: ignore[operator]


def not_measured(panel: Axes, place: float) -> None:
    """Say that a row has no value."""
    panel.text(
        0.02, place, "not measured", transform=panel.get_yaxis_transform(), fontsize=SMALL_POINTS, color=MUTED,
        va="center",
    )  # fmt: skip


def null_bar_handle() -> Patch:
    """Legend handle of `null_bar`."""
    return Patch(**NULL)


def percent_axis(panel: Axes, most: float, least: float = 0.0) -> None:
    """An x axis in shares, from `least` to `most` with some room, labelled in percent with few ticks."""
    room = 0.03 * (most - least or 1)
    panel.set_xlim(least - room, most + 2 * room)
    panel.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%" if value else "0")
    panel.xaxis.get_major_locator().set_params(nbins=4)
