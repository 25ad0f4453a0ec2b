"""Top-k sets, and tables of pairs that add up.

In: top-k sets. Out: per pair of features a count and, where wanted, sums of real measures, in tables whose merging
adds integers exactly: counts do not depend on how tokens were divided or in which order the parts are merged.
Memory grows with the number of distinct pairs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from coact.graph.kernels import PAIR_MASK, PAIR_SHIFT, merge_sorted, write_pairs

PAIRS_AT_ONCE = 1 << 22  # pair occurrences that are held and sorted together, 8 bytes each


@dataclass(frozen=True)
class TopkSets:
    """Top-k sets of tokens.

    Attributes:
        indptr: (tokens + 1,) int64, the set of token t is indices[indptr[t]:indptr[t + 1]].
        indices: (entries,) int32 features, ascending within a set.
    """

    indptr: np.ndarray
    indices: np.ndarray


class PairTable(NamedTuple):
    """Distinct pairs of features with what was added up for them.

    Attributes:
        keys: (pairs,) int64 ascending, low feature << 32 | high feature.
        counts: (pairs,) int64, tokens whose set holds both.
        sums: (pairs, measures) float64.
    """

    keys: np.ndarray
    counts: np.ndarray
    sums: np.ndarray

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

    def __init__(self, measures: int) -> None:
        self._empty = PairTable(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, measures), np.float64))
        self._runs: list[PairTable] = []

    def add(self, table: PairTable) -> None:
        """Add a table with the same number of measures."""
        self._runs.append(table)
        while len(self._runs) > 1 and len(self._runs[-2].keys) < 2 * len(self._runs[-1].keys):
            self._merge_last()

    def total(self) -> PairTable:
        """The sum of all tables that were added."""
        while len(self._runs) > 1:
            self._merge_last()
        return self._runs[0] if self._runs else self._empty

    def _merge_last(self) -> None:
        later, earlier = self._runs.pop(), self._runs.pop()
        self._runs.append(PairTable(*merge_sorted(*earlier, *later)))


def count_pairs(sets: TopkSets) -> PairTable:
    """How many sets hold each pair of features: a table without measures."""
    sizes = np.diff(sets.indptr)
    written = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    total, first = PairSums(measures=0), 0
    while first < len(sizes):
        last = int(np.searchsorted(written, written[first] + PAIRS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        keys = np.empty(written[last] - written[first], np.int64)
        write_pairs(sets.indptr, sets.indices, first, last, keys)
        keys.sort()
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
        counts = np.diff(starts, append=len(keys))
        total.add(PairTable(keys[starts], counts, np.empty((len(starts), 0), np.float64)))
        first = last
    return total.total()


def edges_of_sets(sets: TopkSets) -> pd.DataFrame:
    """Edges of the graph whose top-k sets are given: source < target (int32), count (int64), sorted."""
    table = count_pairs(sets)
    return pd.DataFrame({"source": table.source, "target": table.target, "count": table.counts})


def count_members(sets: TopkSets, n_features: int) -> np.ndarray:
    """(D,) int64, how many sets hold each feature."""
    return np.bincount(sets.indices, minlength=n_features).astype(np.int64)
