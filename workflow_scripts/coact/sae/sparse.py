"""Sparse features: taking them out of the pre-activations, and decoding them, without a dense copy.

Compiled loops for the CPU, PyTorch's own operations elsewhere; both choose the same features but for exact ties,
where the CPU takes the lower index.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, prange

BLOCK = 64
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class SparseFeatures:
    """Features of some tokens as compressed sparse rows.

    Attributes:
        indptr: (tokens + 1,) int64, row t holds the entries indptr[t]:indptr[t + 1].
        indices: (entries,) int32, ascending within a row.
        values: (entries,) float32, strictly positive, or NaN where the pre-activations are.
    """

    indptr: torch.Tensor
    indices: torch.Tensor
    values: torch.Tensor

    def decode(self, weights: torch.Tensor) -> torch.Tensor:
        """Sums of rows of `weights` (D, d_in), weighted by the values: (tokens, d_in)."""
        return F.embedding_bag(
            self.indices.long(), weights, self.indptr[:-1], per_sample_weights=self.values, mode="sum"
        )


@torch.no_grad()
def take_positive(features: torch.Tensor) -> SparseFeatures:
    """All entries of `features` (tokens, D) float32 that are above 0 or NaN."""
    if features.device.type == "cpu":
        dense = features.contiguous().numpy()
        counts = np.empty(len(dense), np.int64)
        _count_positive(dense, counts)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
        _copy_positive(dense, indptr, indices, values)
        return SparseFeatures(*map(torch.from_numpy, (indptr, indices, values)))
    rows, columns = (~(features <= 0)).nonzero(as_tuple=True)
    counts = torch.bincount(rows, minlength=len(features))
    return SparseFeatures(F.pad(counts.cumsum(0), (1, 0)), columns.int(), features[rows, columns])


@torch.no_grad()
def take_largest(before: torch.Tensor, k: int) -> SparseFeatures:
    """The entries of `before` (tokens, D) float32 that are above 0 and among their row's k largest."""
    indices, counts = largest_positive(before, k)
    kept = torch.arange(k, device=before.device) < counts[:, None]
    values = before.gather(1, indices.long())
    return SparseFeatures(F.pad(counts.long().cumsum(0), (1, 0)), indices[kept], values[kept])


@torch.no_grad()
def largest_positive(before: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Per row, the indices of the k largest entries above 0 of `before` (tokens, D) float32.

    Returns:
        Indices (tokens, k) int32, ascending as far as they count; the others point to an entry that is not above 0.
        How many count in each row, (tokens,) int32.
    """
    if before.device.type == "cpu":
        indices, counts = np.empty((len(before), k), np.int32), np.empty(len(before), np.int32)
        _find_largest(before.detach().contiguous().numpy(), k, indices, counts)
        return torch.from_numpy(indices), torch.from_numpy(counts)
    values, indices = before.topk(k, sorted=True)
    counts = (~(values <= 0)).sum(1)
    beyond = torch.arange(k, device=before.device) >= counts[:, None]
    order = torch.where(beyond, indices + before.shape[1], indices).argsort(1)
    return indices.gather(1, order).int(), counts.int()


@njit(cache=True)
def _count_above(row: np.ndarray, threshold: float) -> int:
    """Entries above the threshold or NaN; written so that the compiler makes vector instructions of it."""
    number = np.int32(0)
    for column in range(len(row)):
        number += np.int32(0) if row[column] <= threshold else np.int32(1)
    return number


@njit(cache=True, parallel=True)
def _count_positive(dense: np.ndarray, counts: np.ndarray) -> None:
    for row in prange(len(dense)):
        counts[row] = _count_above(dense[row], np.float32(0))


@njit(cache=True, parallel=True)
def _copy_positive(dense: np.ndarray, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
    for row in prange(len(dense)):
        entries, entry = dense[row], indptr[row]
        for first in range(0, len(entries), BLOCK):
            if entry == indptr[row + 1]:
                break
            block = entries[first : first + BLOCK]
            if _count_above(block, np.float32(0)) == 0:
                continue
            for column in range(len(block)):
                if not block[column] <= 0:
                    indices[entry] = first + column
                    values[entry] = block[column]
                    entry += 1


@njit(cache=True, parallel=True)
def _find_largest(before: np.ndarray, k: int, indices: np.ndarray, counts: np.ndarray) -> None:
    """See `largest_positive`. A block of entries is looked into only if one of them beats the k-th largest so far."""
    n_rows = len(before)
    for chunk in prange((n_rows + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        heap, places = np.empty(k, np.float32), np.empty(k, np.int32)
        for row in range(chunk * ROWS_AT_ONCE, min(n_rows, (chunk + 1) * ROWS_AT_ONCE)):
            held = _fill_heap(before[row], heap, places)
            counts[row] = held
            indices[row, :held] = np.sort(places[:held])
            if held < k:
                indices[row, held:] = np.argmin(before[row])


@njit(cache=True)
def _fill_heap(entries: np.ndarray, heap: np.ndarray, places: np.ndarray) -> int:
    held, threshold = 0, np.float32(0)
    for first in range(0, len(entries), BLOCK):
        block = entries[first : first + BLOCK]
        if _count_above(block, threshold) == 0:
            continue
        for column in range(len(block)):
            value = block[column]
            # NaN must not be lost: the loss, or whoever reads the features, has to see it.
            if value != value:
                value = np.float32(np.inf)
            if value > threshold:
                if held < len(heap):
                    held = _push(heap, places, held, value, np.int32(first + column))
                else:
                    _replace(heap, places, value, np.int32(first + column))
                if held == len(heap):
                    threshold = heap[0]
    return held


@njit(cache=True)
def _push(heap: np.ndarray, places: np.ndarray, held: int, value: float, place: int) -> int:
    """Add to a heap with its smallest value, and of equal values the highest place, first; its new size."""
    at = held
    while at > 0:
        above = (at - 1) // 2
        if not _goes_first(value, place, heap[above], places[above]):
            break
        heap[at], places[at] = heap[above], places[above]
        at = above
    heap[at], places[at] = value, place
    return held + 1


@njit(cache=True)
def _replace(heap: np.ndarray, places: np.ndarray, value: float, place: int) -> None:
    """Put a value in the place of the first of a full heap."""
    at, size = 0, len(heap)
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _goes_first(heap[below + 1], places[below + 1], heap[below], places[below]):
            below += 1
        if not _goes_first(heap[below], places[below], value, place):
            break
        heap[at], places[at] = heap[below], places[below]
        at = below
    heap[at], places[at] = value, place


@njit(cache=True)
def _goes_first(value: float, place: int, other: float, other_place: int) -> bool:
    return value < other or (value == other and place > other_place)
