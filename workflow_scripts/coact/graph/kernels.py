"""Compiled loops of the graph: sets, pairs and their dot products, columns, merging.

All take and return plain NumPy arrays, run on one thread and let others run: a pass over batches gives each batch to
a thread of its own.
"""

import numpy as np
from numba import njit

from coact.columns import locate_columns

PAIR_SHIFT = 32  # a pair (low, high) is the int64 key low << 32 | high: ascending keys are ascending pairs
PAIR_MASK = (1 << PAIR_SHIFT) - 1
LEAST_ROOM = 1024


@njit(cache=True, nogil=True)
def mark_sets(
    indptr: np.ndarray, values: np.ndarray, sizes: np.ndarray, thresholds: np.ndarray, marks: np.ndarray
) -> None:
    """Mark the entries of every row that belong to its sets: bit r of a mark stands for the set of rule r.

    Args:
        indptr, values: compressed sparse rows, int64 and float32, indices ascending within a row.
        sizes: (rules,) int64, k where the set is the row's k largest values (ties: lower index), else 0.
        thresholds: (rules,) float32; where `sizes` is 0 the set is all values above the threshold.
        marks: (entries,) uint32, filled here; zero before.
    """
    largest = sizes.max()
    by_rank = np.zeros(largest, np.uint32)
    above = np.zeros(len(sizes), np.int64)
    n_above = 0
    for rule in range(len(sizes)):
        for rank in range(sizes[rule]):
            by_rank[rank] |= np.uint32(1) << np.uint32(rule)
        if sizes[rule] == 0:
            above[n_above] = rule
            n_above += 1
    # The row's largest values so far, descending, and where they are.
    best, place = np.empty(largest, np.float32), np.empty(largest, np.int64)
    for row in range(len(indptr) - 1):
        found = 0
        for entry in range(indptr[row], indptr[row + 1]):
            value = values[entry]
            for item in range(n_above):
                if value > thresholds[above[item]]:
                    marks[entry] |= np.uint32(1) << np.uint32(above[item])
            if found < largest:
                position = found
                found += 1
            elif largest > 0 and value > best[largest - 1]:
                position = largest - 1
            else:
                continue
            while position > 0 and best[position - 1] < value:
                best[position], place[position] = best[position - 1], place[position - 1]
                position -= 1
            best[position], place[position] = value, entry
        for rank in range(found):
            marks[place[rank]] |= by_rank[rank]


@njit(cache=True, nogil=True)
def take_marked(indptr: np.ndarray, indices: np.ndarray, marks: np.ndarray, rule: int) -> tuple[np.ndarray, np.ndarray]:
    """The sets of one rule: (rows + 1,) int64 bounds, and the indices (int32) of the marked entries."""
    bit = np.uint32(1) << np.uint32(rule)
    bounds, taken = np.zeros(len(indptr), np.int64), np.empty(len(indices), np.int32)
    size = 0
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            if marks[entry] & bit:
                taken[size] = indices[entry]
                size += 1
        bounds[row + 1] = size
    return bounds, taken[:size].copy()


@njit(cache=True, nogil=True)
def write_pairs(set_indptr: np.ndarray, set_indices: np.ndarray, first: int, last: int, keys: np.ndarray) -> None:
    """Fill `keys` with the pair keys of sets first..last-1, in order."""
    out = 0
    for row in range(first, last):
        for low in range(set_indptr[row], set_indptr[row + 1]):
            for high in range(low + 1, set_indptr[row + 1]):
                keys[out] = np.int64(set_indices[low]) << PAIR_SHIFT | np.int64(set_indices[high])
                out += 1


