"""Shape of a distribution: is it bimodal?

In: degrees, or frequencies, one per feature. Out: Hartigan's dip test, and a mixture of two normal distributions
against one; None where not defined.

Degrees and frequencies are counts, and many features share a low count. The dip test's p is for continuous data: on
tied data every step of the distribution function counts as a departure from unimodality, and p comes out far too
small. A mixture fits ties just as badly: a component that sits on one value has no width and any likelihood. Random
jitter would make the result random. So the values of a count are spread evenly over the width of that count,
half a unit to either side: what is tested is the histogram with one bar per count, drawn on the scale in question.
Within a bar the values are more even than chance, so the test errs to the side of unimodality, slightly.
"""

import warnings
from typing import Any

import numpy as np
from diptest import diptest
from numba import njit

LEAST_DIP = 4  # the table of the dip test's distribution starts there
LEAST_MIXTURE = 10
CUTS = (0.25, 0.5, 0.75)
ITERATIONS = 1000
TOLERANCE = 1e-6  # gain in log likelihood per value at which a fit has converged
LEAST_VARIANCE = 1e-6  # added to every variance, so that no component shrinks to a point; as in scikit-learn
LEAST_SIZE = 10 * np.finfo(np.float64).eps  # of a component that holds next to nothing


def spread(values: np.ndarray, unit: float) -> np.ndarray:
    """Counts (multiples of `unit`) spread evenly over their bars, ascending.

    The m values that equal v become v - unit / 2 + unit (r + 1/2) / m for r = 0..m-1.
    """
    distinct, how_many = np.unique(values, return_counts=True)
    place = np.arange(len(values)) - np.repeat(np.cumsum(how_many) - how_many, how_many)
    return np.repeat(distinct, how_many) + unit * ((place + 0.5) / np.repeat(how_many, how_many) - 0.5)


def skewness(values: np.ndarray) -> float:
    """Third central moment over the standard deviation cubed (Fisher-Pearson, not corrected for bias)."""
    centered = values - values.mean()
    return float((centered**3).mean() / (centered**2).mean() ** 1.5)


def unit_of(frequencies: np.ndarray) -> float:
    """The unit of positive frequencies that are counts over one number of tokens: 1 / tokens.

    It is taken as the least of the values and of the gaps between them, which it is as soon as a count is 1 or two
    counts are neighbours; it is never below 1 / tokens.
    """
    distinct = np.unique(frequencies)
    gaps = np.diff(distinct)
    # Gaps of equal counts differ in their last bits.
    return float(min(distinct[0], gaps.min() if len(gaps) else distinct[0]))


def log_degree(degree: np.ndarray) -> np.ndarray:
    """log10(1 + degree), spread on the scale of degrees; ascending."""
    return np.log10(1 + spread(degree, 1.0))


def log_frequency(frequency: np.ndarray) -> np.ndarray:
    """log10 of the frequencies above 0, spread on the scale of counts; ascending."""
    positive = frequency[frequency > 0]
    return np.log10(spread(positive, unit_of(positive))) if len(positive) else positive


def dip_test(ordered: np.ndarray) -> dict[str, Any] | None:
    """Hartigan and Hartigan's dip test of unimodality (1985, The Annals of Statistics 13:70).

    Args:
        ordered: (n,) values, spread.

    Returns:
        statistic (the dip), p (from the table of the test's distribution under a uniform density, interpolated; 0
        means a dip above the largest in the table; above 72,000 values the table's last row stands for the limit of
        sqrt(n) times the dip) and n, or None below four values.
    """
    if len(ordered) < LEAST_DIP:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sample size exceeds", UserWarning)
        statistic, p = diptest(ordered, sort_x=False)
    return {"statistic": float(statistic), "p": float(p), "n": len(ordered)}


