"""The batches of sparse activations that the graph and everything after it read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coact.artefacts import TensorFile, open_tensors
from coact.errors import ArtefactError


@dataclass(frozen=True)
class SparseBatch:
    """Feature activations of one batch of tokens, as compressed sparse rows.

    Attributes:
        indptr: (tokens + 1,) int64, row t holds the entries indptr[t]:indptr[t + 1].
        indices: (entries,) int32, features, ascending within a row.
        values: (entries,) float32, strictly positive activations.
        n_features: number of features D.
        kept: (tokens,) bool, False at special positions (BOS, separators) that are excluded; their rows are empty
            here, though not in the shards.
        documents: (tokens,) int32, the document of each token, -1 at special positions.
    """

    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    n_features: int
    kept: np.ndarray
    documents: np.ndarray

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """indptr, indices and values for compiled loops, in the one layout and types that these are compiled for."""
        return (
            np.ascontiguousarray(self.indptr, np.int64),
            np.ascontiguousarray(self.indices, np.int32),
            np.ascontiguousarray(self.values, np.float32),
        )


def read_batches(
    paths: Iterable[str | Path], batch_tokens: int, include_special: bool | None = None
) -> Iterator[SparseBatch]:
    """Read feature shards in order, as batches of `batch_tokens` tokens.

    Args:
        paths: the shards.
        batch_tokens: tokens in a batch, special positions included.
        include_special: whether special positions are kept; None: as the shards say (`graph.include_bos`).

    Raises:
        ArtefactError: a shard is damaged or does not hold a whole number of batches.
    """
    for path in paths:
        shard = open_tensors(path)
        tokens = len(shard["kept"])
        if tokens % batch_tokens:
            raise ArtefactError(
                f"{path}: {tokens:,} tokens are not a whole number of batches of {batch_tokens:,} tokens"
            )
        for start in range(0, tokens, batch_tokens):
            yield _cut(shard, start, start + batch_tokens, include_special)


def read_shards(paths: Iterable[str | Path]) -> Iterator[SparseBatch]:
    """Read feature shards in order, each as one batch; special positions are kept as the shards say.

    Raises:
        ArtefactError: a shard is damaged.
    """
    for path in paths:
        shard = open_tensors(path)
        yield _cut(shard, 0, len(shard["kept"]), None)


def count_active(paths: Iterable[str | Path]) -> tuple[np.ndarray, int]:
    """Activations per feature over whole shards, at the positions that are kept.

    Returns:
        (D,) int64 number of tokens on which each feature is active, and the number of kept tokens.
    """
    count, tokens = np.zeros(0, np.int64), 0
    for shard in read_shards(paths):
        found = np.bincount(shard.indices, minlength=shard.n_features).astype(np.int64)
        count = count + found if len(count) else found
        tokens += int(shard.kept.sum())
    return count, tokens


def _cut(shard: TensorFile, start: int, stop: int, include_special: bool | None) -> SparseBatch:
    """A copy of the tokens start..stop-1 of a shard, rows that are not kept emptied."""
    documents = np.array(shard["documents"][start:stop])
    kept = np.array(shard["kept"][start:stop]) if include_special is None else (documents >= 0) | include_special
    bounds = np.array(shard["indptr"][start : stop + 1])
    indices, values = (np.array(shard[name][bounds[0] : bounds[-1]]) for name in ("indices", "values"))
    sizes = np.diff(bounds)
    if not kept.all():
        inside = np.repeat(kept, sizes)
        indices, values, sizes = indices[inside], values[inside], np.where(kept, sizes, 0)
    return SparseBatch(
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        indices=indices,
        values=values,
        n_features=int(shard.metadata["n_features"]),
        kept=kept,
        documents=documents,
    )
