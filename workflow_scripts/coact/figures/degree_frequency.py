"""Degree against frequency on tokens that the graph does not use, with the null sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from coact.comparison.columns import Column
from coact.comparison.findings import correlation_conclusion, correlation_sentence
from coact.comparison.wording import NOT_DEFINED, count, coverage, estimate, number, plural, spread
from coact.figures.layout import header, legend, panels, power_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, Look, looks, style

TREND_BINS = 12
TREND_LEAST = 5
OBSERVED, NULL, TREND, NULL_TREND = "observed", "null", "observed, median", "null, median"
NULL_POINTS = "#B4B4B4"


def degree_frequency(
    columns: Sequence[Column],
    nodes: Sequence[pd.DataFrame],
    null_nodes: Sequence[pd.DataFrame],
    statistics: Sequence[dict[str, Any]],
    confidence: float,
) -> Drawing:
    """Scatter of degree against frequency of live features, one panel per column.

    Args:
        columns, nodes, null_nodes, statistics: the columns and, in the same order, their artefacts.
        confidence: coverage of the statistics' intervals.
    """
    tables = [_points(*entry) for entry in zip(columns, nodes, null_nodes, strict=True)]
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=4, height=1.55)
        for column, panel, table, entry in zip(columns, axes, tables, statistics, strict=True):
            look = found[column.name]
            _draw(panel, table, look)
            header(panel, column, _lines(entry), look)
        _scale(axes, pd.concat(tables, ignore_index=True))
        figure.supxlabel("Frequency on tokens outside the graph (logarithmic)")
        figure.supylabel("Degree (logarithmic above 1)")
        _legend(figure, [found[column.name] for column in columns])
    data = pd.concat(tables, ignore_index=True).drop(columns=["log_frequency"])
    return Drawing(figure, data, _caption(columns, nodes, statistics, confidence))


def _points(column: Column, nodes: pd.DataFrame, null_nodes: pd.DataFrame) -> pd.DataFrame:
    """Points and binned medians: model, sae, series, feature, frequency_heldout, degree, log_frequency."""
    live = nodes[nodes["live"].to_numpy(bool) & (nodes["frequency_heldout"].to_numpy() > 0)]
    null = null_nodes.set_index("feature")["degree"].reindex(live["feature"]).to_numpy()
    parts = []
    for series, trend, degree in ((NULL, NULL_TREND, null), (OBSERVED, TREND, live["degree"].to_numpy())):
        points = live[["feature", "frequency_heldout"]].assign(series=series, degree=degree)
        points["log_frequency"] = np.log10(points["frequency_heldout"])
        parts += [points, _medians(points, trend)]
    table = pd.concat(parts, ignore_index=True).astype({"feature": "Int64"})
    return table.assign(model=column.model, sae=column.sae)[
        ["model", "sae", "series", "feature", "frequency_heldout", "degree", "log_frequency"]
    ]


def _medians(points: pd.DataFrame, series: str) -> pd.DataFrame:
    """Median degree in bins of equal width of log frequency that hold at least `TREND_LEAST` features."""
    if points.empty:
        return points.assign(series=series)
    bins = pd.cut(points["log_frequency"], TREND_BINS, labels=False)
    grouped = points.groupby(bins)[["log_frequency", "degree"]]
    medians = grouped.median()[grouped.size() >= TREND_LEAST]
    return medians.assign(series=series, frequency_heldout=10 ** medians["log_frequency"], feature=pd.NA)


def _draw(panel: Axes, table: pd.DataFrame, look: Look) -> None:
    for series, color, alpha in ((NULL, NULL_POINTS, 0.35), (OBSERVED, look.color, 0.45)):
        sns.scatterplot(
            table[table["series"] == series],
            x="log_frequency",
            y="degree",
            color=color,
            alpha=alpha,
            s=4,
            linewidth=0,
            rasterized=True,  # thousands of points a panel: a picture within the SVG keeps it small
            legend=False,
            ax=panel,
        )
    for series, color, dashes in ((NULL_TREND, INK, (3, 1.5)), (TREND, "white", ()), (TREND, look.color, ())):
        sns.lineplot(
            table[table["series"] == series],
            x="log_frequency",
            y="degree",
            color=color,
            linewidth=2.6 if color == "white" else 1.4,
            dashes=False,
            linestyle=(0, dashes) if dashes else "-",
            errorbar=None,
            estimator=None,
            legend=False,
            ax=panel,
        )
    panel.set(xlabel="", ylabel="")


def _scale(axes: Sequence[Axes], points: pd.DataFrame) -> None:
    known = points["log_frequency"].dropna()
    low, high = (float(known.min()), float(known.max())) if len(known) else (-5.0, 0.0)
    margin = 0.04 * max(high - low, 0.1)
    top = float(points["degree"].max()) if len(known) else 1.0
    axes[0].set_xlim(low - margin, high + margin)
    power_ticks(axes[0], low - margin, high + margin)
    axes[0].set_yscale("symlog", linthresh=1, linscale=0.35)
    axes[0].set_ylim(-0.25, max(top, 1) * 1.6)
    ticks = [0, *(10**exponent for exponent in range(int(np.log10(max(top, 1))) + 1))]
    axes[0].yaxis.set_ticks(ticks, [f"{tick:,}" for tick in ticks])
    axes[0].yaxis.set_minor_locator(NullLocator())


def _lines(entry: dict[str, Any]) -> list[str]:
    found, chance = entry["observed"]["live"]["pearson"], entry["null"]["live"]["pearson"]
    if not found:
        return [f"r {NOT_DEFINED}", f"null r {_short(chance)}"]
    return [
        f"r {estimate(found, 2)}",
        f"null r {_short(chance)}, n {count(found['n'])}",
    ]


def _short(found: dict[str, Any] | None) -> str:
    return number(found["value"], 2) if found else NOT_DEFINED


def _legend(figure: Any, used: Sequence[Look]) -> None:
    colors = list(dict.fromkeys(look.color for look in used))[:3]
    points = {"marker": "o", "linestyle": "", "markersize": 3}
    legend(
        figure,
        [
            (tuple(Line2D([], [], color=color, **points) for color in colors), "live features"),
            (tuple(Line2D([], [], color=color, linewidth=1.4) for color in colors), "their median"),
            (Line2D([], [], color=NULL_POINTS, **points), "the same features in the null sample"),
            (Line2D([], [], color=INK, linewidth=1.4, linestyle=(0, (3, 1.5))), "their median there"),
        ],
    )


def _caption(
    columns: Sequence[Column], nodes: Sequence[pd.DataFrame], statistics: Sequence[dict[str, Any]], confidence: float
) -> dict[str, str]:
    conclusion = correlation_conclusion(columns, statistics)
    unseen = spread([int((table["live"] & ~(table["frequency_heldout"] > 0)).sum()) for table in nodes], count)
    numbers = correlation_sentence(columns, statistics, confidence)
    details = (
        f"Degree against frequency on tokens that the graph does not use; a point is a live feature, lines are medians"
        f" in bins of frequency. {numbers} r is computed on the values, not on their logarithms; brackets are"
        f" {coverage(confidence)} bootstrap intervals over features. The null is one sample that keeps every feature's"
        f" top-k count and every token's set size. {unseen} live features a panel did not fire on those tokens"
        f" and have no place on the axis; r includes them."
    )
    alt = f"Scatter plots of degree against frequency, {plural(len(columns), 'panel')}, observed and null. {numbers}"
    return words(conclusion, details, alt)
