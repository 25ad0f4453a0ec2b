"""Distributions of feature frequency: on the graph's tokens, and the density histogram on held-out tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from coact.comparison.columns import Column
from coact.comparison.findings import bimodality_detail, bimodality_sentence
from coact.comparison.wording import NOT_DEFINED, count, coverage, number, p_value, percent, plural, spread
from coact.figures import histograms as bars
from coact.figures.degree import BIC_NOTE, mark_modes
from coact.figures.intervals import median_interval
from coact.figures.layout import (
    header,
    legend,
    not_live_handle,
    null_handle,
    observed_handle,
    panels,
    percent_ticks,
    power_ticks,
)
from coact.figures.save import Drawing, words
from coact.figures.style import INK, looks, style

Tables = Sequence[pd.DataFrame]
Y_LABEL = "Share of the dictionary's features"
RULE_OF_THREE = 3.0


def frequency_distribution(
    columns: Sequence[Column],
    nodes: Tables,
    statistics: Sequence[dict[str, Any]],
    live_frequency: float,
    confidence: float,
) -> Drawing:
    """Histograms of log10 frequency on the graph's tokens, with frequency on the other stream as an outline.

    Args:
        columns, nodes, statistics: the columns and, in the same order, their artefacts.
        live_frequency: the cutoff below which a feature is not live.
        confidence: coverage of the intervals of the medians.
    """
    groups = [_split_frequencies(table) for table in nodes]
    logs = [tuple(np.log10(values[values > 0]) for values in group) for group in groups]
    edges = _shared_edges(logs)
    tables = [
        _tables(column, group, edges, len(table)) for column, group, table in zip(columns, logs, nodes, strict=True)
    ]
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=5)
        for column, panel, table, group, entry in zip(columns, axes, tables, groups, statistics, strict=True):
            look = found[column.name]
            bars.draw_histogram(panel, table, edges, look, outline=bars.OTHER)
            header(panel, column, _frequency_lines(group, entry, confidence), look)
        cut = bars.limit_height(axes, tables)
        for panel, entry in zip(axes, statistics, strict=True):
            mixture = entry["observed"]["live"]["mixture_log_frequency"]
            if mixture:
                mark_modes(panel, mixture, mixture["means"])
            if live_frequency > 10 ** edges[0]:
                panel.axvline(np.log10(live_frequency), color=INK, linewidth=0.7, linestyle=(0, (2, 2)))
        _finish(figure, axes, edges, "Frequency: share of tokens on which a feature is active (logarithmic)")
        legend(
            figure,
            [
                (observed_handle([found[column.name] for column in columns]), "live features, graph's tokens"),
                (not_live_handle(), "not live, graph's tokens"),
                (null_handle(), "live features, other tokens"),
            ],
        )
    return Drawing(
        figure,
        pd.concat(tables, ignore_index=True),
        _frequency_caption(columns, groups, statistics, live_frequency, confidence, cut),
    )


def feature_density(
    columns: Sequence[Column], density: Tables, evaluations: Sequence[dict[str, Any]], confidence: float
) -> Drawing:
    """Feature-density histograms: log10 frequency of all features on held-out tokens, and how many never fire.

    Args:
        columns, density, evaluations: the columns and, in the same order, density.parquet and evaluation.json.
        confidence: coverage of the intervals of the medians.
    """
    values = [table["frequency"].to_numpy() for table in density]
    logs = [np.log10(frequency[frequency > 0]) for frequency in values]
    edges = _shared_edges([(group,) for group in logs])
    tables = [
        bars.binned(column, bars.LIVE, group, edges, len(frequency)).assign(series="fired")
        for column, group, frequency in zip(columns, logs, values, strict=True)
    ]
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=5)
        for column, panel, table, frequency, entry in zip(columns, axes, tables, values, evaluations, strict=True):
            look = found[column.name]
            bars.draw_histogram(panel, table.assign(series=bars.LIVE), edges, look, outline=None)
            header(panel, column, _density_lines(frequency, confidence), look)
            panel.axvline(-np.log10(entry["tokens"]), color=INK, linewidth=0.7, linestyle=(0, (2, 2)))
        bars.limit_height(axes, [table.assign(series=bars.LIVE) for table in tables])
        _finish(figure, axes, edges, "Frequency on held-out tokens (logarithmic)")
        line = Line2D([], [], color=INK, linewidth=0.7, linestyle=(0, (2, 2)))
        legend(
            figure,
            [
                (
                    observed_handle([found[column.name] for column in columns]),
                    "features that fired (a colour per dictionary)",
                ),
                (line, "one held-out token"),
            ],
        )
    return Drawing(
        figure, pd.concat(tables, ignore_index=True), _density_caption(columns, values, evaluations, confidence)
    )


def _split_frequencies(nodes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies of live features, of those not live, and frequencies of live features on the other stream."""
    live = nodes["live"].to_numpy(bool)
    graph, heldout = nodes["frequency"].to_numpy(), nodes["frequency_heldout"].to_numpy()
    return graph[live], graph[~live], heldout[live]


