"""What the model writes when a label's feature is held high: a row per label, a panel per column."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from coact.comparison.columns import Column
from coact.comparison.wording import count, percent, plural, spread
from coact.figures.layout import header, legend, observed_handle, panels
from coact.figures.rows import percent_axis
from coact.figures.save import Drawing, nothing, words
from coact.figures.style import INK, MUTED, looks, style

CONDITIONS = ("steered", "random", "unsteered")
SHARES = [f"{condition}_{share}" for share in ("share_tokens", "share_samples") for condition in CONDITIONS]
DATA = ["model", "sae", "label", "feature", "samples", "tokens", *SHARES]
ROW_INCHES = 0.15
STEERED = {"linestyle": "", "marker": "o", "markersize": 4.2, "markeredgewidth": 0, "zorder": 4}
RANDOM = {"linestyle": "", "marker": "|", "markersize": 7, "markeredgewidth": 1.2, "color": INK, "zorder": 5}
UNSTEERED = {"linestyle": "", "marker": "o", "markersize": 4.6, "markeredgewidth": 0.9, "color": MUTED,
             "markerfacecolor": "none", "zorder": 3}  # fmt: skip
NOTHING = "No feature could be held high to see what the model then writes."


def steering(columns: Sequence[Column], tables: Sequence[pd.DataFrame]) -> Drawing:
    """Share of tokens judged to be of a label, steered, with a random direction and without either.

    Args:
        columns, tables: the columns and, in the same order, steering.parquet of each.
    """
    parts = [_measured(*entry) for entry in zip(columns, tables, strict=True)]
    data = pd.concat(parts, ignore_index=True)
    if not len(data):
        return nothing("no steering is measured", DATA, NOTHING, "It takes a label, and a feature that is like it.")
    labels = list(dict.fromkeys(data["label"]))
    with style():
        found = looks(columns)
        figure, axes = panels(columns, header_lines=4, height=0.3 + ROW_INCHES * len(labels))
        for column, panel, mine in zip(columns, axes, parts, strict=True):
            _draw(panel, mine, labels, found[column.name].color)
            header(panel, column, _lines(mine), found[column.name])
        percent_axis(axes[0], max(0.1, data[SHARES[: len(CONDITIONS)]].max().max()))
        axes[0].set_yticks(range(len(labels)), labels)
        axes[0].set_ylim(len(labels) - 0.4, -0.6)
        figure.supxlabel("Share of written tokens judged to be of the label")
        legend(
            figure,
            [
                (observed_handle(list(found.values())), "the label's feature held high (a colour per dictionary)"),
                (Line2D([], [], **RANDOM), "a random direction added"),
                (Line2D([], [], **UNSTEERED), "neither"),
            ],
        )
    return Drawing(figure, data, _caption(columns, parts, data))


def _measured(column: Column, table: pd.DataFrame) -> pd.DataFrame:
    own = table[table["steered_share_samples"].notna()].assign(model=column.model, sae=column.sae)
    return own[DATA].reset_index(drop=True)


def _draw(panel: Axes, table: pd.DataFrame, labels: Sequence[str], color: str) -> None:
    places = table["label"].map({label: place for place, label in enumerate(labels)})
    for low, high, place in zip(table["unsteered_share_tokens"], table["steered_share_tokens"], places, strict=True):
        panel.plot([low, high], [place, place], color=color, linewidth=0.8, alpha=0.6, zorder=2)
    panel.plot(table["unsteered_share_tokens"], places, **UNSTEERED)
    panel.plot(table["steered_share_tokens"], places, color=color, **STEERED)
    panel.plot(table["random_share_tokens"], places, **RANDOM)
    panel.tick_params(axis="y", length=0)


def _written(table: pd.DataFrame) -> tuple[int, int]:
    """Labels that more texts have under steering than under either control, and all that are measured."""
    rest = table[["random_share_samples", "unsteered_share_samples"]].max(axis=1)
    return int((table["steered_share_samples"] > rest).sum()), len(table)


def _lines(table: pd.DataFrame) -> list[str]:
    if not len(table):
        return ["not measured"]
    above, measured = _written(table)
    return [
        f"more texts of the label: {above} of {measured}",
        f"texts of the label: {percent(table['steered_share_samples'].mean(), 2)}",
    ]


def _caption(columns: Sequence[Column], parts: Sequence[pd.DataFrame], data: pd.DataFrame) -> dict[str, str]:
    samples, tokens = (spread(data[name].unique(), count) for name in ("samples", "tokens"))
    texts = spread((part["steered_share_samples"].mean() for part in parts if len(part)), percent)
    details = (
        f"n = {samples} texts of {tokens} tokens for each label and condition, with the same random numbers for all"
        " conditions. Steered, a feature's activation is held at a multiple of its largest throughout; the random"
        " direction is added at the same size. Tokens are judged by a classifier fitted to training text, whose errors"
        " are what the other two conditions show. Above the panels, the labels that more texts have than under either,"
        f" and the mean share of texts that have theirs ({texts})."
    )
    alt = (
        f"For {plural(len(columns), 'dictionary', 'dictionaries')} and each label, the share of tokens judged to be of"
        " the label when steered, with a random direction, and without either."
    )
    return words(_conclusion(columns, parts), details, alt)


def _conclusion(columns: Sequence[Column], parts: Sequence[pd.DataFrame]) -> str:
    """For how many labels more texts have the label, trained beside controls."""
    sides = []
    for control, name in ((False, "trained dictionaries"), (True, "controls")):
        found = [_written(part) for column, part in zip(columns, parts, strict=True)
                 if column.control == control and len(part)]  # fmt: skip
        if found:
            above, measured = (spread([pair[place] for pair in found], count) for place in (0, 1))
            sides.append(f"for {above} of {measured} labels in {name}")
    return (
        "Held high, a label's feature makes the model write more texts of the label than without it and than with a"
        f" random direction {' and '.join(sides)}."
    )
