"""Intervals that figures give beside their medians."""

import numpy as np
from scipy.stats import binom


def median_interval(values: np.ndarray, confidence: float) -> tuple[float, float] | None:
    """Distribution-free interval of a median from order statistics (Conover 1999, section 3.2).

    Holds for independent values of any distribution, with at least the coverage asked for.

    Args:
        values: (n,) numbers.
        confidence: coverage, between 0 and 1.
    Returns:
        Bounds, both of them values of the sample; None where n is too small for that coverage.
    """
    n = len(values)
    rank = int(binom.ppf((1 - confidence) / 2, n, 0.5)) if n else 0
    while rank > 0 and binom.cdf(rank - 1, n, 0.5) > (1 - confidence) / 2:
        rank -= 1
    if rank < 1:
        return None
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[n - rank])
