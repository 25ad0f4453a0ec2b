"""The definition of the co-activation graph as a plain loop over tokens: what the compiled code is held against."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from coact.features.batches import SparseBatch

Pair = tuple[int, int]


def dense_rows(batch: SparseBatch) -> np.ndarray:
    """(tokens, features) float32 activations of a batch."""
    rows = np.zeros((len(batch.indptr) - 1, batch.n_features), np.float32)
    for token in range(len(rows)):
        entries = slice(batch.indptr[token], batch.indptr[token + 1])
        rows[token, batch.indices[entries]] = batch.values[entries]
    return rows


def sparse_batch(rows: np.ndarray, kept: np.ndarray | None = None) -> SparseBatch:
    """The batch with the activations `rows` (tokens, features); tokens that are not kept become empty."""
    kept = np.ones(len(rows), bool) if kept is None else kept
    rows = np.where(kept[:, None], rows, 0).astype(np.float32)
    tokens, features = np.nonzero(rows > 0)
    return SparseBatch(
        indptr=np.concatenate([[0], np.cumsum(np.bincount(tokens, minlength=len(rows)))]).astype(np.int64),
        indices=features.astype(np.int32),
        values=rows[tokens, features],
        n_features=rows.shape[1],
        kept=kept,
        documents=np.where(kept, 0, -1).astype(np.int32),
    )


def top_features(row: np.ndarray, k: int) -> list[int]:
    """The k largest strictly positive activations of one token, ascending; ties go to the lower feature."""
    active = np.flatnonzero(row > 0).tolist()
    return sorted(sorted(active, key=lambda feature: (-row[feature], feature))[:k])


def loop_over_tokens(rows: np.ndarray, columns: np.ndarray, k: int) -> tuple[dict[Pair, int], dict[Pair, float]]:
    """Count of every pair over the tokens `rows`, and count times cosine.

    Args:
        rows: (some tokens, features) activations.
        columns: (features, tokens) activations of the whole batch, for the cosines.
        k: size of a top-k set.
    """
    counts: dict[Pair, int] = defaultdict(int)
    sums: dict[Pair, float] = defaultdict(float)
    cosines: dict[Pair, float] = {}
    for row in rows:
        for pair in combinations(top_features(row, k), 2):
            if pair not in cosines:
                one, other = columns[pair[0]], columns[pair[1]]
                cosines[pair] = float(np.dot(one, other)) / float(np.sqrt(np.dot(one, one) * np.dot(other, other)))
            counts[pair] += 1
            sums[pair] += cosines[pair]
    return counts, sums


def reference_graph(batches: Iterable[SparseBatch], k: int) -> dict[Pair, tuple[int, float]]:
    """Pair -> (count, weight), pairs ascending."""
    counts: dict[Pair, int] = defaultdict(int)
    sums: dict[Pair, float] = defaultdict(float)
    for batch in batches:
        rows = dense_rows(batch).astype(np.float64)
        found_counts, found_sums = loop_over_tokens(rows, np.ascontiguousarray(rows.T), k)
        for pair in found_counts:
            counts[pair] += found_counts[pair]
            sums[pair] += found_sums[pair]
    return {pair: (counts[pair], sums[pair] / counts[pair]) for pair in sorted(counts)}
