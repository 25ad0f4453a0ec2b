"""Random directions of activation space as a control: activations ReLU(x . r - theta), as sparse as a dictionary's.

In: activation shards, and the feature shards that say which tokens are read. Out: sparse batches of the same tokens.

What a rule says of features it may say of any direction: words differ in their activations along most of them. Random
directions with the same frequency show how much (Bricken et al. 2023 compare features with neurons and random ones).
Memory: one shard of activations of all directions, sparse, and `CHUNK_ROWS` x directions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from coact.activations.shards import Shard
from coact.errors import ConfigError
from coact.features.batches import SparseBatch

CHUNK_ROWS = 4096
SAMPLE_ROWS = 65_536  # training tokens, at most, that thresholds are set on


@dataclass(frozen=True)
class Directions:
    """Directions and their thresholds.

    Attributes:
        units: (width, n) float32, columns of norm 1, uniform on the sphere.
        thresholds: (n,) float32, theta.
    """

    units: np.ndarray
    thresholds: np.ndarray


def draw_directions(
    shards: Sequence[Shard], batches: Iterable[SparseBatch], number: int, share: float, seed: int
) -> Directions:
    """Draw directions, and thresholds above which a share of the training tokens is.

    Args:
        shards: training activations.
        batches: features of the first tokens of each shard, in the same order; they say which tokens are kept.
        number: of directions.
        share: of the kept tokens on which each is to be active, between 0 and 1.
        seed: of directions and sample.

    Raises:
        ConfigError: `number` is below 1 or `share` out of range.
    """
    if number < 1 or not 0 < share < 1:
        raise ConfigError(
            f"{number} random directions, each active on {share} of the tokens; expected 1 or more, 0 to 1"
        )
    rng = np.random.default_rng(seed)
    units = rng.standard_normal((shards[0].width, number)).astype(np.float32)
    units /= np.linalg.norm(units, axis=0)
    kept = [np.flatnonzero(batch.kept) for batch in batches]
    total = sum(map(len, kept))
    chosen = np.sort(rng.choice(total, min(total, SAMPLE_ROWS), replace=False))
    bounds = np.cumsum([0, *map(len, kept)])
    parts = []
    for shard, rows, low, high in zip(shards, kept, bounds[:-1], bounds[1:], strict=False):
        mine = rows[chosen[(chosen >= low) & (chosen < high)] - low]
        parts += [_project(shard, mine[start : start + CHUNK_ROWS], units) for start in range(0, len(mine), CHUNK_ROWS)]
    return Directions(units, np.quantile(np.concatenate(parts), 1 - share, axis=0).astype(np.float32))


def direction_batches(
    directions: Directions, shards: Sequence[Shard], batches: Iterable[SparseBatch]
) -> Iterator[SparseBatch]:
    """Activations of the directions on the tokens of given batches.

    Args:
        directions: the directions.
        shards, batches: activations, and features of the first tokens of each shard, in the same order.
    """
    for shard, batch in zip(shards, batches, strict=False):
        sizes, indices, values = np.zeros(len(batch.kept), np.int64), [], []
        kept = np.flatnonzero(batch.kept)
        for start in range(0, len(kept), CHUNK_ROWS):
            rows = kept[start : start + CHUNK_ROWS]
            above = _project(shard, rows, directions.units) - directions.thresholds
            place, column = np.nonzero(above > 0)
            sizes[rows] = np.bincount(place, minlength=len(rows))
            indices.append(column.astype(np.int32))
            values.append(above[place, column])
        yield SparseBatch(
            indptr=np.concatenate([[0], np.cumsum(sizes)]),
            indices=np.concatenate(indices) if indices else np.zeros(0, np.int32),
            values=np.concatenate(values) if values else np.zeros(0, np.float32),
            n_features=directions.units.shape[1],
            kept=batch.kept,
            documents=batch.documents,
        )


def _project(shard: Shard, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
    return shard.array(rows) @ units
