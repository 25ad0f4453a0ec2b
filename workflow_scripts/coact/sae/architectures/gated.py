"""Gated SAE (Rajamanoharan et al. 2024, Improving dictionary learning with gated SAEs, arXiv:2404.16014)."""

from dataclasses import replace
from typing import Any, ClassVar

import torch

from coact.sae.architectures.base import Architecture, Losses, keep_entries, squared_error
from coact.sae.descent import applies, count_firings, is_crowded, reconstruct, set_gradients, sum_by_feature
from coact.sae.sparse import SparseFeatures, join, take_positive


class Gated(Architecture):
    """features = ReLU(magnitude) where gate > 0, else 0. Two paths share the encoder's directions.

    gate = W_enc (x - b_dec) + b_gate; magnitude = exp(r_mag) W_enc (x - b_dec) + b_mag. With the open gates
    g = ReLU(gate), the loss is squared error + l1 x mean over tokens of sum_i g_i ||d_i|| + squared error of what the
    decoder makes of g, for which alone the decoder is held fixed: that teaches the gates, whose step has no
    derivative.

    Args:
        l1: coefficient of the penalty.
        others: see `Architecture`.
    """

    sae_lens_name = "gated"
    SCALED = ("b_gate", "b_mag")
    FIRST_NORM = 0.1  # as in ReLU
    FEATURE_AXIS: ClassVar[dict[str, int]] = {"W_enc": 1, "b_gate": 0, "r_mag": 0, "b_mag": 0, "W_dec": 0}

    def __init__(self, d_in: int, d_sae: int, l1: float = 0.0, **others: Any) -> None:
        super().__init__(d_in, d_sae, **others)
        self.l1 = l1
        self.r_mag = torch.nn.Parameter(torch.zeros(d_sae))

    def bias(self) -> torch.Tensor:
        """See `Architecture`; pre-activations are those of the gate."""
        return self.less_center(self.b_gate)

    def paths(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens, d_in) -> pre-activations of the gate and of the magnitude, (tokens, d_sae) each."""
        shared = (x - self.b_dec if self.pre_bias else x) @ self.W_enc
        return shared + self.b_gate, shared * self.r_mag.exp() + self.b_mag

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        gate, magnitude = self.paths(x)
        return magnitude.relu() * (gate > 0)

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        bias, factor, parts = self.bias(), self.r_mag.exp(), []
        for product in self.products(x):
            gate = take_positive(product, bias)
            which = gate.indices.long()
            magnitude = (gate.values - self.b_gate[which]) * factor[which] + self.b_mag[which]
            active = ~(magnitude <= 0)
            parts.append(keep_entries(replace(gate, values=magnitude), active.nonzero().flatten()))
        return join(parts)

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        gate, magnitude = self.paths(x)
        features, opened = magnitude.relu() * (gate > 0), gate.relu()
        error = squared_error(x, self.decode(features))
        sparsity = self.l1 * penalty * (opened * self.W_dec.norm(dim=1)).sum(1).mean()
        by_gates = squared_error(x, torch.addmm(self.b_dec.detach(), opened, self.W_dec.detach()))
        return Losses(error + sparsity + by_gates, error, sparsity, (features > 0).sum(0))

    def backward(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """See `Architecture`. After the encoder's matrix product only features with an open gate are touched."""
        if not applies(x) or is_crowded(self, x):
            return super().backward(x, dead, penalty)
        with torch.no_grad():
            bias = self.bias()
            gates = join([take_positive(product, bias) for product in self.products(x)])
            which, share = gates.indices, self.l1 * penalty / len(x)
            shared, factors = gates.values - self.b_gate[which], self.r_mag.exp()[which]
            magnitude = shared * factors + self.b_mag[which]
            features = replace(gates, values=magnitude.relu())
            norms, sums = self.W_dec.norm(dim=1), sum_by_feature(gates, gates.values, self.d_sae)
            by_gates = reconstruct(x, gates, self.W_dec, self.b_dec)
            found = reconstruct(x, features, self.W_dec, self.b_dec)
            of_gate, of_magnitude = by_gates.slopes + share * norms[which], found.slopes * (magnitude > 0)
            slopes, along = of_gate + of_magnitude * factors, share * sums / norms.clamp_min(1e-8)
            set_gradients(self, x, features, found, slopes, along)
            self.b_gate.grad = sum_by_feature(gates, of_gate, self.d_sae)
            self.b_mag.grad = sum_by_feature(gates, of_magnitude, self.d_sae)
            self.r_mag.grad = sum_by_feature(gates, of_magnitude * shared * factors, self.d_sae)
            error, sparsity = found.errors[0], share * (sums * norms).sum()
            total = error + sparsity + by_gates.errors[0]
            return Losses(total, error, sparsity, count_firings(features, self.d_sae))
