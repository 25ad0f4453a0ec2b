"""Top-k activation with an auxiliary loss for dead features (Gao et al. 2024, Scaling and evaluating SAEs)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import FunctionCtx, once_differentiable

from coact.sae.architectures.base import LargestKept, Losses, squared_error
from coact.sae.descent import applies
from coact.sae.sparse import SparseFeatures, join, largest_positive, take_largest


class TopK(LargestKept):
    """features = the k largest of ReLU(W_enc (x - b_dec) + b_enc), all others 0; loss = squared error + auxiliary loss.

    Of equal ones the lower indices. Arguments: see `LargestKept`.
    """

    sae_lens_name = "topk"

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        before = self.pre_activations(x)
        indices = largest_positive(before.detach().float(), self.k)[0].long()
        return torch.zeros_like(before).scatter(1, indices, before.gather(1, indices).relu())

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        bias = self.bias()
        return join([take_largest(product, self.k, bias) for product in self.products(x)])

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        features = self.encode(x)
        reconstruction = self.decode(features)
        error = squared_error(x, reconstruction)
        auxiliary = self.auxiliary(x, x - reconstruction, dead)
        return Losses(error + auxiliary, error, auxiliary, (features > 0).sum(0))

    def backward(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """See `LargestKept`; by PyTorch's operations where its loops do not apply, as on a GPU."""
        if applies(x) or torch.is_autocast_enabled(x.device.type):
            return super().backward(x, dead, penalty)
        values, indices = _EncodeLargest.apply(x, self.W_enc, self.bias(), self.k)
        reconstruction = F.embedding_bag(indices, self.W_dec, per_sample_weights=values, mode="sum") + self.b_dec
        error = squared_error(x, reconstruction)
        auxiliary = self.auxiliary(x, x - reconstruction, dead)
        fired = torch.bincount(indices[values > 0], minlength=self.d_sae)
        found = Losses(error + auxiliary, error, auxiliary, fired)
        found.total.backward()
        return found

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
        return None, summed.T, bias, None
