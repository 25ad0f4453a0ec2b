"""Snapshots of an SAE in training: the directions of its features, and the tokens that they fire on most.

In: the SAE after some of its steps, and one fixed sample of (scaled) activations. Out: a safetensors file, from which
`coact.sae.emergence` tells when features emerge.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit

from coact.artefacts import write_tensors
from coact.sae.architectures import Architecture

BATCH_TOKENS = 2048


class Snapshot(NamedTuple):
    """A light copy of an SAE.

    Attributes:
        directions: (d_sae, d_in) float16 decoder rows, scaled to unit norm; zeros where a row is 0.
        tokens: (d_sae, top) int32 places in the sample, the largest activation first; -1 where it fires on fewer.
        counts: (d_sae,) int64 tokens of the sample on which the feature fires.
    """

    directions: torch.Tensor
    tokens: torch.Tensor
    counts: torch.Tensor


class Snapshots:
    """Snapshots of one training, by step.

    Activations are those of the architecture's own `encode_sparse` on `BATCH_TOKENS` tokens of the sample at a time. An
    architecture that selects entries over a batch (batchtopk, matryoshka) therefore does so here, too, within such
    batches; among the tokens on which a feature is selected, those of its largest pre-activations come first.

    Args:
        steps: steps after which snapshots are due; 0 is before the first.
        sample: (tokens, d_in) float32 activations, scaled as in training; may be empty where no step is due.
        top: tokens kept per feature.
        places: (tokens, 2) int64 number of the shard, and row there, of each token of the sample, so that its text can
            be found; without them it cannot.
    """

    def __init__(
        self, steps: Sequence[int], sample: torch.Tensor, top: int = 8, places: np.ndarray | None = None
    ) -> None:
        self.steps, self.top, self._sample = frozenset(steps), top, sample
        self._places = np.empty((0, 2), np.int64) if places is None else places
        self._taken: dict[int, Snapshot] = {}

    def is_due(self, step: int) -> bool:
        """Whether a snapshot is to be taken after so many steps."""
        return step in self.steps

    @torch.no_grad()
    def take(self, step: int, sae: Architecture) -> None:
        """Keep a snapshot of `sae` as it is after `step` steps; one that is there already is replaced."""
        rows = sae.W_dec.detach()
        directions = (rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-8)).half().cpu()
        self._taken[step] = Snapshot(directions, *map(torch.from_numpy, self._find_top(sae)))

    def _find_top(self, sae: Architecture) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.full((sae.d_sae, self.top), -1, np.int32)
        largest = np.zeros((sae.d_sae, self.top), np.float32)
        counts = np.zeros(sae.d_sae, np.int64)
        for start in range(0, len(self._sample), BATCH_TOKENS):
            found = sae.encode_sparse(self._sample[start : start + BATCH_TOKENS].to(sae.W_dec.device))
            indptr, indices, values = (part.cpu().numpy() for part in (found.indptr, found.indices, found.values))
            keep_largest(indptr, indices, values, start, largest, tokens)
            counts += np.bincount(indices, minlength=sae.d_sae)
        return tokens, counts

    def state(self) -> dict[str, torch.Tensor]:
        """All snapshots taken so far, in the order of their steps.

        Returns:
            steps (n,) int64; directions (n, d_sae, d_in) float16, tokens (n, d_sae, top) int32 and counts (n, d_sae)
            int64, see `Snapshot`, without entries where there is none.
        """
        if not self._taken:
            return {
                "steps": torch.empty(0, dtype=torch.int64),
                "directions": torch.empty(0, 0, 0, dtype=torch.float16),
                "tokens": torch.empty(0, 0, self.top, dtype=torch.int32),
                "counts": torch.empty(0, 0, dtype=torch.int64),
            }
        steps = sorted(self._taken)
        parts = zip(*(self._taken[step] for step in steps), strict=True)
        stacked = zip(Snapshot._fields, map(torch.stack, parts), strict=True)
        return {"steps": torch.tensor(steps), **dict(stacked)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` gave: a training that goes on from a checkpoint keeps the snapshots before it."""
        parts = zip(*(state[name] for name in Snapshot._fields), strict=True)
        self._taken = {int(step): Snapshot(*part) for step, part in zip(state["steps"].tolist(), parts, strict=True)}

    def write(self, path: str | Path, stamp: dict[str, Any]) -> None:
        """Write the arrays of `state`, and `sample_shard` int32 and `sample_row` int64 (tokens,), as safetensors.

        The number of tokens of the sample is in the metadata, `sample_tokens`.
        """
        arrays = {name: tensor.numpy() for name, tensor in self.state().items()}
        arrays["sample_shard"] = self._places[:, 0].astype(np.int32)
        arrays["sample_row"] = self._places[:, 1].astype(np.int64)
        write_tensors(arrays, path, stamp, {"sample_tokens": str(len(self._sample))})


@njit(cache=True)
def keep_largest(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, first: int, largest: np.ndarray, tokens: np.ndarray
) -> None:
    """Merge the features of some tokens into the largest activations of each feature; of equal ones the lower token.

    Args:
        indptr, indices, values: features of the tokens, compressed sparse rows (see `SparseFeatures`).
        first: number of the first of these tokens, above those of all calls before.
        largest: changed; (D, top) float32 activations in descending order, 0 where there are fewer.
        tokens: changed; (D, top) int32 their tokens.
    """
    top = largest.shape[1]
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            feature, value, at = indices[entry], values[entry], top
            while at > 0 and value > largest[feature, at - 1]:
                at -= 1
            for place in range(top - 1, at, -1):
                largest[feature, place] = largest[feature, place - 1]
                tokens[feature, place] = tokens[feature, place - 1]
            if at < top:
                largest[feature, at], tokens[feature, at] = value, first + row
