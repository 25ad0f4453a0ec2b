"""The interface of an SAE architecture, and what several of them share.

In: activations (tokens, d_in) float32. Out: features, reconstructions, losses with their gradients, and the SAE to use
after training.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from coact.errors import ConfigError
from coact.sae.descent import Reconstruction, Room, applies, count_firings, reconstruct, set_gradients
from coact.sae.sparse import SparseFeatures, join, take_positive

CHUNK_ROWS = 2048  # more make the matrix product no faster, and fewer let the encoder be packed too often


@dataclass
class Losses:
    """What a training step gives back.

    Attributes:
        total: the loss to differentiate.
        reconstruction: squared error summed over dimensions, mean over tokens.
        sparsity: the sparsity term, or the auxiliary one, as it enters the total.
        fired: (d_sae,) int64 tokens of the batch on which each feature is active.
    """

    total: torch.Tensor
    reconstruction: torch.Tensor
    sparsity: torch.Tensor
    fired: torch.Tensor


class Architecture(torch.nn.Module, ABC):
    """An SAE: x (tokens, d_in) -> features (tokens, d_sae), not negative -> reconstruction (tokens, d_in).

    Parameters are W_enc (d_in, d_sae), W_dec (d_sae, d_in), b_dec (d_in,), those of `SCALED`, and what an architecture
    adds, all float32. Rows of `W_enc.T`, one per feature, lie together in memory, as those of `W_dec` do.

    Attributes:
        sae_lens_name: what SAELens calls this architecture; None where `finish` returns an SAE of another one.
        SCALED: names of the parameters (d_sae,), 0 at first, that are in the units of pre-activations: biases, and
            thresholds. The scale of inputs and the norms of decoder rows are folded into them.
        FIRST_NORM: norm of encoder columns at first, and of decoder rows that are free.
        FEATURE_AXIS: for every parameter that has entries per feature, the axis that counts features.

    Args:
        d_in: dimensions of the input.
        d_sae: features.
        pre_bias: whether the decoder bias is subtracted from the input before the encoder (Bricken et al. 2023).
        decoder_norm: "unit" (decoder rows keep unit norm, and the gradient along a row is removed; Bricken et al.
            2023) or "free" (the penalty is weighted by the norms instead; Conerly et al. 2024).
    """

    sae_lens_name: ClassVar[str | None] = None
    SCALED: ClassVar[tuple[str, ...]] = ("b_enc",)
    FIRST_NORM: ClassVar[float] = 1.0
    FEATURE_AXIS: ClassVar[dict[str, int]] = {"W_enc": 1, "b_enc": 0, "W_dec": 0}

    def __init__(self, d_in: int, d_sae: int, pre_bias: bool = True, decoder_norm: str = "unit") -> None:
        super().__init__()
        self.d_in, self.d_sae, self.pre_bias, self.decoder_norm = d_in, d_sae, pre_bias, decoder_norm
        self.room = Room()
        self.W_enc = torch.nn.Parameter(torch.zeros(d_sae, d_in).T)
        for name in self.SCALED:
            self.register_parameter(name, torch.nn.Parameter(torch.zeros(d_sae)))
        self.W_dec = torch.nn.Parameter(torch.zeros(d_sae, d_in))
        self.b_dec = torch.nn.Parameter(torch.zeros(d_in))

    @torch.no_grad()
    def initialize(self, center: torch.Tensor, seed: int) -> None:
        """Random decoder rows, encoder columns along them, the decoder bias at a center.

        Their norms are `FIRST_NORM`, but for decoder rows that keep unit norm.

        Args:
            center: (d_in,) zeros, or the mean or geometric median of the (scaled) activations.
            seed: seed of the rows. Dictionaries of one seed and different width begin with different rows, or features
                of the same number would be alike from the start.
        """
        generator = torch.Generator().manual_seed(seed * 1_000_003 + self.d_sae)
        rows = torch.randn(self.d_sae, self.d_in, generator=generator)
        rows /= rows.norm(dim=1, keepdim=True)
        self.W_enc.copy_(self.FIRST_NORM * rows.T)
        self.W_dec.copy_(rows if self.decoder_norm == "unit" else self.FIRST_NORM * rows)
        self.b_dec.copy_(center)

    def pack(self) -> None:
        """Lay out the encoder as for encoding, where rows of inputs go through it, not as for training.

        A token's products then do not depend, to the bit, on how many tokens are encoded with it.
        """
        self.W_enc.data = self.W_enc.data.contiguous()

    def pre_activations(self, x: torch.Tensor) -> torch.Tensor:
        """(tokens, d_in) -> (tokens, d_sae), before the activation function."""
        return torch.addmm(self.bias(), x, self.W_enc)

    def bias(self) -> torch.Tensor:
        """(d_sae,) pre-activations of an input of zeros."""
        return self.less_center(self.b_enc)

    def less_center(self, bias: torch.Tensor) -> torch.Tensor:
        """A bias (d_sae,) of the encoder, to be added to x W_enc instead of (x - b_dec) W_enc."""
        return bias - self.b_dec @ self.W_enc if self.pre_bias else bias

    def products(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """(tokens, d_in) -> pre-activations without `bias`, for `CHUNK_ROWS` tokens at a time.

        Each (rows, d_sae) takes the place of the one before. Only without gradients.
        """
        size = min(len(x), CHUNK_ROWS), self.d_sae
        room = self.room.take("products", *size) if applies(x) else x.new_empty(size)
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
        """Losses of a training batch: the plain formula, for autograd.

        Args:
            x: (tokens, d_in).
            dead: (d_sae,) bool, features that have not fired lately.
            penalty: share of the full sparsity penalty that is in force (it rises during warm-up).
        """

    def backward(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """`losses`, and their gradients in the parameters' `grad`.

        Architectures override it where sparse features allow more than autograd does (see `coact.sae.descent`);
        `losses` is what that is tested against. Gradients may replace those that are there or be added to them.
        """
        found = self.losses(x, dead, penalty)
        found.total.backward()
        return found

    def settings(self) -> dict[str, Any]:
        """What, beside the weights, SAELens needs to rebuild a finished SAE of this kind (keys of its cfg.json)."""
        return {}

    @torch.no_grad()
    def reset_features(self, which: torch.Tensor, directions: torch.Tensor, encoder_norm: float) -> None:
        """Start features anew: decoder rows along `directions`, encoder columns too, with a norm, all else as at first.

        That is 0, but where an architecture says otherwise.

        Args:
            which: (n,) int64 features.
            directions: (n, d_in) of unit norm.
            encoder_norm: norm of their encoder columns.
        """
        self.W_dec[which] = directions
        self.W_enc[:, which] = encoder_norm * directions.T
        for name in self.FEATURE_AXIS.keys() - {"W_dec", "W_enc"}:
            getattr(self, name)[which] = 0

    @torch.no_grad()
    def project_gradients(self) -> None:
        """Remove the part of each decoder row's gradient that is parallel to the row (Bricken et al. 2023).

        Only where rows keep unit norm.
        """
        if self.W_dec.grad is not None and self.decoder_norm == "unit":
            parallel = (self.W_dec.grad * self.W_dec).sum(1, keepdim=True)
            self.W_dec.grad.addcmul_(parallel, self.W_dec, value=-1.0)

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Scale every decoder row back to unit norm, where rows keep it; called after every step."""
        if self.decoder_norm == "unit":
            self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True).clamp_min(1e-8))
        self.bound_parameters()

    def bound_parameters(self) -> None:
        """Hold parameters, beside decoder rows, where they may be; called after every step."""

    @torch.no_grad()
    def finish(self, sample: torch.Tensor, scale: float, batch_tokens: int | None = None) -> "Architecture":
        """The SAE to use after training: of unscaled inputs, with decoder rows of unit norm.

        Everything is folded exactly: features of the result are those of training times their row's norm, divided by
        `scale`. What an architecture needs from data at inference, it estimates from the sample. This SAE is altered.

        Args:
            sample: (tokens, d_in) scaled activations of the training data.
            scale: factor that inputs were multiplied by in training.
            batch_tokens: tokens in a batch of the training; None takes the sample as one batch.
        """
        self._fold_norms()
        self.rescale(scale)
        return self

    def _fold_norms(self) -> None:
        norms = self.W_dec.norm(dim=1).clamp_min(1e-8)
        self.W_dec.div_(norms[:, None])
        self.W_enc.mul_(norms)
        for name in self.SCALED:
            getattr(self, name).mul_(norms)

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        """Turn an SAE of inputs that were multiplied by `factor` into one of the inputs as they are.

        Activation functions are positively homogeneous in pre-activations and thresholds together, so dividing these
        by the factor is exact: features and reconstruction are divided by it too, and decoder rows keep their norm.
        """
        for name in (*self.SCALED, "b_dec"):
            getattr(self, name).div_(factor)

    def become(self, other: type["Architecture"], **tensors: torch.Tensor) -> "Architecture":
        """An SAE of another architecture, with the weights of this one and, by name, further ones."""
        sae = other(self.d_in, self.d_sae, pre_bias=self.pre_bias, decoder_norm=self.decoder_norm)
        sae.to(self.b_dec.device).load_state_dict({**self.state_dict(), **tensors})
        return sae


