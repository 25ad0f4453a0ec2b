"""From a format's source to an SAE: weights checked, scales and norms folded into them, and what it does tried.

In: the settings of a family, activations. Out: an SAE. What is folded: the scale of inputs, and decoder norms that
features are multiplied by.
"""

import logging
from collections.abc import Mapping
from typing import Any

import torch

from coact.errors import ConfigError, StudyError
from coact.sae.architectures import Architecture
from coact.sae.disk import build, fill
from coact.sae.imports import named, nanda, sae_lens, sparsify

READERS = {"sae_lens": sae_lens.read, "nanda": nanda.read, "sparsify": sparsify.read, "tensors": named.read}
SAME_NORM = 1e-4  # relative; decoder norms that differ by less are equal but for half precision
SCALES = tuple(2.0**power for power in range(-8, 9))  # of inputs that are tried where an SAE does not reconstruct
BETTER = 0.9  # of the FVU; a scale that gains less is not worth a word

logger = logging.getLogger("coact")


def read_sae(settings: Mapping[str, Any], width: int, key: str = "saes") -> tuple[Architecture, dict[str, Any]]:
    """Read an SAE.

    Args:
        settings: of the family, as the completed configuration has them.
        width: dimensions of the activations that it is to be used on.
        key: the key of the configuration that names the family.
    Returns:
        The SAE; and what its files say of it: "format", "architecture" as SAELens calls it, "metadata".
    Raises:
        ConfigError: a setting cannot be had exactly here, or the SAE is of another width.
        ArtefactError: the files are damaged, or the weights are not those of the architecture.
    """
    source = READERS[settings["format"]](settings, key)
    config = source.config
    if config["d_in"] != width:
        raise ConfigError(f"{settings['path']}: d_in: found {config['d_in']}, but activations have {width} dimensions")
    sae = build(config, str(settings["path"]))
    fill(sae, source.tensors, source.place)
    if config.get("rescale_acts_by_decoder_norm"):
        _fold_norms(sae)
    _fold_scale(sae, source.scale if settings["input_scale"] is None else settings["input_scale"])
    if settings["fold_decoder_norms"]:
        if config["architecture"] == "topk" and not _have_one_norm(sae):
            raise ConfigError(
                f"fold_decoder_norms: found true for the topk SAE in {settings['path']}, whose decoder rows differ in"
                " norm; folding them would change which features are kept, so expected false"
            )
        _fold_norms(sae)
    _report(settings, config, sae)
    origin = {name: config[name] for name in ("architecture", "metadata")} | {"format": settings["format"]}
    return sae.requires_grad_(False), {"imported": origin}


@torch.no_grad()
def check_reconstruction(sae: Architecture, x: torch.Tensor, most_fvu: float | None, key: str, where: str) -> float:
    """Refuse an SAE that does not reconstruct activations.

    Args:
        sae: the SAE, on the CPU.
        x: (tokens, d_in) float32 activations that it should be of.
        most_fvu: fraction of variance unexplained up to which it does; None refuses nothing.
        key: the key of the configuration that names the family.
        where: what messages call the activations.
    Returns:
        Its FVU.
    Raises:
        StudyError: it is larger; the message says which scale of inputs would do, if one does.
    """
    fvu = _fvu(sae, x, 1.0)
    logger.info("%s: FVU %.4g on %s", key, fvu, where)
    if most_fvu is None or fvu <= most_fvu:
        return fvu
    best = min(SCALES, key=lambda scale: _fvu(sae, x, scale))
    found = _fvu(sae, x, best)
    hint = "another scale of inputs makes it no better: it may be of another model, hook point or normalisation"
    if found < BETTER * fvu:
        hint = f"with inputs times {best:g} it would be {found:.3g}: see {key}.input_scale"
    raise StudyError(
        f"{key}: leaves {fvu:.3g} of the variance of {where} unexplained, expected at most {most_fvu:g}"
        f" ({key}.most_fvu); {hint}"
    )


def _fvu(sae: Architecture, x: torch.Tensor, scale: float) -> float:
    found, _ = sae.reconstruct(x * scale)
    residual = (x - found / scale).double().pow(2).sum()
    return float(residual / (x - x.mean(0)).double().pow(2).sum().clamp_min(1e-30))


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


def _report(settings: Mapping[str, Any], config: dict[str, Any], sae: Architecture) -> None:
    """Log what was read."""
    norms, metadata = sae.W_dec.detach().norm(dim=1), config["metadata"]
    logger.info(
        "%s: %s, %d -> %d, trained on '%s' at '%s'; norms of decoder rows from %.4g to %.4g",
        settings["path"],
        config["architecture"],
        sae.d_in,
        sae.d_sae,
        metadata.get("model_name"),
        metadata.get("hook_name"),
        norms.min(),
        norms.max(),
    )
