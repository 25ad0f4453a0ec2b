"""Statistics of every graph beside its null models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from coact.comparison.columns import Column
from coact.comparison.nulls import NULL_NAMES, SHOWN, nulls_conclusion
from coact.comparison.wording import coverage, plural, spread
from coact.figures.layout import of_column, short_log_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, looks, style

NULL_MARKS = {"tokens": ("|", "#222222"), "documents": ("D", "#5F7180"), "shift": ("s", "#B39B7A")}
OFFSETS = {"observed": 0.0, "tokens": 0.2, "documents": 0.38, "shift": 0.56}
LOGARITHMIC = {"edges"}
ROW_INCHES = 0.34
# Of the observed value: higher than the dot, since it is often narrower.
INTERVAL = {"linewidth": 8.0, "alpha": 0.45, "solid_capstyle": "butt", "zorder": 2}
DOT = {"marker": "o", "linestyle": "", "markersize": 3.4, "zorder": 3}


def null_comparison(columns: Sequence[Column], statistics: Sequence[dict[str, Any]], confidence: float) -> Drawing:
    """Edges, clustering, modularity, assortativity and r of live features, observed and under every null model.

    Args:
        columns, statistics: the columns and, in the same order, statistics.json of each.
        confidence: coverage of the null models' intervals.
    """
    data = pd.concat([_rows(*entry) for entry in zip(columns, statistics, strict=True)], ignore_index=True)
    with style():
        found = looks(columns)
        figure = Figure(figsize=(PAGE_WIDTH, 0.95 + ROW_INCHES * len(columns)), layout="constrained")
        axes = list(np.atleast_1d(figure.subplots(1, len(SHOWN), sharey=True)))
        for panel, (statistic, title) in zip(axes, SHOWN.items(), strict=True):
            _draw(panel, data[data["statistic"] == statistic], columns, found)
            panel.set_title(title, loc="left")
            if statistic in LOGARITHMIC and (data.loc[data["statistic"] == statistic, "value"] > 0).any():
                panel.set_xscale("log")
                short_log_ticks(panel.xaxis, data.loc[data["statistic"] == statistic, "value"])
            else:
                panel.xaxis.set_major_locator(MaxNLocator(3))
        places = np.arange(len(columns)) + sum(OFFSETS.values()) / len(OFFSETS)
        axes[0].set_yticks(places, [column.name for column in columns])
        axes[0].set_ylim(len(columns) - 0.2, -0.25)
        _legend(figure)
    return Drawing(figure, data, _caption(columns, statistics, confidence))


def _rows(column: Column, entry: dict[str, Any]) -> pd.DataFrame:
    """model, sae, series (observed or a null model), statistic, value, low, high, replicates.

    Of the observed value, low and high are the interval under resampling of documents, replicates its samples.
    """
    rows = []
    for statistic in SHOWN:
        compared = entry["nulls"]["live"][statistic]
        own = compared["observed_interval"] or dict.fromkeys(("low", "high", "samples"))
        rows.append((statistic, "observed", compared["observed"], own["low"], own["high"], own["samples"]))
        for null in NULL_NAMES:
            drawn = compared[null]
            rows.append((statistic, null, drawn["mean"], drawn["low"], drawn["high"], drawn["replicates"]))
    table = pd.DataFrame(rows, columns=["statistic", "series", "value", "low", "high", "replicates"])
    numbers = ["value", "low", "high", "replicates"]
    table[numbers] = table[numbers].astype(float)
    order = ["model", "sae", "series", "statistic", *numbers]
    return table.assign(model=column.model, sae=column.sae)[order]


def _draw(panel: Axes, data: pd.DataFrame, columns: Sequence[Column], found: dict[str, Any]) -> None:
    for place, column in enumerate(columns):
        mine = of_column(data, column).set_index("series")
        look = found[column.name]
        panel.axhspan(place - 0.2, place + 0.76, color="#F7F7F7" if place % 2 else "white", zorder=0, linewidth=0)
        observed = mine.loc["observed"]
        panel.plot([observed["low"], observed["high"]], [place, place], color=look.color, **INTERVAL)
        panel.plot(observed["value"], place, color=look.color, **DOT)
        for null, (marker, color) in NULL_MARKS.items():
            row, height = mine.loc[null], place + OFFSETS[null]
            panel.plot([row["low"], row["high"]], [height, height], color=color, linewidth=1.1, solid_capstyle="butt")
            panel.plot(row["value"], height, marker, color=color, markersize=6 if marker == "|" else 2.8)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)
    panel.margins(x=0.12)
    if data["statistic"].iloc[0] not in LOGARITHMIC and (data["value"] < 0).any():
        panel.axvline(0, color=MUTED, linewidth=0.6, zorder=1)


def _legend(figure: Figure) -> None:
    handles: list[Any] = [(Line2D([], [], color=INK, **INTERVAL), Line2D([], [], color=INK, **DOT))]
    handles += [
        Line2D([], [], marker=marker, color=color, linewidth=1.1, markersize=6 if marker == "|" else 2.8)
        for marker, color in NULL_MARKS.values()
    ]
    labels = [
        "observed (in the dictionary's colour), documents resampled",
        *(f"null: {NULL_NAMES[null]}" for null in NULL_MARKS),
    ]
    figure.legend(handles, labels, loc="outside upper left", ncols=2, borderpad=0.2, columnspacing=1.6)


def _caption(columns: Sequence[Column], statistics: Sequence[dict[str, Any]], confidence: float) -> dict[str, str]:
    replicates = [entry["nulls"]["live"][name][null]["replicates"] for entry in statistics for name in SHOWN
                  for null in NULL_NAMES]  # fmt: skip
    features = [entry["observed"]["live"]["nodes"] for entry in statistics]
    drawn = spread(replicates, lambda n: f"{n:,}")
    details = (
        f"Graphs of live features (n = {spread(features, lambda n: f'{n:,}')}). {_resampled(statistics, confidence)}"
        f" Marks of the null models are means of {drawn} replicates, bars the {coverage(confidence)} interval for one"
        " further replicate, often narrower than the mark. Tokens: every feature keeps its number of top-k sets and"
        " every token the size of its set; documents: the same within every document; shifts: every feature moved along"
        " every document. The number of edges is on a logarithmic scale."
    )
    alt = (
        f"For {plural(len(columns), 'dictionary', 'dictionaries')} and each of {len(SHOWN)} statistics, the observed"
        " value as a dot above the values of three null models."
    )
    return words(nulls_conclusion(columns, statistics), details, alt)


def _resampled(statistics: Sequence[dict[str, Any]], confidence: float) -> str:
    """What the bars of the observed values are."""
    own = [entry["nulls"]["live"][name]["observed_interval"] for entry in statistics for name in SHOWN]
    samples = [interval["samples"] for interval in own if interval]
    if not samples:
        return "Observed values are without an interval under resampling of documents."
    return (
        f"The light bar behind an observed value is its {coverage(confidence)} interval under resampling of documents"
        f" ({spread(samples, lambda n: f'{n:,}')} samples), where there is one."
    )
