"""The tokens and bigrams that features are active on.

In: sparse features and the token stream. Out: per feature the tokens, and the pairs of a token and the one before it,
that hold most of its activation.

One pass. Per feature the `KEPT` keys with most activation stay in memory between shards; while a feature has met no
more than that, its table is exact, and otherwise `lost` bounds what any key can lack (a lossy count: Manku and Motwani
2002).
"""

import numpy as np
import pandas as pd
from numba import njit

from coact.columns import locate_columns
from coact.features.batches import SparseBatch

KEPT = 128
NO_KEY = -1


class KeyScan:
    """Sums activations by feature and key while the stream goes by.

    Args:
        n_features: D.
    """

    def __init__(self, n_features: int) -> None:
        self._keys = np.full((n_features, KEPT), NO_KEY, np.int64)
        self._counts = np.zeros((n_features, KEPT), np.int64)
        self._sums = np.zeros((n_features, KEPT), np.float64)
        self._lost = np.zeros(n_features, np.float64)

    def add(self, batch: SparseBatch, keys: np.ndarray) -> None:
        """Look at the next tokens; `keys` (tokens,) int64 says what each is, -1 for none."""
        indptr, indices, values = batch.arrays()
        bounds, entries, rows = locate_columns(indptr, indices, batch.n_features)
        _merge_keys(bounds, entries, rows, values, keys, self._keys, self._counts, self._sums, self._lost)

    def table(self, number: int) -> pd.DataFrame:
        """The keys with most activation.

        Returns:
            One row per feature and rank, at most `number`: feature int32, rank int16 from 0, key int64, count int64
            (active tokens), mass float64 (summed activation), lost float64 (what the mass may lack at most).
        """
        order = np.lexsort((self._keys, -self._sums), axis=1)[:, :number]
        keys = np.take_along_axis(self._keys, order, 1)
        feature, rank = np.nonzero(keys != NO_KEY)
        place = order[feature, rank]
        return pd.DataFrame(
            {
                "feature": feature.astype(np.int32),
                "rank": rank.astype(np.int16),
                "key": keys[feature, rank],
                "count": self._counts[feature, place],
                "mass": self._sums[feature, place],
                "lost": self._lost[feature],
            }
        )


def bigram_keys(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """(contexts, length) ids -> as many int64 keys, previous x vocabulary + token; -1 at the first of a context."""
    keys = np.full(tokens.shape, NO_KEY, np.int64)
    keys[:, 1:] = np.asarray(tokens[:, :-1], np.int64) * vocabulary + tokens[:, 1:]
    return keys


@njit(cache=True, nogil=True)
def _merge_keys(
    bounds: np.ndarray,
    entries: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    keys: np.ndarray,
    table_keys: np.ndarray,
    table_counts: np.ndarray,
    table_sums: np.ndarray,
    lost: np.ndarray,
) -> None:
    """Add the columns of a shard to the tables of their features, and keep of each the keys with the largest sums."""
    kept = table_keys.shape[1]
    for feature in range(len(bounds) - 1):
        begin, end = bounds[feature], bounds[feature + 1]
        if begin == end:
            continue
        known = 0
        while known < kept and table_keys[feature, known] >= 0:
            known += 1
        size = known + end - begin
        found, counts, sums = np.empty(size, np.int64), np.ones(size, np.int64), np.empty(size, np.float64)
        found[:known] = table_keys[feature, :known]
        counts[:known] = table_counts[feature, :known]
        sums[:known] = table_sums[feature, :known]
        for number in range(end - begin):
            found[known + number] = keys[rows[begin + number]]
            sums[known + number] = values[entries[begin + number]]
        order = np.argsort(found, kind="mergesort")  # stable: sums are taken in the order of the tokens
        distinct = 0  # distinct keys so far; theirs overwrite the front of sorted copies
        merged, merged_counts, merged_sums = found[order], counts[order], sums[order]
        for place in range(size):
            if merged[place] < 0:
                continue
            if distinct and merged[distinct - 1] == merged[place]:
                merged_counts[distinct - 1] += merged_counts[place]
                merged_sums[distinct - 1] += merged_sums[place]
            else:
                merged[distinct] = merged[place]
                merged_counts[distinct], merged_sums[distinct] = merged_counts[place], merged_sums[place]
                distinct += 1
        order = np.argsort(-merged_sums[:distinct], kind="mergesort")
        taken = min(kept, distinct)
        table_keys[feature, :taken] = merged[order[:taken]]
        table_counts[feature, :taken] = merged_counts[order[:taken]]
        table_sums[feature, :taken] = merged_sums[order[:taken]]
        if distinct > kept:
            # A key may be left out again and again, each time with at most the largest sum that goes.
            lost[feature] += merged_sums[order[kept]]
