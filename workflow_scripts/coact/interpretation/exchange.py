"""What is left of a measure when features are exchanged for others: bins, random orders, and a value beside them."""

from typing import NamedTuple

import numpy as np

INTERVAL = (0.025, 0.975)


class Beside(NamedTuple):
    """A value beside what chance gives; None where not defined.

    Attributes:
        value: observed.
        mean, low, high: of the random draws, their mean, and 2.5 and 97.5 percentiles.
        p: one-sided, (1 + draws at least as large) / (1 + draws) (Phipson and Smyth 2010).
    """

    value: float | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def equal_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(n,) int64 bin of each value, of equally many values to within one; ties by their order."""
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank * bins // max(len(values), 1)


def count_bins(counts: np.ndarray) -> np.ndarray:
    """(n,) int64 bin of each whole number from 0: 0, 1, 2 to 3, 4 to 7, ..., so that a bin spans a factor of two."""
    return np.frexp(counts.astype(np.float64))[1].astype(np.int64)


def exchanged(group: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random order of the places 0..n-1 in which each place keeps its group, (n,) int64.

    `values[exchanged(group, generator)]` are the values, permuted within groups.
    """
    order = np.empty(len(group), np.int64)
    order[np.argsort(group, kind="stable")] = np.lexsort((generator.random(len(group)), group))
    return order


def beside(value: float, drawn: np.ndarray) -> Beside:
    """A value beside random draws of it; draws that are not defined (NaN) are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value):
        return Beside()
    if not len(drawn):
        return Beside(float(value))
    low, high = np.quantile(drawn, INTERVAL)
    above = int((drawn >= value - 1e-12).sum())
    return Beside(float(value), float(drawn.mean()), float(low), float(high), (1 + above) / (1 + len(drawn)))
