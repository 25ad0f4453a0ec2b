"""Encode activations into sparse features, chunk by chunk."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from coact.activations import Shard
from coact.artefacts import TensorWriter
from coact.device import get_device
from coact.progress import Progress
from coact.sae.architectures import Architecture

CHUNK_ROWS = 2048


def encode_shard(
    sae: Architecture, shard: Shard, tokens: int, include_special: bool, path: str | Path, stamp: dict[str, Any]
) -> None:
    """Write the sparse features of the first `tokens` tokens of an activation shard.

    The dense (tokens, D) matrix exists only for a chunk of `CHUNK_ROWS` tokens at a time.

    Args:
        sae: the SAE.
        shard: activations, (at least `tokens`, d_in).
        tokens: how many of its tokens.
        include_special: whether BOS and separator positions count as kept. They are encoded either way.
        path: safetensors file: indptr (tokens + 1,) int64, indices (entries,) int32, values (entries,) float32,
            kept (tokens,) bool, documents (tokens,) int32 as in the activation shard.
    """
    device = get_device()
    sae = sae.to(device)
    kept = np.ones(tokens, bool) if include_special else np.asarray(shard.documents[:tokens] >= 0)
    counts = np.zeros(tokens, np.int64)
    indices, values = _Growing(np.int32), _Growing(np.float32)
    progress = Progress(tokens, "encode", "tokens")
    for start in range(0, tokens, CHUNK_ROWS):
        rows = np.arange(start, min(start + CHUNK_ROWS, tokens))
        with torch.inference_mode():
            features = sae.encode_sparse(shard.rows(rows).to(device))
        indices.append(features.indices.cpu().numpy())
        values.append(features.values.cpu().numpy())
        counts[rows] = features.indptr.diff().cpu().numpy()
        progress.update(len(rows))
    progress.close()
    entries = int(counts.sum())
    shapes = {
        "indptr": ((tokens + 1,), "I64"),
        "indices": ((entries,), "I32"),
        "documents": ((tokens,), "I32"),
        "values": ((entries,), "F32"),
        "kept": ((tokens,), "BOOL"),
    }
    with TensorWriter(path, shapes, stamp, {"n_features": str(sae.d_sae)}) as writer:
        writer.append("indptr", np.concatenate([[0], np.cumsum(counts)]))
        writer.append("kept", kept)
        writer.append("documents", np.asarray(shard.documents[:tokens]))
        writer.append("indices", indices.array())
        writer.append("values", values.array())


class _Growing:
    """An array that grows at its end.

    Parts kept one by one would lie between the chunks' working memory, which could then not be used again.
    """

    def __init__(self, dtype: type) -> None:
        self._room, self._size = np.empty(1 << 24, dtype), 0

    def append(self, part: np.ndarray) -> None:
        """Copy `part` to the end."""
        size = self._size + len(part)
        if size > len(self._room):
            room = np.empty(max(size, 2 * len(self._room)), self._room.dtype)
            room[: self._size] = self._room[: self._size]
            self._room = room
        self._room[self._size : size] = part
        self._size = size

    def array(self) -> np.ndarray:
        """What was appended; a view."""
        return self._room[: self._size]