def mixture_test(ordered: np.ndarray) -> dict[str, Any] | None:
    """A mixture of two normal distributions against one, by the Bayesian information criterion (BIC, lower is better).

    Two components also fit a skewed distribution of one mode better than one does: `preferred` 2 alone is no
    evidence of two modes, see the dip test.

    Args:
        ordered: (n,) values, spread, ascending.

    Returns:
        bic_one, bic_two, preferred (1 or 2), means and weights (of the two components, the lower mean first), or None
        below ten values. The fit is by expectation maximisation (Dempster, Laird and Rubin 1977, Journal of the Royal
        Statistical Society B 39:1). It starts from the values cut at each quartile and the best is taken; nothing is
        random.
    """
    n = len(ordered)
    if n < LEAST_MIXTURE:
        return None
    values = np.ascontiguousarray(ordered, np.float64)
    whole = np.array([[1.0, values.mean(), values.var() + LEAST_VARIANCE]])
    parts, likelihood = _fit_two(values)
    # Two free numbers for one component; five for two, since their weights sum to 1.
    bic_one = 2 * np.log(n) - 2 * _expect(values, whole)[1]
    bic_two = 5 * np.log(n) - 2 * likelihood
    return {
        "bic_one": float(bic_one),
        "bic_two": float(bic_two),
        "preferred": 2 if bic_two < bic_one else 1,
        "means": parts[:, 1].tolist(),
        "weights": parts[:, 0].tolist(),
    }


def mode_boundary(ordered: np.ndarray, level: float) -> float | None:
    """Where the lower of two modes ends.

    Args:
        ordered: (n,) values, spread, ascending.
        level: p of the dip test below which there are two modes, if BIC prefers two components as well.

    Returns:
        The least value between the means of the two components that is more likely of the higher one; None where there
        are no two modes.
    """
    dip, mixture = dip_test(ordered), mixture_test(ordered)
    if not dip or not mixture or dip["p"] >= level or mixture["preferred"] == 1:
        return None
    values = np.ascontiguousarray(ordered, np.float64)
    shares, _ = _expect(values, _fit_two(values)[0])
    low, high = mixture["means"]
    higher = values[(shares[1] > 0.5) & (values > low) & (values <= high)]
    return float(higher[0]) if len(higher) else high


def _fit_two(values: np.ndarray) -> tuple[np.ndarray, float]:
    """The likeliest two components, the lower mean first, and their log likelihood."""
    parts, likelihood = max((_fit(values, _start(values, cut)) for cut in CUTS), key=lambda fit: fit[1])
    return parts[np.argsort(parts[:, 1], kind="stable")], likelihood


def _start(values: np.ndarray, cut: float) -> np.ndarray:
    """(2, 3) float64 weight, mean and variance of the values below and above a quantile."""
    place = max(1, min(len(values) - 1, round(cut * len(values))))
    floor = max(1e-3 * values.var(), LEAST_VARIANCE)
    parts = values[:place], values[place:]
    return np.array([[len(part) / len(values), part.mean(), max(part.var(), floor)] for part in parts])


def _fit(values: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, float]:
    """Components (as in `_start`) that expectation maximisation ends with, and their log likelihood."""
    shares, likelihood = _expect(values, parts)
    for _ in range(ITERATIONS):
        parts = _maximise(values, shares)
        before = likelihood
        shares, likelihood = _expect(values, parts)
        if likelihood - before < TOLERANCE * len(values):
            break
    return parts, likelihood


@njit(cache=True)
def _expect(values: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, float]:
    """(components, n) each component's share in each value, and the log likelihood."""
    shares, total = np.empty((len(parts), len(values))), 0.0
    scale = np.log(parts[:, 0]) - 0.5 * np.log(2 * np.pi * parts[:, 2])
    for item in range(len(values)):
        largest = -np.inf
        for part in range(len(parts)):
            shares[part, item] = scale[part] - 0.5 * (values[item] - parts[part, 1]) ** 2 / parts[part, 2]
            largest = max(largest, shares[part, item])
        density = 0.0
        for part in range(len(parts)):
            shares[part, item] = np.exp(shares[part, item] - largest)
            density += shares[part, item]
        for part in range(len(parts)):
            shares[part, item] /= density
        total += largest + np.log(density)
    return shares, total


@njit(cache=True)
def _maximise(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The components of which each value is held in these shares."""
    parts = np.empty((len(shares), 3))
    for part in range(len(shares)):
        size, mean, variance = LEAST_SIZE, 0.0, 0.0
        for item in range(len(values)):
            size += shares[part, item]
            mean += shares[part, item] * values[item]
        mean /= size
        for item in range(len(values)):
            variance += shares[part, item] * (values[item] - mean) ** 2
        parts[part, 0], parts[part, 1], parts[part, 2] = size / len(values), mean, variance / size + LEAST_VARIANCE
    return parts
