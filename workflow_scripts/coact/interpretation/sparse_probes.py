"""The features that stand for a context together: a sparse probe, grown feature by feature.

In: sparse features of training tokens, their contexts, and for each context candidates, best first. Out: per context
its main features.

One feature is rarely all there is of a context: it may have split. Following Chanin et al. (2024), features are added
to a probe as long as its F1 rises by more than a step. Features enter by forward selection in a least-squares
regression of the context on their activations (Hastie, Tibshirani and Friedman 2009, section 3.3.2), the best single
feature first; one whose weight would not be positive does not speak for the context and is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from coact.features.batches import SparseBatch
from coact.interpretation.activity import Columns, gather_columns
from coact.interpretation.detection import best_threshold
from coact.interpretation.memberships import Memberships

SLACK = 1e-9  # of a Gram matrix, relative to its trace: features that are copies of others add nothing


class SparseProbe(NamedTuple):
    """The main features of a context.

    Attributes:
        features: (k,) int32, in the order in which they were added.
        f1: (k,) float64, F1 on training tokens with the features up to each.
    """

    features: np.ndarray
    f1: np.ndarray


def choose_candidates(
    best: pd.DataFrame, features: pd.DataFrame, contexts: Sequence[str], most: int
) -> dict[str, list[int]]:
    """The features that may stand for each context: its best one, then others by their F1 on training tokens.

    Args:
        best, features: of `coact.interpretation.contexts.measure_contexts`.
        contexts: names, of which those with a best feature are kept.
        most: candidates of a context.
    """
    first = best[(best["rank"] == 1) & (best["feature"] >= 0)].set_index("context")["feature"]
    ordered = features.sort_values(["f1_train", "feature"], ascending=[False, True])
    others = ordered.groupby("context")["feature"].agg(list).to_dict()
    return {
        name: list(dict.fromkeys([int(first[name]), *others.get(name, [])]))[:most]
        for name in contexts
        if name in first.index
    }


def grow_probes(
    batches: Iterable[SparseBatch],
    contexts: Memberships,
    candidates: Mapping[str, Sequence[int]],
    *,
    least_gain: float,
    most: int,
) -> dict[str, SparseProbe]:
    """The main features of contexts.

    Memory: the activations of all candidates, 16 bytes each, and those of one context's densely.

    Args:
        batches: training tokens, as many as the contexts have.
        contexts: of these tokens.
        candidates: context -> features that may stand for it, the best single one first.
        least_gain: F1 that a further feature must add.
        most: most features of a context.

    Returns:
        Context -> its probe, of one feature at least; those with candidates and training tokens, in their order.
    """
    features = np.unique(np.concatenate([np.asarray(found, np.int64) for found in [[], *candidates.values()]]))
    columns = gather_columns(batches, features, contexts.counted)
    found = {}
    for name, own in candidates.items():
        inside = contexts.marks[contexts.names.index(name)] & contexts.counted
        if len(own) and inside.any():
            places = np.searchsorted(features, np.asarray(own, np.int64))
            active, x = _dense(columns, places)
            totals = int(inside.sum()), int(contexts.counted.sum())
            chosen, f1 = _grow(x, inside[active], *totals, least_gain, most)
            found[name] = SparseProbe(np.asarray(own, np.int32)[chosen], np.asarray(f1))
    return found


def _dense(columns: Columns, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens on which any of some features is active, ascending, and (tokens, features) float64 activations."""
    parts = [columns.of(feature) for feature in features]
    tokens = np.unique(np.concatenate([active for active, _ in parts]))
    x = np.zeros((len(tokens), len(features)))
    for place, (active, values) in enumerate(parts):
        x[np.searchsorted(tokens, active), place] = values
    return tokens, x


def _grow(
    x: np.ndarray, y: np.ndarray, positives: int, tokens: int, least_gain: float, most: int
) -> tuple[list[int], list[float]]:
    """Candidates, by their place, in the order in which they are added; F1 with each.

    Args:
        x: (active tokens, candidates) activations, those where any candidate is active.
        y: (active tokens,) bool, whether they belong to the context.
        positives, tokens: tokens of the context, and in all.
    """
    means = x.sum(axis=0) / tokens
    gram = x.T @ x - tokens * np.outer(means, means)
    gram += (SLACK * np.trace(gram) or 1.0) * np.eye(len(gram))  # of features that never change nothing is learnt
    target = x[y].sum(axis=0) - positives * means
    chosen, scores = [0], [_best_f1(x[:, 0], y, positives)]
    while len(chosen) < min(most, x.shape[1]):
        added = _next(gram, target, chosen)
        if added is None:
            break
        trial = [*chosen, added]
        f1 = _best_f1(x[:, trial] @ np.linalg.solve(gram[np.ix_(trial, trial)], target[trial]), y, positives)
        if f1 - scores[-1] <= least_gain:
            break
        chosen.append(added)
        scores.append(f1)
    return chosen, scores


def _best_f1(scores: np.ndarray, y: np.ndarray, positives: int) -> float:
    """The largest F1 of a threshold above 0, since tokens with a score of 0 are those on which no chosen one fires."""
    fires = scores > 0
    return best_threshold(scores[fires], y[fires], positives)[1]


def _next(gram: np.ndarray, target: np.ndarray, chosen: list[int]) -> int | None:
    """The candidate that explains most beside the chosen ones, of those with which all weights are positive."""
    best, most = None, -np.inf
    for place in sorted(set(range(len(target))) - set(chosen)):
        trial = [*chosen, place]
        weights = np.linalg.solve(gram[np.ix_(trial, trial)], target[trial])
        explained = weights @ target[trial]
        if (weights > 0).all() and explained > most:
            best, most = place, explained
    return best
