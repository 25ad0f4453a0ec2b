"""Sums of activations over tokens of a kind: over those of one token, one bigram, one label.

In: sparse features and the token stream. Out: sparse sums, one row per token, bigram or label that is in the text.

Memory: at most one entry of 12 bytes per activation, fewer where tokens and bigrams repeat; the same once more while
the sums of several shards are joined.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from coact.corpus.tokens import TokenStream
from coact.errors import StudyError
from coact.features.batches import SparseBatch

KINDS = ("label", "token", "bigram", "token_in_label", "bigram_in_label")
TOKEN_BITS = 24  # a key is (label + 1) << 48 | (previous + 1) << 24 | token, without what its kind has not
TOKEN_MASK = (1 << TOKEN_BITS) - 1


@dataclass(frozen=True)
class Text:
    """What stands at each position of a shard.

    Attributes:
        tokens, previous, labels: (positions,) int64; the token before it in its context, -1 where there is none;
            the label, -1 at special positions.
    """

    tokens: np.ndarray
    previous: np.ndarray
    labels: np.ndarray

    def keys(self, kind: str) -> np.ndarray:
        """(positions,) int64 the key of each position among those of one of `KINDS`."""
        key = np.zeros(len(self.tokens), np.int64)
        if "token" in kind or "bigram" in kind:
            key |= self.tokens
        if "bigram" in kind:
            key |= (self.previous + 1) << TOKEN_BITS
        if "label" in kind:
            key |= (self.labels + 1) << 2 * TOKEN_BITS
        return key


@dataclass(frozen=True)
class Sums:
    """Sums of activations over tokens of a kind, sparse.

    Attributes:
        keys: (kinds,) int64, ascending.
        tokens: (kinds,) int64, kept tokens of each.
        indptr, features, sums: compressed sparse rows, int64, int32 (ascending within a row) and float64.
    """

    keys: np.ndarray
    tokens: np.ndarray
    indptr: np.ndarray
    features: np.ndarray
    sums: np.ndarray

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """(n,) int64 the row of each key, -1 for those that are not there."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, place, -1)

    def counts_of(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64 kept tokens of each row of `rows_of`, 0 for -1."""
        return np.append(self.tokens, 0)[rows]


def texts(batches: Iterable[SparseBatch], stream: TokenStream) -> Iterator[tuple[SparseBatch, Text, int]]:
    """Batches, each with the text that it is of and the number of its first position in the stream.

    Args:
        batches: those of the first tokens of a stream, in order, as `coact.features.batches.read_shards` gives them.
        stream: the stream.

    Raises:
        StudyError: they are not of the same text.
    """
    length, start = stream.tokens.shape[1], 0
    tokens, labels, documents = (part.reshape(-1) for part in (stream.tokens, stream.labels, stream.documents))
    for batch in batches:
        stop = start + len(batch.kept)
        if stop > len(tokens) or not np.array_equal(documents[start:stop], batch.documents):
            raise StudyError(
                f"features of the positions {start:,} to {stop:,} are not of the token stream given (of"
                f" {len(tokens):,} positions): expected the same documents at the same positions"
            )
        positions = np.arange(start, stop)
        before = np.where(positions % length > 0, tokens[np.maximum(positions - 1, 0)], -1).astype(np.int64)
        yield batch, Text(tokens[start:stop].astype(np.int64), before, labels[start:stop].astype(np.int64)), start
        start = stop


def sum_batch(batch: SparseBatch, keys: np.ndarray) -> Sums:
    """Sums over the kept tokens of a batch by key."""
    kept = np.flatnonzero(batch.kept)
    order = kept[np.argsort(keys[kept], kind="stable")]
    found, first = np.unique(keys[order], return_index=True)
    bounds = np.append(first, len(order)).astype(np.int64)
    return Sums(found, np.diff(bounds), *_sum_rows(order, bounds, *batch.arrays(), batch.n_features))


def join_sums(parts: Sequence[Sums], n_features: int) -> Sums:
    """Sums over several batches."""
    if len(parts) == 1:
        return parts[0]
    keys = np.concatenate([part.keys for part in parts])
    sizes = np.concatenate([np.diff(part.indptr) for part in parts])
    order = np.argsort(keys, kind="stable")
    found, first = np.unique(keys[order], return_index=True)
    bounds = np.append(first, len(order)).astype(np.int64)
    tokens = np.add.reduceat(np.concatenate([part.tokens for part in parts])[order], first)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    features, sums = (np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "sums"))
    return Sums(found, tokens, *_sum_rows(order, bounds, indptr, features, sums, n_features))


@njit(cache=True, nogil=True)
def _sum_rows(
    order: np.ndarray, bounds: np.ndarray, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, n_columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of groups of sparse rows: group g is of the rows order[bounds[g]:bounds[g + 1]]; columns ascend."""
    groups = len(bounds) - 1
    out_indptr, room = np.zeros(groups + 1, np.int64), 0
    for row in order:
        room += indptr[row + 1] - indptr[row]
    columns, sums = np.empty(room, np.int32), np.empty(room, np.float64)
    dense, seen, met = np.zeros(n_columns), np.zeros(n_columns, np.bool_), np.empty(n_columns, np.int32)
    size = 0
    for group in range(groups):
        number = 0
        for item in range(bounds[group], bounds[group + 1]):
            for entry in range(indptr[order[item]], indptr[order[item] + 1]):
                column = indices[entry]
                if not seen[column]:
                    seen[column] = True
                    met[number] = column
                    number += 1
                dense[column] += values[entry]
        for column in np.sort(met[:number]):
            columns[size], sums[size] = column, dense[column]
            dense[column], seen[column] = 0.0, False
            size += 1
        out_indptr[group + 1] = size
    return out_indptr, columns[:size].copy(), sums[:size].copy()


@njit(cache=True, nogil=True)
def look_up(
    indptr: np.ndarray, columns: np.ndarray, values: np.ndarray, rows: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """(n,) float64 entries of sparse rows whose columns ascend, 0 where there is none or the row is -1."""
    found = np.zeros(len(rows))
    for item in range(len(rows)):
        if rows[item] >= 0:
            low, high = indptr[rows[item]], indptr[rows[item] + 1]
            place = low + np.searchsorted(columns[low:high], wanted[item])
            if place < high and columns[place] == wanted[item]:
                found[item] = values[place]
    return found


@njit(cache=True, nogil=True)
def keep_largest(
    indptr: np.ndarray, columns: np.ndarray, values: np.ndarray, best: np.ndarray, rows: np.ndarray
) -> None:
    """Find the rows with the largest positive values of each column.

    Args:
        indptr, columns, values: compressed sparse rows.
        best: (columns, n) float64, filled here, largest first; zero before. Of equal values the earlier row is first.
        rows: (columns, n) int64, filled here; -1 before.
    """
    n = best.shape[1]
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            column, value = columns[entry], values[entry]
            if n == 0 or value <= best[column, n - 1]:
                continue
            place = n - 1
            while place > 0 and best[column, place - 1] < value:
                best[column, place], rows[column, place] = best[column, place - 1], rows[column, place - 1]
                place -= 1
            best[column, place], rows[column, place] = value, row
