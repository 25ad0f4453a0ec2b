"""The interface of an SAE architecture."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from coact.sae.sparse import SparseFeatures, join, take_positive

CHUNK_ROWS = 2048  # more make the matrix product no faster, and fewer let the encoder be packed too often


@dataclass
class Losses:
    """What a training step gives back.

    Attributes:
        total: the loss to differentiate.
        reconstruction: squared error summed over dimensions, mean over tokens.
        sparsity: the sparsity term as it enters the total.
        active: (tokens, entries) int64 features that are active, or (tokens, D) bool, for the count of firings.
    """

    total: torch.Tensor
    reconstruction: torch.Tensor
    sparsity: torch.Tensor
    active: torch.Tensor


class Architecture(torch.nn.Module, ABC):
    """An SAE: x (tokens, d_in) -> features (tokens, d_sae), not negative -> reconstruction (tokens, d_in).

    Parameters are W_enc (d_in, d_sae), b_enc (d_sae,), W_dec (d_sae, d_in), b_dec (d_in,), all float32. The decoder
    bias is subtracted from the input before the encoder, and decoder rows have unit norm (Bricken et al. 2023).
    """

    sae_lens_name: str

    def __init__(self, d_in: int, d_sae: int) -> None:
        super().__init__()
        self.d_in, self.d_sae = d_in, d_sae
        self.W_enc = torch.nn.Parameter(torch.zeros(d_in, d_sae))
        self.b_enc = torch.nn.Parameter(torch.zeros(d_sae))
        self.W_dec = torch.nn.Parameter(torch.zeros(d_sae, d_in))
        self.b_dec = torch.nn.Parameter(torch.zeros(d_in))

    @torch.no_grad()
    def initialize(self, mean: torch.Tensor, seed: int) -> None:
        """Random unit decoder rows, the encoder as their transpose, the decoder bias at the mean of the data.

        Args:
            mean: (d_in,) mean of the (scaled) activations.
            seed: seed of the rows.
        """
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randn(self.d_sae, self.d_in, generator=generator)
        self.W_dec.copy_(rows / rows.norm(dim=1, keepdim=True))
        self.W_enc.copy_(self.W_dec.T)
        self.b_dec.copy_(mean)

    def pre_activations(self, x: torch.Tensor) -> torch.Tensor:
        """(tokens, d_in) -> (tokens, d_sae), before the activation function."""
        return torch.addmm(self.bias(), x, self.W_enc)

    def bias(self) -> torch.Tensor:
        """(d_sae,) pre-activations of an input of zeros."""
        return self.b_enc - self.b_dec @ self.W_enc

    def products(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """(tokens, d_in) -> pre-activations without `bias`, for `CHUNK_ROWS` tokens at a time.

        Each (rows, d_sae) takes the place of the one before. Only without gradients.
        """
        room = x.new_empty(min(len(x), CHUNK_ROWS), self.d_sae)
        for part in x.split(CHUNK_ROWS):
            yield torch.mm(part, self.W_enc, out=room[: len(part)])

    @abstractmethod
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(tokens, d_in) -> features (tokens, d_sae), not negative."""

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Features (tokens, d_sae) -> reconstruction (tokens, d_in)."""
        return torch.addmm(self.b_dec, features, self.W_dec)

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        """(tokens, d_in) -> the entries of `encode` that are not 0, never held densely for more than a chunk."""
        return join([take_positive(self.encode(part)) for part in x.split(CHUNK_ROWS)])

    @torch.no_grad()
    def reconstruct(self, x: torch.Tensor) -> tuple[torch.Tensor, SparseFeatures]:
        """(tokens, d_in) -> reconstruction (tokens, d_in) and the features it is the sum of; without gradients."""
        features = self.encode_sparse(x)
        return features.decode(self.W_dec).add_(self.b_dec), features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(tokens, d_in) -> reconstruction (tokens, d_in)."""
        return self.decode(self.encode(x))

    @abstractmethod
    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """Losses of a training batch.

        Args:
            x: (tokens, d_in).
            dead: (d_sae,) bool, features that have not fired lately.
            penalty: share of the full sparsity penalty that is in force (it rises during warm-up).
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What, beside the weights, SAELens needs to rebuild this SAE (keys of its cfg.json)."""

    @torch.no_grad()
    def project_gradients(self) -> None:
        """Remove the part of each decoder row's gradient that is parallel to the row (Bricken et al. 2023)."""
        if self.W_dec.grad is not None:
            parallel = (self.W_dec.grad * self.W_dec).sum(1, keepdim=True)
            self.W_dec.grad.addcmul_(parallel, self.W_dec, value=-1.0)

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Scale every decoder row back to unit norm."""
        self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True).clamp_min(1e-8))

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        """Turn an SAE of inputs that were multiplied by `factor` into one of the inputs as they are.

        ReLU and top-k are positively homogeneous, so dividing both biases by the factor is exact: features and
        reconstruction are divided by it too, and decoder rows keep their norm.
        """
        self.b_enc.div_(factor)
        self.b_dec.div_(factor)


def squared_error(x: torch.Tensor, reconstruction: torch.Tensor) -> torch.Tensor:
    """Squared error summed over dimensions, mean over tokens."""
    return (x - reconstruction).pow(2).sum(1).mean()
