"""Starting silent features anew from inputs that the SAE reconstructs badly (Bricken et al. 2023, Neuron resampling).

In: an SAE in training, its optimizer, and for how many steps each feature has been silent. Out: the same, changed.
"""

import logging
from typing import Protocol

import numpy as np
import torch

from coact.sae.architectures import Architecture
from coact.sae.stream import RESAMPLE, ActivationStream

RESAMPLE_TOKENS = 819_200
ENCODER_NORM = 0.2

log = logging.getLogger("coact")


class Optimizer(Protocol):
    """What can forget its moments of features."""

    def reset_features(self, which: torch.Tensor) -> None:
        """Forget the moments of features (n,) int64."""


@torch.no_grad()
def resample(
    sae: Architecture,
    optimizer: Optimizer,
    silent: torch.Tensor,
    stream: ActivationStream,
    *,
    window: int,
    scale: float,
    step: int,
) -> int:
    """Start the features anew that were silent for the last `window` steps.

    Each gets an input, drawn with a probability in proportion to its squared loss over `RESAMPLE_TOKENS` tokens chosen
    at random, or all where there are fewer. Its decoder row is the input minus the decoder bias, normalised; its
    encoder column points there too, with 0.2 times the mean norm of the other features' columns; its bias is 0, and so
    are Adam's moments. The loss of an input is its squared error here, whatever else the architecture minimises.

    Args:
        sae, optimizer: changed in place.
        silent: (d_sae,) int64 steps since each feature fired; 0 afterwards for those that start anew.
        stream: training data.
        window: steps.
        scale: factor that inputs are multiplied by.
        step: number of steps done; with the stream's seed it seeds the draw.
    Returns:
        Number of features that start anew; 0 where every input is reconstructed exactly.
    """
    which = (silent >= window).nonzero()[:, 0]
    if len(which) == 0:
        return 0
    numbers = stream.sample_numbers(RESAMPLE_TOKENS, (RESAMPLE, step))
    parts = [numbers[start : start + stream.batch_tokens] for start in range(0, len(numbers), stream.batch_tokens)]
    losses = torch.cat([squared_errors(sae, _inputs(stream, part, scale, silent.device)) for part in parts])
    generator = np.random.default_rng([stream.seed, RESAMPLE, step, 1])
    drawn = draw(losses.cpu().numpy(), len(which), generator)
    if drawn is None:
        return 0
    # Distinct inputs, ascending, are gathered once, and handed out in the order of the draw.
    chosen, order = np.unique(drawn, return_inverse=True)
    inputs = _inputs(stream, numbers[chosen], scale, silent.device)[torch.from_numpy(order)]
    restart(sae, optimizer, which, inputs)
    silent[which] = 0
    log.info("train SAE: %s of %s features start anew after step %s", f"{len(which):,}", f"{sae.d_sae:,}", f"{step:,}")
    return len(which)


def _inputs(stream: ActivationStream, numbers: np.ndarray, scale: float, device: torch.device) -> torch.Tensor:
    return stream.gather(numbers).to(device).mul_(scale)


def squared_errors(sae: Architecture, x: torch.Tensor) -> torch.Tensor:
    """Squared error of each input (tokens, d_in), summed over dimensions; 0 for the decoder bias itself.

    An input that is the decoder bias has no direction to give, so it must not be drawn.

    Returns:
        (tokens,) float64.
    """
    errors = (x - sae.reconstruct(x)[0]).double().pow(2).sum(1)
    return errors.masked_fill_((x == sae.b_dec).all(1), 0)


def draw(losses: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray | None:
    """Draw inputs with probabilities in proportion to their squared losses.

    None comes twice while there are others: features that start alike would stay alike.

    Args:
        losses: (inputs,) float64, not negative.
        number: inputs to draw.
    Returns:
        Their indices, (number,) int64; None where all losses are 0.
    """
    if not losses.any():
        return None
    shares = np.square(losses / losses.max())
    shares /= shares.sum()
    return generator.choice(len(losses), number, replace=np.count_nonzero(shares) < number, p=shares)


@torch.no_grad()
def restart(sae: Architecture, optimizer: Optimizer, which: torch.Tensor, inputs: torch.Tensor) -> None:
    """Start features `which` (n,) anew along `inputs` (n, d_in), and forget Adam's moments of them.

    Where no other feature is left, the mean is over all.
    """
    directions = inputs - sae.b_dec
    directions /= directions.norm(dim=1, keepdim=True)
    norms = sae.W_enc.norm(dim=0)
    others = torch.ones_like(norms, dtype=torch.bool)
    others[which] = False
    mean = norms[others].mean() if others.any() else norms.mean()
    sae.reset_features(which, directions, ENCODER_NORM * mean.item())
    optimizer.reset_features(which)
