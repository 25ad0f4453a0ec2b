"""Compiled loops of the graph: top-k sets, pairs, columns, dot products, merging.

All take and return plain NumPy arrays. Those that run on several threads give each result element to one thread,
which sums in a fixed order, so the bytes do not depend on the number of threads.
"""

import numpy as np
from numba import njit, prange

PAIR_SHIFT = 32  # a pair (low, high) is the int64 key low << 32 | high: ascending keys are ascending pairs
PAIR_MASK = (1 << PAIR_SHIFT) - 1
TOKENS_AT_ONCE = 256


@njit(cache=True, parallel=True)
def select_topk(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, k: int, set_indptr: np.ndarray, set_indices: np.ndarray
) -> None:
    """Fill `set_indices` with the indices of the k largest values of every row, ascending; ties go to the lower index.

    Args:
        indptr, indices, values: compressed sparse rows, int64, int32, float32, indices ascending within a row.
        k: largest size of a set.
        set_indptr: (rows + 1,) int64, the sets' bounds: row r has min(k, entries of r) members.
        set_indices: (set_indptr[-1],) int32, filled here.
    """
    n_rows = len(indptr) - 1
    for chunk in prange((n_rows + TOKENS_AT_ONCE - 1) // TOKENS_AT_ONCE):
        # The row's largest values so far, descending.
        best = np.empty(min(k, len(values)), np.float32)
        for row in range(chunk * TOKENS_AT_ONCE, min(n_rows, (chunk + 1) * TOKENS_AT_ONCE)):
            first, last, out = indptr[row], indptr[row + 1], set_indptr[row]
            if last - first <= k:
                for entry in range(first, last):
                    set_indices[out + entry - first] = indices[entry]
                continue
            for entry in range(first, first + k):
                _insert(best, entry - first, values[entry])
            for entry in range(first + k, last):
                if values[entry] > best[k - 1]:
                    _insert(best, k - 1, values[entry])
            # All above the k-th value belong; of those that equal it, the lowest indices fill what is left.
            threshold = best[k - 1]
            ties = 1
            while ties < k and best[k - 1 - ties] == threshold:
                ties += 1
            for entry in range(first, last):
                if values[entry] > threshold:
                    set_indices[out] = indices[entry]
                    out += 1
                elif ties > 0 and values[entry] == threshold:
                    set_indices[out] = indices[entry]
                    out += 1
                    ties -= 1


@njit(cache=True)
def _insert(best: np.ndarray, position: int, value: float) -> None:
    """Put `value` in its place among the descending best[:position]; what was at `position` is lost."""
    while position > 0 and best[position - 1] < value:
        best[position] = best[position - 1]
        position -= 1
    best[position] = value


@njit(cache=True)
def write_pairs(set_indptr: np.ndarray, set_indices: np.ndarray, first: int, last: int, keys: np.ndarray) -> None:
    """Fill `keys` with the pair keys of sets first..last-1, in order."""
    out = 0
    for row in range(first, last):
        for low in range(set_indptr[row], set_indptr[row + 1]):
            for high in range(low + 1, set_indptr[row + 1]):
                keys[out] = np.int64(set_indices[low]) << PAIR_SHIFT | np.int64(set_indices[high])
                out += 1


@njit(cache=True)
def transpose(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, n_features: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed sparse rows as compressed sparse columns.

    Returns:
        (D + 1,) int64 bounds of the columns, (entries,) uint32 rows, ascending within a column, (entries,) float32
        values. Unsigned, since a signed index costs a test for its sign wherever it is used.
    """
    bounds = np.zeros(n_features + 1, np.int64)
    for entry in range(len(indices)):
        bounds[indices[entry] + 1] += 1
    for feature in range(n_features):
        bounds[feature + 1] += bounds[feature]
    place = bounds[:-1].copy()
    rows = np.empty(len(indices), np.uint32)
    column_values = np.empty(len(indices), np.float32)
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            out = place[indices[entry]]
            rows[out] = row
            column_values[out] = values[entry]
            place[indices[entry]] = out + 1
    return bounds, rows, column_values


@njit(cache=True)
def squared_norms(bounds: np.ndarray, column_values: np.ndarray) -> np.ndarray:
    """(D,) float64 squared Euclidean norms of sparse columns."""
    norms = np.zeros(len(bounds) - 1, np.float64)
    for feature in range(len(norms)):
        for entry in range(bounds[feature], bounds[feature + 1]):
            norms[feature] += np.float64(column_values[entry]) * np.float64(column_values[entry])
    return norms


@njit(cache=True)
def group_by(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """The order (int64) that sorts `labels` (integers below `n_labels`) and keeps the order of equal ones."""
    place = np.zeros(n_labels + 1, np.int64)
    for item in range(len(labels)):
        place[labels[item] + 1] += 1
    for label in range(n_labels):
        place[label + 1] += place[label]
    order = np.empty(len(labels), np.int64)
    for item in range(len(labels)):
        order[place[labels[item]]] = item
        place[labels[item]] += 1
    return order


@njit(cache=True, parallel=True)
def dot_columns(
    order: np.ndarray,
    longer: np.ndarray,
    shorter: np.ndarray,
    cuts: np.ndarray,
    n_rows: int,
    bounds: np.ndarray,
    rows: np.ndarray,
    column_values: np.ndarray,
) -> np.ndarray:
    """Dot products of pairs of sparse columns.

    A column that is spread out over a dense vector once serves every pair that it is the longer of, each at the cost
    of the shorter column's entries.

    Args:
        order: (pairs,) int64, pairs with equal `longer` side by side.
        longer, shorter: (pairs,) the columns of each pair.
        cuts: bounds in `order` of the pieces that the threads work on.
        n_rows: rows of the matrix.
        bounds, rows, column_values: sparse columns, see `transpose`.

    Returns:
        (pairs,) float64, in the order of `longer`.
    """
    dots = np.empty(len(order), np.float64)
    for piece in prange(len(cuts) - 1):
        dense = np.zeros(n_rows, np.float32)
        held = -1
        for item in range(cuts[piece], cuts[piece + 1]):
            pair = order[item]
            column, other = longer[pair], shorter[pair]
            if column != held:
                if held >= 0:
                    for entry in range(bounds[held], bounds[held + 1]):
                        dense[rows[entry]] = 0.0
                for entry in range(bounds[column], bounds[column + 1]):
                    dense[rows[entry]] = column_values[entry]
                held = column
            total = 0.0
            for entry in range(bounds[other], bounds[other + 1]):
                total += np.float64(column_values[entry]) * np.float64(dense[rows[entry]])
            dots[pair] = total
    return dots


@njit(cache=True)
def merge_sorted(
    keys_a: np.ndarray,
    counts_a: np.ndarray,
    sums_a: np.ndarray,
    keys_b: np.ndarray,
    counts_b: np.ndarray,
    sums_b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge two tables with ascending int64 keys; counts (int64) and sums (rows, measures) of equal keys are added."""
    size = len(keys_a) + len(keys_b)
    measures = sums_a.shape[1]
    keys, counts, sums = np.empty(size, np.int64), np.empty(size, np.int64), np.empty((size, measures), np.float64)
    a = b = out = 0
    while a < len(keys_a) or b < len(keys_b):
        take_a = b == len(keys_b) or (a < len(keys_a) and keys_a[a] <= keys_b[b])
        take_b = a == len(keys_a) or (b < len(keys_b) and keys_b[b] <= keys_a[a])
        keys[out] = keys_a[a] if take_a else keys_b[b]
        counts[out] = (counts_a[a] if take_a else 0) + (counts_b[b] if take_b else 0)
        for measure in range(measures):
            sums[out, measure] = (sums_a[a, measure] if take_a else 0.0) + (sums_b[b, measure] if take_b else 0.0)
        a += take_a
        b += take_b
        out += 1
    return keys[:out].copy(), counts[:out].copy(), sums[:out].copy()
