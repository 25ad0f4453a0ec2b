"""Degree distributions, cumulative and of log degree, each with the null sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from coact.comparison.columns import Column
from coact.comparison.findings import bimodality_detail, bimodality_sentence, tally_intervals, versus
from coact.comparison.wording import NOT_DEFINED, count, coverage, p_value, plural, spread
from coact.figures import histograms as bars
from coact.figures.intervals import median_interval
from coact.figures.layout import (
    count_ticks,
    header,
    legend,
    not_live_handle,
    null_handle,
    observed_handle,
    panels,
    percent_ticks,
)
from coact.figures.save import Drawing, words
from coact.figures.style import INK, Look, looks, style

Tables = Sequence[pd.DataFrame]
BIC_NOTE = '"BIC 2" above a panel means that BIC prefers two components; triangles mark their means.'
ALL = "all"
ORIGIN = (
    "Tokens are those of the graph; the null is one sample that keeps every feature's top-k count and every token's"
    " set size."
)


def split_degrees(nodes: pd.DataFrame, null_nodes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Degrees of live features, of features that are not live, and of live features in the null sample."""
    live = nodes["live"].to_numpy(bool)
    degree = nodes["degree"].to_numpy()
    null = null_nodes.set_index("feature")["degree"].reindex(nodes["feature"]).to_numpy()
    return degree[live], degree[~live], null[live]


