"""Examples of all features from one pass over sparse features.

In: feature shards in the order of the token stream. Out: for every feature the contexts in which it is most active, and
tokens at evenly spaced quantiles of its activation, each with the activations around it.

The most active tokens say what a feature peaks on, quantiles what it does as a rule (Bricken et al. 2023, Towards
Monosemanticity, shows both). Quantiles come from a uniform sample of a feature's active tokens: those with the smallest
hashes of seed, feature and place (bottom-k sampling: Cohen and Kaplan 2007), so that neither the cut into shards nor
their order matters. Memory: features x (examples + sample).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

from coact.artefacts import TensorFile, open_tensors
from coact.errors import ArtefactError
from coact.features.batches import SparseBatch
from coact.interpretation.sums import look_up

SAMPLE = 64  # active tokens of a feature that quantiles are read from
TOP, QUANTILE = "top", "quantile"
NO_ROW = -1


@dataclass(frozen=True)
class Found:
    """Places of examples.

    Attributes:
        rows: (D, n) int64, tokens in the order of the stream, -1 where there are fewer.
        values: (D, n) float32, activations there, from the largest; 0 where there are fewer.
    """

    rows: np.ndarray
    values: np.ndarray


class ExampleScan:
    """Collects examples while the stream goes by.

    Args:
        n_features: D.
        context_length: tokens in a context; batches hold whole contexts.
        top: contexts kept of a feature, each by its largest activation.
        seed: of the sample.
    """

    def __init__(self, n_features: int, context_length: int, top: int, seed: int) -> None:
        self._context_length, self._seed, self._first = context_length, np.uint64(seed), 0
        self._top_rows = np.full((n_features, top), NO_ROW, np.int64)
        self._top_values = np.zeros((n_features, top), np.float32)
        self._keys = np.full((n_features, SAMPLE), np.iinfo(np.uint64).max, np.uint64)
        self._rows = np.full((n_features, SAMPLE), NO_ROW, np.int64)
        self._values = np.zeros((n_features, SAMPLE), np.float32)

    def add(self, batch: SparseBatch) -> None:
        """Look at the next tokens of the stream.

        Raises:
            ArtefactError: they are not whole contexts.
        """
        if len(batch.kept) % self._context_length:
            raise ArtefactError(
                f"features of {len(batch.kept):,} tokens are not whole contexts of {self._context_length:,} tokens"
            )
        arrays = batch.arrays()
        _add_tops(*arrays, self._context_length, self._first, self._top_rows, self._top_values)
        _add_sample(*arrays, self._first, self._seed, self._keys, self._rows, self._values)
        self._first += len(batch.kept)

    def tops(self) -> Found:
        """The contexts with the largest activations, one token each; of equal ones the first in the stream."""
        return _sorted(self._top_rows, self._top_values)

    def quantiles(self, number: int) -> Found:
        """Tokens at evenly spaced quantiles of a feature's sampled activations, from the largest.

        A feature with fewer active tokens than `number` gives all it has.
        """
        ordered = _sorted(self._rows, self._values)
        there = (ordered.rows != NO_ROW).sum(1)
        taken = np.minimum(there, number)
        steps = np.arange(number)
        # The middles of `taken` equal parts of the `there` sampled tokens.
        places = ((2 * steps + 1) * there[:, None]) // np.maximum(2 * taken[:, None], 1)
        places = np.where(steps < taken[:, None], places, SAMPLE - 1)
        rows, values = (np.take_along_axis(array, places, 1) for array in (ordered.rows, ordered.values))
        beyond = steps >= taken[:, None]
        return Found(np.where(beyond, NO_ROW, rows), np.where(beyond, np.float32(0), values))


def _sorted(rows: np.ndarray, values: np.ndarray) -> Found:
    """From the largest value, then from the first row; missing ones last."""
    order = np.lexsort((np.where(rows == NO_ROW, np.iinfo(np.int64).max, rows), -values), axis=1)
    return Found(np.take_along_axis(rows, order, 1), np.take_along_axis(values, order, 1))


@njit(cache=True, nogil=True)
def _add_tops(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    context_length: int,
    first: int,
    top_rows: np.ndarray,
    top_values: np.ndarray,
) -> None:
    """Keep, per feature, the contexts with the largest activations; a value takes the place of the smallest kept."""
    n_features, top = top_rows.shape
    best, where = np.zeros(n_features, np.float32), np.zeros(n_features, np.int64)
    smallest = np.zeros(n_features, np.int64)
    for feature in range(n_features):
        smallest[feature] = np.argmin(top_values[feature])
    touched = np.empty(n_features, np.int64)
    for start in range(0, len(indptr) - 1, context_length):
        n_touched = 0
        for row in range(start, start + context_length):
            for entry in range(indptr[row], indptr[row + 1]):
                feature, value = indices[entry], values[entry]
                if best[feature] == 0:
                    touched[n_touched] = feature
                    n_touched += 1
                if value > best[feature]:
                    best[feature], where[feature] = value, first + row
        for number in range(n_touched):
            feature = touched[number]
            place = smallest[feature]
            if best[feature] > top_values[feature, place]:
                top_values[feature, place], top_rows[feature, place] = best[feature], where[feature]
                # Of equal ones the last in the stream goes first.
                place = 0
                for other in range(1, top):
                    less = top_values[feature, other] < top_values[feature, place]
                    same = top_values[feature, other] == top_values[feature, place]
                    if less or (same and top_rows[feature, other] > top_rows[feature, place]):
                        place = other
                smallest[feature] = place
            best[feature] = 0


@njit(cache=True, nogil=True)
def _add_sample(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    first: int,
    seed: np.uint64,
    keys: np.ndarray,
    rows: np.ndarray,
    kept: np.ndarray,
) -> None:
    """Keep, per feature, the active tokens with the smallest hashes."""
    largest = np.zeros(len(keys), np.int64)
    for feature in range(len(keys)):
        largest[feature] = np.argmax(keys[feature])
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            feature = indices[entry]
            # SplitMix64 (Steele, Lea and Flood 2014) of the place, feature and seed.
            key = np.uint64(first + row) * np.uint64(0x9E3779B97F4A7C15)
            key ^= (np.uint64(feature) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9) + seed
            key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            key ^= key >> np.uint64(31)
            place = largest[feature]
            if key < keys[feature, place]:
                keys[feature, place], rows[feature, place] = key, first + row
                kept[feature, place] = values[entry]
                largest[feature] = np.argmax(keys[feature])


def example_table(found: dict[str, Found], paths: Iterable[str | Path], tokens: np.ndarray, reach: int) -> pd.DataFrame:
    """Examples with the tokens and activations around them.

    Args:
        found: by kind of example, `TOP` or `QUANTILE`.
        paths: the feature shards that they were found in, in order.
        tokens: (contexts, length) token ids of the stream.
        reach: tokens shown on either side, within the context.
    Returns:
        One row per example, by feature, kind and rank: feature int32; kind; rank int16 from 0; activation float32; row
        int64, its place in the stream; document int32, row of the split's table, -1 at special positions; first int64,
        the row of the first token shown; tokens list of int32; activations list of float32, of this feature at them.
    """
    parts = []
    for kind, places in found.items():
        feature, rank = np.nonzero(places.rows != NO_ROW)
        part = pd.DataFrame({"feature": feature.astype(np.int32), "rank": rank.astype(np.int16)})
        part["kind"], part["row"] = kind, places.rows[feature, rank]
        parts.append(part.assign(activation=places.values[feature, rank]))
    table = pd.concat(parts, ignore_index=True)
    table = table.sort_values(["feature", "kind", "rank"], ascending=[True, False, True], ignore_index=True)
    length = tokens.shape[1]
    rows = table["row"].to_numpy()
    context = rows // length * length
    first, last = np.maximum(rows - reach, context), np.minimum(rows + reach, context + length - 1)
    shown = np.minimum(first[:, None] + np.arange(2 * reach + 1), last[:, None])
    around, documents = _look_up(paths, shown, table["feature"].to_numpy(), rows)
    sizes = last - first + 1
    table["document"], table["first"] = documents, first
    table["tokens"] = [ids[:size] for ids, size in zip(np.asarray(tokens).ravel()[shown], sizes, strict=True)]
    table["activations"] = [values[:size] for values, size in zip(around, sizes, strict=True)]
    order = ["feature", "kind", "rank", "activation", "row", "document", "first", "tokens", "activations"]
    return table[order]


def _look_up(
    paths: Iterable[str | Path], shown: np.ndarray, features: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Activations of `features` at the rows `shown` (examples, width), float32, and documents at `rows`, int32."""
    around, documents = np.zeros(shown.shape, np.float32), np.full(len(shown), -1, np.int32)
    first = 0
    for path in paths:
        shard = open_tensors(path)
        size = len(shard["kept"])
        inside = np.flatnonzero((rows >= first) & (rows < first + size))
        around[inside] = _activations_at(shard, shown[inside] - first, features[inside])
        documents[inside] = shard["documents"][rows[inside] - first]
        first += size
    return around, documents


def _activations_at(shard: TensorFile, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(examples, width) float32 activations of a feature at its rows; 0 at special positions."""
    indptr, indices, values, kept = (np.asarray(shard[name]) for name in ("indptr", "indices", "values", "kept"))
    wanted = np.repeat(features, rows.shape[1])
    found = look_up(indptr, indices, values, np.where(kept[rows], rows, NO_ROW).ravel(), wanted)
    return found.reshape(rows.shape).astype(np.float32)
