"""Tail probabilities of pair counts, and the false discovery rate.

In: counts with the mean, variance and range that a null gives them; p-values. Out: p-values of both tails; q-values.

Method: the count is taken as hypergeometric with real parameters that match the largest possible count m, the mean
and the variance: m draws without return from t tokens, t = (m - r) / (1 - r), where r is the variance over that of the
binomial with the same m and mean. For two features that are independent but for their counts in one group this is
exact; for a sum over groups, or for sets of a fixed size, it is an approximation by matched moments. Its limits are
the binomial (r = 1) and, for large m, the Poisson distribution. Unlike a binomial matched to mean and variance, which
can count no further than E^2 / (E - V), it gives no count that can be observed the probability 0.

False discovery rate: Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289.
"""

import numpy as np
from numba import njit

from coact.errors import ConfigError

NEGLIGIBLE = 1e-17  # share of a sum below which further, falling terms are left out
NO_VARIANCE = 1e-12  # variance over mean below which the count is taken as fixed


def tail_probabilities(
    count: np.ndarray, expected: np.ndarray, variance: np.ndarray, least: np.ndarray, most: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P(N >= count) and P(N <= count), each (pairs,) float64.

    Args:
        count: (pairs,) observed counts, least <= count <= most.
        expected, variance: (pairs,) mean and variance of N. A variance that the range does not allow is brought to the
            nearest that it does. Without variance both probabilities are 1.
        least, most: (pairs,) range of N.
    """
    moments = (np.ascontiguousarray(values, np.float64) for values in (expected, variance))
    limits = (np.ascontiguousarray(values, np.int64) for values in (least, most))
    return _tails(np.ascontiguousarray(count, np.int64), *moments, *limits)


def benjamini_hochberg(p: np.ndarray, tests: int) -> np.ndarray:
    """(n,) q-values of the (n,) given p-values among `tests` tests, of which the others have p = 1.

    Rejecting where q <= level keeps the expected share of false ones among the rejected at or below the level, for
    independent tests and for some dependent ones.

    Raises:
        ConfigError: there are fewer tests than p-values.
    """
    if tests < len(p):
        raise ConfigError(f"tests is {tests:,}; expected at least the number of p-values, {len(p):,}")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (tests / np.arange(1, len(p) + 1))
    q = np.empty(len(p), np.float64)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


@njit(cache=True)
def _tails(
    count: np.ndarray, expected: np.ndarray, variance: np.ndarray, least: np.ndarray, most: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    at_least, at_most = np.ones(len(count)), np.ones(len(count))
    for item in range(len(count)):
        mean, largest = expected[item], most[item]
        if variance[item] > NO_VARIANCE * mean and mean < largest:
            share = mean / largest
            reciprocal = _reciprocal_tokens(mean, variance[item], least[item], largest)
            at_least[item], at_most[item] = _sum_tails(count[item], mean, share, reciprocal, least[item], largest)
    return at_least, at_most


@njit(cache=True)
def _reciprocal_tokens(mean: float, variance: float, least: int, most: int) -> float:
    """1 / t, between 0 (binomial) and the largest value at which every count from `least` to `most` is possible."""
    share = mean / most
    ratio = variance / (mean * (1 - share))
    if ratio >= 1 or most == 1:
        return 0.0
    return min((1 - ratio) / (most - ratio), share / most, (1 - share) / (most - least))


@njit(cache=True)
def _sum_tails(count: int, mean: float, share: float, reciprocal: float, least: int, most: int) -> tuple[float, float]:
    """Both tails, from the ratios of successive probabilities, outwards from a count near the mode."""
    start = min(max(round(mean), least), most)
    above, below = (1.0 if start >= count else 0.0), (1.0 if start <= count else 0.0)
    total = term = 1.0
    for x in range(start, most):
        up, down = (most - x) * (share - x * reciprocal), (x + 1) * (1 - share - (most - x - 1) * reciprocal)
        term *= max(up, 0.0) / max(down, 1e-300)
        total += term
        above += term if x + 1 >= count else 0.0
        below += term if x + 1 <= count else 0.0
        if term == 0 or (x + 1 >= count and term <= NEGLIGIBLE * above):
            break
    term = 1.0
    for x in range(start, least, -1):
        up, down = (most - x + 1) * (share - (x - 1) * reciprocal), x * (1 - share - (most - x) * reciprocal)
        term *= max(down, 0.0) / max(up, 1e-300)
        total += term
        above += term if x - 1 >= count else 0.0
        below += term if x - 1 <= count else 0.0
        if term == 0 or (x - 1 <= count and term <= NEGLIGIBLE * below):
            break
    return min(above / total, 1.0), min(below / total, 1.0)
