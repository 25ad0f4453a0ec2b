"""Which active features of a token count as being there together.

In: sparse activations. Out: for every token a set of features, by one or more rules at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coact.errors import ConfigError
from coact.features.batches import SparseBatch
from coact.graph.kernels import mark_sets, take_marked

MOST_RULES = 32  # one bit of an unsigned 32-bit integer for each


@dataclass(frozen=True)
class SetRule:
    """A token's set: its `k` largest strictly positive activations (ties: lower index), or, without k, all above
    `threshold`."""

    k: int | None = None
    threshold: float = 0.0

    @property
    def name(self) -> str:
        """Such as "k4" or "above0.5"."""
        return f"above{self.threshold:g}" if self.k is None else f"k{self.k}"


def rules_of(sizes: Sequence[int], thresholds: Sequence[float]) -> list[SetRule]:
    """Rules for the k largest and for all above a threshold, in this order, each once."""
    return list(dict.fromkeys([*map(SetRule, sizes), *(SetRule(threshold=threshold) for threshold in thresholds)]))


@dataclass(frozen=True)
class TokenSets:
    """One set of features for each token.

    Attributes:
        indptr: (tokens + 1,) int64, the set of token t is indices[indptr[t]:indptr[t + 1]].
        indices: (entries,) int32 features, ascending within a set.
    """

    indptr: np.ndarray
    indices: np.ndarray


def token_sets(batch: SparseBatch, rules: Sequence[SetRule]) -> list[TokenSets]:
    """The sets of every kept token of a batch, for each rule.

    Raises:
        ConfigError: there are more than `MOST_RULES` rules, or a k is below 1.
    """
    if len(rules) > MOST_RULES:
        raise ConfigError(f"{len(rules)} rules for sets of features; expected at most {MOST_RULES} in one pass")
    for rule in rules:
        if rule.k is not None and rule.k < 1:
            raise ConfigError(f"a set of the {rule.k} largest activations; expected at least 1")
    indptr, indices, values = batch.arrays()
    marks = np.zeros(len(indices), np.uint32)
    sizes = np.array([rule.k or 0 for rule in rules], np.int64)
    mark_sets(indptr, values, sizes, np.array([rule.threshold for rule in rules], np.float32), marks)
    found = []
    for number in range(len(rules)):
        bounds, taken = take_marked(indptr, indices, marks, number)
        # Rows that are not kept are empty, so leaving out their bounds is all it takes.
        found.append(TokenSets(np.concatenate([[0], bounds[1:][batch.kept]]), taken))
    return found


def join_sets(parts: Sequence[TokenSets]) -> TokenSets:
    """The sets of several parts, one after another."""
    sizes = np.concatenate([np.diff(part.indptr) for part in parts])
    return TokenSets(np.concatenate([[0], np.cumsum(sizes)]), np.concatenate([part.indices for part in parts]))


def slice_sets(sets: TokenSets, start: int, stop: int) -> TokenSets:
    """The sets of tokens start..stop-1."""
    bounds = sets.indptr[start : stop + 1]
    return TokenSets(bounds - bounds[0], sets.indices[bounds[0] : bounds[-1]])
