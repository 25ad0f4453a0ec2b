"""Where features are active, by context and by feature, and the thresholds that tell contexts best.

In: sparse features and the contexts of their tokens. Out: counts of active tokens, activations by feature, and for
every feature and context the threshold with the largest F1. All of it in compiled loops over sparse entries, never
over tokens x features.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from coact.columns import locate_columns
from coact.errors import StudyError
from coact.features.batches import SparseBatch
from coact.interpretation.memberships import Memberships

Read = Callable[[], Iterable[SparseBatch]]
MOST_ENTRIES = 1 << 24  # of features whose thresholds are searched together: 0.3 GB


class Tokens(NamedTuple):
    """One split.

    Attributes:
        read: gives the batches of its sparse features, anew on every call.
        ids: (tokens,) integers, of its tokens.
        contexts: of its tokens.
    """

    read: Read
    ids: np.ndarray
    contexts: Memberships


class Counts(NamedTuple):
    """Where features are active.

    Attributes:
        active: (D,) int64 counted tokens on which each feature is active.
        within: (D, contexts) int64, those of them in each context.
        sizes: (contexts,) int64 counted tokens of each context.
        counted: (tokens,) bool, tokens that are kept and belong to a document.
        documents: (tokens,) int32.
    """

    active: np.ndarray
    within: np.ndarray
    sizes: np.ndarray
    counted: np.ndarray
    documents: np.ndarray


class Columns(NamedTuple):
    """Activations by feature: of feature f the entries bounds[f]:bounds[f + 1], by ascending token.

    Attributes:
        bounds: (features + 1,) int64.
        tokens: (entries,) uint32.
        values: (entries,) float32.
    """

    bounds: np.ndarray
    tokens: np.ndarray
    values: np.ndarray

    def of(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and activations of a feature."""
        part = slice(self.bounds[feature], self.bounds[feature + 1])
        return self.tokens[part], self.values[part]


def count_contexts(batches: Iterable[SparseBatch], contexts: Memberships) -> Counts:
    """Active tokens of every feature, in all and in every context.

    Raises:
        StudyError: there is no batch, or the contexts are of another number of tokens.
    """
    bounds, members = contexts.by_token()
    active = within = np.zeros(0, np.int64)
    counted, documents, offset = [], [], 0
    for batch in batches:
        stop = offset + len(batch.kept)
        if not counted:
            active = np.zeros(batch.n_features, np.int64)
            within = np.zeros((batch.n_features, len(contexts.names)), np.int64)
        if stop >= len(bounds):
            break
        counted.append(batch.kept & contexts.counted[offset:stop])
        documents.append(batch.documents)
        _count(*batch.arrays()[:2], counted[-1], bounds[offset : stop + 1], members, active, within)
        offset = stop
    if not counted or offset != len(bounds) - 1:
        raise StudyError(f"features of {offset:,} tokens or more; expected {len(bounds) - 1:,}, those with contexts")
    inside = np.concatenate(counted)
    return Counts(active, within, (contexts.marks & inside).sum(axis=1), inside, np.concatenate(documents))


