"""SAEs that SAELens saved (`SAE.save_model`, `save_inference_model`, its releases), taken over by their weights.

In: a folder with cfg.json and sae_weights.safetensors, of SAELens 6 or older. Out: an SAE of this project whose
features are those of `SAE.encode` but for rounding; what cannot be had exactly is refused with its key. SAELens
itself is not needed. Half-precision weights are computed with in float32.

Folded into the weights are what SAELens does around them: the scale of inputs (`normalize_activations:
expected_average_only_in`; Conerly et al. 2024), and decoder norms that features are multiplied by
(`rescale_acts_by_decoder_norm`). Heads are flattened here wherever activations are captured, so `reshape_activations`
has nothing left to do.
"""

import logging
from pathlib import Path
from typing import Any

import torch

from coact.artefacts import read_json
from coact.errors import ArtefactError, ConfigError
from coact.sae.architectures import Architecture
from coact.sae.disk import CONFIG, WEIGHTS, build, fill, read_weights
from coact.study import imported_config

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
SAME_NORM = 1e-4  # relative; decoder norms that differ by less are equal but for half precision

logger = logging.getLogger("coact")


def read_sae(
    folder: str | Path, width: int, input_scale: float | None = None, fold_decoder_norms: bool = False
) -> tuple[Architecture, dict[str, Any]]:
    """Read an SAE.

    Args:
        folder: of cfg.json and sae_weights.safetensors.
        width: dimensions of the activations that it is to be used on.
        input_scale: what activations are multiplied by before they enter the SAE; None takes the factor of
            activation_scaler.json where cfg.json asks for one, else 1.
        fold_decoder_norms: whether decoder rows are scaled to unit norm, and features by the norms they had.
    Returns:
        The SAE; and what its folder says of it: "format", "architecture" as SAELens calls it, "metadata".
    Raises:
        ConfigError: a setting cannot be had exactly here, or the SAE is of another width.
        ArtefactError: the files are damaged, or the weights are not those of the architecture.
    """
    folder = Path(folder)
    config, place = imported_config(folder, "saes"), f"{folder}/{CONFIG}"
    _check(config, width, place)
    sae = build(config, place)
    fill(sae, _read_tensors(folder / WEIGHTS, config, place), f"{folder}/{WEIGHTS}")
    if config.get("rescale_acts_by_decoder_norm"):
        _fold_norms(sae)
    _fold_scale(sae, _scale(folder, config, place) if input_scale is None else input_scale)
    if fold_decoder_norms:
        if config["architecture"] == "topk" and not _have_one_norm(sae):
            raise ConfigError(
                f"fold_decoder_norms: found true for the topk SAE in {folder}, whose decoder rows differ in norm;"
                " folding them would change which features are kept, so expected false"
            )
        _fold_norms(sae)
    _report(folder, config, sae)
    origin = {"format": "sae_lens", "architecture": config["architecture"], "metadata": config["metadata"]}
    return sae.requires_grad_(False), {"imported": origin}


def _check(config: dict[str, Any], width: int, place: str) -> None:
    if config["d_in"] != width:
        raise ConfigError(f"{place}: d_in: found {config['d_in']}, but activations have {width} dimensions")
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


@torch.no_grad()
def _fold_scale(sae: Architecture, factor: float) -> None:
    """Make an SAE of inputs times `factor` one of the inputs: the same features, reconstructions over the factor."""
    sae.W_enc.mul_(factor)
    sae.W_dec.div_(factor)
    sae.b_dec.div_(factor)


@torch.no_grad()
def _fold_norms(sae: Architecture) -> None:
    """Scale decoder rows to unit norm, and features by the norms they had: by 0 where a row is zeros."""
    silent = sae.W_dec.norm(dim=1) == 0
    sae.finish(sae.b_dec.new_zeros(0, sae.d_in), 1.0)
    for name in ("W_enc", *sae.SCALED):
        getattr(sae, name)[..., silent] = 0


def _have_one_norm(sae: Architecture) -> bool:
    norms = sae.W_dec.detach().norm(dim=1)
    return bool(norms.max() - norms.min() <= SAME_NORM * norms.max())


def _report(folder: Path, config: dict[str, Any], sae: Architecture) -> None:
    """Log what was read."""
    norms, metadata = sae.W_dec.detach().norm(dim=1), config["metadata"]
    logger.info(
        "%s: %s, %d -> %d, trained on '%s' at '%s'; norms of decoder rows from %.4g to %.4g",
        folder,
        config["architecture"],
        sae.d_in,
        sae.d_sae,
        metadata.get("model_name"),
        metadata.get("hook_name"),
        norms.min(),
        norms.max(),
    )
