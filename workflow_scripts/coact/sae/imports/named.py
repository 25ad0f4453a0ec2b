"""SAEs in a safetensors file whose tensors have any names; the configuration says which is which."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coact.imported import describe
from coact.sae.disk import read_weights
from coact.sae.imports.source import Source, take


def read(settings: Mapping[str, Any], key: str) -> Source:
    """The SAE of a family of format "tensors"; see `coact.sae.imports.read.read_sae`. Biases without a name are 0."""
    path = Path(settings["path"])
    config = describe(settings, key) | {"apply_b_dec_to_input": settings["tensors"]["pre_bias"]}
    tensors = take(read_weights(path), settings["tensors"]["names"], path)
    zeros = {"b_dec": config["d_in"]}
    if config["architecture"] != "gated":
        zeros["b_enc"] = config["d_sae"]
    return Source(config, {name: torch.zeros(size) for name, size in zeros.items()} | tensors, 1.0, str(path))
