"""When features emerge in training: direction and top tokens of every snapshot against those at the end."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from coact.comparison.columns import Column
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    coverage,
    defined,
    dictionaries,
    estimate,
    number,
    percent,
    plural,
    spread,
)
from coact.figures.layout import LINE_POINTS, MAX_PANELS_ACROSS, header, legend
from coact.figures.save import Drawing, nothing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, Look, looks, style

QUANTILES = ["q05", "q25", "q50", "q75", "q95"]
SHOWN = ["model", "sae", "series", "step", *QUANTILES, "share"]
# Row of the figure -> the series that it shows, and its label.
ROWS = {
    "cosine": ("cosine", "cosine_random", "direction_settled_share", "Cosine with the\nfinal direction"),
    "overlap": ("overlap", "overlap_random", "settled_share", "Overlap with the\nfinal top tokens"),
}
HEADER_LINES = 4
NULL_LINE = {"color": INK, "linewidth": 0.9, "linestyle": (0, (3, 1.5))}
SHARE_LINE = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (1, 1)), "marker": "o", "markersize": 2.6}
NO_SNAPSHOTS = "No dictionary keeps snapshots of its training, so nothing is known of when its features emerge."


def emergence(columns: Sequence[Column], summaries: Sequence[dict[str, Any]], confidence: float) -> Drawing:
    """Quantile bands of cosine and overlap with the end, and the share of features settled; two panels per column.

    Args:
        columns, summaries: the columns that keep snapshots and, in the same order, emergence.json of each.
        confidence: coverage of the summaries' intervals.
    """
    shown = [(column, entry) for column, entry in zip(columns, summaries, strict=True) if entry["by_step"]]
    if not shown:
        return _nothing()
    tables = [_rows(column, entry) for column, entry in shown]
    data = pd.concat(tables, ignore_index=True)
    with style():
        found = looks([column for column, _ in shown])
        figure, pairs = _panels(len(shown))
        for (column, entry), table, pair in zip(shown, tables, pairs, strict=True):
            for panel, (measure, null, share, _) in zip(pair, ROWS.values(), strict=True):
                _draw(panel, table.set_index("series"), (measure, null, share), found[column.name])
            header(pair[0], column, _lines(entry), found[column.name])
        _scale(pairs[0][0], data)
        figure.supxlabel("Training steps (logarithmic)")
        _legend(figure, [found[column.name] for column, _ in shown])
    entries = [entry for _, entry in shown]
    return Drawing(figure, data, _caption([column for column, _ in shown], entries, confidence))


def _rows(column: Column, entry: dict[str, Any]) -> pd.DataFrame:
    """One row per snapshot and series; measures have quantiles, the others a share."""
    records = []
    for at in entry["by_step"]:
        for measure, null, share, _ in ROWS.values():
            records += [{"series": name, "step": at["step"], **at[name]} for name in (measure, null)]
            records.append({"series": share, "step": at["step"], "share": at[share]})
    table = pd.DataFrame(records).reindex(columns=["series", "step", *QUANTILES, "share"])
    table[[*QUANTILES, "share"]] = table[[*QUANTILES, "share"]].astype(float)
    return table.assign(model=column.model, sae=column.sae)[SHOWN]


def _panels(number_of: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A page-wide figure with two panels, one above the other, for each column; up to four columns across."""
    across = min(number_of, MAX_PANELS_ACROSS)
    blocks = math.ceil(number_of / across)
    height = blocks * (2 * 1.3 + (HEADER_LINES + 1) * LINE_POINTS / 72) + 0.75
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05, wspace=0.02, hspace=0.04)
    grid = figure.subplots(2 * blocks, across, sharex=True, sharey=True, squeeze=False)
    pairs = []
    for place in range(blocks * across):
        row, side = 2 * (place // across), place % across
        pair = grid[row, side], grid[row + 1, side]
        for panel, (*_, label) in zip(pair, ROWS.values(), strict=True):
            panel.tick_params(length=2.5)
            panel.set_ylabel("" if side else label)
        if place >= number_of:
            for panel in pair:
                panel.set_axis_off()
            continue
        pair[1].tick_params(labelbottom=place + across >= number_of)
        pairs.append(pair)
    return figure, pairs


def _draw(panel: Axes, table: pd.DataFrame, series: tuple[str, str, str], look: Look) -> None:
    measure, null, share = (table.loc[[name]] for name in series)
    for rows, color, strength in ((null, INK, 0.09), (measure, look.color, 0.22)):
        for low, high in (("q05", "q95"), ("q25", "q75")):
            panel.fill_between(rows["step"], rows[low], rows[high], color=color, alpha=strength, linewidth=0)
    panel.plot(null["step"], null["q50"], **NULL_LINE)
    panel.plot(share["step"], share["share"], **SHARE_LINE)
    panel.plot(measure["step"], measure["q50"], color=look.color, linewidth=1.6)


def _scale(panel: Axes, data: pd.DataFrame) -> None:
    """Both axes, which all panels share. Step 0 has a place left of the logarithmic part."""
    steps = np.sort(data["step"].unique())
    positive = steps[steps > 0] if (steps > 0).any() else np.array([1])
    low, high = float(positive[0]), float(positive[-1])
    panel.set_xscale("symlog", linthresh=low, linscale=0.4)
    panel.set_xlim(-0.12 * low if steps[0] == 0 else 0.9 * low, 1.15 * high)
    factors = (1, 2, 5) if high / low < 30 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10**power for power in powers for factor in factors if low <= factor * 10**power <= high]
    panel.xaxis.set_major_locator(FixedLocator([0, *ticks] if steps[0] == 0 else ticks or [low]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    lowest = data["q05"].min()
    panel.set_ylim(min(-0.03, lowest - 0.03 if defined(lowest) else 0), 1.03)


def _lines(entry: dict[str, Any]) -> list[str]:
    return [
        f"n {count(entry['features'] - entry['silent'])}, {count(entry['silent'])} silent",
        "half not settled before the end" if (step := half_settled(entry, "settled_share")) is None
        else f"half settled by step {count(step)}",
    ]  # fmt: skip


def half_settled(entry: dict[str, Any], share: str) -> int | None:
    """The first snapshot before the end by which half of the features have settled; None where there is none."""
    return next((at["step"] for at in entry["by_step"] if defined(at[share]) and at[share] >= 0.5), None)


def _legend(figure: Figure, used: Sequence[Look]) -> None:
    colors = list(dict.fromkeys(look.color for look in used))[:3]
    bands = tuple((Patch(facecolor=color, alpha=0.4, edgecolor="none")) for color in colors)
    legend(
        figure,
        [
            (bands, "features: median, middle 50% and 90%"),
            (Line2D([], [], **NULL_LINE), "null: the end of another feature"),
            (Line2D([], [], **SHARE_LINE), "share of features settled"),
        ],
    )


def _caption(columns: Sequence[Column], entries: Sequence[dict[str, Any]], confidence: float) -> dict[str, str]:
    first = entries[0]
    fire = [entry["features"] - entry["silent"] for entry in entries]
    ends = [entry["by_step"][-1]["step"] for entry in entries]
    numbers = f"{_late_sentence(entries)} {_frequency_sentence(columns, entries, confidence)}"
    details = (
        f"Decoder directions (above) and the {count(first['top_tokens'])} tokens of a fixed sample of"
        f" {spread((entry['sample_tokens'] for entry in entries), count)} training tokens that activate a feature most"
        f" (below, Jaccard overlap), held against those at the end of training, step {spread(ends, count)};"
        f" {spread((len(entry['by_step']) for entry in entries), count)} snapshots, on a logarithmic axis. n ="
        f" {spread(fire, count)} features that fire on the sample at the end; the other"
        f" {spread((entry['silent'] for entry in entries), count)} are left out. Lines are medians and bands the middle"
        " 50% and 90% of the features, not intervals of the median. The null is the end of another feature, drawn at"
        f" random. A direction has settled where its cosine stays at {number(first['settled_cosine'], 1)} or more for"
        f" good, a feature where its overlap stays at {number(first['settled_overlap'], 1)} or more as well. {numbers}"
        " Cosine and overlap end at 1, since the end is compared with itself."
    )
    alt = (
        f"Curves of cosine and overlap with the end of training against training steps, beside their null, for"
        f" {plural(len(columns), 'dictionary', 'dictionaries')}. {numbers}"
    )
    return words(_conclusion(columns, entries), details, alt)


def _conclusion(columns: Sequence[Column], entries: Sequence[dict[str, Any]]) -> str:
    """By which part of the training half of the features have settled, for any outcome."""
    parts, late = [], []
    for column, entry in zip(columns, entries, strict=True):
        step, end = half_settled(entry, "settled_share"), entry["by_step"][-1]["step"]
        if step is None:
            late.append(column.name)
        else:
            parts.append(step / max(end, 1))
    if not parts:
        return "Fewer than half of the features have settled before the last snapshot is taken."
    settled = (
        "Half of the features have settled by the snapshot at"
        f" {spread(parts, lambda part: percent(part, 2))} of the training"
    )
    if not late:
        return f"{settled}."
    return f"{settled}; in {dictionaries(len(late), len(entries), late)} fewer have before the last snapshot."


def _late_sentence(entries: Sequence[dict[str, Any]]) -> str:
    """How many features had not settled before the end."""
    shares = [entry["by_step"][-2]["settled_share"] for entry in entries if len(entry["by_step"]) > 1]
    open_ended = spread((1 - share for share in shares if defined(share)), lambda share: percent(share, 2))
    return f"Not settled at the last snapshot but one: {open_ended} of the features."


def _frequency_sentence(columns: Sequence[Column], entries: Sequence[dict[str, Any]], confidence: float) -> str:
    """Whether frequent features settle earlier."""
    found = [entry["spearman"]["settled"] for entry in entries]
    known = [item for item in found if item is not None]
    if len(entries) == 1 or not known:
        value = estimate(known[0], 2) if known else NOT_DEFINED
        brackets = f" ({coverage(confidence)} interval in brackets)" if known and defined(known[0]["low"]) else ""
        return f"Spearman's correlation of the settling step with the frequency at the end: {value}{brackets}."
    apart = [
        column.name
        for column, item in zip(columns, found, strict=True)
        if item is not None and defined(item["low"]) and (item["low"] > 0 or item["high"] < 0)
    ]
    return (
        "Spearman's correlation of the settling step with the frequency at the end:"
        f" {spread((item['value'] for item in known), lambda value: number(value, 2))}; its {coverage(confidence)}"
        f" interval is clear of 0 in {dictionaries(len(apart), len(entries), apart)}."
    )


def _nothing() -> Drawing:
    """A figure that says that there are no snapshots."""
    details = "Snapshots are taken after the steps that `snapshot_steps` of a family of SAEs lists."
    return nothing("no snapshots: saes.<family>.snapshot_steps is empty", SHOWN, NO_SNAPSHOTS, details)