def _shared_edges(logs: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
    known = np.concatenate([values for group in logs for values in group] or [np.zeros(0)])
    return bars.log_edges(float(known.min()), float(known.max())) if len(known) else bars.log_edges(-5, 0)


def _tables(column: Column, group: tuple[np.ndarray, ...], edges: np.ndarray, features: int) -> pd.DataFrame:
    series = (bars.LIVE, bars.NOT_LIVE_SERIES, bars.OTHER)
    return pd.concat(
        [bars.binned(column, name, values, edges, features) for name, values in zip(series, group, strict=True)],
        ignore_index=True,
    )


def _finish(figure: Any, axes: Sequence[Any], edges: np.ndarray, label: str) -> None:
    axes[0].set_xlim(edges[0], edges[-1])
    power_ticks(axes[0], edges[0], edges[-1])
    percent_ticks(axes[0])
    figure.supxlabel(label)
    figure.supylabel(Y_LABEL)


def _median_percent(values: np.ndarray, confidence: float) -> str:
    if not len(values):
        return NOT_DEFINED
    bounds = median_interval(values, confidence)
    middle = number(100 * float(np.median(values)), 2)
    return f"{middle}% [{number(100 * bounds[0], 2)}, {number(100 * bounds[1], 2)}]" if bounds else f"{middle}%"


def _frequency_lines(group: tuple[np.ndarray, ...], entry: dict[str, Any], confidence: float) -> list[str]:
    live, other, _ = group
    scope = entry["observed"]["live"]
    dip, mixture = scope["dip_log_frequency"], scope["mixture_log_frequency"]
    tests = f"dip p {p_value(dip['p'])}" if dip else f"dip {NOT_DEFINED}"
    return [
        f"n {count(len(live))} live of {count(len(live) + len(other))}",
        f"median {_median_percent(live, confidence)}",
        f"{tests}, BIC {mixture['preferred']}" if mixture else tests,
    ]


def _density_lines(frequency: np.ndarray, confidence: float) -> list[str]:
    fired = frequency[frequency > 0]
    dead = len(frequency) - len(fired)
    return [
        f"n {count(len(frequency))} features",
        f"dead {count(dead)} ({percent(dead / max(len(frequency), 1), 2)})",
        f"median {_median_percent(fired, confidence)}",
    ]


def _decades(values: np.ndarray) -> float | None:
    fired = values[values > 0]
    return float(np.log10(np.quantile(fired, 0.95) / np.quantile(fired, 0.05))) if len(fired) else None


def _frequency_caption(
    columns: Sequence[Column],
    groups: Sequence[tuple[np.ndarray, ...]],
    statistics: Sequence[dict[str, Any]],
    live_frequency: float,
    confidence: float,
    cut: str,
) -> dict[str, str]:
    conclusion = bimodality_sentence(columns, statistics, "frequency")
    unseen = spread([int((heldout == 0).sum()) for _, _, heldout in groups], count)
    n = spread([len(live) for live, _, _ in groups], count)
    decades = spread([_decades(live) for live, _, _ in groups], lambda value: number(value, 2))
    details = (
        f"Frequency of features, one panel per dictionary. The middle 90% of live features span {decades} orders of"
        f" magnitude. {bimodality_detail(statistics, 'frequency')} {BIC_NOTE} n = {n} live features a panel, of which"
        f" {unseen} did not fire on the other tokens (those that the graph does not use); features that never fired on"
        f" the graph's tokens are not shown."
        f" The dashed line, where in range, is the cutoff of live features ({number(live_frequency)}). Brackets are"
        f" {coverage(confidence)} intervals of the median from order statistics.{cut}"
    )
    alt = f"Histograms of log feature frequency, {plural(len(columns), 'panel')}. {conclusion}"
    return words(conclusion, details, alt)


def _density_caption(
    columns: Sequence[Column], values: Sequence[np.ndarray], evaluations: Sequence[dict[str, Any]], confidence: float
) -> dict[str, str]:
    dead = [float((frequency == 0).mean()) for frequency in values]
    most = max(range(len(dead)), key=dead.__getitem__)
    tokens = [entry["tokens"] for entry in evaluations]
    if max(dead) == 0:
        conclusion = "Every feature of every dictionary fires on the held-out tokens."
    elif len(dead) == 1:
        conclusion = f"{percent(dead[0])} of the features never fire on the held-out tokens."
    else:
        conclusion = (
            f"Up to {percent(max(dead))} of a dictionary's features never fire on the held-out tokens, most in"
            f" {columns[most].name}."
        )
    bound = spread([RULE_OF_THREE / total for total in tokens])
    n = spread([len(frequency) for frequency in values], count)
    details = (
        f"Feature-density histograms: frequency of all features on held-out tokens, one panel per dictionary (n = {n}"
        f" features, {spread(tokens, count)} tokens). A feature that never fires is not in the bars but in the number"
        f" of dead ones ({spread(dead, percent)}); at 95% confidence its frequency is below {bound} (rule of three)."
        f" Brackets are {coverage(confidence)} intervals of the median of those that fired."
    )
    alt = (
        f"Histograms of held-out log feature frequency, {plural(len(columns), 'panel')};"
        f" dead features: {spread(dead, percent)}."
    )
    return words(conclusion, details, alt)
