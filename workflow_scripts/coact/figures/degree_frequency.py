"""Degree against frequency on tokens that the graph does not use, with the null sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from coact.comparison.columns import Column
from coact.comparison.findings import correlation_conclusion, correlation_sentence
from coact.comparison.wording import NOT_DEFINED, count, coverage, estimate, number, plural, spread
from coact.figures.layout import header, panels
from coact.figures.save import Drawing, words
from coact.figures.scatter import draw_points, limit_frequency, scatter_legend, with_medians
from coact.figures.style import looks, style


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
            draw_points(panel, table, "degree", look)
            header(panel, column, _lines(entry), look)
        _scale(axes, pd.concat(tables, ignore_index=True))
        figure.supxlabel("Frequency on tokens outside the graph (logarithmic)")
        figure.supylabel("Degree (logarithmic above 1)")
        scatter_legend(figure, [found[column.name] for column in columns])
    data = pd.concat(tables, ignore_index=True).drop(columns=["log_frequency"])
    return Drawing(figure, data, _caption(columns, nodes, statistics, confidence))


def _points(column: Column, nodes: pd.DataFrame, null_nodes: pd.DataFrame) -> pd.DataFrame:
    """Points and binned medians: model, sae, series, feature, frequency_heldout, degree, log_frequency."""
    live = nodes[nodes["live"].to_numpy(bool) & (nodes["frequency_heldout"].to_numpy() > 0)]
    null = null_nodes.set_index("feature")["degree"].reindex(live["feature"]).to_numpy()
    table = with_medians(live[["feature", "frequency_heldout"]], "degree", live["degree"].to_numpy(), null)
    return table.assign(model=column.model, sae=column.sae)[
        ["model", "sae", "series", "feature", "frequency_heldout", "degree", "log_frequency"]
    ]


def _scale(axes: Sequence[Axes], points: pd.DataFrame) -> None:
    limit_frequency(axes[0], points)
    top = float(points["degree"].max()) if points["log_frequency"].notna().any() else 1.0
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
