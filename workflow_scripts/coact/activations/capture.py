"""Capturing activations into a shard."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge

from coact.activations.shards import open_writer
from coact.device import get_device
from coact.errors import StudyError
from coact.models.bridge import activations_at
from coact.progress import Progress

TORCH_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def capture(
    bridge: TransformerBridge,
    hook: str,
    contexts: dict[str, np.ndarray],
    dtype: str,
    forward_contexts: int,
    path: str | Path,
    stamp: dict[str, Any],
) -> None:
    """Write the activations of some contexts as one shard.

    Args:
        bridge: the model.
        hook: hook point.
        contexts: "tokens" int32, "documents" int32, "labels" int16, each (contexts, length).
        dtype: "float16", "bfloat16" or "float32".
        forward_contexts: contexts in a forward pass.
        path: safetensors file: activations (tokens, width), tokens, documents, labels (tokens,).
    Raises:
        StudyError: an activation is not finite in `dtype` (float16 overflows above 65,504).
    """
    tokens = contexts["tokens"]
    total = tokens.size
    width = activations_at(bridge, hook, _batch(tokens[:1])).shape[-1]
    limit = torch.finfo(TORCH_DTYPES[dtype]).max
    progress = Progress(total, f"capture {hook}", "tokens")
    with open_writer(path, total, width, dtype, hook, stamp) as writer:
        for name, array in contexts.items():
            writer.append(name, array.ravel())
        for start in range(0, len(tokens), forward_contexts):
            batch = _batch(tokens[start : start + forward_contexts])
            values = activations_at(bridge, hook, batch).flatten(0, 1)
            # One fast pass before the conversion; a NaN fails the comparisons too.
            low, high = torch.aminmax(values)
            if not (-limit <= low and high <= limit):
                raise StudyError(
                    f"activations.dtype: an activation at '{hook}' is not finite in {dtype}"
                    f" (contexts {start} to {start + len(batch) - 1} of the shard); try bfloat16 or float32"
                )
            values = values.to(TORCH_DTYPES[dtype])
            bits = values.view(torch.uint16) if dtype == "bfloat16" else values
            writer.append("activations", bits.cpu().numpy())
            progress.update(batch.numel())
    progress.close()


def _batch(tokens: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(tokens.astype(np.int64)).to(get_device())
