"""Top-k activation with an auxiliary loss for dead features (Gao et al. 2024, Scaling and evaluating SAEs)."""

from typing import Any

import torch
import torch.nn.functional as F

from coact.errors import ConfigError
from coact.sae.architectures.base import Architecture, Losses, squared_error
from coact.sae.sparse import SparseFeatures, take_largest


class TopK(Architecture):
    """features = the k largest of ReLU(W_enc (x - b_dec) + b_enc), all others 0; loss = squared error + auxiliary loss.

    The auxiliary loss (Gao et al. 2024, appendix A.2) lets the features that have not fired lately reconstruct what
    is left of the input. After the encoder only the k chosen features are touched: the decoder sums k rows per token.

    Args:
        d_in: dimensions of the input.
        d_sae: features.
        k: features kept per token.
        aux_share: coefficient of the auxiliary loss.
    Raises:
        ConfigError: k is larger than the number of features.
    """

    sae_lens_name = "topk"

    def __init__(self, d_in: int, d_sae: int, k: int, aux_share: float = 0.0, **_: Any) -> None:
        super().__init__(d_in, d_sae)
        if k > d_sae:
            raise ConfigError(f"saes: k is {k}, but the SAE has only {d_sae} features; lower k or raise expansion")
        self.k, self.aux_share = k, aux_share

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        values, indices = self.pre_activations(x).topk(self.k, sorted=False)
        return torch.zeros(len(x), self.d_sae, dtype=x.dtype, device=x.device).scatter_(1, indices, values.relu_())

    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        """As for any SAE, without the dense features ever being made."""
        return take_largest(self.pre_activations(x), self.k)

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        before = self.pre_activations(x)
        values, indices = before.topk(self.k, sorted=False)
        values = values.relu()
        reconstruction = self._decode_sparse(indices, values) + self.b_dec
        error = squared_error(x, reconstruction)
        auxiliary = self._auxiliary(before, (x - reconstruction).detach(), dead)
        # A slot whose value is 0 does not count as a firing; -1 marks it.
        active = torch.where(values.detach() > 0, indices, -1)
        return Losses(error + auxiliary, error, auxiliary.detach(), active)

    def _auxiliary(self, before: torch.Tensor, residual: torch.Tensor, dead: torch.Tensor) -> torch.Tensor:
        number = int(dead.sum())
        if self.aux_share == 0 or number == 0:
            return before.new_zeros(())
        candidates = before[:, dead]
        values, places = candidates.topk(min(self.d_in // 2, number), sorted=False)
        guess = self._decode_sparse(dead.nonzero().squeeze(1)[places], values.relu())
        return self.aux_share * squared_error(residual, guess)

    def _decode_sparse(self, indices: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return F.embedding_bag(indices, self.W_dec, per_sample_weights=values, mode="sum")

    def settings(self) -> dict[str, Any]:
        return {"k": self.k, "rescale_acts_by_decoder_norm": False}
