"""The speed of SAEs on made-up activations."""

import json
from collections.abc import Callable

import numpy as np
import torch

from coact.activations import Shard
from coact.costs import Measure
from coact.costs.dictionaries import DEAD_SHARE
from coact.costs.models import sae_step_flops
from coact.device import get_device
from coact.sae.adam import FusedAdam, RowAdam
from coact.sae.architectures import ARCHITECTURES, Architecture
from coact.sae.memory import training_memory
from coact.sae.neurons import neuron_dictionary
from coact.sae.stream import ActivationStream
from coact.sae.train import backward, clip

CHUNK_ROWS = 2048
MOST_BYTES = 1_500_000_000  # of a measured training
MOST_SHARE = 0.2  # of the seconds of a measure, that one run of it may take
STREAM_BATCHES = 3
RATE = 1e-5  # learning rate, so low that the number of active features stays

Timer = Callable[[Callable[[], object], float], float]


def time_step(measure: Measure, flops: float, budget: float, timer: Timer) -> tuple[float, bool]:
    """Seconds per token of a step of training, its batch and Adam included; and whether at its own size.

    Where there is an auxiliary loss, `DEAD_SHARE` of the features count as dead.
    """
    recipe = json.loads(measure.subject)
    batch, dead_share = recipe["batch_tokens"], DEAD_SHARE if recipe.get("aux_share") else 0.0
    while batch > CHUNK_ROWS and 2 * measure.d_in * batch * CHUNK_ROWS > flops * budget * MOST_SHARE:
        batch //= 2
    features = _fitting(
        measure,
        lambda size: (
            training_memory(measure.d_in, size, batch) <= MOST_BYTES
            and sae_step_flops(measure.d_in, size, measure.l0, batch, dead_share) * batch <= flops * budget * MOST_SHARE
        ),
    )
    device = get_device()
    stream = _stream(measure.d_in, batch)
    sae = made_up_sae(recipe, measure, features, stream.gather(np.arange(CHUNK_ROWS))).to(device)
    optimizer = RowAdam(sae) if device.type == "cpu" else FusedAdam(sae)
    dead = (torch.arange(features, device=device) % 100) < 100 * dead_share
    batches = stream.batches(1 << 40)

    def step() -> None:
        sae.zero_grad(set_to_none=True)
        backward(sae, next(batches).to(device), dead, 1.0, recipe["dtype"])
        if recipe["decoder"] == "random":
            sae.W_dec.grad = None
        optimizer.step(RATE, clip(sae, recipe["gradient_clip"])[1])

    found = timer(step, budget) / batch
    own = sae_step_flops(measure.d_in, features, measure.l0, batch, dead_share)
    return found * measure.flops / own, features == measure.d_sae and batch == recipe["batch_tokens"]


def time_encoding(measure: Measure, flops: float, budget: float, timer: Timer) -> tuple[float, bool]:
    """Seconds per token of encoding; and whether at its own size."""
    features = _fitting(
        measure,
        lambda size: (
            12 * measure.d_in * size <= MOST_BYTES
            and 2 * measure.d_in * size * CHUNK_ROWS <= flops * budget * MOST_SHARE
        ),
    )
    x, recipe = _activations(CHUNK_ROWS, measure.d_in), json.loads(measure.subject)
    if recipe["kind"] == "neurons":
        features, sae = measure.d_in, neuron_dictionary(measure.d_in)
    else:
        sae = made_up_sae(recipe, measure, features, x)
    sae = sae.to(get_device())
    sae.pack()

    @torch.inference_mode()
    def encode() -> None:
        found = sae.encode_sparse(x.to(get_device()))
        found.indices.cpu(), found.values.cpu()

    seconds = timer(encode, budget) / CHUNK_ROWS
    return seconds * measure.d_sae / features, features == measure.d_sae


def _fitting(measure: Measure, fits: Callable[[int], bool]) -> int:
    """Features, as many as asked for or, halved often enough, as fit; at least so many that k of them can be had."""
    features, least = measure.d_sae, min(measure.d_sae, max(256, 8 * int(measure.l0)))
    while features // 2 >= least and not fits(features):
        features //= 2
    return features


@torch.no_grad()
def made_up_sae(recipe: dict, measure: Measure, features: int, x: torch.Tensor) -> Architecture:
    """An SAE with random weights, of which about `l0` features are active on a token of x (tokens, d_in)."""
    own = {name: recipe[name] for name in ("prefixes", "decoder_norm", "aux_share") if name in recipe}
    architecture = recipe["architecture"]
    if architecture in ("topk", "batchtopk", "matryoshka"):
        own["k"] = int(measure.l0)
    sae = ARCHITECTURES[architecture](measure.d_in, features, **own)
    sae.initialize(x.mean(0), 0)
    if "k" not in own:
        before = (x - sae.b_dec) @ sae.W_enc
        least = before.topk(min(features, round(measure.l0))).values[:, -1].mean()
        threshold = sae.threshold.mean() if "threshold" in sae.SCALED else 0.0
        for name in set(sae.SCALED) - {"threshold"}:
            getattr(sae, name).fill_(threshold - least)
    return sae


def _activations(tokens: int, d_in: int) -> torch.Tensor:
    return torch.randn(tokens, d_in, generator=torch.Generator().manual_seed(0))


def _stream(d_in: int, batch: int) -> ActivationStream:
    values = _activations(STREAM_BATCHES * max(batch, CHUNK_ROWS), d_in).half().numpy()
    shard = Shard("calibration", values, np.zeros(len(values), np.int32), "float16")
    return ActivationStream([shard], True, batch, 0)
