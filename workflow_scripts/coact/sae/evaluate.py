"""Held-out figures of an SAE. Definitions: docs/definitions.md."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from coact.activations import Shard
from coact.device import get_device
from coact.progress import Progress
from coact.sae.architectures import Architecture

CHUNK_ROWS = 2048


@dataclass(frozen=True)
class Reconstruction:
    """How well an SAE reconstructs, over held-out tokens.

    Attributes:
        fvu: residual sum of squares / total sum of squares around the mean.
        l0: mean number of active features per token.
        count: (D,) int64 tokens on which each feature is active.
        tokens: number of tokens.
    """

    fvu: float
    l0: float
    count: np.ndarray
    tokens: int

    @property
    def dead_share(self) -> float:
        """Share of features that never fire on these tokens."""
        return float((self.count == 0).mean())


@torch.inference_mode()
def reconstruction(sae: Architecture, shards: list[Shard], include_special: bool) -> Reconstruction:
    """FVU, L0 and firing counts over activation shards, in float64 sums."""
    device = get_device()
    sae = sae.to(device)
    residual, squares, total = 0.0, 0.0, torch.zeros(sae.d_in, dtype=torch.float64, device=device)
    count, tokens = torch.zeros(sae.d_sae, dtype=torch.int64, device=device), 0
    kept = [shard.kept_rows(include_special) for shard in shards]
    progress = Progress(sum(map(len, kept)), "evaluate SAE", "tokens")
    for shard, rows in zip(shards, kept, strict=True):
        for start in range(0, len(rows), CHUNK_ROWS):
            x = shard.rows(rows[start : start + CHUNK_ROWS]).to(device)
            guess, features = sae.reconstruct(x)
            residual += (x - guess).double().pow(2).sum().item()
            squares += x.double().pow(2).sum().item()
            total += x.double().sum(0)
            count += torch.bincount(features.indices, minlength=sae.d_sae)
            tokens += len(x)
            progress.update(len(x))
    progress.close()
    around_mean = squares - total.pow(2).sum().item() / max(tokens, 1)
    fvu = residual / around_mean if around_mean > 0 else float("nan")
    return Reconstruction(fvu, count.sum().item() / max(tokens, 1), count.cpu().numpy(), tokens)


def loss_recovered(clean: float, spliced: float, ablated: float) -> float:
    """(ablated - spliced) / (ablated - clean) of three cross-entropies; NaN where ablation changes nothing."""
    return (ablated - spliced) / (ablated - clean) if ablated != clean else float("nan")


def evaluation(
    sae: Architecture, architecture: str, found: Reconstruction, spliced: float, model: dict[str, Any]
) -> dict[str, Any]:
    """The held-out figures of an SAE as one record.

    Args:
        sae: the SAE.
        architecture: its name in the study.
        found: its reconstruction.
        spliced: cross-entropy with the reconstruction in place of the activations, nats.
        model: the model's evaluation (`coact.models.evaluate.evaluate_model`).
    """
    clean, zero, mean = (model[name] for name in ("cross_entropy", "cross_entropy_zero", "cross_entropy_mean"))
    return {
        "architecture": architecture,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "tokens": found.tokens,
        "fvu": found.fvu,
        "explained_variance": 1 - found.fvu,
        "l0": found.l0,
        "dead_share": found.dead_share,
        "cross_entropy": {"clean": clean, "spliced": spliced, "zero": zero, "mean": mean},
        "loss_recovered_zero": loss_recovered(clean, spliced, zero),
        "loss_recovered_mean": loss_recovered(clean, spliced, mean),
    }


def density(found: Reconstruction) -> pd.DataFrame:
    """Table of feature, count (held-out tokens on which it fires) and frequency (count / tokens)."""
    features = np.arange(len(found.count), dtype=np.int32)
    frequency = found.count / max(found.tokens, 1)
    return pd.DataFrame({"feature": features, "count": found.count, "frequency": frequency})
