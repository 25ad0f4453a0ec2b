"""What the training of transformers and of SAEs have in common."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch

from coact.errors import StudyError

HISTORY_ROWS = 200


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters the learning rate `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def check_loss(loss: float, what: str, step: int, steps: int) -> None:
    """Refuse a loss that is not finite.

    Args:
        loss: of step number `step`, counted from 0, of `steps`.
        what: what is trained, for the message.
    Raises:
        StudyError: the loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise StudyError(f"training {what}: loss is {loss} at step {step + 1} of {steps}; lower learning_rate")


class History:
    """A table of training: per interval of steps the means of what the steps gave, and the state at its end.

    Intervals have equal lengths, but for the last, which may be shorter. There are at least `HISTORY_ROWS` rows and
    fewer than twice as many, or one per step where the steps are fewer.

    Args:
        steps: steps of the training.
        step_tokens: tokens in a step.
    """

    def __init__(self, steps: int, step_tokens: int) -> None:
        self._steps, self._step_tokens, self._done = steps, step_tokens, 0
        self._interval = max(1, steps // HISTORY_ROWS)
        self._seen: list[dict[str, float]] = []
        self._rows: list[dict[str, Any]] = []

    def add(self, **values: float) -> None:
        """Take the values of the next step, the same names in the same order at every step."""
        self._seen.append(values)
        self._done += 1

    @property
    def is_due(self) -> bool:
        """Whether an interval has ended with the last step, so that its row is to be written."""
        return self._done % self._interval == 0 or self._done == self._steps

    def write_row(self, **state: float) -> None:
        """End the interval with a row of step, tokens, the means since the last row, and `state` as it is now."""
        means = np.mean([list(values.values()) for values in self._seen], axis=0)
        averaged = dict(zip(self._seen[0], means, strict=True))
        tokens = self._done * self._step_tokens
        self._rows.append({"step": self._done, "tokens": tokens, **averaged, **state})
        self._seen = []

    def table(self) -> pd.DataFrame:
        """The rows: step and tokens int64, the rest float64."""
        return pd.DataFrame(self._rows)
