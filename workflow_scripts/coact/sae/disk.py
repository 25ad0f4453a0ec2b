"""SAE folders of this study, in the layout that SAELens reads (`SAE.load_from_disk`).

In: a finished SAE and what made it. Out: cfg.json and sae_weights.safetensors, and from these the SAE again. Folders
that other programs wrote are read by modules of their own, such as `coact.sae.sae_lens`.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from coact.artefacts import atomic_folder, read_json, write_json
from coact.errors import ArtefactError, first_line
from coact.provenance import canonical_json
from coact.sae.architectures import SAE_LENS_ARCHITECTURES, Architecture

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
# Without a version SAELens takes a folder for one of before 6.0, which had no metadata, and drops them.
SAE_LENS_VERSION = "6.54.0"


def sae_lens_metadata(
    model: str, hook: str, context_length: int, prepend_bos: bool, trained_as: str | None = None
) -> dict[str, Any]:
    """The activations that an SAE was made for, under the keys of SAELens' "metadata".

    Args:
        model, hook, context_length, prepend_bos: where the activations come from.
        trained_as: this project's name of the architecture that was trained; SAELens knows a finished batchtopk SAE
            as jumprelu.
    """
    metadata = {"model_name": model, "hook_name": hook, "context_size": context_length, "prepend_bos": prepend_bos}
    return metadata if trained_as is None else metadata | {"trained_as": trained_as}


def save_sae(sae: Architecture, folder: str | Path, metadata: dict[str, Any], stamp: dict[str, Any]) -> None:
    """Write cfg.json and sae_weights.safetensors.

    Args:
        sae: the SAE, finished, on the CPU.
        metadata: see `sae_lens_metadata`.
        stamp: what made the SAE; it goes under "metadata" too.
    Raises:
        ArtefactError: SAELens has no such architecture, since the SAE is not finished.
    """
    if sae.sae_lens_name is None:
        raise ArtefactError(f"{folder}: found a {type(sae).__name__} in training, expected what its `finish` returns")
    config = {
        "architecture": sae.sae_lens_name,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": sae.pre_bias,
        "normalize_activations": "none",
        "reshape_activations": "none",
        **sae.settings(),
        "metadata": {**metadata, "sae_lens_version": SAE_LENS_VERSION, "coact": stamp},
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
    sae = build(read_json(Path(folder) / CONFIG), f"{folder}/{CONFIG}")
    fill(sae, read_weights(Path(folder) / WEIGHTS), f"{folder}/{WEIGHTS}")
    return sae.requires_grad_(False)


def build(config: Mapping[str, Any], place: str) -> Architecture:
    """The SAE that a cfg.json describes, its weights still zeros.

    Arguments of its class are found in the configuration under their names: the sizes, and `Architecture.settings`.

    Args:
        config: cfg.json.
        place: what messages call it.
    Raises:
        ArtefactError: the architecture is unknown, or something that it needs is missing.
        ConfigError: the architecture refuses its arguments.
    """
    name = config.get("architecture")
    if name not in SAE_LENS_ARCHITECTURES:
        known = ", ".join(sorted(SAE_LENS_ARCHITECTURES))
        raise ArtefactError(f"{place}: architecture '{name}' is unknown; expected one of {known}")
    cls = SAE_LENS_ARCHITECTURES[name]
    arguments = inspect.signature(cls).parameters.values()
    for argument in arguments:
        needed = argument.default is argument.empty and argument.kind is argument.POSITIONAL_OR_KEYWORD
        if needed and argument.name not in config:
            raise ArtefactError(f"{place}: '{argument.name}' is missing; architecture '{name}' needs it")
    given = {argument.name: config[argument.name] for argument in arguments if argument.name in config}
    return cls(**given, pre_bias=bool(config.get("apply_b_dec_to_input", True)))


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, by name, as they are there.

    Raises:
        ArtefactError: it is missing or damaged.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ArtefactError(f"{path}: cannot be loaded ({first_line(error)})") from None


def fill(sae: Architecture, tensors: dict[str, torch.Tensor], place: str) -> None:
    """Give `sae` its weights.

    Args:
        sae: its parameters are overwritten.
        tensors: a tensor for each of its parameters, of any floating dtype.
        place: what messages call them.
    Raises:
        ArtefactError: tensors are missing, unknown, of another shape or not finite.
    """
    expected = sae.state_dict()
    if expected.keys() != tensors.keys():
        raise ArtefactError(
            f"{place}: found tensors {', '.join(sorted(tensors))}, expected {', '.join(sorted(expected))}"
            f" for architecture '{sae.sae_lens_name}'"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shape = tuple(expected[name].shape)
            raise ArtefactError(f"{place}: {name}: found shape {tuple(tensor.shape)}, expected {shape}")
        if not torch.isfinite(tensor).all():
            raise ArtefactError(f"{place}: {name}: found values that are not finite (NaN or infinite)")
    sae.load_state_dict(tensors)
    sae.pack()
