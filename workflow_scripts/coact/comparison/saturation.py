"""Whether the graph has stopped growing with the amount of text.

In: sensitivity.parquet of every column, cut to the study's own choices (`coact.comparison.sensitivity.own_curve`). Out:
how its curves end, and sentences.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.findings import NEAR, tally
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    defined,
    dictionaries,
    number,
    percent,
    plural,
    sentence,
    spread,
)


@dataclass(frozen=True)
class Stretch:
    """The end of a curve, from about half of the batches to all of them.

    Attributes:
        start, stop: numbers of batches.
        slope, slope_null: slope of log edges on log batches, observed and in the null; None where there is no edge.
        pearson, pearson_null: change of Pearson's r of degree and frequency; None where it is not defined.
    """

    start: int
    stop: int
    slope: float | None
    slope_null: float | None
    pearson: float | None
    pearson_null: float | None


def last_stretch(curve: pd.DataFrame) -> Stretch | None:
    """How a curve of `own_curve` ends; None where it has fewer than two points."""
    if len(curve) < 2:
        return None
    batches = curve["batches"].to_numpy(float)
    begin = curve.iloc[int(np.argmin(np.abs(np.log(2 * batches[:-1] / batches[-1]))))]
    end = curve.iloc[-1]
    octaves = np.log(end["batches"] / begin["batches"])

    def slope(edges: str) -> float | None:
        if not (begin[edges] > 0 and end[edges] > 0):
            return None
        return float(np.log(end[edges] / begin[edges]) / octaves)

    changes = [end[key] - begin[key] for key in ("pearson", "pearson_null")]
    known = [float(change) if defined(change) else None for change in changes]
    return Stretch(int(begin["batches"]), int(end["batches"]), slope("edges"), slope("edges_null"), *known)


def saturation_conclusion(columns: Sequence[Column], curves: Sequence[pd.DataFrame]) -> str:
    """Whether more text would still add edges, in the graphs and in the null.

    A curve counts as saturated where, at its end, twice the text adds at most `NEAR` of the edges.
    """
    found = [last_stretch(curve) for curve in curves]
    growth = [_per_doubling(stretch.slope) if stretch else None for stretch in found]
    if not any(map(defined, growth)):
        return f"Whether the number of edges has saturated is {NOT_DEFINED}: there are no edges, or a single point."
    null = [_per_doubling(stretch.slope_null) if stretch else None for stretch in found]
    flat = [column.name for column, value in zip(columns, growth, strict=True) if defined(value) and value <= NEAR]
    chance = [value for value in null if defined(value)]
    return (
        f"The number of edges has saturated in {dictionaries(len(flat), sum(map(defined, growth)), flat)}, and in"
        f" {sum(value <= NEAR for value in chance)} of {plural(len(chance), 'null sample')}: at the rate at"
        f" which the curves end, twice the text means {spread(growth, _two_percent)} more edges, in the null"
        f" {spread(null, _two_percent)}."
    )


def saturation_sentence(curves: Sequence[pd.DataFrame]) -> str:
    """The end of the curves in numbers: slopes of edges, changes of r."""
    found = [stretch for stretch in map(last_stretch, curves) if stretch]
    if not found:
        return f"How the curves end is {NOT_DEFINED}: they have a single point."
    starts, stops = (spread((getattr(one, end) for one in found), count) for end in ("start", "stop"))
    slope, slope_null, change, change_null = (
        spread((getattr(one, key) for one in found), _two) for key in ("slope", "slope_null", "pearson", "pearson_null")
    )
    return (
        f"From {starts} to {stops} batches the slope of log edges on log batches is {slope}, in the null {slope_null}"
        f" (0: saturated, 1: in proportion to the text); r changes by {change}, in the null by {change_null}."
    )


def text_sentence(columns: Sequence[Column], curves: Sequence[pd.DataFrame]) -> str:
    """How far the graphs are from their null with the least text, and with all of it."""
    known = [(column, curve) for column, curve in zip(columns, curves, strict=True) if len(curve) > 1]
    if not known:
        return (
            f"How the distance from the null depends on the amount of text is {NOT_DEFINED}: there is a single point."
        )
    parts = []
    for place in (0, -1):
        rows = pd.DataFrame([curve.iloc[place] for _, curve in known])
        found = tally([column.name for column, _ in known], rows["pearson"].tolist(), rows["pearson_null"].tolist())
        above = (
            f"r is above the null's, by more than {percent(NEAR, 1)}, in {dictionaries(len(found.above), found.total)}"
        )
        parts.append(
            f"with {batches_in_words(rows['batches'])} edges over null edges are {spread(rows['edge_share'], _two)} and"
            f" {above if found.total else f'a comparison of r is {NOT_DEFINED}'}"
        )
    return sentence(f"{'; '.join(parts)}.")


def batches_in_words(numbers: Iterable[float]) -> str:
    """Numbers of batches: 1 batch, 20 batches."""
    shown = spread(numbers, count)
    return f"{shown} {'batch' if shown == '1' else 'batches'}"


def _per_doubling(slope: float | None) -> float | None:
    """Relative growth of what grows by a power of the text, for twice the text."""
    return None if slope is None else 2**slope - 1


def _two(value: float) -> str:
    return number(value, 2)


def _two_percent(share: float) -> str:
    return percent(share, 2)
