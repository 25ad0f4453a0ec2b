"""Compiled loops that pick entries out of dense rows: those above 0, or the k largest of them.

In: rows of pre-activations without their bias, (rows, D) float32, and the bias, (D,) float32. Rows are read from memory
once; what is needed of one again is still in the cache, and adding the bias there is cheaper than a matrix that has it.
"""

import math

import numpy as np
from numba import njit, prange

ROWS_AT_ONCE = 64
HEAP_BLOCK = 64
MOST_HALVINGS = 30
# Numba tests every signed index for being negative, which keeps loops from becoming vector instructions.
ZERO, ONE, BLOCK = np.uint64(0), np.uint64(1), np.uint64(32)


def number_of_lanes(width: int, k: int) -> int:
    """Lanes of `find_largest` for rows of `width` entries: a power of two, or 0 where k is too large a part of them.

    More lanes take longer to bound, fewer leave more entries to look at: the two are level near sqrt(2 k width). Eight
    times k keep the k largest from sharing lanes, which makes the bound too low.
    """
    lanes = 1 << math.ceil(math.log2(max(8 * k, math.sqrt(2 * k * width))))
    return lanes if 2 * lanes <= width else 0


@njit(cache=True, parallel=True)
def copy_pieces(
    bounds: np.ndarray,
    starts: np.ndarray,
    from_indices: np.ndarray,
    from_values: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
) -> None:
    """Copy pieces of two arrays, which lie at `starts`, to `bounds` (pieces + 1,), one after the other."""
    for piece in prange(len(bounds) - 1):
        for entry in range(bounds[piece + 1] - bounds[piece]):
            indices[bounds[piece] + entry] = from_indices[starts[piece] + entry]
            values[bounds[piece] + entry] = from_values[starts[piece] + entry]


