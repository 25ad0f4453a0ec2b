"""Which features are alike, which neuron is nearest to a feature, and a choice of features that are not alike.

In: decoder rows, sparse features, the activations they are of. Out: feature numbers, cosines, correlations.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from coact.features.batches import SparseBatch

if TYPE_CHECKING:
    from coact.activations import Shard

ROWS_AT_ONCE = 1024
TOKENS_AT_ONCE = 8192
ROUNDING = 1e-12  # a variance below this share of the mean square is rounding, not variation


def similar_features(rows: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The features whose decoder rows have the largest cosine with a feature's.

    Args:
        rows: (D, d) float32 decoder rows.
        number: of them per feature.
    Returns:
        Features (D, n) int32, from the most similar, and their cosines (D, n) float32, n at most D - 1. A row of zeros
        has no direction and a cosine of 0 with all.
    """
    unit = unit_rows(rows)
    number = min(number, len(unit) - 1)
    others, cosines = np.empty((len(unit), number), np.int32), np.empty((len(unit), number), np.float32)
    for first in range(0, len(unit), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        cosine = unit[part] @ unit.T
        here = np.arange(len(cosine))
        cosine[here, first + here] = -np.inf
        others[part] = np.argsort(-cosine, axis=1, kind="stable")[:, :number]
        cosines[part] = np.clip(np.take_along_axis(cosine, others[part], 1), -1, 1)
    return others, cosines


def nearest_neurons(batches: Iterable[SparseBatch], shards: Iterable["Shard"]) -> tuple[np.ndarray, np.ndarray]:
    """The dimension of the activations that each feature's activation is most correlated with.

    At a hook after the activation function of an MLP a dimension is a neuron.

    Args:
        batches: sparse features, D, one batch per shard.
        shards: the activations (tokens, d) they are of.
    Returns:
        Neurons (D,) int32, -1 where a feature does not vary, and correlations (D,) float32, Pearson's over kept tokens,
        the largest in size; NaN where there is none. Memory: 8 bytes x D x d.
    """
    sums = None
    for batch, shard in zip(batches, shards, strict=True):
        sums = sums or _Moments(batch.n_features, shard.width)
        for start in range(0, len(batch.kept), TOKENS_AT_ONCE):
            sums.add(batch, shard, np.arange(start, min(start + TOKENS_AT_ONCE, len(batch.kept))))
    correlation = sums.correlations()
    defined = ~np.isnan(correlation).all(axis=1)
    neuron = np.nan_to_num(np.abs(correlation), nan=-1.0).argmax(axis=1)
    value = np.take_along_axis(correlation, neuron[:, None], 1)[:, 0]
    return (
        np.where(defined, neuron, -1).astype(np.int32),
        np.where(defined, value, np.nan).astype(np.float32),
    )


def variance(square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The variance of what has a mean square and a mean, element by element; NaN where nothing but rounding varies."""
    found = square - mean**2
    return np.where(found > ROUNDING * square, found, np.nan)


class _Moments:
    """Sums over kept tokens of features, activations and their products."""

    def __init__(self, n_features: int, width: int) -> None:
        self.tokens = 0
        self.totals, self.squares = (np.zeros(n_features), np.zeros(width)), (np.zeros(n_features), np.zeros(width))
        self.products = np.zeros((n_features, width))

    def add(self, batch: SparseBatch, shard: "Shard", rows: np.ndarray) -> None:
        """Add some tokens of a shard."""
        kept = rows[batch.kept[rows]]
        bounds = batch.indptr[rows[0] : rows[-1] + 2]
        part = slice(bounds[0], bounds[-1])
        # Rows that are not kept are empty.
        features = scipy.sparse.csr_array(
            (batch.values[part].astype(np.float64), batch.indices[part], bounds - bounds[0]),
            shape=(len(rows), batch.n_features),
        )
        dense = shard.array(rows).astype(np.float64)
        self.products += features.T @ dense
        dense = dense[batch.kept[rows]]
        self.tokens += len(kept)
        for place, (total, square) in enumerate(
            ((features.sum(axis=0), features.power(2).sum(axis=0)), (dense.sum(axis=0), (dense**2).sum(axis=0)))
        ):
            self.totals[place][:] += total
            self.squares[place][:] += square

    def correlations(self) -> np.ndarray:
        """(D, d) float64, NaN where a feature or dimension does not vary."""
        n = max(self.tokens, 1)
        means = [total / n for total in self.totals]
        deviations = [np.sqrt(variance(square / n, mean)) for square, mean in zip(self.squares, means, strict=True)]
        return (self.products / n - np.multiply.outer(*means)) / np.multiply.outer(*deviations)


def choose_diverse(
    order: np.ndarray, rows: np.ndarray, number: int, most_cosine: float, before: Sequence[int] = ()
) -> np.ndarray:
    """Features in the order given, leaving out those whose decoder row is too like one taken before.

    Args:
        order: feature numbers, the most wanted first.
        rows: (D, d) decoder rows.
        number: features to choose.
        most_cosine: largest cosine that a chosen one may have with another and with those of `before`.
        before: features that are taken already; they are not given back.
    Returns:
        int64, at most `number`.
    """
    unit, taken = unit_rows(rows), list(before)
    for feature in order:
        if len(taken) == len(before) + number:
            break
        if not taken or float((unit[taken] @ unit[feature]).max()) <= most_cosine:
            taken.append(int(feature))
    return np.array(taken[len(before) :], np.int64)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """(D, d) float32, each row divided by its norm; a row of zeros, which has no direction, stays."""
    rows = np.asarray(rows, np.float64)
    norms = np.sqrt(np.einsum("fd,fd->f", rows, rows))[:, None]
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0).astype(np.float32)
