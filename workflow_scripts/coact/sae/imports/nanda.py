"""SAEs of Neel Nanda's 1L-Sparse-Autoencoder (`NeelNanda/sparse_autoencoder`): <n>.pt with <n>_cfg.json beside it.

The .pt is a pickle of a state dictionary. It is unpickled by PyTorch's reader of tensors alone, which refuses all else
before it is run.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coact.errors import ArtefactError, first_line
from coact.imported import describe
from coact.sae.imports.source import Source, take

NAMES = ("W_enc", "W_dec", "b_enc", "b_dec")


def read(settings: Mapping[str, Any], key: str) -> Source:
    """The SAE of a family of format "nanda"; see `coact.sae.imports.read.read_sae`."""
    path = Path(settings["path"])
    config = describe(settings, key) | {"apply_b_dec_to_input": True}
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ArtefactError(
            f"{path}: cannot be read as tensors alone, so it is not read at all ({first_line(error).rstrip('.')})"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ArtefactError(f"{path}: found something else than tensors by name, expected {', '.join(NAMES)}")
    return Source(config, take(found, {name: name for name in NAMES}, path), 1.0, str(path))
