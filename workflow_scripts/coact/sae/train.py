"""Training an SAE."""

import math

import numpy as np
import pandas as pd
import torch

from coact.device import get_device
from coact.errors import StudyError
from coact.progress import Progress
from coact.sae.architectures import Architecture
from coact.sae.stream import ActivationStream

SAMPLE_TOKENS = 16_384
HISTORY_POINTS = 200
BETAS = (0.9, 0.999)
HISTORY_COLUMNS = [
    "step",
    "tokens",
    "loss",
    "reconstruction",
    "sparsity",
    "l0",
    "fvu",
    "dead_share",
    "learning_rate",
]


def train_sae(
    sae: Architecture,
    stream: ActivationStream,
    *,
    tokens: int,
    learning_rate: float,
    warmup_share: float,
    decay_share: float,
    dead_steps: int,
    seed: int,
) -> pd.DataFrame:
    """Train `sae` in place; afterwards it takes activations as they are.

    Inputs are scaled so that their mean squared norm is their dimension (Gao et al. 2024 and Conerly et al. 2024
    normalise alike), and the scale is folded into the biases at the end. Adam; the learning rate rises linearly,
    stays, and falls linearly to 0; the sparsity penalty rises with it. Decoder rows keep unit norm.

    Args:
        sae: the SAE; its weights are initialised here.
        stream: training batches.
        tokens: tokens to train on, rounded down to whole batches, at least one.
        dead_steps: steps without firing after which a feature counts as dead in the auxiliary loss.
        seed: seed of the weights.
    Returns:
        History: step, tokens, loss, reconstruction, sparsity, l0, fvu, dead_share, learning_rate; means over the
        steps since the last row, on scaled inputs.
    Raises:
        StudyError: the loss is not finite.
    """
    device = get_device()
    sample = stream.sample(SAMPLE_TOKENS)
    scale = math.sqrt(stream.width / max(sample.pow(2).sum(1).mean().item(), 1e-12))
    variance = (sample * scale).var(0, correction=0).sum().item()
    sae.initialize((sample * scale).mean(0), seed)
    sae.to(device)
    steps = max(1, tokens // stream.batch_tokens)
    optimizer = torch.optim.Adam(sae.parameters(), lr=learning_rate, betas=BETAS, fused=True)
    silent = torch.zeros(sae.d_sae, dtype=torch.int64, device=device)
    progress = Progress(steps * stream.batch_tokens, "train SAE", "tokens")
    rows: list[tuple[float, ...]] = []
    seen: list[tuple[float, ...]] = []
    every = max(1, steps // HISTORY_POINTS)
    for step, batch in enumerate(stream.batches(steps)):
        warm = min(1.0, (step + 1) / max(1, round(steps * warmup_share)))
        cool = min(1.0, (steps - step) / max(1, round(steps * decay_share)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(warm, cool)
        losses = sae.losses(batch.to(device) * scale, silent > dead_steps, warm)
        if not math.isfinite(losses.total.item()):
            raise StudyError(
                f"training the SAE: loss is {losses.total.item()} at step {step + 1} of {steps}; lower learning_rate"
            )
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        sae.project_gradients()
        optimizer.step()
        sae.normalize_decoder()
        l0 = _count_firings(losses.active, silent)
        error = losses.reconstruction.item()
        seen.append((losses.total.item(), error, losses.sparsity.item(), l0, error / max(variance, 1e-12)))
        progress.update(stream.batch_tokens, loss=seen[-1][0], L0=l0, FVU=seen[-1][4])
        if (step + 1) % every == 0 or step + 1 == steps:
            dead = (silent > dead_steps).double().mean().item()
            rate = optimizer.param_groups[0]["lr"]
            rows.append((step + 1, (step + 1) * stream.batch_tokens, *np.mean(seen, axis=0), dead, rate))
            seen = []
    progress.close()
    sae.rescale(scale)
    sae.cpu()
    return pd.DataFrame(rows, columns=HISTORY_COLUMNS)


def _count_firings(active: torch.Tensor, silent: torch.Tensor) -> float:
    """Reset the counters of features that fired, raise the others, and return the batch's mean L0."""
    if active.dtype == torch.bool:
        fired, total = active.any(0), active.sum().item()
    else:
        used = active[active >= 0]
        fired, total = torch.zeros_like(silent, dtype=torch.bool), len(used)
        fired[used] = True
    silent.add_(1).masked_fill_(fired, 0)
    return total / len(active)
