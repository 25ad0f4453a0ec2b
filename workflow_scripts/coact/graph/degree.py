"""Degrees. In: ends of edges. Out: neighbours per feature."""

import numpy as np


def degrees(source: np.ndarray, target: np.ndarray, n_features: int) -> np.ndarray:
    """(D,) int64 number of neighbours of each feature; every edge is given once, its ends below `n_features`."""
    return (np.bincount(source, minlength=n_features) + np.bincount(target, minlength=n_features)).astype(np.int64)
