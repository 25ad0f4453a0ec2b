"""Training an SAE.

In: an SAE without weights, a stream of activations, the settings of the training. Out: the finished SAE, its history
and its snapshots. A training that was killed goes on from its checkpoint and ends as it would have.

Adam (Kingma and Ba 2015) on the architecture's loss. The learning rate rises linearly, stays, and falls linearly to 0;
the sparsity penalty rises linearly too. What is done to inputs, to decoder rows and to silent features is in
`initialization`, `architectures.base` and `resampling`.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from coact.device import get_device
from coact.errors import StudyError
from coact.progress import Progress
from coact.sae.adam import FusedAdam, RowAdam
from coact.sae.architectures import ARCHITECTURES, Architecture, Losses
from coact.sae.checkpoint import Checkpoint, as_arrays, as_tensors
from coact.sae.history import TrainingHistory
from coact.sae.initialization import Data, check_memory, initialize, survey
from coact.sae.memory import SAMPLE_TOKENS
from coact.sae.resampling import resample
from coact.sae.snapshots import Snapshots
from coact.sae.stream import ActivationStream
from coact.study import check_resampling, dictionary_size
from coact.trackers import Tracker
from coact.training import check_loss

FAMILY = {"kind", "architecture", "expansion", "batch_tokens"}  # settings neither of a training nor an architecture's
GPU_STEPS = 50  # steps between looks at the losses on a GPU, each of which waits for all work under way
log = logging.getLogger("coact")


@dataclass(frozen=True)
class Training:
    """Settings of a training; keys of the configuration, see docs/configuration.md.

    Raises:
        ConfigError: features are to be resampled before any can have been silent for `resample_window` steps.
    """

    tokens: int
    learning_rate: float
    warmup_share: float
    decay_share: float
    sparsity_warmup_share: float
    dead_steps: int
    seed: int
    normalize_inputs: bool = True
    center: str = "mean"
    decoder: str = "trained"
    dtype: str = "float32"
    gradient_clip: float | None = None
    resample_steps: tuple[int, ...] = ()
    resample_window: int = 12_500
    snapshot_steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_resampling(self.resample_steps, self.resample_window, "saes: resample_steps")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Training":
        """The settings among those of an SAE."""
        found = {key: settings[key] for key in (field.name for field in fields(cls))}
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})


def new_sae(settings: Mapping[str, Any], d_in: int) -> Architecture:
    """An SAE without weights yet.

    Args:
        settings: of an SAE to train, as the configuration has them (`Study.sae_settings`).
        d_in: dimensions of its inputs.
    Raises:
        StudyError: its training does not fit in memory.
        ConfigError: the architecture refuses its settings.
    """
    d_sae = dictionary_size(d_in, settings["expansion"])
    check_memory(d_in, d_sae, settings["batch_tokens"])
    others = FAMILY | {field.name for field in fields(Training)}
    own = {key: value for key, value in settings.items() if key not in others}
    return ARCHITECTURES[settings["architecture"]](d_in, d_sae, **own)


class Trained(NamedTuple):
    """What a training gives.

    Attributes:
        sae: the SAE of activations as they are, on the CPU (`Architecture.finish`), laid out as for encoding.
        history: `HISTORY_COLUMNS`; means over the steps since the last row, on scaled inputs.
        snapshots: at `snapshot_steps`.
    """

    sae: Architecture
    history: pd.DataFrame
    snapshots: Snapshots


def train_sae(
    sae: Architecture,
    stream: ActivationStream,
    settings: Training,
    checkpoint: Checkpoint | None = None,
    tracker: Tracker | None = None,
) -> Trained:
    """Train `sae`.

    Args:
        sae: the SAE; its weights are initialised here, and it may be altered after the training.
        stream: training batches; `settings.tokens` are rounded down to whole ones, at least one.
        settings: see `Training`.
        checkpoint: where to go on from, and to write to; None means neither. It is not deleted.
        tracker: gets the rows of the history.
    Raises:
        StudyError: widths differ, the loss is not finite, or the checkpoint is not of this training.
    """
    if stream.width != sae.d_in:
        raise StudyError(f"activation shards have width {stream.width:,}, but the SAE takes {sae.d_in:,} dimensions")
    run = _Run(sae, stream, settings)
    found = checkpoint.load() if checkpoint else None
    if found is None:
        initialize(sae, run.data, settings.center, settings.seed)
    else:
        run.restore(found)
        log.info("train SAE: going on from %s, after step %s of %s", checkpoint.path, f"{run.done:,}", f"{run.steps:,}")
    run.snapshot(0)
    progress = Progress((run.steps - run.done) * stream.batch_tokens, "train SAE", "tokens")
    for batch in stream.batches(run.steps, run.done):
        run.take_step(batch)
        due = checkpoint is not None and checkpoint.is_due
        figures = run.look() if due or run.is_time_to_look else {}
        if run.history.is_due:
            row = run.history.write_row(run.dead_share, run.rate)
            if tracker:
                tracker.log(row["step"], {name: None if math.isnan(value) else value for name, value in row.items()})
        if due:
            checkpoint.save(as_arrays(run.state()))
        progress.update(stream.batch_tokens, **figures)
    progress.close()
    finished = sae.finish(run.data.sample.to(run.device), run.data.scale, stream.batch_tokens).cpu()
    finished.pack()
    return Trained(finished, run.history.table(), run.snapshots)


class _Run:
    """A training under way: everything that its next step depends on."""

    def __init__(self, sae: Architecture, stream: ActivationStream, settings: Training) -> None:
        self.device, self.sae, self.stream, self.settings = get_device(), sae, stream, settings
        sae.to(self.device)
        self.data = survey(stream, settings.normalize_inputs)
        self.steps, self.done = max(1, settings.tokens // stream.batch_tokens), 0
        self.optimizer = RowAdam(sae) if self.device.type == "cpu" else FusedAdam(sae)
        self.silent = torch.zeros(sae.d_sae, dtype=torch.int64, device=self.device)
        self.history = TrainingHistory(self.steps, stream, self.data.variance, self.device)
        self.snapshots = _plan_snapshots(stream, self.data, settings.snapshot_steps, self.steps)
        self._all_dead = False
        late = [step for step in settings.resample_steps if step >= self.steps]
        if late:
            log.info("train SAE: nothing is resampled at resample_steps %s, since there are %s steps", late, self.steps)

    @property
    def rate(self) -> float:
        """Learning rate of the step taken last."""
        return self.settings.learning_rate * learning_rate_share(
            self.done - 1, self.steps, self.settings.warmup_share, self.settings.decay_share
        )

    @property
    def dead_share(self) -> float:
        """Share of features that have not fired for `dead_steps` steps."""
        return (self.silent >= self.settings.dead_steps).double().mean().item()

    @property
    def is_time_to_look(self) -> bool:
        """Whether `look` is called after this step: where it is free, or now and then."""
        return self.device.type == "cpu" or self.history.is_due or self.done % GPU_STEPS == 0

    def take_step(self, batch: torch.Tensor) -> None:
        """Take a step on a batch as it comes from the stream; it is altered."""
        settings, batch = self.settings, batch.to(self.device).mul_(self.data.scale)
        self.sae.zero_grad(set_to_none=True)
        dead = self.silent >= settings.dead_steps
        found = backward(
            self.sae, batch, dead, ramp(self.done, self.steps, settings.sparsity_warmup_share), settings.dtype
        )
        if settings.decoder == "random":
            self.sae.W_dec.grad = None
        self.done += 1
        norm, factor = clip(self.sae, settings.gradient_clip)
        self.optimizer.step(self.rate, factor)
        self.silent.add_(1).masked_fill_(found.fired > 0, 0)
        self.history.add(found, norm)
        self.snapshot(self.done)
        if self.done in settings.resample_steps and self.done < self.steps:
            self.history.resampled += resample(
                self.sae,
                self.optimizer,
                self.silent,
                self.stream,
                window=settings.resample_window,
                scale=self.data.scale,
                step=self.done,
            )

    def snapshot(self, step: int) -> None:
        """Take the snapshot of a step that is due and not there yet."""
        if step == self.done and self.snapshots.is_due(step):
            self.snapshots.take(step, self.sae)

    def look(self) -> dict[str, float]:
        """Refuse a loss that is not finite; the figures of the last step.

        Raises:
            StudyError: a loss is not finite.
        """
        for step, loss in self.history.unseen_losses():
            check_loss(loss, "the SAE", step - 1, self.steps)
        share = self.dead_share
        if share == 1 and not self._all_dead:
            self._all_dead = True
            log.warning("train SAE: all features are dead at step %s; training goes on", f"{self.done:,}")
        return {**self.history.figures(), "dead": share}

    def state(self) -> dict[str, torch.Tensor]:
        """Everything a checkpoint holds."""
        groups = {
            "weights": self.sae.state_dict(),
            "optimizer": self.optimizer.state(),
            "history": self.history.state(),
            "snapshots": self.snapshots.state(),
            "run": {"done": torch.tensor(self.done), "silent": self.silent},
        }
        return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from the arrays of `state`."""
        self.sae.load_state_dict(as_tensors(arrays, "weights."))
        self.optimizer.restore(as_tensors(arrays, "optimizer."))
        self.history.restore(as_tensors(arrays, "history."))
        self.snapshots.restore(as_tensors(arrays, "snapshots."))
        self.done = int(arrays["run.done"])
        self.silent.copy_(as_tensors(arrays, "run.")["silent"])


