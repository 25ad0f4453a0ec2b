"""Loss and sparsity of the SAEs: over training, and held out."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from coact.comparison.columns import Column
from coact.comparison.findings import quality_conclusion, seeds_sentence
from coact.comparison.wording import count, percent, plural, spread
from coact.figures.layout import names_across, plain_log_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, SMALL_POINTS, Look, looks, style

HELDOUT_SHADE = "#F3F3F3"
MARGIN = 0.32  # of the training axis: room for the held-out marks
POINT = {"markersize": 4.6, "markeredgecolor": "white", "markeredgewidth": 0.4}
MANY = "trained dictionaries"
MEASURES = {"fvu": "FVU", "l0": "L0"}


def sae_loss_sparsity(
    columns: Sequence[Column], histories: Sequence[pd.DataFrame], evaluations: Sequence[dict[str, Any]]
) -> Drawing:
    """FVU and L0 over training, and the held-out values of both against each other.

    Args:
        columns, histories, evaluations: the columns and, in the same order, history.parquet (no rows for a
            dictionary that was not trained) and evaluation.json of each.
    """
    data = pd.concat([_rows(*entry) for entry in zip(columns, histories, evaluations, strict=True)], ignore_index=True)
    shown = [column for column, entry in zip(columns, evaluations, strict=True) if entry["architecture"] != "identity"]
    with style():
        found = looks(columns)
        figure = Figure(figsize=(PAGE_WIDTH, 2.45 + 0.17 * math.ceil(len(shown) / 3)), layout="constrained")
        axes = list(figure.subplots(1, 3))
        for panel, measure in zip(axes, MEASURES, strict=False):
            _draw_curves(panel, data, measure, shown, found)
        _draw_frontier(axes[2], data, shown, found)
        _legend(figure, shown, found)
    return Drawing(figure, data, _caption(columns, histories, evaluations))


def _rows(column: Column, history: pd.DataFrame, evaluation: dict[str, Any]) -> pd.DataFrame:
    """Training rows and one held-out row: model, sae, series, tokens, reconstruction, fvu, l0, dead_share."""
    shown = ["tokens", "reconstruction", "fvu", "l0", "dead_share"]
    training = history[shown].assign(series="training")
    last = {key: evaluation[key] for key in ("tokens", "fvu", "l0", "dead_share")}
    heldout = pd.DataFrame([{**last, "reconstruction": np.nan, "series": "held out"}])
    table = pd.concat([part for part in (training, heldout) if len(part)], ignore_index=True)
    table[shown] = table[shown].astype(float)  # what is not defined is None in a summary
    return table.assign(model=column.model, sae=column.sae)[["model", "sae", "series", *shown]]


def _draw_curves(
    panel: Axes, data: pd.DataFrame, measure: str, columns: Sequence[Column], found: dict[str, Look]
) -> None:
    names = data["model"] + "/" + data["sae"]
    training = data["series"] == "training"
    longest = data.loc[training, "tokens"].max() if training.any() else 1
    for place, column in enumerate(columns):
        look, mine = found[column.name], names == column.name
        sns.lineplot(data[mine & training], x="tokens", y=measure, color=look.color, linestyle=_line(look),
                     linewidth=1.1, errorbar=None, estimator=None, legend=False, ax=panel)  # fmt: skip
        slot = longest * (1.03 + MARGIN * (place + 0.5) / len(columns))
        panel.plot(slot, data.loc[mine & ~training, measure], look.marker, color=look.color, **POINT)
    panel.axvspan(longest * 1.03, longest * (1.03 + MARGIN), color=HELDOUT_SHADE, zorder=0, linewidth=0)
    panel.set_yscale("log")
    plain_log_ticks(panel.yaxis, data[measure])
    panel.set_xlim(0, longest * (1.03 + MARGIN))
    unit, word = (1e6, "millions") if longest >= 2e6 else (1e3, "thousands")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value / unit:,.4g}")
    panel.xaxis.set_major_locator(
        FixedLocator([tick for tick in MaxNLocator(4).tick_values(0, longest) if tick <= longest])
    )
    panel.set(xlabel=f"Training tokens ({word})", ylabel="", title="")
    panel.set_title(MEASURES[measure], loc="left")
    panel.set_title("held out", loc="right", color=MUTED, fontsize=SMALL_POINTS)


def _draw_frontier(panel: Axes, data: pd.DataFrame, columns: Sequence[Column], found: dict[str, Look]) -> None:
    heldout = data[data["series"] == "held out"]
    heldout = heldout.set_index(heldout["model"] + "/" + heldout["sae"])
    for column in columns:
        look = found[column.name]
        panel.plot(
            heldout.loc[column.name, "l0"], heldout.loc[column.name, "fvu"], look.marker, color=look.color, **POINT
        )
    panel.margins(0.12)
    panel.set(xlabel="L0, held out")
    panel.set_title("FVU, held out", loc="left")
    panel.set_ylim(bottom=0)
    panel.set_xlim(left=0)


def _line(look: Look) -> Any:
    return (0, look.dashes) if look.dashes else "-"


def _legend(figure: Figure, columns: Sequence[Column], found: dict[str, Look]) -> None:
    handles = [
        Line2D([], [], color=found[column.name].color, linestyle=_line(found[column.name]), linewidth=1.2,
               marker=found[column.name].marker, **POINT)
        for column in columns
    ]  # fmt: skip
    names = [column.name for column in columns]
    figure.legend(
        handles,
        names,
        loc="outside upper left",
        ncols=names_across(names),
        labelcolor=INK,
        handlelength=2.4,
    )


def _caption(
    columns: Sequence[Column], histories: Sequence[pd.DataFrame], evaluations: Sequence[dict[str, Any]]
) -> dict[str, str]:
    conclusion = quality_conclusion(columns, evaluations)
    changes = [_late_change(history) for history in histories if len(history)]
    tokens = [entry["tokens"] for entry in evaluations]
    pairs = zip(columns, evaluations, strict=True)
    trained = [(column, entry) for column, entry in pairs if entry["architecture"] != "identity"]
    fvu = [entry["fvu"] for _, entry in trained]
    n = plural(len(changes), "trained dictionary", MANY)
    details = (
        f"FVU is the share of variance unexplained, L0 the number of active features per token. Left and middle:"
        f" training batches, n = {n}; marks in the shaded margin are held-out values. Right: both held out (n ="
        f" {spread(tokens, count)} tokens each). Over the last tenth of training FVU changed by"
        f" {spread(changes, percent)} against the tenth before."
        f" {seeds_sentence([column for column, _ in trained], fvu, 'held-out FVU')}"
    )
    l0 = spread(entry["l0"] for _, entry in trained)
    alt = (
        f"Curves of FVU and L0 over training for {n}, and held-out FVU against L0. Held-out FVU {spread(fvu)}, L0 {l0}."
    )
    return words(conclusion, details, alt)


def _late_change(history: pd.DataFrame) -> float | None:
    """Relative change of the median FVU from the last tenth but one of the tokens to the last; None if too short."""
    tokens, fvu = history["tokens"].to_numpy(), history["fvu"].to_numpy()
    end = tokens.max()
    last, before = fvu[tokens > 0.9 * end], fvu[(tokens > 0.8 * end) & (tokens <= 0.9 * end)]
    if not len(last) or not len(before) or np.median(before) == 0:
        return None
    return float(np.median(last) / np.median(before) - 1)
