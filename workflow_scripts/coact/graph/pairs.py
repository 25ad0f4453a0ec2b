"""Pairs of features that share a set, in tables that add up.

In: sets of features. Out: per pair an integer count and sum and the first batch that has it. Merging tables adds
integers and takes minima, so the result is the same to the bit, however tokens were divided and in whatever order the
parts are merged. Memory grows with the number of distinct pairs.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from coact.graph.kernels import PAIR_MASK, PAIR_SHIFT, count_along_rows, merge_sorted, write_pairs
from coact.graph.sets import TokenSets

if TYPE_CHECKING:
    import pandas as pd

PAIRS_AT_ONCE = 1 << 22  # pair occurrences that are held and sorted together, 8 bytes each
MOST_SORTED = 4  # pair occurrences per entry; above, walking along the rows is faster than sorting the pairs


class PairTable(NamedTuple):
    """Distinct pairs of features with what was added up for them.

    Attributes:
        keys: (pairs,) int64 ascending, low feature << 32 | high feature.
        counts: (pairs,) int64, tokens whose set holds both.
        sums: (pairs,) int64, a sum over tokens in fixed point, zero where only counts are wanted.
        first: (pairs,) int32, the first batch in which both share a set.
    """

    keys: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    first: np.ndarray

    @property
    def source(self) -> np.ndarray:
        """(pairs,) int32, the lower feature."""
        return (self.keys >> PAIR_SHIFT).astype(np.int32)

    @property
    def target(self) -> np.ndarray:
        """(pairs,) int32, the higher feature."""
        return (self.keys & PAIR_MASK).astype(np.int32)


class PairSums:
    """Adds up pair tables.

    The parts are kept as runs, each at least twice as long as the next, so a pair takes part in a number of merges
    that grows with the logarithm of the number of parts, and all runs together hold at most twice the longest.
    """

    def __init__(self) -> None:
        self._runs: list[PairTable] = []

    def add(self, table: PairTable) -> None:
        """Add a table."""
        self._runs.append(table)
        while len(self._runs) > 1 and len(self._runs[-2].keys) < 2 * len(self._runs[-1].keys):
            self._merge_last()

    def total(self) -> PairTable:
        """The sum of all tables that were added."""
        while len(self._runs) > 1:
            self._merge_last()
        return self._runs[0] if self._runs else counted(np.empty(0, np.int64), np.empty(0, np.int64))

    def _merge_last(self) -> None:
        later, earlier = self._runs.pop(), self._runs.pop()
        self._runs.append(PairTable(*merge_sorted(*earlier, *later)))


def counted(keys: np.ndarray, counts: np.ndarray, batch: int = 0) -> PairTable:
    """A table of one batch, without sums."""
    return PairTable(keys, counts, np.zeros(len(keys), np.int64), np.full(len(keys), batch, np.int32))


def count_pairs(sets: TokenSets, batch: int = 0) -> PairTable:
    """How many sets hold each pair of features: a table without sums.

    Args:
        sets: the sets of tokens.
        batch: number of the batch that the tokens are of.
    """
    sizes = np.diff(sets.indptr)
    written = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    if written[-1] > MOST_SORTED * len(sets.indices):
        n_features = int(sets.indices.max()) + 1
        return counted(*count_along_rows(_own(sets.indptr, np.int64), _own(sets.indices, np.int32), n_features), batch)
    total, first = PairSums(), 0
    while first < len(sizes):
        last = int(np.searchsorted(written, written[first] + PAIRS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        keys = np.empty(written[last] - written[first], np.int64)
        write_pairs(sets.indptr, sets.indices, first, last, keys)
        keys.sort()
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
        total.add(counted(keys[starts], np.diff(starts, append=len(keys)), batch))
        first = last
    return total.total()


def edges_of_sets(sets: TokenSets) -> "pd.DataFrame":
    """Edges of the graph whose sets are given: source < target (int32), count (int64), sorted."""
    import pandas as pd

    table = count_pairs(sets)
    return pd.DataFrame({"source": table.source, "target": table.target, "count": table.counts})


def count_members(sets: TokenSets, n_features: int) -> np.ndarray:
    """(D,) int64, how many sets hold each feature."""
    return np.bincount(sets.indices, minlength=n_features).astype(np.int64)


def _own(array: np.ndarray, dtype: type) -> np.ndarray:
    # One layout and type: compiled code is made anew for every other, such as a read-only memory map.
    return np.require(array, dtype, ["C", "W"])