def transpose(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, n_features: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed sparse rows as compressed sparse columns.

    Returns:
        (D + 1,) int64 bounds of the columns, (entries,) uint32 rows, ascending within a column, (entries,) float32
        values. Unsigned, since a signed index costs a test for its sign wherever it is used.
    """
    bounds, entries, rows = locate_columns(indptr, indices, n_features)
    return bounds, rows, _take(values, entries)


@njit(cache=True, nogil=True)
def _take(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    taken = np.empty(len(places), np.float32)
    for item in range(len(places)):
        taken[item] = values[places[item]]
    return taken


@njit(cache=True, nogil=True)
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


def count_along_rows(indptr: np.ndarray, indices: np.ndarray, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of indices that share a row: (pairs,) int64 keys, ascending, and (pairs,) int64 rows that hold both.

    For every source the rest of each of its rows is read: memory grows with the pairs, not with their occurrences.
    """
    return _count_along_rows(indptr, indices, *locate_columns(indptr, indices, n_features))


@njit(cache=True, nogil=True)
def _count_along_rows(
    indptr: np.ndarray, indices: np.ndarray, bounds: np.ndarray, entries: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `count_along_rows`; bounds, entries and rows are the columns, as `locate_columns` gives them."""
    n_features = len(bounds) - 1
    keys, counts = np.empty(LEAST_ROOM, np.int64), np.empty(LEAST_ROOM, np.int64)
    shared, targets = np.zeros(n_features, np.int64), np.empty(n_features, np.int32)
    size = 0
    for source in range(n_features):
        met = 0
        for item in range(bounds[source], bounds[source + 1]):
            for other in range(entries[item] + 1, indptr[rows[item] + 1]):
                target = indices[other]
                if shared[target] == 0:
                    targets[met] = target
                    met += 1
                shared[target] += 1
        while size + met > len(keys):
            keys, counts = _double(keys), _double(counts)
        for target in np.sort(targets[:met]):
            keys[size] = np.int64(source) << PAIR_SHIFT | np.int64(target)
            counts[size] = shared[target]
            shared[target] = 0
            size += 1
    return keys[:size].copy(), counts[:size].copy()


def dot_pairs(
    keys: np.ndarray, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    """Dot products of pairs of columns of a sparse matrix.

    The longer column of a pair, spread out over a dense vector once, serves every pair that it is the longer of, each
    at the cost of the shorter column's entries.

    Args:
        keys: (pairs,) int64, ascending.
        indptr, indices, values: compressed sparse rows, int64, int32, float32, indices ascending within a row.
        n_features: number of columns D.

    Returns:
        (pairs,) float64 dot products, (D,) float64 squared norms of the columns.
    """
    return _dot_columns(keys, *transpose(indptr, indices, values, n_features), len(indptr) - 1)


@njit(cache=True, nogil=True)
def _dot_columns(
    keys: np.ndarray, bounds: np.ndarray, rows: np.ndarray, column_values: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """See `dot_pairs`; bounds, rows and values are the columns, as `transpose` gives them."""
    n_features = len(bounds) - 1
    norms = np.zeros(n_features, np.float64)
    for feature in range(n_features):
        for item in range(bounds[feature], bounds[feature + 1]):
            norms[feature] += np.float64(column_values[item]) * np.float64(column_values[item])
    longer, shorter = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
    for pair in range(len(keys)):
        low, high = keys[pair] >> PAIR_SHIFT, keys[pair] & PAIR_MASK
        swap = bounds[low + 1] - bounds[low] < bounds[high + 1] - bounds[high]
        longer[pair], shorter[pair] = (high, low) if swap else (low, high)
    dots, dense, held = np.empty(len(keys), np.float64), np.zeros(n_rows, np.float32), -1
    for pair in group_by(longer, n_features):
        if longer[pair] != held:
            if held >= 0:
                for item in range(bounds[held], bounds[held + 1]):
                    dense[rows[item]] = 0.0
            held = longer[pair]
            for item in range(bounds[held], bounds[held + 1]):
                dense[rows[item]] = column_values[item]
        total = 0.0
        for item in range(bounds[shorter[pair]], bounds[shorter[pair] + 1]):
            total += np.float64(column_values[item]) * np.float64(dense[rows[item]])
        dots[pair] = total
    return dots, norms


@njit(cache=True, nogil=True)
def _double(array: np.ndarray) -> np.ndarray:
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger


@njit(cache=True, nogil=True)
def merge_sorted(
    keys_a: np.ndarray,
    counts_a: np.ndarray,
    sums_a: np.ndarray,
    first_a: np.ndarray,
    keys_b: np.ndarray,
    counts_b: np.ndarray,
    sums_b: np.ndarray,
    first_b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Merge two tables with ascending int64 keys: counts and sums (int64) of equal keys are added, of first (int32)
    the lower one stays."""
    size = len(keys_a) + len(keys_b)
    keys, counts, sums = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    first = np.empty(size, np.int32)
    a = b = out = 0
    # Without branches, which could not be foreseen.
    while a < len(keys_a) and b < len(keys_b):
        take_a, take_b = np.int64(keys_a[a] <= keys_b[b]), np.int64(keys_b[b] <= keys_a[a])
        keys[out] = min(keys_a[a], keys_b[b])
        counts[out] = take_a * counts_a[a] + take_b * counts_b[b]
        sums[out] = take_a * sums_a[a] + take_b * sums_b[b]
        first[out] = min(first_a[a] if take_a else first_b[b], first_b[b] if take_b else first_a[a])
        a += take_a
        b += take_b
        out += 1
    left = len(keys_a) - a
    keys[out : out + left], counts[out : out + left] = keys_a[a:], counts_a[a:]
    sums[out : out + left], first[out : out + left] = sums_a[a:], first_a[a:]
    out += left
    left = len(keys_b) - b
    keys[out : out + left], counts[out : out + left] = keys_b[b:], counts_b[b:]
    sums[out : out + left], first[out : out + left] = sums_b[b:], first_b[b:]
    out += left
    return keys[:out].copy(), counts[:out].copy(), sums[:out].copy(), first[:out].copy()