def _plan_snapshots(stream: ActivationStream, data: Data, asked: tuple[int, ...], steps: int) -> Snapshots:
    """Snapshots at the steps asked for, as far as the training goes, and at its end; none where none is asked for."""
    if not asked:
        return Snapshots((), data.sample[:0])
    places = np.stack(stream.places(stream.sample_numbers(SAMPLE_TOKENS)), axis=1)
    return Snapshots(sorted({step for step in asked if step < steps} | {steps}), data.sample, places=places)


def ramp(step: int, steps: int, share: float) -> float:
    """The linear rise to 1 in the first `share` of `steps`, at a step counted from 0."""
    return min(1.0, (step + 1) / max(1, round(steps * share)))


def learning_rate_share(step: int, steps: int, warmup_share: float, decay_share: float) -> float:
    """The smaller of the linear rise to 1 in the first steps and the linear fall from 1 to 0 in the last."""
    return min(ramp(step, steps, warmup_share), ramp(steps - 1 - step, steps, decay_share))


def backward(sae: Architecture, batch: torch.Tensor, dead: torch.Tensor, penalty: float, dtype: str) -> Losses:
    """Losses of a batch, and their gradients in `grad`; with "bfloat16" the plain formula under autocast."""
    if dtype == "float32":
        return sae.backward(batch, dead, penalty)
    with torch.autocast(batch.device.type, torch.bfloat16):
        found = sae.losses(batch, dead, penalty)
    found.total.backward()
    return found


def clip(sae: Architecture, most: float | None) -> tuple[float, float]:
    """Norm of the gradient of all weights together, and the factor that brings it down to `most`; NaN and 1 without."""
    if most is None:
        return math.nan, 1.0
    gradients = [parameter.grad for parameter in sae.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients).item()
    return norm, min(1.0, most / norm) if norm > 0 else 1.0