class LargestKept(Architecture):
    """What architectures share that keep a number of largest features: the number, and a loss for dead features.

    Decoder rows keep unit norm.

    Args:
        k: features kept per token.
        aux_share: coefficient of the auxiliary loss.
        pre_bias: see `Architecture`.
    Raises:
        ConfigError: k is larger than the number of features.
    """

    def __init__(self, d_in: int, d_sae: int, k: int, aux_share: float = 0.0, pre_bias: bool = True) -> None:
        super().__init__(d_in, d_sae, pre_bias=pre_bias)
        if k > d_sae:
            raise ConfigError(f"saes: k is {k}, but the SAE has only {d_sae} features; lower k or raise expansion")
        self.k, self.aux_share = k, aux_share
        self.prefix_sizes = [d_sae]

    def backward(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        """See `Architecture`. After the encoder's matrix product only the features of a token are touched."""
        if not applies(x):
            return super().backward(x, dead, penalty)
        features = self.encode_sparse(x)
        found = reconstruct(x, features, self.W_dec, self.b_dec, self.prefix_sizes)
        self.b_enc.grad = set_gradients(self, x, features, found, found.slopes)
        auxiliary = self.add_auxiliary_gradients(x, found, dead)
        return Losses(found.errors.sum() + auxiliary, found.errors[-1], auxiliary, count_firings(features, self.d_sae))

    def auxiliary(self, x: torch.Tensor, residual: torch.Tensor, dead: torch.Tensor) -> torch.Tensor:
        """`aux_share` x squared error with which dead features reconstruct a residual (Gao et al. 2024, appendix A.2).

        Per token the d_in / 2 largest of them take part.

        Args:
            x: (tokens, d_in).
            residual: (tokens, d_in) what the other features leave of it; no gradient goes there.
            dead: (d_sae,) bool.
        """
        if self.aux_share == 0 or not dead.any():
            return x.new_zeros(())
        return self._auxiliary(x, residual, self.W_enc.T[dead], self.b_enc[dead], self.W_dec[dead], self.b_dec)

    def add_auxiliary_gradients(self, x: torch.Tensor, found: Reconstruction, dead: torch.Tensor) -> torch.Tensor:
        """`auxiliary`, and its gradients added to `grad`, where only rows of dead features are touched."""
        if self.aux_share == 0 or not dead.any():
            return x.new_zeros(())
        which = dead.nonzero().flatten()
        leaves = [self.W_enc.detach().T[which], self.b_enc.detach()[which], self.W_dec.detach()[which]]
        leaves = [leaf.requires_grad_() for leaf in (*leaves, self.b_dec.detach().clone())]
        loss = self._auxiliary(x, found.residual, *leaves)
        loss.backward()
        grads = self.W_enc.grad.T, self.b_enc.grad, self.W_dec.grad
        for grad, leaf in zip(grads, leaves[:3], strict=True):
            grad.index_add_(0, which, leaf.grad)
        if self.pre_bias:
            self.b_dec.grad.add_(leaves[3].grad)
        return loss.detach()

    def _auxiliary(
        self,
        x: torch.Tensor,
        residual: torch.Tensor,
        encoder: torch.Tensor,
        biases: torch.Tensor,
        decoder: torch.Tensor,
        center: torch.Tensor,
    ) -> torch.Tensor:
        """See `auxiliary`; of dead features the encoder rows (dead, d_in), biases (dead,), decoder rows like them."""
        bias = biases - encoder @ center if self.pre_bias else biases
        candidates = torch.addmm(bias, x, encoder.T).relu()
        kept = max(1, self.d_in // 2)
        if len(biases) > kept:
            # So many entries of a row that a matrix product is faster than sums of rows.
            chosen = candidates.detach().topk(kept, sorted=False).indices
            candidates = candidates * torch.zeros_like(candidates).scatter_(1, chosen, 1.0)
        return self.aux_share * squared_error(residual.detach(), candidates @ decoder)


def squared_error(x: torch.Tensor, reconstruction: torch.Tensor) -> torch.Tensor:
    """Squared error summed over dimensions, mean over tokens."""
    return (x - reconstruction).pow(2).sum(1).mean()


def keep_entries(features: SparseFeatures, places: torch.Tensor) -> SparseFeatures:
    """The entries of sparse features at `places`, int64, ascending."""
    indptr = torch.searchsorted(places, features.indptr)
    return SparseFeatures(indptr, features.indices[places], features.values[places])
