"""Trackers: the course of a training for whoever watches it, on Weights & Biases or TensorBoard.

In: the section `tracking` of the configuration, and numbers by training step. Out: files under `logs/`, or a run on a
server. They are no artefacts and change none: no result depends on them, and a tracker that fails is dropped, with a
line in the log. Rules read the section when they run and not as parameters, so that a change of it makes nothing anew.

W&B and TensorBoard are imported where they are turned on, and nowhere else.
"""

import importlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from coact.errors import ConfigError
from coact.provenance import config_hash

KEY_VARIABLE = "WANDB_API_KEY"
MOST_NAME = 100  # characters of a name in a run's id; W&B takes 128

log = logging.getLogger("coact")


class Sink(Protocol):
    """One place that numbers go to."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Take the numbers of a step."""

    def close(self) -> None:
        """Write what is left."""


class Tracker:
    """Hands the numbers of a training on to some sinks, or to none.

    Args:
        sinks: name -> sink.
    """

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = dict(sinks)

    def log(self, step: int, values: Mapping[str, float | None]) -> None:
        """Take the numbers of a step; steps ascend. What is not defined (None) is left out."""
        known = {name: float(value) for name, value in values.items() if value is not None}
        for name, sink in list(self._sinks.items()):
            try:
                sink.log(step, known)
            except Exception as error:  # whatever it is, it must not end a training of hours
                self._drop(name, error)

    def close(self) -> None:
        """End the run of every sink."""
        for name, sink in list(self._sinks.items()):
            try:
                sink.close()
            except Exception as error:
                self._drop(name, error)
        self._sinks = {}

    def _drop(self, name: str, error: Exception) -> None:
        del self._sinks[name]
        log.warning("tracking.%s: failed and is left out from now on (%s)", name, _first_line(error))


def open_tracker(
    settings: Mapping[str, Any], name: str, config: Mapping[str, Any], folder: str | Path = "logs"
) -> Tracker:
    """The tracker of one training; one that keeps nothing where no tracking is asked for.

    A training that goes on from a checkpoint goes on in the same run: its id is made of `name` and `config`.

    Args:
        settings: section `tracking` of the completed configuration: wandb (None, or mode and project), tensorboard.
        name: name of the training, for example "main/topk-x4-s0".
        config: what is trained; shown beside the run.
        folder: where `wandb/` and `tensorboard/<name>/` go.
    Raises:
        ConfigError: see `check_tracking`; or W&B refuses to start a run.
    """
    check_tracking(settings)
    sinks: dict[str, Sink] = {}
    if settings["wandb"] is not None:
        sinks["wandb"] = _WeightsAndBiases(**settings["wandb"], name=name, config=dict(config), folder=Path(folder))
    if settings["tensorboard"]:
        sinks["tensorboard"] = _TensorBoard(Path(folder) / "tensorboard" / name)
    return Tracker(sinks)


def check_tracking(settings: Mapping[str, Any]) -> None:
    """Refuse settings that no training could follow, before one begins.

    Raises:
        ConfigError: a package is not installed, or a key is missing.
    """
    if settings["wandb"] is not None:
        _import("wandb", "tracking.wandb", "null")
        if settings["wandb"]["mode"] == "online" and not os.environ.get(KEY_VARIABLE):
            raise ConfigError(
                f"tracking.wandb.mode: found 'online', but the environment variable {KEY_VARIABLE} is not set;"
                " set it to your key, or use mode offline"
            )
    if settings["tensorboard"]:
        _import("tensorboard", "tracking.tensorboard", "false")


def run_id(name: str, config: Mapping[str, Any]) -> str:
    """An id that a training has whenever it runs: its name and a hash of name and configuration.

    W&B allows letters, digits, and most marks, but no slash, and at most 128 characters.
    """
    return f"{name.replace('/', '.')[:MOST_NAME]}-{config_hash([name, config])[:12]}"


class _WeightsAndBiases:
    """A run of Weights & Biases (docs.wandb.ai); offline, a folder that `wandb sync` uploads."""

    def __init__(self, *, mode: str, project: str, name: str, config: dict[str, Any], folder: Path) -> None:
        self._wandb = wandb = _import("wandb", "tracking.wandb", "null")
        folder.mkdir(parents=True, exist_ok=True)
        # The job's log is its own; and neither code nor its history leave this machine.
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, save_code=False)
        try:
            self._run = wandb.init(
                project=project,
                name=name,
                id=run_id(name, config),
                resume="allow",
                mode=mode,
                dir=str(folder),
                config=config,
                settings=quiet,
            )
        except wandb.Error as error:
            raise ConfigError(f"tracking.wandb: W&B did not start a run ({_first_line(error)})") from None

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()
        # W&B's own process may still be writing the file; this waits for it.
        self._wandb.teardown()


class _TensorBoard:
    """An event file for TensorBoard.

    A training that goes on from a checkpoint repeats some steps: its file tells TensorBoard to hide, from its first
    step on, what files before it hold.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._writer = folder, None

    def log(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
            self._writer = writer(str(self._folder), purge_step=step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _import(package: str, key: str, off: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{key}: the module {error.name} is not installed; run pip install {package}, or set {key} to {off}"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
