"""Top-k activation with an auxiliary loss for dead features (Gao et al. 2024, Scaling and evaluating SAEs)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import FunctionCtx, once_differentiable

from coact.errors import ConfigError
from coact.sae.architectures.base import Architecture, Losses, squared_error
from coact.sae.sparse import SparseFeatures, join, largest_positive, take_largest


class TopK(Architecture):
    """features = the k largest of ReLU(W_enc (x - b_dec) + b_enc), all others 0; loss = squared error + auxiliary loss.

    The auxiliary loss (Gao et al. 2024, appendix A.2) lets the features that have not fired lately reconstruct what
    is left of the input. After the encoder's matrix product only the k chosen features are touched: the decoder sums k
    rows per token, and the encoder's gradient is summed from k rows per token.

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

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        bias = self.bias()
        return join([take_largest(product, self.k, bias) for product in self.products(x)])

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        bias = self.bias()
        values, indices = _EncodeLargest.apply(x, self.W_enc, bias, self.k)
        reconstruction = self._decode_sparse(indices, values) + self.b_dec
        error = squared_error(x, reconstruction)
        auxiliary = self._auxiliary(x, bias, (x - reconstruction).detach(), dead)
        # A slot whose value is 0 does not count as a firing; -1 marks it.
        active = torch.where(values.detach() > 0, indices, -1)
        return Losses(error + auxiliary, error, auxiliary.detach(), active)

    def _auxiliary(
        self, x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor, dead: torch.Tensor
    ) -> torch.Tensor:
        number = int(dead.sum())
        if self.aux_share == 0 or number == 0:
            return x.new_zeros(())
        candidates = torch.addmm(bias[dead], x, self.W_enc[:, dead]).relu()
        kept = self.d_in // 2
        if number > kept:
            # So many entries of a row that a matrix product is faster than sums of rows.
            chosen = candidates.detach().topk(kept, sorted=False).indices
            candidates = candidates * torch.zeros_like(candidates).scatter_(1, chosen, 1.0)
        return self.aux_share * squared_error(residual, candidates @ self.W_dec[dead])

    def _decode_sparse(self, indices: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return F.embedding_bag(indices, self.W_dec, per_sample_weights=values, mode="sum")

    def settings(self) -> dict[str, Any]:
        return {"k": self.k, "rescale_acts_by_decoder_norm": False}


class _EncodeLargest(torch.autograd.Function):
    """The k largest entries of ReLU(x W + bias) per row, and a gradient that reads and writes only these.

    x (tokens, d_in), W (d_in, D), bias (D,), k -> values (tokens, k) float32, indices (tokens, k) int64. Places beyond
    the entries above 0 have the value 0. x gets no gradient: it is data.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        before = torch.addmm(bias, x, weights)
        indices = largest_positive(before, k)[0].long()
        values = before.gather(1, indices).relu_()
        ctx.save_for_backward(x, values, indices)
        ctx.features = weights.shape[1]
        ctx.mark_non_differentiable(indices)
        return values, indices

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, gradient: torch.Tensor, _: torch.Tensor
    ) -> tuple[None, torch.Tensor, torch.Tensor, None]:
        x, values, indices = ctx.saved_tensors
        gradient = torch.where(values > 0, gradient, 0)
        # Row i of the transposed gradient is the sum over tokens of gradient times x, as in a bag of embeddings.
        rows = torch.zeros(ctx.features, x.shape[1], dtype=x.dtype, device=x.device, requires_grad=True)
        with torch.enable_grad():
            bags = F.embedding_bag(indices, rows, per_sample_weights=gradient, mode="sum")
        (summed,) = torch.autograd.grad(bags, rows, x)
        bias = torch.zeros(ctx.features, dtype=x.dtype, device=x.device)
        bias.index_add_(0, indices.flatten(), gradient.flatten())
        return None, summed.T.contiguous(), bias, None
