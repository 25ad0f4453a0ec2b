"""JumpReLU with an L0 penalty (Rajamanoharan et al. 2024, Jumping ahead, arXiv:2407.14435)."""

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch.autograd.function import FunctionCtx, once_differentiable

from coact.sae.architectures.base import Architecture, Losses, keep_entries, squared_error
from coact.sae.descent import applies, count_firings, is_crowded, reconstruct, set_gradients, sum_by_feature
from coact.sae.sparse import SparseFeatures, join, take_positive

SMALLEST_THRESHOLD = 1e-6


class JumpReLU(Architecture):
    """features = z where z > threshold, else 0, with z = W_enc (x - b_dec) + b_enc and a threshold above 0 per feature.

    Loss = squared error + l0 x mean number of active features of a token. Neither term has a derivative by a threshold;
    both get the straight-through one of Rajamanoharan et al., see `_Jump`. The paper learns the logarithm of a
    threshold; here it is the threshold, held above 0, since Adam's steps would move a logarithm by per mille of what
    it stands for, too little for runs of hundreds of steps. SAEs of other architectures that end as JumpReLU may have
    thresholds of 0.

    Args:
        l0: coefficient of the penalty.
        bandwidth: width of the window around a threshold in which pre-activations give it a gradient.
        threshold: what thresholds start as.
        others: see `Architecture`.
    """

    sae_lens_name = "jumprelu"
    SCALED = ("b_enc", "threshold")
    FEATURE_AXIS: ClassVar[dict[str, int]] = Architecture.FEATURE_AXIS | {"threshold": 0}

    def __init__(
        self,
        d_in: int,
        d_sae: int,
        l0: float = 0.0,
        bandwidth: float = 1.0,
        threshold: float = 0.5,
        **others: Any,
    ) -> None:
        super().__init__(d_in, d_sae, **others)
        self.l0, self.bandwidth, self.first_threshold = l0, bandwidth, threshold
        torch.nn.init.constant_(self.threshold, threshold)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self._activate(x)[0]

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        bias, threshold, parts = self.bias(), self.threshold.clamp_min(0), []
        # Few entries are above a threshold, but far more above 0; rounding moves none by as much as is added here.
        distance = bias - threshold + 1e-5 * (bias.abs() + threshold)
        for product in self.products(x):
            near = take_positive(product, distance)
            rows, columns = torch.repeat_interleave(near.indptr.diff()), near.indices.long()
            values = product[rows, columns] + bias[columns]
            active = ~(values <= threshold[columns])
            parts.append(keep_entries(replace(near, values=values), active.nonzero().flatten()))
        return join(parts)

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        features, active = self._activate(x)
        error = squared_error(x, self.decode(features))
        sparsity = self.l0 * penalty * active.sum(1).mean()
        return Losses(error + sparsity, error, sparsity, (features > 0).sum(0))

    def _activate(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens, d_in) -> features, and 1 where they are active, else 0: (tokens, d_sae) float32 each."""
        return _Jump.apply(self.pre_activations(x), self.threshold, self.bandwidth)

    def backward(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """See `Architecture`. After the encoder's matrix product only entries in windows or above are touched."""
        if not applies(x) or is_crowded(self, x):
            return super().backward(x, dead, penalty)
        with torch.no_grad():
            listed = self._list_from_windows(x)
            thresholds = self.threshold[listed.indices]
            distance = listed.values - self.bandwidth / 2
            active, window = ~(distance <= 0), distance <= self.bandwidth / 2
            features = replace(listed, values=(distance + thresholds).relu() * active)
            found, share = reconstruct(x, features, self.W_dec, self.b_dec), self.l0 * penalty / len(x)
            self.b_enc.grad = set_gradients(self, x, features, found, found.slopes * active)
            of_threshold = -(found.slopes * thresholds + share) * window / self.bandwidth
            self.threshold.grad = sum_by_feature(features, of_threshold, self.d_sae)
            error, sparsity = found.errors[0], share * active.sum()
            return Losses(error + sparsity, error, sparsity, count_firings(features, self.d_sae))

    def _list_from_windows(self, x: torch.Tensor) -> SparseFeatures:
        """Entries above the lower end of their threshold's window; values are pre-activations less that end."""
        bias = self.bias() - (self.threshold - self.bandwidth / 2)
        return join([take_positive(product, bias) for product in self.products(x)])

    @torch.no_grad()
    def bound_parameters(self) -> None:
        """See `Architecture`; thresholds are held above 0."""
        self.threshold.clamp_(min=SMALLEST_THRESHOLD)

    @torch.no_grad()
    def reset_features(self, which: torch.Tensor, directions: torch.Tensor, encoder_norm: float) -> None:
        """See `Architecture`; thresholds become what they were at first."""
        super().reset_features(which, directions, encoder_norm)
        self.threshold[which] = self.first_threshold


class _Jump(torch.autograd.Function):
    """Pre-activations z (tokens, D), thresholds t (D,), bandwidth e -> features z H(z - t) and activity H(z - t).

    H is 1 above 0, else 0. Derivatives by z: H(z - t) of features, none of activity. Pseudo-derivatives by t, with
    K(u) = H(u + 1/2) - H(u - 1/2): -t / e K((z - t) / e) of features, -1 / e K((z - t) / e) of activity
    (Rajamanoharan et al. 2024).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, before: torch.Tensor, threshold: torch.Tensor, bandwidth: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(before, threshold)
        ctx.bandwidth = bandwidth
        active = (before > threshold).float()
        # ReLU matters for thresholds below 0 alone, which SAEs from elsewhere may have.
        return before.relu() * active, active

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, of_features: torch.Tensor, of_activity: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        before, threshold = ctx.saved_tensors
        distance = (before - threshold) / ctx.bandwidth
        window = (distance > -0.5) & (distance <= 0.5)
        of_threshold = -((of_features * threshold + of_activity) * window).sum(0) / ctx.bandwidth
        return (of_features * (before > threshold)).to(before.dtype), of_threshold, None