def search_thresholds(part: Tokens, counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """The threshold with the largest F1 for every feature and context, the highest among equal ones.

    Exact: all activations of a feature are tried. Features go in blocks of `MOST_ENTRIES` activations, or one by one.

    Returns:
        F1, (D, contexts) float64, 0 where the feature is never active in the context, and thresholds, float32, NaN
        there.
    """
    f1 = np.zeros(counts.within.shape)
    thresholds = np.full(counts.within.shape, np.nan, np.float32)
    members = part.contexts.by_token()
    blocks = np.cumsum(counts.active) // MOST_ENTRIES
    for block in np.unique(blocks):
        features = np.flatnonzero((blocks == block) & (counts.active > 0))
        if len(features):
            columns = gather_columns(part.read(), features, counts.counted)
            found = np.zeros((len(features), f1.shape[1])), np.full((len(features), f1.shape[1]), np.nan, np.float32)
            _search(*columns, *members, counts.sizes, *found)
            f1[features], thresholds[features] = found
    return f1, thresholds


def gather_columns(batches: Iterable[SparseBatch], features: np.ndarray, counted: np.ndarray | None = None) -> Columns:
    """The activations of some features at counted tokens.

    Args:
        features: ascending.
        counted: (tokens,) bool; None: all that are kept.
    """
    indptr, indices, values, offset, entries = [np.zeros(1, np.int64)], [], [], 0, 0
    for batch in batches:
        part = narrow(batch, features, None if counted is None else counted[offset : offset + len(batch.kept)])
        offset += len(batch.kept)
        indptr.append(part.indptr[1:] + entries)
        indices.append(part.indices)
        values.append(part.values)
        entries += len(part.values)
    joined = np.concatenate(indices)
    bounds, order, tokens = locate_columns(np.concatenate(indptr), joined, len(features))
    return Columns(bounds, tokens, np.concatenate(values)[order])


def narrow(batch: SparseBatch, features: np.ndarray, counted: np.ndarray | None = None) -> SparseBatch:
    """The batch of some features alone, numbered in their order, ascending; rows that are not counted are emptied."""
    place = np.full(batch.n_features, -1, np.int32)
    place[features] = np.arange(len(features), dtype=np.int32)
    kept = batch.kept if counted is None else batch.kept & counted
    rows = _narrow(*batch.arrays(), place, kept)
    return SparseBatch(*rows, len(features), kept, batch.documents)


@njit(cache=True)
def _count(
    indptr: np.ndarray,
    indices: np.ndarray,
    counted: np.ndarray,
    bounds: np.ndarray,
    members: np.ndarray,
    active: np.ndarray,
    within: np.ndarray,
) -> None:
    for row in range(len(counted)):
        if counted[row]:
            for entry in range(indptr[row], indptr[row + 1]):
                feature = indices[entry]
                active[feature] += 1
                for member in range(bounds[row], bounds[row + 1]):
                    within[feature, members[member]] += 1


@njit(cache=True)
def _narrow(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, place: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bounds = np.zeros(len(indptr), np.int64)
    for row in range(len(kept)):
        size = 0
        if kept[row]:
            for entry in range(indptr[row], indptr[row + 1]):
                size += place[indices[entry]] >= 0
        bounds[row + 1] = bounds[row] + size
    out, features, activations = 0, np.empty(bounds[-1], np.int32), np.empty(bounds[-1], np.float32)
    for row in range(len(kept)):
        if kept[row]:
            for entry in range(indptr[row], indptr[row + 1]):
                feature = place[indices[entry]]
                if feature >= 0:
                    features[out], activations[out] = feature, values[entry]
                    out += 1
    return bounds, features, activations


@njit(cache=True, parallel=True)
def _search(
    bounds: np.ndarray,
    tokens: np.ndarray,
    values: np.ndarray,
    member_bounds: np.ndarray,
    members: np.ndarray,
    sizes: np.ndarray,
    f1: np.ndarray,
    thresholds: np.ndarray,
) -> None:
    """Fill F1 and thresholds, (features, contexts), where a feature is active in a context.

    Between two of a context's tokens its F1 falls as the threshold does, so it is looked at where it has gained one:
    the work is that of the activations and of their tokens' contexts.
    """
    for feature in prange(len(bounds) - 1):
        first, count = bounds[feature], bounds[feature + 1] - bounds[feature]
        order = np.argsort(-values[first : first + count])
        hits, best_hits = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), np.int64)
        best_said, gained, seen = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), np.int64), 0
        gained_at = np.full(len(sizes), -1, np.int64)
        while seen < count:
            value, group, number = values[first + order[seen]], seen, 0
            while seen < count and values[first + order[seen]] == value:
                token = tokens[first + order[seen]]
                for member in range(member_bounds[token], member_bounds[token + 1]):
                    context = members[member]
                    hits[context] += 1
                    if gained_at[context] != group:
                        gained_at[context], gained[number] = group, context
                        number += 1
                seen += 1
            for place in range(number):
                context = gained[place]
                # Compared as whole numbers, so that equal F1 are equal.
                if hits[context] * (sizes[context] + best_said[context]) > best_hits[context] * (sizes[context] + seen):
                    best_hits[context], best_said[context] = hits[context], seen
                    thresholds[feature, context] = value
        for context in range(len(sizes)):
            if best_hits[context]:
                f1[feature, context] = 2 * best_hits[context] / (sizes[context] + best_said[context])
