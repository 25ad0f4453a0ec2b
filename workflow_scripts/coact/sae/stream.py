"""Training batches from activation shards."""

from collections.abc import Iterator

import numpy as np
import torch

from coact.activations import Shard
from coact.errors import StudyError


class ActivationStream:
    """Batches of activation vectors in random order.

    The shuffle is complete: an epoch is one random permutation of all kept tokens of all shards. Rows are gathered
    from memory maps; the permutation takes 8 bytes per token.

    Args:
        shards: activation shards of one width.
        include_special: keep BOS and separator positions.
        batch_tokens: tokens in a batch.
        seed: seed of the permutations.
    Raises:
        StudyError: the shards disagree on the width, or hold fewer tokens than one batch.
    """

    def __init__(self, shards: list[Shard], include_special: bool, batch_tokens: int, seed: int) -> None:
        widths = {shard.width for shard in shards}
        if len(widths) != 1:
            raise StudyError(f"activation shards disagree on their width: {sorted(widths)}")
        self.shards, self.batch_tokens, self.seed = shards, batch_tokens, seed
        self.width = widths.pop()
        rows = [shard.kept_rows(include_special) for shard in shards]
        self._row = np.concatenate(rows)
        self._shard = np.repeat(np.arange(len(shards), dtype=np.int16), [len(part) for part in rows])
        if len(self._row) < batch_tokens:
            raise StudyError(
                f"batch_tokens: found {batch_tokens:,}, but the activation shards hold {len(self._row):,} tokens"
            )

    def __len__(self) -> int:
        """Kept tokens in all shards."""
        return len(self._row)

    def sample(self, number: int) -> torch.Tensor:
        """Up to `number` vectors chosen at random, in the order of the shards: (number, width) float32."""
        chosen = np.random.default_rng([self.seed, 1]).permutation(len(self._row))[:number]
        return self._gather(np.sort(chosen))

    def batches(self, steps: int) -> Iterator[torch.Tensor]:
        """`steps` batches (batch_tokens, width) float32; an epoch's last, incomplete batch is left out."""
        generator = np.random.default_rng([self.seed, 0])
        per_epoch = len(self._row) // self.batch_tokens
        order = np.empty(0, np.int64)
        for step in range(steps):
            place = step % per_epoch
            if place == 0:
                order = generator.permutation(len(self._row))
            yield self._gather(np.sort(order[place * self.batch_tokens : (place + 1) * self.batch_tokens]))

    def _gather(self, chosen: np.ndarray) -> torch.Tensor:
        return torch.cat(
            [shard.rows(self._row[chosen[self._shard[chosen] == number]]) for number, shard in enumerate(self.shards)]
        )
