"""What features do to predictions, beside random directions of the same size: a dot per feature, a panel per column."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from coact.comparison.columns import Column
from coact.comparison.gain import ablated_gain
from coact.comparison.wording import count, defined, number, percent, plural, spread
from coact.figures.layout import header, legend, of_column, panels
from coact.figures.save import Drawing, nothing, words
from coact.figures.style import INK, looks, style

PATCHES = {"ablation": "taken away where it fires", "addition": "put in where it does not fire"}
DATA = ["model", "sae", "feature", "patch", "tokens", "kl", "kl_random"]
POINT = {"linestyle": "", "marker": "o", "markersize": 4, "markeredgewidth": 0.8}
EQUAL = {"color": INK, "linewidth": 0.8}
GAIN = {"color": INK, "linewidth": 0.8, "linestyle": (0, (3, 1.5))}
NOTHING = "What features do in the model could not be measured in any dictionary."


def effects(
    columns: Sequence[Column],
    lenses: Sequence[pd.DataFrame],
    tables: Sequence[pd.DataFrame],
    summaries: Sequence[dict[str, Any]],
) -> Drawing:
    """Change of the predictions (KL divergence) by features against that by random directions.

    Args:
        columns, lenses, tables, summaries: the columns and, in the same order, lens.parquet, effects.parquet and
            effects.json of each.
    """
    data = pd.concat([_points(*entry) for entry in zip(columns, tables, strict=True)], ignore_index=True)
    if not len(data):
        return nothing("no effects are measured", DATA, NOTHING, "It takes a feature that fires on held-out text.")
    gains = [
        ablated_gain(lens, table, summary["lens"])
        for lens, table, summary in zip(lenses, tables, summaries, strict=True)
    ]
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=5)
        bounds = _bounds(data)
        for column, panel, gain in zip(columns, axes, gains, strict=True):
            mine = of_column(data, column)
            _draw(panel, mine, gain, bounds, found[column.name].color)
            header(panel, column, _lines(mine), found[column.name])
        figure.supxlabel("KL divergence by a random direction of the same norm at the same tokens (nats)")
        figure.supylabel("KL divergence by the feature (nats)")
        _legend(figure, any(defined(gain) for gain in gains))
    return Drawing(figure, data, _caption(columns, data, gains))


def _points(column: Column, table: pd.DataFrame) -> pd.DataFrame:
    """A row per feature and patch that is measured."""
    parts = []
    for patch, tokens in (("ablation", "tokens"), ("addition", "added_tokens")):
        names = {f"{patch}_kl": "kl", f"{patch}_random_kl": "kl_random", tokens: "tokens"}
        part = table[["feature", *names]].rename(columns=names)
        parts.append(part[part["kl"].notna() & part["kl_random"].notna()].assign(patch=patch))
    return pd.concat(parts, ignore_index=True).assign(model=column.model, sae=column.sae)[DATA]


def _bounds(data: pd.DataFrame) -> tuple[float, float]:
    """Ends of both axes; a change of 0 lies at the lower one."""
    values = data[["kl", "kl_random"]].to_numpy().ravel()
    values = values[values > 0]
    return (values.min() / 2, values.max() * 2) if len(values) else (1e-6, 1.0)


def _draw(panel: Axes, points: pd.DataFrame, gain: float, bounds: tuple[float, float], color: str) -> None:
    ends = np.array(bounds)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.plot(ends, ends, zorder=2, **EQUAL)
    if defined(gain):
        panel.plot(ends, gain**2 * ends, zorder=2, **GAIN)
    for patch in PATCHES:
        part = points[points["patch"] == patch]
        x, y = (part[name].clip(lower=bounds[0]) for name in ("kl_random", "kl"))
        panel.plot(x, y, color=color, markerfacecolor=_face(patch, color), zorder=4, **POINT)
    panel.set_xlim(bounds)
    panel.set_ylim(bounds)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(LogLocator(numticks=5))
        axis.set_minor_locator(NullLocator())


def _face(patch: str, color: str) -> str:
    return color if patch == "ablation" else "white"


def _shares(data: pd.DataFrame) -> Mapping[str, tuple[int, int]]:
    """By patch: features that do more than the random direction, and all that are measured."""
    return {
        patch: (int((part["kl"] > part["kl_random"]).sum()), len(part))
        for patch in PATCHES
        if len(part := data[data["patch"] == patch])
    }


def _lines(points: pd.DataFrame) -> list[str]:
    shares = _shares(points)
    if not shares:
        return ["not measured"]
    ablated = points[points["patch"] == "ablation"]
    more = ", ".join(f"{above} of {many}" for above, many in shares.values())
    medians = (number(ablated[name].median(), 2) for name in ("kl", "kl_random"))
    tokens = f"n {count(ablated['tokens'].sum())} tokens"
    return [tokens, f"more than random: {more}", f"{' : '.join(medians)} (median)"]


def _legend(figure: Figure, gain: bool) -> None:
    color = "#777777"
    entries: list[tuple[object, str]] = [
        (Line2D([], [], color=color, markerfacecolor=_face(patch, color), **POINT), text)
        for patch, text in PATCHES.items()
    ]
    entries.append((Line2D([], [], **EQUAL), "as much as random"))
    if gain:
        entries.append((Line2D([], [], **GAIN), "by the readout's gain alone"))
    legend(figure, entries)


def _caption(columns: Sequence[Column], data: pd.DataFrame, gains: Sequence[float]) -> dict[str, str]:
    features = data.groupby(["model", "sae"])["feature"].nunique()
    squares = spread((gain**2 for gain in gains if defined(gain)), lambda value: number(value, 2))
    gain = (
        f" The dashed line is the square of the gain ({squares}), the median spread of their logits over that of random"
        " directions: above it lies what a stronger readout does not account for."
        if any(map(defined, gains))
        else ""
    )
    details = (
        f"n = {spread(features, count)} features per dictionary that are chosen by their labels and by rule, at"
        f" {spread(data['tokens'], count)} held-out tokens each. Divergences are means over the tokens at which a patch"
        f" is made; a change of 0 is drawn at the end of the axis. Above the panels, the features that change the"
        f" predictions more than their random direction does (ablation, addition), and the median divergences of"
        f" ablation, feature : random.{gain}"
    )
    alt = (
        f"For {plural(len(columns), 'dictionary', 'dictionaries')}, the divergence that features cause against that of"
        " random directions, on logarithmic axes with the line of equality."
    )
    return words(_conclusion(columns, data), details, alt)


def _conclusion(columns: Sequence[Column], data: pd.DataFrame) -> str:
    """In what share of the features ablation does more than a random direction, trained beside controls."""
    sides = []
    for control, name in ((False, "trained dictionaries"), (True, "controls")):
        mine = [column.name for column in columns if column.control == control]
        own = data[(data["model"] + "/" + data["sae"]).isin(mine) & (data["patch"] == "ablation")]
        shares = [(part["kl"] > part["kl_random"]).mean() for _, part in own.groupby(["model", "sae"])]
        if shares:
            sides.append(f"{spread(shares, percent)} of the features of {name}")
    if not sides:
        return "No feature is ablated, so what its absence does is not measured."
    return f"Taken away, {' and '.join(sides)} change the predictions more than a random direction of the same norm."
