"""Training an SAE."""

import math

import pandas as pd
import torch

from coact.device import get_device
from coact.progress import Progress
from coact.sae.architectures import Architecture
from coact.sae.architectures.base import Losses
from coact.sae.stream import ActivationStream
from coact.training import History, check_loss, set_learning_rate

SAMPLE_TOKENS = 16_384
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
    scale, variance = _initialize(sae, stream, seed)
    sae.to(device)
    steps = max(1, tokens // stream.batch_tokens)
    optimizer = torch.optim.Adam(sae.parameters(), lr=learning_rate, betas=BETAS, fused=True)
    silent = torch.zeros(sae.d_sae, dtype=torch.int64, device=device)
    progress = Progress(steps * stream.batch_tokens, "train SAE", "tokens")
    history = History(steps, stream.batch_tokens)
    for step, batch in enumerate(stream.batches(steps)):
        warm, cool = _ramps(step, steps, warmup_share, decay_share)
        rate = learning_rate * min(warm, cool)
        losses = sae.losses(batch.to(device) * scale, silent > dead_steps, warm)
        check_loss(losses.total.item(), "the SAE", step, steps)
        _take_step(sae, optimizer, losses.total, rate)
        values = _measure(losses, silent, variance)
        progress.update(stream.batch_tokens, loss=values["loss"], L0=values["l0"], FVU=values["fvu"])
        history.add(**values)
        if history.is_due:
            history.write_row(dead_share=(silent > dead_steps).double().mean().item(), learning_rate=rate)
    progress.close()
    sae.rescale(scale)
    sae.cpu()
    return history.table()[HISTORY_COLUMNS]


def _initialize(sae: Architecture, stream: ActivationStream, seed: int) -> tuple[float, float]:
    """Initialise `sae` on a sample of the stream.

    Returns:
        The scale of its inputs, and the variance of scaled inputs, summed over dimensions and above 0.
    """
    sample = stream.sample(SAMPLE_TOKENS)
    scale = math.sqrt(stream.width / max(sample.pow(2).sum(1).mean().item(), 1e-12))
    sae.initialize((sample * scale).mean(0), seed)
    return scale, max((sample * scale).var(0, correction=0).sum().item(), 1e-12)


def _ramps(step: int, steps: int, warmup_share: float, decay_share: float) -> tuple[float, float]:
    """The linear rise to 1 in the first steps, and the linear fall from 1 in the last, at a step."""
    warm = min(1.0, (step + 1) / max(1, round(steps * warmup_share)))
    cool = min(1.0, (steps - step) / max(1, round(steps * decay_share)))
    return warm, cool


def _take_step(sae: Architecture, optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> None:
    """Descend the gradient of `loss` at a learning rate, along and back onto unit decoder rows."""
    set_learning_rate(optimizer, rate)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    sae.project_gradients()
    optimizer.step()
    sae.normalize_decoder()


def _measure(losses: Losses, silent: torch.Tensor, variance: float) -> dict[str, float]:
    """What a step adds to the history; the counters `silent` (see `_count_firings`) move on by the step."""
    error = losses.reconstruction.item()
    return {
        "loss": losses.total.item(),
        "reconstruction": error,
        "sparsity": losses.sparsity.item(),
        "l0": _count_firings(losses.active, silent),
        "fvu": error / variance,
    }


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
