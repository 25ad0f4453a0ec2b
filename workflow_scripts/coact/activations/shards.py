"""Activation shards: writing one piece by piece, and reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coact.artefacts import TensorWriter, open_tensors
from coact.errors import ArtefactError, StudyError

if TYPE_CHECKING:
    import torch

CODES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}


@dataclass(frozen=True)
class Shard:
    """One activation shard, memory-mapped.

    Attributes:
        path: its file.
        values: (tokens, width); bfloat16 is kept as its bits, uint16.
        documents: (tokens,) int32, row of the document in the split's table, -1 at BOS and separators.
        dtype: "float16", "bfloat16" or "float32".
    """

    path: str
    values: np.ndarray
    documents: np.ndarray
    dtype: str

    @property
    def width(self) -> int:
        """Dimensions of an activation vector."""
        return self.values.shape[1]

    def rows(self, rows: np.ndarray) -> "torch.Tensor":
        """Chosen rows as (rows, width) float32.

        Raises:
            ArtefactError: a value is not finite.
        """
        import torch

        values = torch.from_numpy(np.ascontiguousarray(self.values[rows]))
        if self.dtype == "bfloat16":
            values = values.view(torch.bfloat16)
        values = values.float()
        if not torch.isfinite(values.sum()):
            self._refuse(rows, torch.isfinite(values).numpy())
        return values

    def array(self, rows: np.ndarray) -> np.ndarray:
        """What `rows` gives, by NumPy: half as fast, for jobs that need no torch, whose import takes two seconds.

        Raises:
            ArtefactError: a value is not finite.
        """
        values = self.values[rows]
        if self.dtype == "bfloat16":  # the upper half of the bits of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        values = values.astype(np.float32, copy=False)
        if not (finite := np.isfinite(values)).all():
            self._refuse(rows, finite)
        return values

    def _refuse(self, rows: np.ndarray, finite: np.ndarray) -> None:
        bad = int(rows[int((~finite).any(1).argmax())])
        raise ArtefactError(f"{self.path}: activation of token {bad} is not finite (NaN or infinite)")

    def kept_rows(self, include_special: bool) -> np.ndarray:
        """Row numbers without BOS and separator positions, unless `include_special`; int64."""
        return np.arange(len(self.documents)) if include_special else np.flatnonzero(self.documents >= 0)


def open_shard(path: str | Path) -> Shard:
    """Open an activation shard, after checking that it is whole.

    Raises:
        ArtefactError: it is missing, truncated or altered.
    """
    file = open_tensors(path)
    return Shard(str(path), file["activations"], file["documents"], file.metadata["dtype"])


def gather_rows(shards: Sequence[Shard], rows: np.ndarray, n_tokens: int = 0) -> np.ndarray:
    """Activations of some tokens of a stream, (rows, width) float32.

    Args:
        shards: in order.
        rows: (rows,) int64 numbers of the tokens, ascending.
        n_tokens: tokens that the shards must have.
    Raises:
        StudyError: they have fewer.
        ArtefactError: a value is not finite.
    """
    parts, offset = [], 0
    for shard in shards:
        size = len(shard.documents)
        first, stop = np.searchsorted(rows, [offset, offset + size])
        parts.append(shard.array(rows[first:stop] - offset))
        offset += size
    if offset < n_tokens:
        raise StudyError(f"activations of {offset:,} tokens found; expected at least {n_tokens:,}, those with contexts")
    return np.concatenate(parts)


def open_writer(
    path: str | Path, tokens: int, width: int, dtype: str, hook: str, stamp: dict[str, Any]
) -> TensorWriter:
    """Begin an activation shard; its tensors are activations (tokens, width), tokens, documents and labels (tokens,).

    Args:
        path: safetensors file.
        dtype: of the activations, "float16", "bfloat16" (given as its bits, uint16) or "float32".
        hook: where they are from.
        stamp: what made it.
    """
    shapes = {
        "activations": ((tokens, width), CODES[dtype]),
        "tokens": ((tokens,), "I32"),
        "documents": ((tokens,), "I32"),
        "labels": ((tokens,), "I16"),
    }
    return TensorWriter(path, shapes, stamp, {"dtype": dtype, "hook": hook})
