"""Matching of the features of two dictionaries of other seed, width, architecture or model.

In: decoder rows, or activations over the same tokens. Out: a table of similarities, and from it who is whose partner.

Two measures of similarity: the cosine of decoder rows, which needs dictionaries of one space, and the Pearson
correlation of activations, which does not, and by which Bricken et al. 2023 (Towards Monosemanticity) measure
universality. Two kinds of partners: one to one with the largest total similarity (the assignment problem: Kuhn 1955,
Naval Research Logistics Quarterly 2:83; solved as in Crouse 2016, IEEE Transactions on Aerospace and Electronic Systems
52:1679), and the best one for every feature by itself.
"""

from collections.abc import Iterable
from itertools import zip_longest

import numpy as np
import pandas as pd
from numba import njit, prange
from scipy.optimize import linear_sum_assignment

from coact.errors import StudyError
from coact.features.batches import SparseBatch
from coact.graph.kernels import transpose
from coact.interpretation.similarity import unit_rows, variance

MOST_PAIRS = 1 << 28  # of features: 2 GiB of float64 sums, which 16,384 x 16,384 just fills
ROWS_AT_ONCE = 512


def cosine_similarity(W_a: np.ndarray, W_b: np.ndarray) -> np.ndarray:
    """Cosines of the decoder rows of two dictionaries.

    Args:
        W_a, W_b: (D_a, d) and (D_b, d), one row per feature, of any length.

    Returns:
        (D_a, D_b) float32 in [-1, 1]; 0 for a row of zeros, which has no direction.

    Raises:
        StudyError: the rows have different numbers of dimensions.
    """
    if W_a.shape[1] != W_b.shape[1]:
        raise StudyError(
            f"decoder rows have {W_a.shape[1]:,} and {W_b.shape[1]:,} dimensions; expected dictionaries of one space"
        )
    return np.clip(unit_rows(W_a) @ unit_rows(W_b).T, -1.0, 1.0)


def activation_correlation(batches_a: Iterable[SparseBatch], batches_b: Iterable[SparseBatch]) -> np.ndarray:
    """Pearson correlations of the activations of two dictionaries over the same kept tokens.

    One pass. Products are summed only where both features are active, in float64 and in the order of the tokens, so the
    cost is that of the pairs of activations on a token, and the bytes do not depend on the number of threads.

    Args:
        batches_a, batches_b: CSR activations of the same tokens in the same order, D_a and D_b features. That
            the tokens are as many, of the same documents, and the same ones kept, is checked; their text is not seen.

    Returns:
        (D_a, D_b) float32 in [-1, 1]; NaN where a feature does not vary.

    Raises:
        StudyError: there is no batch; the batches do not go together, or change in width; or D_a x D_b is above
            `MOST_PAIRS`, since the sums take 8 bytes a pair.
    """
    sums: _Sums | None = None
    for number, (a, b) in enumerate(zip_longest(batches_a, batches_b)):
        _check_aligned(number, a, b)
        sums = sums or _Sums(a.n_features, b.n_features)
        sums.add(number, a, b)
    if sums is None:
        raise StudyError("there is no batch of activations to correlate; expected at least one")
    return sums.correlations()


def _check_aligned(number: int, a: SparseBatch | None, b: SparseBatch | None) -> None:
    if a is None or b is None:
        missing, other = ("first", "second") if a is None else ("second", "first")
        raise StudyError(
            f"batch {number}: the {missing} dictionary has none, the {other} has; expected the same tokens"
        )
    if len(a.kept) != len(b.kept):
        raise StudyError(
            f"batch {number}: {len(a.kept):,} tokens of the first dictionary and {len(b.kept):,} of the second; "
            "expected the same tokens"
        )
    for name, one, other in (("kept", a.kept, b.kept), ("documents", a.documents, b.documents)):
        differ = np.flatnonzero(one != other)
        if len(differ):
            raise StudyError(
                f"batch {number}: `{name}` of the two dictionaries differs at {len(differ):,} tokens, the first of "
                f"them token {differ[0]:,}; expected the same tokens"
            )


class _Sums:
    """Sums over tokens from which correlations follow."""

    def __init__(self, n_a: int, n_b: int) -> None:
        if n_a * n_b > MOST_PAIRS:
            raise StudyError(
                f"correlating {n_a:,} with {n_b:,} features takes {n_a * n_b:,} sums; expected at most {MOST_PAIRS:,}"
            )
        self.tokens = 0
        self.totals = np.zeros(n_a), np.zeros(n_b)
        self.squares = np.zeros(n_a), np.zeros(n_b)
        self.products = np.zeros((n_a, n_b))

    def add(self, number: int, a: SparseBatch, b: SparseBatch) -> None:
        """Add the sums of two aligned batches; `number` names them in the error where their widths differ."""
        if (a.n_features, b.n_features) != self.products.shape:
            raise StudyError(
                f"batch {number} has {a.n_features:,} and {b.n_features:,} features; expected "
                f"{self.products.shape[0]:,} and {self.products.shape[1]:,} as in those before it"
            )
        for batch, total, square in zip((a, b), self.totals, self.squares, strict=True):
            _add_sums(*batch.arrays()[1:], total, square)
        columns = transpose(*a.arrays(), a.n_features)
        _add_products(*columns, *b.arrays(), self.products)
        self.tokens += int(a.kept.sum())

    def correlations(self) -> np.ndarray:
        """(D_a, D_b) float32, NaN where a feature does not vary."""
        n = max(self.tokens, 1)
        mean_a, mean_b = (total / n for total in self.totals)
        deviation_a, deviation_b = (
            np.sqrt(variance(square / n, mean)) for square, mean in zip(self.squares, (mean_a, mean_b), strict=True)
        )
        found = np.empty(self.products.shape, np.float32)
        for first in range(0, len(found), ROWS_AT_ONCE):  # float64 of all pairs once is enough
            rows = slice(first, first + ROWS_AT_ONCE)
            covariance = self.products[rows] / n - np.multiply.outer(mean_a[rows], mean_b)
            found[rows] = np.clip(covariance / np.multiply.outer(deviation_a[rows], deviation_b), -1.0, 1.0)
        return found


