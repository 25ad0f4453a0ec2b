"""Held-out figures of an SAE: what it leaves out, how sparse it is, what the model loses by it, how its weights lie.

In: activation shards and what the model predicts with the reconstructions. Out: what evaluation.json, density.parquet
and l0.parquet hold. Sums are float64 and streamed, so memory does not grow with tokens. Definitions and their sources:
docs/definitions.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from coact.activations import Shard
from coact.device import get_device
from coact.progress import Progress
from coact.sae.architectures import Architecture
from coact.sae.sparse import SparseFeatures

if TYPE_CHECKING:
    from coact.models.evaluate import PatchedPredictions

CHUNK_ROWS = 2048
ULTRALOW = 1e-6  # Bricken et al. 2023: features that fire on a smaller share of tokens
QUANTILES = (5, 25, 50, 75, 95)  # percent


@dataclass(frozen=True)
class Reconstruction:
    """How well an SAE reconstructs, and with how many features, over held-out tokens.

    A number that is not defined, such as any over no tokens, is NaN.

    Attributes:
        fvu: residual sum of squares / total sum of squares around the mean.
        cosine: mean cosine of input and reconstruction, over tokens where neither is 0.
        norm_ratio: mean of ||reconstruction|| / ||input||, over tokens whose input is not 0.
        bias: relative reconstruction bias, sum ||reconstruction||^2 / sum <reconstruction, input> (Rajamanoharan et al.
            2024, Gated SAEs): reconstructions divided by it have the least squared error.
        active: (D + 1,) int64, tokens with 0, 1, ..., D active features.
        count: (D,) int64, tokens on which each feature is active.
    """

    fvu: float
    cosine: float
    norm_ratio: float
    bias: float
    active: np.ndarray
    count: np.ndarray

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return int(self.active.sum())

    @property
    def l0(self) -> float:
        """Mean number of active features per token."""
        return _ratio(float(self.count.sum()), self.tokens)

    @property
    def l0_distribution(self) -> dict[str, float]:
        """Standard deviation (over the tokens), quantiles and maximum of the number of active features.

        The quantile q05 is the smallest number that at least 5 % of the tokens do not exceed.
        """
        number, tokens = np.arange(len(self.active)), self.tokens
        if tokens == 0:
            return dict.fromkeys(["sd", *(f"q{percent:02}" for percent in QUANTILES), "max"], float("nan"))
        variance = (self.active * (number - self.l0) ** 2).sum() / tokens
        reached = 100 * self.active.cumsum()
        quantiles = {f"q{percent:02}": int(np.searchsorted(reached, percent * tokens)) for percent in QUANTILES}
        return {"sd": float(np.sqrt(variance)), **quantiles, "max": int(self.active.nonzero()[0].max())}

    @property
    def dead_share(self) -> float:
        """Share of features that never fire on these tokens."""
        return float((self.count == 0).mean())

    @property
    def ultralow_share(self) -> float:
        """Share of features that fire, but on less than `ULTRALOW` of the tokens.

        NaN where the tokens cannot tell: on no more than a million, a feature that fires once is above that already.
        """
        if self.tokens * ULTRALOW <= 1:
            return float("nan")
        return float(((self.count > 0) & (self.count < ULTRALOW * self.tokens)).mean())


@torch.no_grad()  # not inference mode: the SAE keeps tensors for reuse, and may be trained on afterwards
def reconstruction(sae: Architecture, shards: Sequence[Shard], include_special: bool) -> Reconstruction:
    """Reconstruction, sparsity and firing counts over activation shards.

    Args:
        sae: the SAE; it is moved to the device that is used.
        shards: activations, (tokens, d_in).
        include_special: take BOS and separator positions too.
    Raises:
        ArtefactError: an activation is not finite.
    """
    device = get_device()
    sae = sae.to(device)
    sums = _Sums(sae.d_in, sae.d_sae, device)
    kept = [shard.kept_rows(include_special) for shard in shards]
    progress = Progress(sum(map(len, kept)), "evaluate SAE", "tokens")
    for shard, rows in zip(shards, kept, strict=True):
        for start in range(0, len(rows), CHUNK_ROWS):
            x = shard.rows(rows[start : start + CHUNK_ROWS]).to(device)
            sums.add(x, *sae.reconstruct(x))
            progress.update(len(x))
    progress.close()
    return sums.result()


class _Sums:
    """Running sums over tokens, on the device, in float64."""

    def __init__(self, d_in: int, d_sae: int, device: torch.device) -> None:
        # Residual, ||x||^2, ||x_hat||^2, <x, x_hat>, cosine and its tokens, ratio of norms and its tokens.
        self.sums = torch.zeros(8, dtype=torch.float64, device=device)
        self.total = torch.zeros(d_in, dtype=torch.float64, device=device)
        self.active = torch.zeros(d_sae + 1, dtype=torch.int64, device=device)
        self.count = torch.zeros(d_sae, dtype=torch.int64, device=device)

    def add(self, x: torch.Tensor, guess: torch.Tensor, features: SparseFeatures) -> None:
        """Count some tokens: inputs and reconstructions (tokens, d_in), and their features."""
        x, guess = x.double(), guess.double()
        squares, own, cross = x.square().sum(1), guess.square().sum(1), (x * guess).sum(1)
        there, both = squares > 0, (squares > 0) & (own > 0)
        cosine = cross[both] / (squares[both] * own[both]).sqrt()
        ratio = (own[there] / squares[there]).sqrt()
        residual = (x - guess).square()
        terms = (residual, squares, own, cross, cosine, both, ratio, there)
        self.sums += torch.stack([term.sum(dtype=torch.float64) for term in terms])
        self.total += x.sum(0)
        self.active += torch.bincount(features.indptr.diff(), minlength=len(self.active))
        self.count += torch.bincount(features.indices, minlength=len(self.count))

    def result(self) -> Reconstruction:
        """The figures over all tokens so far."""
        residual, squares, own, cross, cosine, both, ratio, there = self.sums.tolist()
        tokens = int(self.active.sum())
        around_mean = squares - self.total.square().sum().item() / max(tokens, 1)
        return Reconstruction(
            fvu=_ratio(residual, max(around_mean, 0.0)),
            cosine=_ratio(cosine, both),
            norm_ratio=_ratio(ratio, there),
            bias=_ratio(own, cross),
            active=self.active.cpu().numpy(),
            count=self.count.cpu().numpy(),
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def loss_recovered(clean: float, spliced: float, ablated: float) -> float:
    """(ablated - spliced) / (ablated - clean) of three cross-entropies; NaN where ablation changes nothing."""
    return _ratio(ablated - spliced, ablated - clean)


@torch.no_grad()
def weight_norms(sae: Architecture) -> pd.DataFrame:
    """Norms of the weights of every feature, and how its encoder and decoder direction agree.

    Returns:
        (D,) rows: encoder_norm, decoder_norm, encoder_decoder_cosine, float64; a cosine with a norm of 0 is NaN.
    """
    encoder, decoder = sae.W_enc.T.double(), sae.W_dec.double()
    norms = encoder.norm(dim=1), decoder.norm(dim=1)
    product = norms[0] * norms[1]
    cosine = torch.where(product > 0, (encoder * decoder).sum(1) / product, torch.nan)
    names = ("encoder_norm", "decoder_norm", "encoder_decoder_cosine")
    return pd.DataFrame({name: found.cpu().numpy() for name, found in zip(names, (*norms, cosine), strict=True)})


def evaluation(
    sae: Architecture, architecture: str, found: Reconstruction, spliced: "PatchedPredictions", model: dict[str, Any]
) -> dict[str, Any]:
    """The held-out figures of an SAE as one record.

    Args:
        sae: the SAE.
        architecture: its name in the study.
        found: its reconstruction.
        spliced: the model's predictions with the reconstruction in place of the activations.
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
        "l0_distribution": found.l0_distribution,
        "dead_share": found.dead_share,
        "ultralow_share": found.ultralow_share,
        "smallest_frequency": _ratio(1.0, found.tokens),
        "cosine": found.cosine,
        "norm_ratio": found.norm_ratio,
        "reconstruction_bias": found.bias,
        **weight_norms(sae).mean().to_dict(),
        "cross_entropy": {"clean": clean, "spliced": spliced.cross_entropy, "zero": zero, "mean": mean},
        "kl_divergence": spliced.divergence,
        "loss_recovered_zero": loss_recovered(clean, spliced.cross_entropy, zero),
        "loss_recovered_mean": loss_recovered(clean, spliced.cross_entropy, mean),
    }


def density(sae: Architecture, found: Reconstruction) -> pd.DataFrame:
    """Per feature: feature, count (held-out tokens on which it fires), frequency (count / tokens), `weight_norms`."""
    features = np.arange(len(found.count), dtype=np.int32)
    frequency = found.count / max(found.tokens, 1)
    table = pd.DataFrame({"feature": features, "count": found.count, "frequency": frequency})
    return table.join(weight_norms(sae))


def l0_table(found: Reconstruction) -> pd.DataFrame:
    """Histogram of L0: active (int32, number of features) and tokens (int64) for every number that occurs."""
    occurring = np.flatnonzero(found.active)
    return pd.DataFrame({"active": occurring.astype(np.int32), "tokens": found.active[occurring]})
