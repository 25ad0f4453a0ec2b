"""Correlation of two quantities over features, with a bootstrap interval.

In: two vectors, one value per feature. Out: value, interval and n, or None where the correlation is not defined.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

VALUES_AT_ONCE = 1 << 16  # pieces that stay in the cache
LEAST_FEATURES = 3
ROUNDING = 1e-12  # a variance below this share of the mean square is rounding, not variation


def correlate(
    x: np.ndarray, y: np.ndarray, *, ranked: bool, bootstrap: int, confidence: float, seed: int
) -> dict[str, Any] | None:
    """Pearson or Spearman correlation with a percentile bootstrap interval over features.

    Features are drawn with replacement, x and y of a feature together; ranks are taken anew in every bootstrap
    sample, since ranks of the whole sample would leave their own uncertainty out (Efron and Tibshirani 1993, An
    Introduction to the Bootstrap, chapter 13). The interval treats features as independent, which those of one
    dictionary are not quite: it tells how much the value hangs on single features, not how it varies between texts.

    Args:
        x, y: (n,) values; features where either is not finite are left out.
        ranked: True for Spearman (ties share their mean rank), False for Pearson.
        bootstrap: number of bootstrap samples.
        confidence: coverage of the interval, in (0, 1).
        seed: seed of the bootstrap.

    Returns:
        value, low, high (floats) and n, or None below three features or when x or y does not vary. Bootstrap samples
        in which one of them does not vary are left out; when more than half are, low and high are None.
    """
    measure, n = _measure(x, y, ranked)
    if measure is None:
        return None
    value = float(measure(np.ones((1, n)))[0])
    samples = np.concatenate([measure(times) for times in _resample(n, bootstrap, seed)])
    samples = samples[np.isfinite(samples)]
    low = high = None
    if 2 * len(samples) >= bootstrap:
        low, high = (float(q) for q in np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2]))
    return {"value": value, "low": low, "high": high, "n": n}


def correlation(x: np.ndarray, y: np.ndarray, *, ranked: bool) -> float | None:
    """The value that `correlate` gives, without an interval."""
    measure, n = _measure(x, y, ranked)
    return None if measure is None else float(measure(np.ones((1, n)))[0])


def ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 1 on, float64; equal values share their mean rank. Importing scipy.stats takes a second."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _measure(x: np.ndarray, y: np.ndarray, ranked: bool) -> tuple["_Pearson | _Spearman | None", int]:
    """The measure over the features where both are finite, None where it is not defined; and their number."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x[finite], np.float64), np.asarray(y[finite], np.float64)
    if len(x) < LEAST_FEATURES or x.min() == x.max() or y.min() == y.max():
        return None, len(x)
    return (_Spearman(x, y) if ranked else _Pearson(x, y)), len(x)


def _resample(n: int, bootstrap: int, seed: int) -> Iterator[np.ndarray]:
    """Bootstrap samples in pieces: (samples, n) float64, how often each feature was drawn."""
    generator = np.random.default_rng(seed)
    at_once = max(1, VALUES_AT_ONCE // n)
    for first in range(0, bootstrap, at_once):
        size = min(at_once, bootstrap - first)
        drawn = generator.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


class _Pearson:
    """Pearson correlations of samples that hold feature i `times[s, i]` times."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x - x.mean(), y - y.mean()

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """(samples, n) float64 counts -> (samples,) float64, NaN for a sample in which a variable does not vary."""
        n, x, y = times.shape[1], self.x, self.y
        # einsum sums in a fixed order; a matrix product's order depends on the number of threads.
        mean_x, mean_y = np.einsum("si,i->s", times, x) / n, np.einsum("si,i->s", times, y) / n
        square_x, square_y = np.einsum("si,i->s", times, x * x) / n, np.einsum("si,i->s", times, y * y) / n
        product = np.einsum("si,i->s", times, x * y) / n
        variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
        varies = (variance_x > ROUNDING * square_x) & (variance_y > ROUNDING * square_y)
        return _ratio(product - mean_x * mean_y, variance_x, variance_y, varies)


class _Spearman:
    """Spearman correlations of samples that hold feature i `times[s, i]` times."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = _TiedOrder(x), _TiedOrder(y)

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """(samples, n) float64 counts -> (samples,) float64, NaN for a sample in which a variable does not vary."""
        x, y = self.x.centred_ranks(times), self.y.centred_ranks(times)
        variance_x, variance_y = np.einsum("si,si,si->s", times, x, x), np.einsum("si,si,si->s", times, y, y)
        # Ranks are multiples of one half: where a sample does not vary, all are exactly zero.
        return _ratio(
            np.einsum("si,si,si->s", times, x, y), variance_x, variance_y, (variance_x > 0) & (variance_y > 0)
        )


class _TiedOrder:
    """The order of values, with their ties, from which the ranks in any resample follow without sorting."""

    def __init__(self, values: np.ndarray) -> None:
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # the last place of each tied group
        self.group = np.searchsorted(ordered[self.last], values)

    def centred_ranks(self, times: np.ndarray) -> np.ndarray:
        """Mean ranks within each sample, minus their mean over the sample."""
        upto = np.cumsum(times[:, self.order], axis=1)[:, self.last]
        before = np.concatenate([np.zeros((len(times), 1)), upto[:, :-1]], axis=1)
        ranks = (before + upto + 1) / 2
        return (ranks - (times.shape[1] + 1) / 2)[:, self.group]


def _ratio(covariance: np.ndarray, variance_x: np.ndarray, variance_y: np.ndarray, varies: np.ndarray) -> np.ndarray:
    """Correlations in [-1, 1]; NaN where a variable does not vary."""
    scale = np.sqrt(np.where(varies, variance_x * variance_y, 1.0))
    return np.where(varies, np.clip(covariance / scale, -1.0, 1.0), np.nan)
