"""Matryoshka SAE over BatchTopK (Bussmann, Nabeshima, Karvonen and Nanda 2025, arXiv:2503.17547)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from coact.sae.architectures.batchtopk import BatchTopK
from coact.study import prefix_sizes


class Matryoshka(BatchTopK):
    """BatchTopK whose first features reconstruct the input by themselves too, for several nested prefixes.

    The loss is the sum over prefixes of the squared error of b_dec and the prefix's features, as in the paper, and the
    auxiliary loss of what all features leave. Features are chosen once, among all.

    Args:
        prefixes: sizes of the prefixes as shares of the features, ascending to 1.
        others: see `LargestKept`.
    Raises:
        ConfigError: prefixes do not ascend to 1, one adds no feature, or `k` is too large.
    """

    def __init__(self, d_in: int, d_sae: int, k: int, prefixes: Sequence[float] = (1.0,), **others: Any) -> None:
        super().__init__(d_in, d_sae, k, **others)
        self.prefix_sizes = list(prefix_sizes(d_sae, prefixes))

    def reconstructions(self, features: torch.Tensor) -> list[torch.Tensor]:
        found = [self.b_dec]
        for first, last in pairwise((0, *self.prefix_sizes)):
            found.append(found[-1] + features[:, first:last] @ self.W_dec[first:last])
        return found[1:]
