"""Checkpoints: a training that was killed goes on from the last one and ends with the same bytes.

In: the tensors of a training under way. Out: one safetensors file beside the study's results, which no rule declares,
so that it survives what a workflow engine cleans up after a failed job; it is deleted when the results are written.
"""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

from coact.activations import Shard
from coact.artefacts import open_tensors, remove_parts, write_tensors
from coact.device import get_device
from coact.errors import ArtefactError, StudyError, UnwritableError
from coact.provenance import canonical_json, versions

FOLDER = Path("checkpoints")
PACKAGES = ("coact", "numba", "numpy", "torch")

log = logging.getLogger("coact")


class Checkpoint:
    """The checkpoint of one training.

    A new one is written under a temporary name, flushed, and renamed, so that the file is whole whenever a job is
    killed.

    Args:
        path: its file.
        identity: plain values by key that the training depends on; see `identity_of`.
        minutes: minutes between checkpoints; 0 writes one whenever asked.
    """

    def __init__(self, path: str | Path, identity: dict[str, Any], minutes: float) -> None:
        self.path, self._identity, self._seconds = Path(path), identity, 60 * minutes
        self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the time for the next one has come."""
        return time.monotonic() - self._last >= self._seconds

    def load(self) -> dict[str, np.ndarray] | None:
        """The tensors of the last checkpoint, memory-mapped; None where there is none.

        Raises:
            StudyError: it is damaged, or is of another training.
        """
        remove_parts(self.path)
        if not self.path.exists():
            return None
        try:
            file = open_tensors(self.path)
        except ArtefactError as error:
            reason = str(error).partition(";")[0]
            raise StudyError(f"{reason}; delete this checkpoint, and the training starts anew") from None
        self._check(json.loads(file.metadata["coact"]))
        return dict(file)

    def _check(self, found: dict[str, Any]) -> None:
        expected = json.loads(canonical_json(self._identity))
        for key in sorted(found.keys() | expected.keys()):
            then, now = found.get(key, "not there"), expected.get(key, "not there")
            if then != now:
                raise StudyError(
                    f"{self.path}: checkpoint of another training: {key} was {then!r} and is {now!r} now;"
                    " put it back to go on, or delete this file to start anew"
                )

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        """Write a checkpoint in place of the last. Where that fails (a full disk), the last stays; the log says so."""
        try:
            write_tensors(arrays, self.path, self._identity)
        except (OSError, UnwritableError) as error:
            reason = error.__cause__ or error
            reason = getattr(reason, "strerror", None) or reason
            log.warning("%s: checkpoint not written (%s); training goes on without", self.path, reason)
        self._last = time.monotonic()

    def delete(self) -> None:
        """Remove the file, once the results are there."""
        self.path.unlink(missing_ok=True)


def identity_of(settings: dict[str, Any], shards: Sequence[Shard]) -> dict[str, Any]:
    """What the result of a training depends on, as plain values by dotted key.

    Settings, the digests of the activation shards, the versions of the packages that compute, and the device.
    """
    return {
        **{f"settings.{key}": value for key, value in settings.items()},
        **{f"digest of {shard.path}": _digest(shard.path) for shard in shards},
        **{f"version of {name}": versions()[name] for name in PACKAGES},
        "device": get_device().type,
    }


def _digest(path: str) -> str:
    with safetensors.safe_open(path, "numpy") as file:
        return file.metadata()["digest"]


def as_arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Tensors as arrays on the CPU."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def as_tensors(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    """The arrays whose names begin with `prefix`, as tensors of their own, without it."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
