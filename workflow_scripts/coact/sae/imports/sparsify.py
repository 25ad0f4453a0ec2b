"""SAEs of EleutherAI's sparsify (`eai-sparsify`): a folder, named after the module it hooks, with sae.safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coact.imported import SPARSIFY_FILES, describe
from coact.sae.disk import read_weights
from coact.sae.imports.source import Source, take

NAMES = {"W_enc": "encoder.weight.T", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}


def read(settings: Mapping[str, Any], key: str) -> Source:
    """The SAE of a family of format "sparsify"; see `coact.sae.imports.read.read_sae`.

    Its k largest pre-activations are kept after a ReLU, so that fewer than k features may be active, as here.
    """
    path = Path(settings["path"]) / SPARSIFY_FILES[1]
    config = describe(settings, key) | {"apply_b_dec_to_input": True}
    return Source(config, take(read_weights(path), NAMES, path), 1.0, str(path))
