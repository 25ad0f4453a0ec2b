"""True features and SAE features, by the cosine of their directions.

In: directions of true features and decoder rows. Out: who is whose partner, and which true features are merged.

The largest cosine of a true feature to any decoder row, and its mean over true features (mean max cosine similarity,
MMCS), are measures of Sharkey et al. 2022 and Cunningham et al. 2023. They count a decoder row as often as it is the
nearest, so features are found by a one-to-one matching (Kuhn 1955) instead.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from coact.sae.truth.planted import Truth
from coact.sae.truth.settings import GROUP

MERGED_RATIO = 0.5


def cosines(directions: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(F, d) and (D, d), of any norm -> (F, D) float64; 0 for a row of zeros."""
    return _unit(directions) @ _unit(rows).T


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros(rows.shape), where=norms > 0)


def partners(cosine: np.ndarray, found_cosine: float) -> np.ndarray:
    """The SAE feature of every true feature, one to one.

    First as many pairs as possible have a cosine above `found_cosine`, then the sum of the cosines is as large as
    possible. (The largest sum alone may give up a pair that is found for two that are not.)

    Args:
        cosine: (F, D).
    Returns:
        (F,) int64; -1 where there are fewer SAE features than true ones and this one has none.
    """
    # One more found pair outweighs any sum of cosines, which are between -1 and 1.
    bonus = 2.0 * min(cosine.shape) + 1
    rows, columns = linear_sum_assignment(cosine + bonus * (cosine > found_cosine), maximize=True)
    found = np.full(len(cosine), -1, np.int64)
    found[rows] = columns
    return found


def merged(truth: Truth, rows: np.ndarray, nearest: np.ndarray, found_cosine: float) -> np.ndarray:
    """Whether the nearest SAE feature of a true feature of a group stands for several members of the group.

    It does if its direction lies in the span of the group's (the cosine to its projection is above `found_cosine`), and
    at least two members, this one among them, have a coefficient in it of at least half the largest.

    Args:
        rows: (D, d) decoder rows, of any norm.
        nearest: (F,) SAE feature with the largest cosine.
    Returns:
        (F,) float64, 1 or 0; NaN for features of no group.
    """
    result = np.full(len(nearest), np.nan)
    grouped = np.flatnonzero(truth.kind == GROUP)
    for unit in np.unique(truth.unit[grouped]):
        members = np.flatnonzero(truth.unit == unit)
        basis = truth.directions[members].T.astype(np.float64)
        coefficients = np.linalg.lstsq(basis, _unit(rows[nearest[members]]).T, rcond=None)[0].T
        within = np.linalg.norm(coefficients @ basis.T, axis=1) > found_cosine
        large = (coefficients > 0) & (coefficients >= MERGED_RATIO * coefficients.max(1, keepdims=True))
        result[members] = within & (large.sum(1) > 1) & large.diagonal()
    return result
