"""Compiled loops of the null models: trades between sets, shifts along documents, and their random numbers.

In and out: NumPy arrays; sets are compressed sparse rows, features ascending within a set. What is drawn does not
depend on the number of threads: each trade and each document has a random word of its own.
"""

import numpy as np
from numba import njit, prange

TRADES_AT_ONCE = 4096
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
LOW_WORD = np.uint64(0xFFFFFFFF)


@njit(cache=True, parallel=True)
def trade_all(indptr: np.ndarray, indices: np.ndarray, matching: np.ndarray, words: np.ndarray) -> None:
    """One trade between the tokens matching[2 p] and matching[2 p + 1] for every p, from the random word of p."""
    n_trades = len(words)
    largest = 0
    for token in matching:
        largest = max(largest, indptr[token + 1] - indptr[token])
    for chunk in prange((n_trades + TRADES_AT_ONCE - 1) // TRADES_AT_ONCE):
        pool = np.empty(2 * largest, np.int32)
        common = np.empty(2 * largest, np.bool_)
        for trade in range(chunk * TRADES_AT_ONCE, min(n_trades, (chunk + 1) * TRADES_AT_ONCE)):
            one, other = matching[2 * trade], matching[2 * trade + 1]
            _trade(
                indices[indptr[one] : indptr[one + 1]],
                indices[indptr[other] : indptr[other + 1]],
                words[trade],
                pool,
                common,
            )


@njit(cache=True)
def _trade(one: np.ndarray, other: np.ndarray, word: np.uint64, pool: np.ndarray, common: np.ndarray) -> None:
    """Divide what only one of two ascending sets holds at random between them, in place; `pool`, `common`: scratch."""
    size = a = b = 0
    n_common = 0
    while a < len(one) or b < len(other):
        in_one = b == len(other) or (a < len(one) and one[a] <= other[b])
        in_other = a == len(one) or (b < len(other) and other[b] <= one[a])
        pool[size] = one[a] if in_one else other[b]
        common[size] = in_one and in_other
        n_common += common[size]
        a += in_one
        b += in_other
        size += 1
    left, wanted = size - n_common, len(one) - n_common
    if wanted == 0 or wanted == left:
        return
    # Selection sampling in ascending order (Knuth, The Art of Computer Programming 2, algorithm 3.4.2 S).
    a = b = 0
    for item in range(size):
        to_one = to_other = common[item]
        if not common[item]:
            word, drawn = draw_below(word, left)
            to_one = drawn < wanted
            to_other = not to_one
            wanted -= to_one
            left -= 1
        if to_one:
            one[a] = pool[item]
            a += 1
        if to_other:
            other[b] = pool[item]
            b += 1


@njit(cache=True)
def draw_below(word: np.uint64, bound: int) -> tuple[np.uint64, int]:
    """The next state of the generator, and a uniform integer in 0..bound-1 (bound < 2^32).

    SplitMix64 (Steele, Lea and Flood 2014, OOPSLA); bounded without bias after Lemire (2019, ACM TOMACS 29:3).
    """
    limit = np.uint64(bound)
    least = ((LOW_WORD - limit) + np.uint64(1)) % limit  # 2^32 modulo the bound
    while True:
        word += GAMMA
        mixed = (word ^ (word >> S30)) * MIX_A
        mixed = (mixed ^ (mixed >> S27)) * MIX_B
        product = ((mixed ^ (mixed >> S31)) >> S32) * limit
        if (product & LOW_WORD) >= least:
            return word, np.int64(product >> S32)


@njit(cache=True, parallel=True)
def count_shared(indptr: np.ndarray, before: np.ndarray, after: np.ndarray) -> int:
    """Entries that are in the same ascending set in both."""
    shared = 0
    for token in prange(len(indptr) - 1):
        a, b, last = indptr[token], indptr[token], indptr[token + 1]
        found = 0
        while a < last and b < last:
            found += before[a] == after[b]
            step_a, step_b = before[a] <= after[b], before[a] >= after[b]
            a += step_a
            b += step_b
        shared += found
    return shared


@njit(cache=True, parallel=True)
def shift_all(
    indptr: np.ndarray, indices: np.ndarray, order: np.ndarray, bounds: np.ndarray, words: np.ndarray, moved: np.ndarray
) -> None:
    """Fill `moved` with the token that each entry goes to; a document's word and the feature give the distance."""
    for document in prange(len(bounds) - 1):
        first, length = bounds[document], bounds[document + 1] - bounds[document]
        for place in range(length):
            token = order[first + place]
            for entry in range(indptr[token], indptr[token + 1]):
                word = words[document] ^ (np.uint64(indices[entry]) << np.uint64(32))
                _, distance = draw_below(word, length)
                moved[entry] = order[first + (place + distance) % length]
