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
        kept: (tokens,) bool, False at special positions (BOS, separators) that are excluded; their rows are empty.
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


def read_batches(paths: Iterable[str | Path], batch_tokens: int) -> Iterator[SparseBatch]:
    """Read feature shards in order, as batches of `batch_tokens` tokens.

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
            yield _cut(shard, start, start + batch_tokens)


def read_shards(paths: Iterable[str | Path]) -> Iterator[SparseBatch]:
    """Read feature shards in order, each as one batch.

    Raises:
        ArtefactError: a shard is damaged.
    """
    for path in paths:
        shard = open_tensors(path)
        yield _cut(shard, 0, len(shard["kept"]))


def _cut(shard: TensorFile, start: int, stop: int) -> SparseBatch:
    """A copy of the tokens start..stop-1 of a shard."""
    rows = np.array(shard["indptr"][start : stop + 1])
    return SparseBatch(
        indptr=rows - rows[0],
        indices=np.array(shard["indices"][rows[0] : rows[-1]]),
        values=np.array(shard["values"][rows[0] : rows[-1]]),
        n_features=int(shard.metadata["n_features"]),
        kept=np.array(shard["kept"][start:stop]),
        documents=np.array(shard["documents"][start:stop]),
    )


def count_active(paths: Iterable[str | Path]) -> tuple[np.ndarray, int]:
    """Activations per feature over whole shards.

    Returns:
        (D,) int64 number of tokens on which each feature is active, and the number of kept tokens.
    """
    count, tokens = np.zeros(0, np.int64), 0
    for path in paths:
        shard = open_tensors(path)
        found = np.bincount(shard["indices"], minlength=int(shard.metadata["n_features"])).astype(np.int64)
        count = found if tokens == 0 and not len(count) else count + found
        tokens += int(shard["kept"].sum())
    return count, tokens
