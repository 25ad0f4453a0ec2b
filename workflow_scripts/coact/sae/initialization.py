"""What is settled before the first step of a training: that there is memory, the scale of inputs, the first weights.

In: a sample of the stream. Out: an SAE with its first weights, and what training needs to know of the data.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch

from coact.device import get_device
from coact.errors import StudyError
from coact.sae.architectures import Architecture
from coact.sae.memory import SAMPLE_TOKENS, training_memory
from coact.sae.stream import ActivationStream

TOLERANCE = 1e-5
MOST_ROUNDS = 500


class Data(NamedTuple):
    """What a training knows of its data.

    Attributes:
        sample: (tokens, d_in) float32 scaled activations, at most `SAMPLE_TOKENS`.
        scale: factor that inputs are multiplied by.
        variance: of scaled inputs, summed over dimensions; above 0.
    """

    sample: torch.Tensor
    scale: float
    variance: float


def survey(stream: ActivationStream, normalize_inputs: bool) -> Data:
    """Draw the sample; its scale makes the mean squared norm of inputs their dimension, or is 1.

    Gao et al. (2024) and Conerly et al. (2024) normalise alike.
    """
    sample = stream.sample(SAMPLE_TOKENS)
    scale = math.sqrt(stream.width / max(sample.pow(2).sum(1).mean().item(), 1e-12)) if normalize_inputs else 1.0
    sample.mul_(scale)
    return Data(sample, scale, max(sample.var(0, correction=0).sum().item(), 1e-12))


def initialize(sae: Architecture, data: Data, center: str, seed: int) -> None:
    """Give `sae` its first weights.

    Args:
        center: what the decoder bias starts as: "zero", or the "mean" or "geometric_median" (Bricken et al. 2023) of
            the sample.
        seed: seed of the decoder rows.
    """
    starts = {"zero": lambda sample: sample.new_zeros(sample.shape[1]), "mean": lambda sample: sample.mean(0)}
    sae.initialize(starts.get(center, geometric_median)(data.sample), seed)


def geometric_median(points: torch.Tensor, tolerance: float = TOLERANCE) -> torch.Tensor:
    """The point with the least sum of distances to `points`.

    Weiszfeld's iteration from the mean, with the step of Vardi and Zhang (2000) where it meets one of the points, until
    it moves by less than `tolerance` times the mean distance, or `MOST_ROUNDS` times.

    Args:
        points: (points, dimensions) float32.
    Returns:
        (dimensions,) float32.
    """
    median = points.mean(0)
    for _ in range(MOST_ROUNDS):
        distances = (points - median).norm(dim=1)
        apart = distances > 0
        if not apart.any():
            break
        weights = torch.where(apart, 1 / distances, 0.0)
        step = weights @ points / weights.sum() - median
        # At a point that is met `here` times, the pull of the others must exceed `here` for the median to leave it.
        here, pull = (~apart).sum(), (step * weights.sum()).norm()
        step *= 1 - (here / pull).clamp(max=1) if pull > 0 else 0.0
        median = median + step
        if step.norm() <= tolerance * distances.mean():
            break
    return median


def check_memory(d_in: int, d_sae: int, batch_tokens: int) -> None:
    """Refuse a training that cannot fit in memory.

    Raises:
        StudyError: it takes more than there is; the message has the numbers.
    """
    device = get_device()
    available = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    needed = training_memory(d_in, d_sae, batch_tokens)
    if available is not None and needed > available:
        raise StudyError(
            f"training an SAE of {d_in:,} x {d_sae:,} takes at least {needed / 1e9:.2f} GB (weights, gradients, Adam's"
            f" moments, pre-activations of batch_tokens = {batch_tokens:,}), but {available / 1e9:.2f} GB are free on"
            f" {device.type}; lower expansion or batch_tokens, or run where there is more memory"
        )


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take: of the machine, and of every control group it is in (Linux; else None).

    Args:
        root: folder that holds `proc` and `sys`.
    """
    found = [_meminfo(root / "proc/meminfo")]
    groups = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, names = groups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            folder = groups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = Path(path.lstrip("/"))
        found += [_group_memory(folder / part, *names) for part in (inner, *inner.parents)]
    return min((number for number in found if number is not None), default=None)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _meminfo(path: Path) -> int | None:
    kilobytes = [line.split()[1] for line in _lines(path) if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _group_memory(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    """What a control group leaves; files it has in its cache can be dropped. None where it has no limit."""
    most, used = (_lines(folder / name) for name in (limit, usage))
    if not most or not used or most[0] == "max":
        return None
    fields = dict(line.split() for line in _lines(folder / "memory.stat"))
    return max(0, int(most[0]) - int(used[0]) + int(fields.get(cache, 0)))
