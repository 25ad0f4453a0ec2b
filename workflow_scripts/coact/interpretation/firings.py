"""Where chosen features fire.

In: sparse batches in the order of the token stream. Out: for each chosen feature its positions and activations. Memory:
the activations of the chosen features alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coact.errors import ArtefactError
from coact.features.batches import SparseBatch
from coact.interpretation.activity import gather_columns


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
    wanted = np.unique(np.array(features, np.int64))
    columns = gather_columns(_checked(batches, wanted), wanted)
    places = {int(feature): place for place, feature in enumerate(wanted)}
    found = {int(feature): columns.of(places[int(feature)]) for feature in features}
    return {feature: Firings(tokens.astype(np.int64), values) for feature, (tokens, values) in found.items()}


def _checked(batches: Iterable[SparseBatch], wanted: np.ndarray) -> Iterator[SparseBatch]:
    for batch in batches:
        if len(wanted) and wanted.max() >= batch.n_features:
            raise ArtefactError(f"features: found {batch.n_features} features, expected feature {wanted.max()}")
        yield batch


def typical_activations(firings: Mapping[int, Firings]) -> dict[int, float]:
    """Median activation of each feature where it fires; NaN for one that never does."""
    return {f: float(np.median(found.values)) if len(found.values) else float("nan") for f, found in firings.items()}


def largest_activations(firings: Mapping[int, Firings]) -> dict[int, float]:
    """Largest activation of each feature; NaN for one that never fires."""
    return {f: float(found.values.max()) if len(found.values) else float("nan") for f, found in firings.items()}
