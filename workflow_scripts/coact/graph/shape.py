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
from sklearn.mixture import GaussianMixture

LEAST_DIP = 4  # the table of the dip test's distribution starts there
LEAST_MIXTURE = 10
CUTS = (0.25, 0.5, 0.75)
ITERATIONS = 1000


def spread(values: np.ndarray, unit: float) -> np.ndarray:
    """Counts (multiples of `unit`) spread evenly over their bars, ascending.

    The m values that equal v become v - unit / 2 + unit (r + 1/2) / m for r = 0..m-1.
    """
    distinct, how_many = np.unique(values, return_counts=True)
    place = np.arange(len(values)) - np.repeat(np.cumsum(how_many) - how_many, how_many)
    return np.repeat(distinct, how_many) + unit * ((place + 0.5) / np.repeat(how_many, how_many) - 0.5)


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
        below ten values. The fit starts from the values cut at each quartile and the best is taken; nothing is random.
    """
    if len(ordered) < LEAST_MIXTURE:
        return None
    column = ordered[:, None]
    one = GaussianMixture(1).fit(column)
    two = max((_fit_two(column, cut) for cut in CUTS), key=lambda fit: fit.lower_bound_)
    bic_one, bic_two = float(one.bic(column)), float(two.bic(column))
    order = np.argsort(two.means_[:, 0], kind="stable")
    return {
        "bic_one": bic_one,
        "bic_two": bic_two,
        "preferred": 2 if bic_two < bic_one else 1,
        "means": [float(mean) for mean in two.means_[order, 0]],
        "weights": [float(weight) for weight in two.weights_[order]],
    }


def _fit_two(column: np.ndarray, cut: float) -> GaussianMixture:
    place = max(1, min(len(column) - 1, round(cut * len(column))))
    parts = column[:place], column[place:]
    floor = 1e-3 * column.var()
    return GaussianMixture(
        2,
        max_iter=ITERATIONS,
        weights_init=[len(part) / len(column) for part in parts],
        means_init=[part.mean(axis=0) for part in parts],
        precisions_init=[[[1 / max(part.var(), floor)]] for part in parts],
    ).fit(column)