def degree_distribution(columns: Sequence[Column], nodes: Tables, null_nodes: Tables, confidence: float) -> Drawing:
    """Share of features with at least a given degree (complementary cumulative distribution), one panel per column.

    Degrees of observed and null graphs can lie orders of magnitude apart. Cumulative shares show both on one axis
    without a choice of bins, and isolated features as the gap to 100 % at degree 1.

    Args:
        columns, nodes, null_nodes: the columns and, in the same order, their nodes.parquet and null_nodes.parquet.
        confidence: coverage of the intervals of the medians.
    """
    groups = [split_degrees(*pair) for pair in zip(nodes, null_nodes, strict=True)]
    tables = [_cumulative_tables(column, group) for column, group in zip(columns, groups, strict=True)]
    data = pd.concat(tables, ignore_index=True)
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=5)
        for column, panel, table, group in zip(columns, axes, tables, groups, strict=True):
            look = found[column.name]
            for series, line in _lines(look).items():
                part = table[table["series"] == series]
                sns.lineplot(part, x="degree", y="share", errorbar=None, estimator=None, ax=panel, **line)
            panel.set(xlabel="", ylabel="")
            header(panel, column, _median_lines(group, confidence), look)
        axes[0].set_xscale("log")
        axes[0].set_xlim(0.9, 1.1 * max(float(data["degree"].max()), 9))
        axes[0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes[0].xaxis.set_minor_locator(NullLocator())
        axes[0].set_ylim(0, 1.03)
        percent_ticks(axes[0])
        figure.supxlabel("Degree (number of neighbours, logarithmic)")
        figure.supylabel("Features of at least that degree")
        _cumulative_legend(figure, [found[column.name] for column in columns])
    return Drawing(figure, data, _degree_caption(columns, groups, confidence))


def _cumulative_tables(column: Column, group: tuple[np.ndarray, np.ndarray, np.ndarray]) -> pd.DataFrame:
    """model, sae, series, degree, features (of at least that degree), share; one row per degree that occurs."""
    live, other, null = group
    parts = []
    for series, values in ((ALL, np.concatenate([live, other])), (bars.NULL, null), (bars.LIVE, live)):
        degrees = np.unique(np.concatenate([[1], values[values > 0], values[values > 0].max(initial=0)[None] + 1]))
        features = len(values) - np.searchsorted(np.sort(values), degrees)
        table = pd.DataFrame({"series": series, "degree": degrees.astype(np.int64), "features": features})
        parts.append(table.assign(share=features / max(len(values), 1)))
    table = pd.concat(parts, ignore_index=True).assign(model=column.model, sae=column.sae)
    return table[["model", "sae", "series", "degree", "features", "share"]]


def _lines(look: Look) -> dict[str, dict[str, Any]]:
    """Series -> how its line is drawn, the one in front last."""
    lines = {
        ALL: {"color": look.color, "linewidth": 1.0, "linestyle": (0, (1.2, 1.2))},
        bars.NULL: {"color": INK, "linewidth": 1.0},
        bars.LIVE: {"color": look.color, "linewidth": 1.7},
    }
    return {series: {**line, "drawstyle": "steps-pre"} for series, line in lines.items()}


def _cumulative_legend(figure: Figure, used: Sequence[Look]) -> None:
    looks_shown = list({look.color: look for look in used}.values())[:3]
    handles = {
        series: tuple(Line2D([], [], **_lines(look)[series]) for look in looks_shown) for series in (bars.LIVE, ALL)
    }
    legend(
        figure,
        [
            (handles[bars.LIVE], "live features (a colour per dictionary)"),
            (handles[ALL], "all features"),
            (null_handle(), "null sample, live features"),
        ],
    )


def log_degree_distribution(
    columns: Sequence[Column], nodes: Tables, null_nodes: Tables, statistics: Sequence[dict[str, Any]]
) -> Drawing:
    """Histograms of log10 degree, one panel per column, with the tests for two modes.

    Args:
        columns, nodes, null_nodes, statistics: the columns and, in the same order, their artefacts.
    """
    groups = [split_degrees(*pair) for pair in zip(nodes, null_nodes, strict=True)]
    edges = bars.log_integer_edges(
        max((float(values.max()) for group in groups for values in group if len(values)), default=1)
    )
    logs = [tuple(np.log10(values[values > 0]) for values in group) for group in groups]
    sizes = [sum(map(len, group[:2])) for group in groups]
    tables = [_tables(column, group, edges, size) for column, group, size in zip(columns, logs, sizes, strict=True)]
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=5)
        for column, panel, table, group, entry in zip(columns, axes, tables, groups, statistics, strict=True):
            look = found[column.name]
            bars.draw_histogram(panel, table, edges, look, outline=bars.NULL, density=True)
            lines = [f"n {count((group[0] > 0).sum())} live, degree > 0", _test_line(entry, "observed", ""),
                     _test_line(entry, "null", "null ")]  # fmt: skip
            header(panel, column, lines, look)
        cut = bars.limit_height(axes, tables, density=True)
        for panel, entry in zip(axes, statistics, strict=True):
            mixture = entry["observed"]["live"]["mixture_log_degree"]
            if mixture:  # its means are of log10(1 + degree)
                mark_modes(panel, mixture, [np.log10(max(10**mean - 1, 0.5)) for mean in mixture["means"]])
        axes[0].set_xlim(edges[0], edges[-1])
        count_ticks(axes[0], edges[-1])
        figure.supxlabel("Degree (logarithmic)")
        figure.supylabel("Density (share of features per decade)")
        _degree_legend(figure, [found[column.name] for column in columns])
    return Drawing(figure, pd.concat(tables, ignore_index=True), _log_caption(columns, groups, statistics, cut))


def _tables(column: Column, group: tuple[np.ndarray, ...], edges: np.ndarray, features: int) -> pd.DataFrame:
    series = (bars.LIVE, bars.NOT_LIVE_SERIES, bars.NULL)
    return pd.concat(
        [bars.binned(column, name, values, edges, features) for name, values in zip(series, group, strict=True)],
        ignore_index=True,
    )


def _median_lines(group: tuple[np.ndarray, ...], confidence: float) -> list[str]:
    live, other, null = group
    return [
        f"n {count(len(live))} live of {count(len(live) + len(other))}",
        f"median {median_text(live, confidence)}",
        f"null {median_text(null, confidence)}",
    ]