@njit(cache=True, parallel=True)
def find_positive(
    before: np.ndarray, bias: np.ndarray, counts: np.ndarray, indices: np.ndarray, values: np.ndarray
) -> None:
    """Entries above 0 or NaN: their number in each row, and columns and values, those of `ROWS_AT_ONCE` rows on end.

    Args:
        before, bias: see above.
        counts: filled; (rows,) int64.
        indices, values: filled in part; (rows x D + 1,) int32 and float32. A run of rows begins at its first row x D.
    """
    for piece in prange((len(before) + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        place = np.uint64(piece * ROWS_AT_ONCE * before.shape[1])
        for row in range(piece * ROWS_AT_ONCE, min(len(before), (piece + 1) * ROWS_AT_ONCE)):
            end = _copy_positive(before[row], bias, place, indices, values)
            counts[row] = end - place
            place = end


@njit(cache=True)
def _copy_positive(entries: np.ndarray, bias: np.ndarray, place: int, indices: np.ndarray, values: np.ndarray) -> int:
    """Write a row's entries above 0 or NaN from `place` on; the place after them."""
    size = np.uint64(len(entries))
    for first in range(ZERO, size, BLOCK):
        last = min(first + BLOCK, size)
        number = np.int32(0)
        for column in range(first, last):
            number += np.int32(0) if entries[column] + bias[column] <= 0 else np.int32(1)
        if number == 0:
            continue
        for column in range(first, last):
            value = entries[column] + bias[column]
            # Written in any case, and then written over: a branch that is rarely foreseen costs more.
            indices[place], values[place] = column, value
            place += np.uint64(not value <= 0)
    return place


@njit(cache=True, parallel=True)
def find_largest(
    before: np.ndarray,
    bias: np.ndarray,
    k: int,
    lanes: int,
    indices: np.ndarray,
    values: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The k largest entries above 0 of each row: their columns, ascending, the entries, and how many there are.

    Of equal ones the lower columns; NaN counts as infinite. Places beyond the number of entries take one that is not
    above 0. Most rows are not sorted and not even compared entry by entry: see `_candidates`.

    Args:
        before, bias: see above.
        k: at most D.
        lanes: `number_of_lanes`; any power of two up to D, or 0, gives the same result.
        indices, values, counts: filled; (rows, k) int32, (rows, k) float32, (rows,) int32.
    """
    n_rows, most = len(before), k + k // 4 + 16
    for piece in prange((n_rows + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        tops, chosen = np.empty(lanes, np.float32), np.empty(lanes + 1, np.uint64)
        found, places = np.empty(most + lanes, np.float32), np.empty(most + lanes, np.int32)
        for row in range(piece * ROWS_AT_ONCE, min(n_rows, (piece + 1) * ROWS_AT_ONCE)):
            counts[row] = _find_in_row(before[row], bias, k, most, tops, chosen, found, places)
            for entry in range(k):
                column = np.uint64(places[entry])
                indices[row, entry], values[row, entry] = column, before[row, column] + bias[column]


@njit(cache=True)
def _find_in_row(
    entries: np.ndarray,
    bias: np.ndarray,
    k: int,
    most: int,
    tops: np.ndarray,
    chosen: np.ndarray,
    found: np.ndarray,
    places: np.ndarray,
) -> int:
    """Write the k columns of a row to `places`; how many count. Arguments as for `_candidates`."""
    number = _candidates(entries, bias, k, most, tops, chosen, found, places) if len(tops) else most + 1
    if number <= most:
        held = _drop_smallest(found, places, number, k)
    else:  # crowded, or NaN
        held = _fill_heap(entries + bias, found[:k], places[:k])
        places[:held] = np.sort(places[:held])
    if held < k:
        places[held:k] = np.argmin(entries + bias)
    return held


@njit(cache=True)
def _candidates(
    entries: np.ndarray,
    bias: np.ndarray,
    k: int,
    most: int,
    tops: np.ndarray,
    chosen: np.ndarray,
    found: np.ndarray,
    places: np.ndarray,
) -> int:
    """Write a few entries of a row, among them its k largest above 0, to `found` and `places`, columns ascending.

    Lane l holds the columns l, l + lanes, l + 2 lanes, ... A value that the tops of k lanes exceed is a lower bound of
    the k-th largest entry, and only lanes whose top exceeds it are looked into.

    Args:
        entries, bias: (D,) float32, to be added.
        tops, chosen: room, (lanes,) float32 and (lanes + 1,) uint64.
        found, places: (most + lanes,) float32 and int32.
    Returns:
        Number of the entries; above `most` where these are too many, or one of the row is NaN.
    """
    lanes, size = np.uint64(len(tops)), np.uint64(len(entries))
    if _find_tops(entries, bias, tops):
        return most + 1
    bound = _lower_bound(tops, k)
    n_chosen, n_last, number = ZERO, ZERO, ZERO
    for lane in range(lanes):
        chosen[n_chosen] = lane
        n_chosen += np.uint64(tops[lane] > bound)
    for item in range(n_chosen):
        n_last += np.uint64(chosen[item] < size % lanes)  # lanes with a column in the last, incomplete round
    for first in range(ZERO, size, lanes):
        if number > np.uint64(most):
            break
        for item in range(n_chosen if first + lanes <= size else n_last):
            column = first + chosen[item]
            value = entries[column] + bias[column]
            found[number], places[number] = value, column
            number += np.uint64(value > bound)
    return np.int64(number)


@njit(cache=True)
def _find_tops(entries: np.ndarray, bias: np.ndarray, tops: np.ndarray) -> int:
    """The largest entry of each lane; how many entries are NaN. There are at least as many entries as lanes."""
    lanes, size, missing = np.uint64(len(tops)), np.uint64(len(entries)), np.int32(0)
    for lane in range(lanes):
        tops[lane] = entries[lane] + bias[lane]
    for first in range(lanes, size - size % lanes, lanes):
        for lane in range(lanes):
            value = entries[first + lane] + bias[first + lane]
            tops[lane] = value if value > tops[lane] else tops[lane]
    for column in range(size - size % lanes, size):
        lane = column % lanes
        tops[lane] = max(tops[lane], entries[column] + bias[column])
    for column in range(size):
        value = entries[column] + bias[column]
        missing += np.int32(0) if value == value else np.int32(1)
    return missing


@njit(cache=True)
def _lower_bound(tops: np.ndarray, k: int) -> float:
    """A value, at least 0, that k or somewhat more of the tops exceed; 0 where fewer are above 0."""
    low, highest = np.float32(0), np.int32(0)
    if _count_above(tops, low) <= k:
        return low
    bits = tops.view(np.int32)  # above 0 they have the order of the numbers, and are compared by vector instructions
    for lane in range(len(bits)):
        highest = max(highest, bits[lane])
    high = np.int32(highest).view(np.float32)
    for _ in range(MOST_HALVINGS):
        middle = np.float32(0.5) * (low + high)
        number = _count_above(tops, middle)
        if number < k:
            high = middle
        else:
            low = middle
            if number <= k + k // 8:
                break
    return low


@njit(cache=True)
def _drop_smallest(found: np.ndarray, places: np.ndarray, number: int, k: int) -> int:
    """Take out the smallest values, of equal ones the last, until at most k are left; how many these are."""
    left = np.uint64(number)
    while left > np.uint64(k):
        smallest, least = ZERO, found[0]
        for item in range(left):
            smallest, least = (item, found[item]) if found[item] <= least else (smallest, least)
        left -= ONE
        for item in range(smallest, left):
            found[item], places[item] = found[item + ONE], places[item + ONE]
    return np.int64(left)


@njit(cache=True)
def _count_above(row: np.ndarray, threshold: float) -> int:
    """Entries above the threshold or NaN; written so that the compiler makes vector instructions of it."""
    number = np.int32(0)
    for column in range(len(row)):
        number += np.int32(0) if row[column] <= threshold else np.int32(1)
    return number


@njit(cache=True)
def _fill_heap(entries: np.ndarray, heap: np.ndarray, places: np.ndarray) -> int:
    held, threshold = 0, np.float32(0)
    for first in range(0, len(entries), HEAP_BLOCK):
        block = entries[first : first + HEAP_BLOCK]
        if _count_above(block, threshold) == 0:
            continue
        for column in range(len(block)):
            value = block[column]
            # NaN must not be lost: the loss, or whoever reads the features, has to see it.
            if value != value:
                value = np.float32(np.inf)
            if value > threshold:
                if held < len(heap):
                    held = _push(heap, places, held, value, np.int32(first + column))
                else:
                    _replace(heap, places, value, np.int32(first + column))
                if held == len(heap):
                    threshold = heap[0]
    return held


@njit(cache=True)
def _push(heap: np.ndarray, places: np.ndarray, held: int, value: float, place: int) -> int:
    """Add to a heap with its smallest value, and of equal values the highest place, first; its new size."""
    at = held
    while at > 0:
        above = (at - 1) // 2
        if not _goes_first(value, place, heap[above], places[above]):
            break
        heap[at], places[at] = heap[above], places[above]
        at = above
    heap[at], places[at] = value, place
    return held + 1


@njit(cache=True)
def _replace(heap: np.ndarray, places: np.ndarray, value: float, place: int) -> None:
    """Put a value in the place of the first of a full heap."""
    at, size = 0, len(heap)
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _goes_first(heap[below + 1], places[below + 1], heap[below], places[below]):
            below += 1
        if not _goes_first(heap[below], places[below], value, place):
            break
        heap[at], places[at] = heap[below], places[below]
        at = below
    heap[at], places[at] = value, place


@njit(cache=True)
def _goes_first(value: float, place: int, other: float, other_place: int) -> bool:
    return value < other or (value == other and place > other_place)