@njit(cache=True)
def _add_sums(indices: np.ndarray, values: np.ndarray, totals: np.ndarray, squares: np.ndarray) -> None:
    for entry in range(len(indices)):
        feature, value = np.uint32(indices[entry]), np.float64(values[entry])
        totals[feature] += value
        squares[feature] += value * value


@njit(cache=True, parallel=True)
def _add_products(
    bounds: np.ndarray,
    rows: np.ndarray,
    column_values: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    products: np.ndarray,
) -> None:
    """Add A^T B to `products`, A in sparse columns and B in sparse rows.

    A feature of A belongs to one thread, which walks its tokens in order over one row of `products`.
    """
    for feature in prange(len(bounds) - 1):
        sums = products[feature]
        for entry in range(bounds[feature], bounds[feature + 1]):
            row, value = rows[entry], np.float64(column_values[entry])
            # Unsigned, or every index would be tested for being negative.
            for other in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
                sums[np.uint32(indices[other])] += value * np.float64(values[other])


def match(similarity: np.ndarray, live_a: np.ndarray, live_b: np.ndarray) -> pd.DataFrame:
    """The one-to-one matching of live features with the largest total similarity.

    Pairs without a similarity (NaN) are not matched: first as many features as possible have a partner, then the total
    is as large as possible. A partner need not be alike: where one dictionary has no counterpart of a feature, it gets
    what is left over. The memory is 8 bytes a pair of live features.

    Args:
        similarity: (D_a, D_b), NaN for none.
        live_a, live_b: (D_a,) and (D_b,) bool, features that take part.

    Returns:
        feature_a int32 (ascending), feature_b int32, similarity float32; as many rows as the smaller number of live
        features, fewer where similarities are lacking.
    """
    features_a, features_b = np.flatnonzero(live_a), np.flatnonzero(live_b)
    cost = similarity[np.ix_(features_a, features_b)].astype(np.float64)
    np.negative(cost, out=cost)
    if cost.size:
        lacking = np.isnan(cost)
        least, most = (float(bound(cost, initial=0.0, where=~lacking)) for bound in (np.min, np.max))
        # Dearer than all that could be gained by rearranging the others.
        cost[lacking] = most + (most - least + 1) * min(cost.shape)
    rows, columns = linear_sum_assignment(cost)
    matched = pd.DataFrame(
        {
            "feature_a": features_a[rows].astype(np.int32),
            "feature_b": features_b[columns].astype(np.int32),
            "similarity": similarity[features_a[rows], features_b[columns]].astype(np.float32),
        }
    )
    return matched.dropna().reset_index(drop=True)


def best_matches(similarity: np.ndarray, live_a: np.ndarray, live_b: np.ndarray) -> pd.DataFrame:
    """For every live feature of the first dictionary the most similar live one of the second (Bricken et al. 2023).

    Not one to one: a feature may be the best of many or of none, and swapping the dictionaries gives another table.

    Args:
        similarity: (D_a, D_b), NaN for none.
        live_a, live_b: (D_a,) and (D_b,) bool, features that take part.

    Returns:
        feature_a int32 (ascending), feature_b int32 (the lower one among equals; -1 where there is none), similarity
        float32 (NaN where there is none).
    """
    features_a, features_b = np.flatnonzero(live_a), np.flatnonzero(live_b)
    best, found = np.full(len(features_a), -1, np.int32), np.full(len(features_a), np.nan, np.float32)
    _find_best(similarity, features_a, features_b, best, found)
    return pd.DataFrame({"feature_a": features_a.astype(np.int32), "feature_b": best, "similarity": found})


@njit(cache=True, parallel=True)
def _find_best(
    similarity: np.ndarray, features_a: np.ndarray, features_b: np.ndarray, best: np.ndarray, found: np.ndarray
) -> None:
    """Fill `best` and `found` where a feature has a similarity that is not NaN."""
    for item in prange(len(features_a)):
        row = similarity[features_a[item]]
        for other in range(len(features_b)):
            value = row[features_b[other]]
            if value > found[item] or (best[item] < 0 and not np.isnan(value)):
                best[item], found[item] = features_b[other], value
