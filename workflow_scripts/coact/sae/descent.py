"""The training step on the CPU, from active features alone: gradients of a loss.

Automatic differentiation multiplies dense matrices of features, nearly all of whose entries are 0. Here, after the
encoder, an entry that is active costs four rows: one added to the reconstruction, one multiplied with the gradient of
the reconstruction, and one each added to the gradients of its decoder and encoder rows. It serves any architecture
whose loss depends on pre-activations only at entries that can be listed:

    features = sae.encode_sparse(x)                       the entries; those without value may be among them
    found = reconstruct(x, features, W_dec, b_dec)        squared error, and its slope in each value
    slopes = ...                                          the loss differentiated by each entry's pre-activation
    sae.b_enc.grad = set_gradients(sae, x, features, found, slopes)

The formulas are the chain rule for `Architecture.losses`, and are tested against its gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from coact.columns import locate_columns
from coact.sae.kernels import TOKENS_AT_ONCE, reconstruct_tokens, sum_gradients
from coact.sae.sparse import SparseFeatures

if TYPE_CHECKING:
    from coact.sae.architectures import Architecture

PIECES = 64
ROW_COST = 4  # what a feature costs that is never active, in entries: its gradients are written nonetheless
MOST_ACTIVE = 1 / 16  # share of entries from which on dense matrix products are faster
SAMPLE_ROWS = 64


@dataclass(frozen=True)
class Reconstruction:
    """What `reconstruct` finds.

    Attributes:
        errors: (prefixes,) float32, squared error summed over dimensions, mean over tokens.
        gradients: (tokens, prefixes, d_in) float32, the loss differentiated by the reconstruction of a prefix and of
            all larger ones.
        ends: (prefixes,) int64.
        slopes: (entries,) float32, the loss differentiated by the features' values.
        bias: (d_in,) float32, the loss differentiated by the decoder bias.
        last_factor: what the last prefix's residual, negative, is multiplied by in its gradient.
    """

    errors: torch.Tensor
    gradients: torch.Tensor
    ends: torch.Tensor
    slopes: torch.Tensor
    bias: torch.Tensor
    last_factor: float

    @property
    def residual(self) -> torch.Tensor:
        """(tokens, d_in) float32, what the last reconstruction leaves of x."""
        return self.gradients[:, -1] / -self.last_factor


def applies(x: torch.Tensor) -> bool:
    """Whether these loops can do the training step of a batch: float32 on the CPU, without autocast."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def is_crowded(sae: "Architecture", x: torch.Tensor) -> bool:
    """Whether so many features are active that dense products are faster, by a few tokens of x (tokens, d_in)."""
    some = x[:: max(1, len(x) // SAMPLE_ROWS)]
    return len(sae.encode_sparse(some).indices) > MOST_ACTIVE * len(some) * sae.d_sae


@torch.no_grad()
def reconstruct(
    x: torch.Tensor,
    features: SparseFeatures,
    weights: torch.Tensor,
    bias: torch.Tensor,
    ends: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
) -> Reconstruction:
    """Reconstruct x from its features, and differentiate the squared error.

    The loss is the sum over prefixes of share x squared error, summed over dimensions, mean over tokens.

    Args:
        x: (tokens, d_in) float32.
        features: of x; values may be 0.
        weights, bias: the decoder, (D, d_in) and (d_in,).
        ends: ascending to D; prefix p reconstructs from the features below ends[p]. None: one prefix, of all.
        shares: one for each prefix; None: 1.
    """
    ends = [len(weights)] if ends is None else list(ends)
    shares = [1.0] * len(ends) if shares is None else shares
    tokens, width = x.shape
    x = x.contiguous()
    errors, gradients = x.new_empty(tokens, len(ends)), x.new_empty(tokens, len(ends), width)
    slopes, sums = torch.empty_like(features.values), x.new_empty(-(-tokens // TOKENS_AT_ONCE), width)
    bounds, factors = np.array(ends, np.int64), [2 * share / tokens for share in shares]
    reconstruct_tokens(
        x.numpy(),
        *_arrays(features),
        weights.detach().numpy(),
        bias.detach().numpy(),
        bounds,
        np.array(factors, np.float32),
        *(tensor.numpy() for tensor in (errors, gradients, slopes, sums)),
    )
    mean = errors.numpy().mean(0, dtype=np.float64).astype(np.float32)
    found = torch.from_numpy(mean), gradients, torch.from_numpy(bounds), slopes, _add_rows(sums)
    return Reconstruction(*found, last_factor=factors[-1])


def _arrays(features: SparseFeatures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return features.indptr.numpy(), features.indices.numpy(), features.values.numpy()


def _add_rows(rows: torch.Tensor) -> torch.Tensor:
    """Sum over rows, by NumPy: PyTorch's depends on the number of threads."""
    return torch.from_numpy(rows.numpy().sum(0, dtype=np.float64).astype(np.float32))


@torch.no_grad()
def set_gradients(
    sae: "Architecture",
    x: torch.Tensor,
    features: SparseFeatures,
    found: Reconstruction,
    slopes: torch.Tensor,
    along: torch.Tensor | None = None,
) -> torch.Tensor:
    """Set `grad` of W_dec, W_enc and b_dec, in place of what is there.

    Args:
        sae: the SAE; its biases beside b_dec are left to the caller.
        x, features: (tokens, d_in) float32 and its features.
        found: of x and the features, for the squared error.
        slopes: (entries,) float32, the whole loss differentiated by the pre-activations.
        along: (D,) float32, multiples of each decoder row that come on top of its gradient.
    Returns:
        (D,) float32, the loss differentiated by a bias of the pre-activations.
    """
    indptr, indices, values = _arrays(features)
    bounds, entries, tokens = locate_columns(indptr, indices, sae.d_sae)
    decoder, encoder = sae.room.take("W_dec", sae.d_sae, sae.d_in), sae.room.take("W_enc", sae.d_sae, sae.d_in)
    biases = x.new_empty(sae.d_sae)
    center = sae.b_dec.detach() if sae.pre_bias else x.new_zeros(sae.d_in)
    sum_gradients(
        x.contiguous()[:, None].numpy(),
        center.numpy(),
        found.gradients.numpy(),
        found.ends.numpy(),
        bounds,
        entries,
        tokens,
        values,
        slopes.contiguous().numpy(),
        (x.new_empty(0) if along is None else along.contiguous()).numpy(),
        sae.W_dec.detach().numpy(),
        _divide_work(bounds),
        *(tensor.numpy() for tensor in (decoder, encoder, biases)),
    )
    sae.W_dec.grad, sae.W_enc.grad = decoder, encoder.T
    sae.b_dec.grad = found.bias - sae.W_enc @ biases if sae.pre_bias else found.bias
    return biases


def _divide_work(bounds: np.ndarray) -> np.ndarray:
    """Features (`PIECES` + 1,) that cut all of them into runs of about equal work."""
    work = bounds + ROW_COST * np.arange(len(bounds))
    cuts = np.searchsorted(work, np.linspace(0, work[-1], PIECES + 1))
    cuts[0], cuts[-1] = 0, len(bounds) - 1
    return cuts


def sum_by_feature(features: SparseFeatures, weights: torch.Tensor, d_sae: int) -> torch.Tensor:
    """Sums of a number per entry (entries,) over each feature's entries: (D,) float32."""
    return torch.bincount(features.indices, weights.double(), minlength=d_sae).float()


def count_firings(features: SparseFeatures, d_sae: int) -> torch.Tensor:
    """Tokens on which each feature is active: (D,) int64."""
    return torch.bincount(features.indices[features.values > 0], minlength=d_sae)


class Room:
    """Memory that every step needs anew, kept from one to the next: the system clears fresh pages, which takes long.

    Not for several threads.
    """

    def __init__(self) -> None:
        self._held: dict[str, torch.Tensor] = {}

    def take(self, name: str, rows: int, width: int) -> torch.Tensor:
        """(rows, width) float32 of any content, whose memory the next taking of that name takes over."""
        held = self._held.get(name)
        if held is None or held.numel() < rows * width:
            with torch.inference_mode(False):  # tensors made in that mode could not be written to outside of it
                held = self._held[name] = torch.empty(rows * width)
        return held[: rows * width].view(rows, width)
