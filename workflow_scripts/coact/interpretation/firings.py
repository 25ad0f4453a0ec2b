"""Where chosen features fire.

In: sparse batches in the order of the token stream. Out: for each chosen feature its positions and activations. Memory:
the activations of the chosen features alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coact.errors import ArtefactError
from coact.features.batches import SparseBatch


@dataclass(frozen=True)
class Firings:
    """Activations of one feature.

    Attributes:
        positions: (n,) int64, flat tokens of the stream, ascending.
        values: (n,) float32, strictly positive.
    """

    positions: np.ndarray
    values: np.ndarray


def collect_firings(batches: Iterable[SparseBatch], features: Sequence[int]) -> dict[int, Firings]:
    """The firings of chosen features, in the order given; a feature that never fires has empty ones.

    Raises:
        ArtefactError: the batches have fewer features than one of those chosen.
    """
    wanted = np.array(features, np.int64)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    first = 0
    for batch in batches:
        if len(wanted) and wanted.max() >= batch.n_features:
            raise ArtefactError(f"features: found {batch.n_features} features, expected feature {wanted.max()}")
        chosen = np.zeros(batch.n_features, bool)
        chosen[wanted] = True
        entries = np.flatnonzero(chosen[batch.indices])
        rows = np.searchsorted(batch.indptr, entries, side="right") - 1
        found.append((batch.indices[entries], first + rows, batch.values[entries]))
        first += len(batch.kept)
    if not found:
        return {int(feature): Firings(np.zeros(0, np.int64), np.zeros(0, np.float32)) for feature in wanted}
    indices, positions, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(indices, kind="stable")
    bounds = np.searchsorted(indices[order], np.stack([wanted, wanted + 1]))
    places = [order[start:stop] for start, stop in bounds.T]
    return {int(f): Firings(positions[p], values[p]) for f, p in zip(wanted, places, strict=True)}


def typical_activations(firings: Mapping[int, Firings]) -> dict[int, float]:
    """Median activation of each feature where it fires; NaN for one that never does."""
    return {f: float(np.median(found.values)) if len(found.values) else float("nan") for f, found in firings.items()}


def largest_activations(firings: Mapping[int, Firings]) -> dict[int, float]:
    """Largest activation of each feature; NaN for one that never fires."""
    return {f: float(found.values.max()) if len(found.values) else float("nan") for f, found in firings.items()}
