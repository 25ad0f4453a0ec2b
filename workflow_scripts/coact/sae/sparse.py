"""Sparse features: taking them out of the pre-activations, and decoding them, without a dense copy.

Compiled loops for the CPU, PyTorch's own operations elsewhere; both choose the same features but for exact ties,
where the CPU takes the lower index.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from coact.sae.selection import ROWS_AT_ONCE, copy_pieces, find_largest, find_positive, number_of_lanes


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


def join(parts: list[SparseFeatures]) -> SparseFeatures:
    """Tokens of several parts as one; at least one part."""
    if len(parts) == 1:
        return parts[0]
    counts = torch.cat([part.indptr.diff() for part in parts])
    return SparseFeatures(
        F.pad(counts.cumsum(0), (1, 0)),
        torch.cat([part.indices for part in parts]),
        torch.cat([part.values for part in parts]),
    )


@torch.no_grad()
def take_positive(before: torch.Tensor, bias: torch.Tensor | None = None) -> SparseFeatures:
    """All entries of `before` + `bias` that are above 0 or NaN.

    Args:
        before: (tokens, D) float32, features or pre-activations.
        bias: (D,) float32, what is lacking of the pre-activations; adding it here saves writing and reading them anew.
    """
    if before.device.type == "cpu":
        dense, added = _as_arrays(before, bias)
        counts = np.empty(len(dense), np.int64)
        # Room for all entries; the system gives memory only for the part of it that is written.
        room = np.empty(dense.size + 1, np.int32), np.empty(dense.size + 1, np.float32)
        find_positive(dense, added, counts, *room)
        starts = np.arange(0, dense.size, dense.shape[1] * ROWS_AT_ONCE)
        return _close_up(counts, starts, ROWS_AT_ONCE, *room)
    before = before if bias is None else before + bias
    rows, columns = (~(before <= 0)).nonzero(as_tuple=True)
    counts = torch.bincount(rows, minlength=len(before))
    return SparseFeatures(F.pad(counts.cumsum(0), (1, 0)), columns.int(), before[rows, columns])


@torch.no_grad()
def take_largest(before: torch.Tensor, k: int, bias: torch.Tensor | None = None) -> SparseFeatures:
    """The entries of `before` + `bias`, see `take_positive`, that are above 0 and among their row's k largest."""
    if before.device.type == "cpu":
        indices, values, counts = _largest_on_cpu(before, k, bias)
        return _close_up(counts.astype(np.int64), np.arange(0, indices.size, k), 1, indices.ravel(), values.ravel())
    before = before if bias is None else before + bias
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
        indices, _, counts = _largest_on_cpu(before, k, None)
        return torch.from_numpy(indices), torch.from_numpy(counts)
    values, indices = before.topk(k, sorted=True)
    counts = (~(values <= 0)).sum(1)
    beyond = torch.arange(k, device=before.device) >= counts[:, None]
    order = torch.where(beyond, indices + before.shape[1], indices).argsort(1)
    return indices.gather(1, order).int(), counts.int()


def _as_arrays(before: torch.Tensor, bias: torch.Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    bias = before.new_zeros(before.shape[1]) if bias is None else bias
    return before.detach().contiguous().numpy(), bias.detach().contiguous().numpy()


def _largest_on_cpu(
    before: torch.Tensor, k: int, bias: torch.Tensor | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `largest_positive`: indices, the entries there (tokens, k) float32, counts."""
    dense, added = _as_arrays(before, bias)
    shape = len(dense), k
    found = np.empty(shape, np.int32), np.empty(shape, np.float32), np.empty(len(dense), np.int32)
    find_largest(dense, added, k, number_of_lanes(dense.shape[1], k), *found)
    return found


def _close_up(
    counts: np.ndarray, starts: np.ndarray, rows_at_once: int, indices: np.ndarray, values: np.ndarray
) -> SparseFeatures:
    """Sparse features whose entries lie apart: those of `rows_at_once` rows on end, from `starts` on."""
    indptr = np.concatenate([[0], np.cumsum(counts)])
    bounds = np.append(indptr[:-1:rows_at_once], indptr[-1])
    if len(indices) > indptr[-1]:
        found = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
        copy_pieces(bounds, starts, indices, values, *found)
        indices, values = found
    return SparseFeatures(*map(torch.from_numpy, (indptr, indices, values)))
