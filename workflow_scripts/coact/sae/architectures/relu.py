"""ReLU with an L1 penalty (Bricken et al. 2023, Towards Monosemanticity; Conerly et al. 2024, Update on training)."""

from typing import Any

import torch

from coact.sae.architectures.base import Architecture, Losses, squared_error
from coact.sae.descent import applies, count_firings, is_crowded, reconstruct, set_gradients, sum_by_feature
from coact.sae.sparse import SparseFeatures, join, take_positive


class ReLU(Architecture):
    """features = ReLU(W_enc (x - b_dec) + b_enc); loss = squared error + l1 x mean over tokens of sum_i f_i ||d_i||.

    With decoder rows of unit norm this is the loss of Bricken et al., with free norms that of Conerly et al.

    Args:
        l1: coefficient of the penalty.
        others: see `Architecture`.
    """

    sae_lens_name = "standard"
    FIRST_NORM = 0.1  # Conerly et al.; with longer columns features start far too large for the penalty

    def __init__(self, d_in: int, d_sae: int, l1: float = 0.0, **others: Any) -> None:
        super().__init__(d_in, d_sae, **others)
        self.l1 = l1

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.pre_activations(x).relu()

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        bias = self.bias()
        return join([take_positive(product, bias) for product in self.products(x)])

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        features = self.encode(x)
        error = squared_error(x, self.decode(features))
        sparsity = self.l1 * penalty * (features * self.W_dec.norm(dim=1)).sum(1).mean()
        return Losses(error + sparsity, error, sparsity, (features > 0).sum(0))

    def backward(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """See `Architecture`. After the encoder's matrix product only active features are touched."""
        if not applies(x) or is_crowded(self, x):
            return super().backward(x, dead, penalty)
        with torch.no_grad():
            features, share = self.encode_sparse(x), self.l1 * penalty / len(x)
            norms, sums = self.W_dec.norm(dim=1), sum_by_feature(features, features.values, self.d_sae)
            found = reconstruct(x, features, self.W_dec, self.b_dec)
            slopes = found.slopes + share * norms[features.indices]
            self.b_enc.grad = set_gradients(self, x, features, found, slopes, share * sums / norms.clamp_min(1e-8))
            error, sparsity = found.errors[0], share * (sums * norms).sum()
            return Losses(error + sparsity, error, sparsity, count_firings(features, self.d_sae))
