"""Correlations and mutual information, compiled: a permutation test takes each of them some thousand times."""

import math

import numpy as np
from numba import njit
from scipy.special import gammaln

LEAST_PAIRS = 3  # of values behind a correlation
ROUNDING = 1e-12  # two values of one figure that differ by less are equal: sums are taken in another order


@njit(cache=True)
def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson correlation of float64 values; NaN below `LEAST_PAIRS` of them, or where some do not vary."""
    if len(x) < LEAST_PAIRS or x.min() == x.max() or y.min() == y.max():
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    return _ratio(sum_of_products(x, y), sum_of_products(x, x), sum_of_products(y, y))


@njit(cache=True)
def union_correlation(
    n: int,
    absent_x: int,
    absent_y: int,
    value_x: float,
    value_y: float,
    square_x: float,
    square_y: float,
    x: np.ndarray,
    y: np.ndarray,
) -> float:
    """Pearson correlation over the pairs that are an edge in at least one of two graphs; NaN where not defined.

    Args:
        n: how many these pairs are.
        absent_x, absent_y: of each graph, how many it has no edge for; these pairs are edges of the other one.
        value_x, value_y: of each graph, the value of such a pair, where those of its edges have mean 0.
        square_x, square_y: of each graph, the sum of squares of the values of its edges.
        x, y: values of the edges in both graphs, float64.
    """
    if n < LEAST_PAIRS:
        return np.nan
    mean_x, mean_y = absent_x * value_x / n, absent_y * value_y / n
    # A graph's values sum to 0, so those of edges that only it has sum to minus those of the common ones.
    product = sum_of_products(x, y) - value_y * x.sum() - value_x * y.sum() - n * mean_x * mean_y
    return _ratio(
        product, square_x + absent_x * value_x * (value_x - mean_x), square_y + absent_y * value_y * (value_y - mean_y)
    )


@njit(cache=True)
def sum_of_products(x: np.ndarray, y: np.ndarray) -> float:
    """In the order of the values: a dot product's order depends on the number of threads."""
    total = 0.0
    for item in range(len(x)):
        total += x[item] * y[item]
    return total


@njit(cache=True)
def _ratio(product: float, square_x: float, square_y: float) -> float:
    if not (square_x > 0 and square_y > 0):
        return np.nan
    return min(1.0, max(-1.0, product / (math.sqrt(square_x) * math.sqrt(square_y))))


@njit(cache=True)
def mean_ranks(groups: np.ndarray, n_groups: int) -> np.ndarray:
    """Ranks from 1 of items whose groups (n,), 0 to n_groups - 1, are in order; those of a group share their mean.

    By counting, (n,) float64.
    """
    times, ranks = np.zeros(n_groups, np.int64), np.empty(len(groups))
    for item in range(len(groups)):
        times[groups[item]] += 1
    before = 0
    mean = np.empty(n_groups)
    for group in range(n_groups):
        mean[group] = before + (times[group] + 1) / 2
        before += times[group]
    for item in range(len(groups)):
        ranks[item] = mean[groups[item]]
    return ranks


def adjusted_information(labels_a: np.ndarray, labels_b: np.ndarray) -> float:
    """Adjusted mutual information of int64 labels from 0 (Vinh, Epps and Bailey 2010); items with -1 are left out.

    NaN where one of them has fewer than two labels, or every item its own in both.
    """
    both = (labels_a >= 0) & (labels_b >= 0)
    one, other = labels_a[both], labels_b[both]
    sizes_a, sizes_b = np.bincount(one), np.bincount(other)
    if min(np.count_nonzero(sizes_a), np.count_nonzero(sizes_b)) < 2:
        return np.nan
    mean_entropy = (_entropy(sizes_a) + _entropy(sizes_b)) / 2
    log_factorials = gammaln(np.arange(len(one) + 1) + 1.0)
    expected = _expected_information(*_sizes(sizes_a), *_sizes(sizes_b), log_factorials)
    most = mean_entropy - expected
    information = _information(np.sort(one * len(sizes_b) + other), sizes_a, sizes_b)
    return min(1.0, (information - expected) / most) if most > ROUNDING * mean_entropy else np.nan


def _entropy(sizes: np.ndarray) -> float:
    share = sizes[sizes > 0] / sizes.sum()
    return float(-(share * np.log(share)).sum())


def _sizes(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct sizes above 0 (int64), and how often each occurs."""
    times = np.bincount(sizes)
    distinct = np.flatnonzero(times[1:]) + 1
    return distinct, times[distinct]


@njit(cache=True)
def _information(cells: np.ndarray, sizes_a: np.ndarray, sizes_b: np.ndarray) -> float:
    """Mutual information of two labellings; an item's cell is label a x len(sizes_b) + label b, cells ascending."""
    n, first, total = len(cells), 0, 0.0
    for last in range(n):
        if last + 1 < n and cells[last + 1] == cells[first]:
            continue
        shared = last + 1 - first
        product = sizes_a[cells[first] // len(sizes_b)] * sizes_b[cells[first] % len(sizes_b)]
        total += shared / n * np.log(n * shared / product)
        first = last + 1
    return total


@njit(cache=True)
def _expected_information(
    sizes_a: np.ndarray, times_a: np.ndarray, sizes_b: np.ndarray, times_b: np.ndarray, log_factorials: np.ndarray
) -> float:
    """Mutual information expected of labellings with these sizes (Vinh, Epps and Bailey 2010, equation 24a).

    Labels of one size are alike: what they share with another follows one hypergeometric distribution.
    """
    n, total = len(log_factorials) - 1, 0.0
    for p in range(len(sizes_a)):
        for q in range(len(sizes_b)):
            a, b, part = sizes_a[p], sizes_b[q], 0.0
            fixed = log_factorials[a] + log_factorials[b] + log_factorials[n - a] + log_factorials[n - b]
            for both in range(max(1, a + b - n), min(a, b) + 1):
                left = log_factorials[a - both] + log_factorials[b - both] + log_factorials[n - a - b + both]
                chance = np.exp(fixed - log_factorials[n] - log_factorials[both] - left)
                part += chance * both / n * np.log(n * both / (a * b))
            total += times_a[p] * times_b[q] * part
    return total
