"""ReLU with an L1 penalty (Bricken et al. 2023, Towards Monosemanticity)."""

from typing import Any

import torch

from coact.sae.architectures.base import Architecture, Losses, squared_error
from coact.sae.sparse import SparseFeatures, join, take_positive


class ReLU(Architecture):
    """features = ReLU(W_enc (x - b_dec) + b_enc); loss = squared error + l1 x mean over tokens of sum_i f_i ||d_i||.

    Args:
        d_in: dimensions of the input.
        d_sae: features.
        l1: coefficient of the penalty.
    """

    sae_lens_name = "standard"

    def __init__(self, d_in: int, d_sae: int, l1: float = 0.0, **_: Any) -> None:
        super().__init__(d_in, d_sae)
        self.l1 = l1

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.pre_activations(x).relu_()

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        bias = self.bias()
        return join([take_positive(product, bias) for product in self.products(x)])

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        features = self.pre_activations(x).relu()
        reconstruction = squared_error(x, self.decode(features))
        # Decoder rows have unit norm, so the penalty needs no factor ||d_i||.
        sparsity = self.l1 * penalty * features.sum(1).mean()
        return Losses(reconstruction + sparsity, reconstruction, sparsity, features.detach() > 0)

    def settings(self) -> dict[str, Any]:
        return {}
