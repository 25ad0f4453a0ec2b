"""Logit lens of decoder rows: the tokens that a feature promotes and suppresses directly.

In: a linear readout and decoder rows. Out: per feature the distribution of its logits over the vocabulary, its largest
and smallest entries, and how it compares with random directions. The logit lens is nostalgebraist's (2020, Interpreting
GPT: the logit lens), skewness and kurtosis of a feature's logits as signs of a token-promoting direction are
those of Gurnee et al. 2024 (Universal Neurons in GPT2 Language Models).

Rows are taken at unit norm in the hooked space. Logits of features, of SAEs and of random directions are then on one
scale, and one set of random directions serves as baseline for all; what a feature contributes at a token is its
activation times the norm of its row times these. Logits are given less their mean over the vocabulary, which does not
change a softmax.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from coact.interpretation.readout import Readout
from coact.progress import Progress

CELLS = 1 << 22  # features x vocabulary held at once
MOMENTS = ("mean", "std", "skew", "kurtosis", "largest", "smallest")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SIGNIFICANT = 0.05


def logit_lens(
    readout: Readout, decoder: torch.Tensor, *, top: int, random_directions: int, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Logit lens of all features, beside random directions of the same norm.

    Random directions are isotropic in the hooked space. Memory: a chunk of features x vocabulary.

    Args:
        readout: the linear path to the logits.
        decoder: (D, width) float32 decoder rows.
        top: tokens listed at each end.
        random_directions: how many of them.
        seed: of the random directions.
    Returns:
        A table of D rows: feature (int32); mean, std, skew, kurtosis (excess, 0 for a normal distribution), largest and
        smallest logit (float64; the latter two less the mean); p_kurtosis and p_largest (float64), the shares of random
        directions with as large a kurtosis or largest logit, the feature itself counted with them (Phipson and Smyth
        2010); top_tokens, bottom_tokens (list of int32) and top_logits, bottom_logits (list of float32), the most
        extreme first. NaN and empty lists where the readout is not defined or a row is 0.
        And a summary: `defined`, `reason`, the inverse scale, and quantiles of features and random directions.
    """
    features = np.arange(len(decoder), dtype=np.int32)
    if not readout.defined:
        return _empty_table(features), {"defined": False, "reason": readout.reason}
    decoder = decoder.to(readout.unembedding.device)
    norms = decoder.norm(dim=1)
    there = (norms > 0).cpu().numpy()
    rows = decoder / norms.clamp_min(torch.finfo(decoder.dtype).tiny)[:, None]
    moments, lists = _describe(readout, rows, top, "logit lens")
    drawn = draw_directions(random_directions, decoder.shape[1], np.random.default_rng(seed)).to(decoder)
    null, _ = _describe(readout, drawn, 0, "logit lens, random directions")
    table = _empty_table(features)
    for name in MOMENTS:
        table[name] = np.where(there, moments[name], np.nan)
    for name in ("kurtosis", "largest"):
        table[f"p_{name}"] = upper_p(table[name].to_numpy(), null[name])
    for name, values in lists.items():
        table[name] = [row if kept else row[:0] for row, kept in zip(values, there, strict=True)]
    return table, _summarize(readout, table, null)


def draw_directions(number: int, width: int, generator: np.random.Generator) -> torch.Tensor:
    """Isotropic random directions of unit norm, (number, width) float32."""
    rows = generator.standard_normal((number, width), dtype=np.float32)
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def upper_p(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """(1 + number of null values at least as large) / (1 + number of null values); NaN for NaN."""
    reached = len(null) - np.searchsorted(np.sort(null), values)
    return np.where(np.isnan(values), np.nan, (1 + reached) / (1 + len(null)))


@torch.no_grad()
def _describe(
    readout: Readout, rows: torch.Tensor, top: int, what: str
) -> tuple[dict[str, np.ndarray], dict[str, list[np.ndarray]]]:
    """Moments and extremes of the logits of each row."""
    size = max(1, CELLS // readout.vocabulary)
    moments: dict[str, list[np.ndarray]] = {name: [] for name in MOMENTS}
    lists: dict[str, list[np.ndarray]] = {
        f"{end}_{what}": [] for end in ("top", "bottom") for what in ("tokens", "logits")
    }
    progress = Progress(len(rows), what, "directions")
    for part in rows.split(size):
        logits = readout.logits(part).double()
        mean = logits.mean(1, keepdim=True)
        logits -= mean
        for name, values in _moments(logits, mean[:, 0]).items():
            moments[name].append(values.cpu().numpy())
        if top:
            for end, largest in (("top", True), ("bottom", False)):
                found = logits.topk(min(top, logits.shape[1]), dim=1, largest=largest)
                lists[f"{end}_tokens"].extend(found.indices.int().cpu().numpy())
                lists[f"{end}_logits"].extend(found.values.float().cpu().numpy())
        progress.update(len(part))
    progress.close()
    return {name: np.concatenate(values) for name, values in moments.items()}, lists


def _moments(centred: torch.Tensor, mean: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of logits (n, vocabulary) less their mean; skew and kurtosis of constant logits are NaN."""
    squares = centred.square()
    variance = squares.mean(1)
    variance = torch.where(variance > 0, variance, torch.nan)
    return {
        "mean": mean,
        "std": variance.nan_to_num(0.0).sqrt(),
        "skew": (squares * centred).mean(1) / variance**1.5,
        "kurtosis": squares.square().mean(1) / variance**2 - 3,
        "largest": centred.amax(1),
        "smallest": centred.amin(1),
    }


def _empty_table(features: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"feature": features})
    for name in (*MOMENTS, "p_kurtosis", "p_largest"):
        table[name] = np.full(len(features), np.nan)
    for end in ("top", "bottom"):
        table[f"{end}_tokens"] = [np.zeros(0, np.int32)] * len(features)
        table[f"{end}_logits"] = [np.zeros(0, np.float32)] * len(features)
    return table


def _summarize(readout: Readout, table: pd.DataFrame, null: dict[str, np.ndarray]) -> dict[str, Any]:
    measured = table[table["kurtosis"].notna()]
    return {
        "defined": True,
        "reason": "",
        "inverse_scale": readout.inverse_scale,
        "features": len(measured),
        "random_directions": len(null["kurtosis"]),
        "quantiles": {
            name: {"features": _quantiles(measured[name].to_numpy()), "random": _quantiles(null[name])}
            for name in ("kurtosis", "skew", "std", "largest")
        },
        "share_significant": {
            name: float((measured[f"p_{name}"] <= SIGNIFICANT).mean()) for name in ("kurtosis", "largest")
        },
        "significance": SIGNIFICANT,
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {f"q{round(100 * q):02}": float("nan") for q in QUANTILES}
    return {f"q{round(100 * q):02}": float(np.quantile(values, q)) for q in QUANTILES}
