"""The table of an SAE's training.

In: what every step gave. Out: rows of means over steps, a table, and what a checkpoint needs of them.
"""

import pandas as pd
import torch

from coact.sae.architectures import Losses
from coact.sae.stream import ActivationStream
from coact.training import HISTORY_ROWS

VALUES = ("loss", "reconstruction", "sparsity", "l0", "gradient_norm")
HISTORY_COLUMNS = [
    "step", "tokens", "epoch", "loss", "reconstruction", "sparsity",
    "l0", "fvu", "dead_share", "resampled", "learning_rate", "gradient_norm",
]  # fmt: skip


class TrainingHistory:
    """The table of a training: per interval of steps the means of what they gave, and the state at its end.

    What steps give stays on the device until the row is due, since reading it there would wait for the step. Intervals
    are as in `coact.training.History`.
    """

    def __init__(self, steps: int, stream: ActivationStream, variance: float, device: torch.device) -> None:
        self._steps, self._tokens, self._epoch, self._variance = steps, stream.batch_tokens, len(stream), variance
        self._interval = max(1, steps // HISTORY_ROWS)
        self._values = torch.zeros(self._interval, len(VALUES), dtype=torch.float64, device=device)
        self._filled, self._seen, self._done = 0, 0, 0
        self._rows: list[list[float]] = []
        self.resampled = 0  # since the last row

    def add(self, losses: Losses, gradient_norm: float) -> None:
        """Take what the next step gave."""
        row = self._values[self._filled]
        for place, value in enumerate((losses.total, losses.reconstruction, losses.sparsity)):
            row[place] = value.detach()
        row[3] = losses.fired.sum() / self._tokens
        row[4] = gradient_norm
        self._filled, self._done = self._filled + 1, self._done + 1

    @property
    def is_due(self) -> bool:
        """Whether an interval has ended with the last step, so that its row is to be written."""
        return self._filled == self._interval or self._done == self._steps

    def unseen_losses(self) -> list[tuple[int, float]]:
        """Steps, counted from 1, and their losses, since this was last asked or a row was written."""
        losses = self._values[self._seen : self._filled, 0].tolist()
        first = self._done - len(losses) + 1
        self._seen = self._filled
        return list(enumerate(losses, first))

    def figures(self) -> dict[str, float]:
        """Loss, L0 and FVU of the last step."""
        last = dict(zip(VALUES, self._values[self._filled - 1].tolist(), strict=True))
        return {"loss": last["loss"], "L0": last["l0"], "FVU": last["reconstruction"] / self._variance}

    def write_row(self, dead_share: float, learning_rate: float) -> dict[str, float]:
        """End the interval; its row."""
        means = self._values[: self._filled].cpu().numpy().mean(0)
        tokens = self._done * self._tokens
        row = {
            **dict(zip(VALUES, means.tolist(), strict=True)),
            "step": self._done,
            "tokens": tokens,
            "epoch": tokens / self._epoch,
            "dead_share": dead_share,
            "resampled": self.resampled,
            "learning_rate": learning_rate,
        }
        row["fvu"] = row["reconstruction"] / self._variance
        self._rows.append([row[name] for name in HISTORY_COLUMNS])
        self._filled, self._seen, self.resampled = 0, 0, 0
        return {name: row[name] for name in HISTORY_COLUMNS}

    def table(self) -> pd.DataFrame:
        """The rows: step, tokens and resampled int64, the rest float64."""
        table = pd.DataFrame(self._rows, columns=HISTORY_COLUMNS, dtype=float)
        return table.astype(dict.fromkeys(("step", "tokens", "resampled"), "int64"))

    def state(self) -> dict[str, torch.Tensor]:
        """Rows, and what the steps since the last gave."""
        rows = torch.tensor(self._rows, dtype=torch.float64).reshape(-1, len(HISTORY_COLUMNS))
        counts = torch.tensor([self._done, self.resampled])
        return {"rows": rows, "values": self._values[: self._filled], "counts": counts}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        self._rows = state["rows"].tolist()
        self._filled = self._seen = len(state["values"])
        self._values[: self._filled] = state["values"].to(self._values.device)
        self._done, self.resampled = state["counts"].tolist()