def median_text(values: np.ndarray, confidence: float) -> str:
    """A median with its interval as text."""
    if not len(values):
        return NOT_DEFINED
    bounds = median_interval(values, confidence)
    interval = f" [{degree_text(bounds[0])}, {degree_text(bounds[1])}]" if bounds else ""
    return f"{degree_text(float(np.median(values)))}{interval}"


def degree_text(value: float) -> str:
    """A degree, or a median of degrees, as text: whole where it is whole."""
    return count(value) if float(value).is_integer() else f"{value:,.1f}"


def _test_line(entry: dict[str, Any], source: str, prefix: str) -> str:
    scope = entry[source]["live"]
    dip, mixture = scope["dip_log_degree"], scope["mixture_log_degree"]
    p = f"dip p {p_value(dip['p'])}" if dip else f"dip {NOT_DEFINED}"
    return f"{prefix}{p}, BIC {mixture['preferred']}" if mixture else f"{prefix}{p}"


def mark_modes(panel: Axes, mixture: dict[str, Any], places: Sequence[float]) -> None:
    """Small triangles at the top of a panel, at the components' means, where BIC prefers two."""
    if mixture["preferred"] == 2:
        transform = panel.get_xaxis_transform()
        panel.plot(places, [0.985] * len(places), "v", color=INK, markersize=3.5, transform=transform, clip_on=False)


def _degree_legend(figure: Figure, used: Sequence[Look]) -> None:
    legend(
        figure,
        [
            (observed_handle(used), "live features (a colour per dictionary)"),
            (not_live_handle(), "features that are not live"),
            (null_handle(), "null sample, live features"),
        ],
    )


def _degree_caption(
    columns: Sequence[Column], groups: Sequence[tuple[np.ndarray, ...]], confidence: float
) -> dict[str, str]:
    observed = [float(np.median(live)) if len(live) else None for live, _, _ in groups]
    null = [float(np.median(chance)) if len(chance) else None for _, _, chance in groups]
    intervals = [median_interval(live, confidence) for live, _, _ in groups]
    estimates = [{"low": bounds[0], "high": bounds[1]} if bounds else None for bounds in intervals]
    found = tally_intervals([column.name for column in columns], estimates, null)
    clause = versus(found, "more neighbours", "fewer neighbours", "about as many neighbours (within its interval)")
    conclusion = f"Held against the null sample, the median live feature has {clause}."
    medians = f"{spread(observed, degree_text)} observed, {spread(null, degree_text)} in the null sample"
    n = spread([len(live) for live, _, _ in groups], count)
    details = (
        f"Share of features that have at least a given number of neighbours in the co-activation graph, one panel per"
        f" dictionary; what is missing to 100% at degree 1 are isolated features. Median degree of live features:"
        f" {medians}. n = {n} live features a panel; brackets are {coverage(confidence)} intervals of the median from"
        f" order statistics, which take features as independent. {ORIGIN}"
    )
    alt = f"Cumulative distributions of degree, {plural(len(columns), 'panel')}. Median of live features: {medians}."
    return words(conclusion, details, alt)


def _log_caption(
    columns: Sequence[Column], groups: Sequence[tuple[np.ndarray, ...]], statistics: Sequence[dict[str, Any]], cut: str
) -> dict[str, str]:
    conclusion = bimodality_sentence(columns, statistics, "degree")
    isolated = spread([int((live == 0).sum()) for live, _, _ in groups], count)
    n = spread([int((live > 0).sum()) for live, _, _ in groups], count)
    details = (
        f"Degree on a logarithmic axis, one panel per dictionary. {bimodality_detail(statistics, 'degree')} {BIC_NOTE}"
        f" n = {n} live features of degree above 0 a panel; {isolated} live features of degree 0 are not shown."
        f"{cut} {ORIGIN}"
    )
    alt = f"Histograms of log degree with the null sample, {plural(len(columns), 'panel')}. {conclusion}"
    return words(conclusion, details, alt)
