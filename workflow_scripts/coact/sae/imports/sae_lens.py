"""SAEs that SAELens saved (`SAE.save_model`, `save_inference_model`, its releases), of version 6 or older.

What SAELens does around the weights is said beside them: the scale of inputs (`normalize_activations:
expected_average_only_in`; Conerly et al. 2024) and decoder norms that features are multiplied by
(`rescale_acts_by_decoder_norm`). Heads are flattened here wherever activations are captured, so `reshape_activations`
has nothing left to do.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coact.artefacts import read_json
from coact.errors import ArtefactError, ConfigError
from coact.imported import SAE_LENS_FILES, describe
from coact.sae.disk import read_weights
from coact.sae.imports.source import Source

SCALER = "activation_scaler.json"  # beside the weights in a checkpoint of SAELens' training
SCALED = ("expected_average_only_in", True)  # what asks for a scale; True in SAELens before version 4
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# Keys -> the values under which an SAE is what its weights say, None where the key is not there.
ACCEPTED = {
    "normalize_activations": ("none", None, False, *SCALED),
    "reshape_activations": ("none", "hook_z", None),
    "activation_fn": ("relu", "topk", None),
    "finetuning_scaling_factor": (False, None),
}


def read(settings: Mapping[str, Any], key: str) -> Source:
    """The SAE of a family of format "sae_lens"; see `coact.sae.imports.read.read_sae`."""
    folder = Path(settings["path"])
    config, place = describe(settings, key), f"{folder}/{SAE_LENS_FILES[0]}"
    _check(config, place)
    weights = folder / SAE_LENS_FILES[1]
    scale = _scale(folder, config, place) if settings["input_scale"] is None else 1.0
    return Source(config, _read_tensors(weights, config, place), scale, str(weights))


def _check(config: dict[str, Any], place: str) -> None:
    for key, accepted in ACCEPTED.items():
        if config.get(key) not in accepted:
            known = ", ".join(repr(value) for value in accepted if value is not None)
            raise ConfigError(
                f"{place}: {key}: found {config[key]!r}, expected one of {known}; other values cannot be folded into"
                " the weights"
            )
    head = config["metadata"].get("hook_head_index")
    if head is not None:
        raise ConfigError(f"{place}: hook_head_index: found {head!r}, expected none; activations here are of all heads")


def _read_tensors(path: Path, config: dict[str, Any], place: str) -> dict[str, torch.Tensor]:
    """The weights in the precision that cfg.json names, as SAELens loads them, then in float32."""
    asked = str(config.get("dtype") or "float32").removeprefix("torch.")
    tensors = read_weights(path)
    factor = tensors.pop("scaling_factor", None)  # some versions wrote it unused, as ones
    if factor is not None and not bool((factor == 1).all()):
        raise ArtefactError(f"{path}: scaling_factor: found values other than 1, expected an SAE without such a factor")
    for name, tensor in tensors.items():
        found = tensor.to(PRECISIONS.get(asked, tensor.dtype)).float()
        if asked not in PRECISIONS and not torch.equal(found.to(tensor.dtype), tensor):
            raise ConfigError(
                f"{place}: dtype: found '{asked}' for {name}, expected one of {', '.join(PRECISIONS)}; its values are"
                " rounded in float32"
            )
        tensors[name] = found
    return tensors


def _scale(folder: Path, config: dict[str, Any], place: str) -> float:
    """What SAELens multiplied activations by in training, where the SAE still expects it."""
    if config.get("normalize_activations") not in SCALED:
        return 1.0
    scaler = read_json(folder / SCALER) if (folder / SCALER).is_file() else {}
    factor = scaler.get("scaling_factor")
    if not isinstance(factor, int | float) or not factor > 0:
        raise ConfigError(
            f"{place}: normalize_activations: found 'expected_average_only_in', but the factor is not in {SCALER}"
            " beside it; expected saes.<family>.input_scale (sqrt(d_in) / mean norm of the activations trained on)"
        )
    return float(factor)
