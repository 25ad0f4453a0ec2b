"""True features, and activations that are sparse sums of them.

In: settings. Out: activations x = sum of m_i d_i over the features i that fire on a token, plus noise; and which
features fire, with their magnitudes m_i.

Directions d_i are uniform on the sphere, more of them than dimensions: superposition (Elhage et al. 2022, Toy Models of
Superposition), in data as of Sharkey et al. 2022 (Taking features out of superposition with sparse autoencoders).
Firing departs from independence in two ways. Members of a group fire together more than by chance: a feature fires
where a Gaussian variable is below a quantile, and those of a group share a part of theirs (a one-factor Gaussian
copula, Li 2000). A child in a tree fires only where its parent does, the hierarchy in which Chanin et al. 2024 (A is
for Absorption) show that parents are absorbed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import ndtri

from coact.activations.shards import open_writer
from coact.progress import Progress
from coact.sae.truth.settings import CHILD, GROUP, MOST_PROBABLE, ROOT, SINGLE, TruthSettings

CHUNK_TOKENS = 2048
SPLITS = ("train", "heldout")
LAYOUT = 0  # number, after the seed, of the random numbers of the features themselves; those of splits follow
HALVINGS = 200


@dataclass(frozen=True)
class Truth:
    """The true features.

    Attributes:
        settings: what they were made by.
        directions: (F, d) float32, of unit norm.
        kind: (F,) "root" or "child" of a tree, member of a "group", or "single".
        unit: (F,) int32, number of the tree, group or single feature; features of one unit have one number.
        parent: (F,) int32, -1 for none.
        level: (F,) int32, levels below the root of a tree.
        conditional: (F,) float64, probability to fire where the parent does, or at all if there is none.
        probability: (F,) float64, probability to fire.
    """

    settings: TruthSettings
    directions: np.ndarray
    kind: np.ndarray
    unit: np.ndarray
    parent: np.ndarray
    level: np.ndarray
    conditional: np.ndarray
    probability: np.ndarray

    def table(self) -> pd.DataFrame:
        """A row per feature: feature, kind, unit, parent, level, probability."""
        shown = {name: getattr(self, name) for name in ("kind", "unit", "parent", "level", "probability")}
        return pd.DataFrame({"feature": np.arange(len(self.kind), dtype=np.int32), **shown})


@dataclass(frozen=True)
class Chunk:
    """Some tokens.

    Attributes:
        x: (tokens, d) float32, activations.
        signal: (tokens, d) float32, activations without the noise.
        codes: (tokens, F) float32, sparse: the magnitudes of the features that fire.
    """

    x: np.ndarray
    signal: np.ndarray
    codes: csr_array


def plant(settings: TruthSettings) -> Truth:
    """Draw the true features.

    The probability of the unit (tree, group, single feature) of rank r is min(0.5, s r^-zipf), ranks being random; s is
    such that l0 features fire on a token in the mean. It is that of every member of a group, and of the root of a tree.
    """
    generator = np.random.default_rng([settings.seed, LAYOUT])
    directions = generator.standard_normal((settings.features, settings.dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    kind, unit, parent, level = _layout(settings)
    units = int(unit.max()) + 1
    weights = (1.0 + generator.permutation(units)) ** -settings.zipf
    # Features that fire in the mean where the unit's probability is one.
    firing = settings.child_probability ** level.astype(float)
    scale = _find_scale(weights, np.bincount(unit, firing), settings.l0)
    conditional = np.where(parent < 0, _capped(scale, weights)[unit], settings.child_probability)
    return Truth(
        settings,
        directions.astype(np.float32),
        kind,
        unit,
        parent,
        level,
        conditional,
        _capped(scale, weights)[unit] * firing,
    )


def _layout(settings: TruthSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Kind, unit, parent and level of every feature. Nodes of a tree are numbered level by level."""
    nodes = np.arange(settings.tree_features)
    above = np.where(nodes > 0, (nodes - 1) // settings.branching, -1)
    levels = np.zeros(len(nodes), np.int64)
    for node in nodes[1:]:
        levels[node] = levels[above[node]] + 1
    trees, groups, single = settings.trees, settings.groups, settings.single_features
    first = np.arange(trees)[:, None] * len(nodes)
    grouped = groups * settings.group_size
    others = grouped + single
    unit = np.concatenate(
        [
            np.repeat(np.arange(trees), len(nodes)),
            trees + np.repeat(np.arange(groups), settings.group_size),
            trees + groups + np.arange(single),
        ]
    )
    parent = np.concatenate([np.where(above < 0, -1, above + first).ravel(), np.full(others, -1)])
    level = np.concatenate([np.tile(levels, trees), np.zeros(others, np.int64)])
    of_tree = np.tile(np.where(above < 0, ROOT, CHILD), trees)
    kind = np.concatenate([of_tree, np.repeat([GROUP, SINGLE], [grouped, single])])
    return kind, *(part.astype(np.int32) for part in (unit, parent, level))


def _capped(scale: float, weights: np.ndarray) -> np.ndarray:
    return np.minimum(MOST_PROBABLE, scale * weights)


def _find_scale(weights: np.ndarray, features: np.ndarray, l0: float) -> float:
    """The factor of `weights` (units,) for which `l0` features fire, a unit standing for `features` (units,)."""
    low, high = 0.0, MOST_PROBABLE / float(weights.min())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (_capped(middle, weights) * features).sum() < l0:
            low = middle
        else:
            high = middle
    return high


def chunks(truth: Truth, split: str, tokens: int) -> Iterator[Chunk]:
    """The first `tokens` tokens of a split, `CHUNK_TOKENS` at a time.

    A chunk depends on the seed, the split and its number alone: asking for fewer tokens gives the beginning of more.

    Args:
        split: "train" or "heldout".
    """
    for number, start in enumerate(range(0, tokens, CHUNK_TOKENS)):
        yield _draw(truth, split, number, min(CHUNK_TOKENS, tokens - start))


def _draw(truth: Truth, split: str, number: int, tokens: int) -> Chunk:
    settings = truth.settings
    generator = np.random.default_rng([settings.seed, 1 + SPLITS.index(split), number])
    fires = _draw_firing(truth, generator)[:tokens]
    noise = generator.standard_normal((CHUNK_TOKENS, settings.dimension), dtype=np.float32)[:tokens]
    # Last, since how many there are depends on the number of tokens.
    indices = fires.nonzero()[1]
    values = _draw_magnitudes(settings.magnitudes, len(indices), generator)
    indptr = np.concatenate([[0], np.cumsum(fires.sum(1))])
    codes = csr_array((values, indices.astype(np.int32), indptr.astype(np.int32)), shape=fires.shape)
    # A sparse product sums in a fixed order, whatever the threads.
    signal = codes @ truth.directions
    return Chunk(signal + np.float32(settings.noise) * noise, signal, codes)


def _draw_firing(truth: Truth, generator: np.random.Generator) -> np.ndarray:
    """(CHUNK_TOKENS, F) bool."""
    settings = truth.settings
    latent = generator.standard_normal((CHUNK_TOKENS, settings.features), dtype=np.float32)
    common = generator.standard_normal((CHUNK_TOKENS, settings.groups), dtype=np.float32)
    grouped = np.flatnonzero(truth.kind == GROUP)
    own, shared = np.sqrt(1 - settings.correlation), np.sqrt(settings.correlation)
    group = truth.unit[grouped] - settings.trees
    latent[:, grouped] = np.float32(own) * latent[:, grouped] + np.float32(shared) * common[:, group]
    fires = latent < ndtri(truth.conditional).astype(np.float32)
    for level in range(1, settings.depth + 1):
        nodes = np.flatnonzero(truth.level == level)
        fires[:, nodes] &= fires[:, truth.parent[nodes]]
    return fires


def _draw_magnitudes(distribution: str, number: int, generator: np.random.Generator) -> np.ndarray:
    """(number,) float32, of mean 1."""
    if distribution == "uniform":
        return np.float32(0.5) + generator.random(number, dtype=np.float32)
    if distribution == "exponential":
        return generator.standard_exponential(number, dtype=np.float32)
    return np.ones(number, np.float32)


def write_activations(truth: Truth, tokens: int, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write training activations as one shard, as `coact.activations.capture` does.

    All token and document ids are 0: no position is special.

    Args:
        tokens: number of tokens; in memory is one chunk at a time.
        path: safetensors file.
        stamp: what made it.
    """
    progress = Progress(tokens, "plant directions", "tokens")
    with open_writer(path, tokens, truth.settings.dimension, "float32", "ground_truth", stamp) as writer:
        for chunk in chunks(truth, "train", tokens):
            writer.append("activations", chunk.x)
            for name, dtype in (("tokens", np.int32), ("documents", np.int32), ("labels", np.int16)):
                writer.append(name, np.zeros(len(chunk.x), dtype))
            progress.update(len(chunk.x))
    progress.close()
