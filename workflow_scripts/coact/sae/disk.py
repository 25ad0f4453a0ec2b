"""SAE folders in the layout that SAELens reads (`SAE.load_from_disk`)."""

from pathlib import Path
from typing import Any

import safetensors.torch

from coact.artefacts import atomic_folder, read_json, write_json
from coact.errors import ArtefactError
from coact.provenance import canonical_json
from coact.sae.architectures import ARCHITECTURES, Architecture

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
NAMES = {cls.sae_lens_name: cls for cls in ARCHITECTURES.values()}


def sae_lens_metadata(model: str, hook: str, context_length: int, prepend_bos: bool) -> dict[str, Any]:
    """The activations that an SAE was made for, under the keys of SAELens' "metadata"."""
    return {"model_name": model, "hook_name": hook, "context_size": context_length, "prepend_bos": prepend_bos}


def save_sae(sae: Architecture, folder: str | Path, metadata: dict[str, Any], stamp: dict[str, Any]) -> None:
    """Write cfg.json and sae_weights.safetensors.

    Args:
        sae: the SAE, on the CPU.
        metadata: see `sae_lens_metadata`.
        stamp: what made the SAE; it goes under "metadata" too.
    """
    config = {
        "architecture": sae.sae_lens_name,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        **sae.settings(),
        "metadata": {**metadata, "coact": stamp},
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in sae.state_dict().items()}
    with atomic_folder(folder) as part:
        write_json(config, part / CONFIG)
        safetensors.torch.save_file(tensors, part / WEIGHTS, metadata={"coact": canonical_json(stamp)})


def load_sae(folder: str | Path) -> Architecture:
    """Load an SAE that `save_sae` wrote.

    Raises:
        ArtefactError: a file is missing or damaged, or the architecture is unknown.
    """
    config = read_json(Path(folder) / CONFIG)
    name = config.get("architecture")
    if name not in NAMES:
        raise ArtefactError(f"{folder}/{CONFIG}: architecture '{name}' is unknown; expected one of {', '.join(NAMES)}")
    extra = {key: config[key] for key in ("k",) if key in config}
    sae = NAMES[name](config["d_in"], config["d_sae"], **extra)
    try:
        sae.load_state_dict(safetensors.torch.load_file(Path(folder) / WEIGHTS))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ArtefactError(f"{folder}/{WEIGHTS}: cannot be loaded ({str(error).splitlines()[0]})") from None
    return sae.requires_grad_(False)
