"""BatchTopK: k features per token on average over a batch (Bussmann, Leask and Nanda 2024, arXiv:2412.06410)."""

import numpy as np
import torch

from coact.sae.architectures.base import Architecture, LargestKept, Losses, keep_entries, squared_error
from coact.sae.architectures.jumprelu import JumpReLU
from coact.sae.sparse import SparseFeatures, join, take_positive


class BatchTopK(LargestKept):
    """features = the k x tokens largest of ReLU(W_enc (x - b_dec) + b_enc) of all tokens together, all others 0.

    The loss is squared error + auxiliary loss. Which features of a token are active depends on the tokens beside it, so
    `finish` puts one threshold for all features in the place of the batch. Arguments: see `LargestKept`.
    """

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """See `Architecture`; `x` is the batch. Of equal features earlier tokens' are kept, then lower indices."""
        before = self.pre_activations(x)
        kept = keep_largest(take_positive(before.detach().float()), self.k * len(x))
        rows = torch.repeat_interleave(kept.indptr.diff())
        mask = torch.zeros_like(before).index_put_((rows, kept.indices.long()), before.new_ones(()))
        return before.relu() * mask

    @torch.no_grad()
    def encode_sparse(self, x: torch.Tensor) -> SparseFeatures:
        """See `Architecture`; `x` is the batch."""
        bias, number, kept = self.bias(), self.k * len(x), []
        for product in self.products(x):
            # What is not among the largest so far is not among them in the end either.
            kept = [keep_largest(join([*kept, take_positive(product, bias)]), number)]
        return kept[0]

    def reconstructions(self, features: torch.Tensor) -> list[torch.Tensor]:
        """Features (tokens, d_sae) -> the reconstructions (tokens, d_in) that the loss asks for, the whole one last."""
        return [self.decode(features)]

    def losses(self, x: torch.Tensor, dead: torch.Tensor, penalty: float) -> Losses:
        features = self.encode(x)
        reconstructions = self.reconstructions(features)
        errors = [squared_error(x, reconstruction) for reconstruction in reconstructions]
        auxiliary = self.auxiliary(x, x - reconstructions[-1], dead)
        return Losses(sum(errors) + auxiliary, errors[-1], auxiliary, (features > 0).sum(0))

    @torch.no_grad()
    def finish(self, sample: torch.Tensor, scale: float, batch_tokens: int | None = None) -> Architecture:
        """See `Architecture`: a JumpReLU SAE with the threshold that `estimate_threshold` finds."""
        threshold = torch.full_like(self.b_enc, self.estimate_threshold(sample, batch_tokens))
        return self.become(JumpReLU, threshold=threshold).finish(sample, scale)

    @torch.no_grad()
    def estimate_threshold(self, sample: torch.Tensor, batch_tokens: int | None = None) -> float:
        """Mean over batches of the smallest feature that is kept (Bussmann et al. 2024); 0 where none is.

        Args:
            sample: (tokens, d_in). A batch is every n-th of them, n the number of batches, so that tokens which lie
                together in the sample come apart as they do in training.
            batch_tokens: tokens in a batch, at least; None takes the sample as one.
        """
        number = max(1, len(sample) // batch_tokens) if batch_tokens else 1
        kept = [self.encode_sparse(sample[first::number]).values for first in range(number)]
        smallest = [values.min().item() for values in kept if len(values)]
        return sum(smallest) / len(smallest) if smallest else 0.0


def keep_largest(features: SparseFeatures, number: int) -> SparseFeatures:
    """The `number` largest entries, at least one, of all rows together; of equal ones the first.

    NaN counts as the largest; where there are more than `number` of them, all of them are kept.
    """
    values = features.values
    if len(values) <= number:
        return features
    smallest = _largest_from_above(values, number)
    places = (values.isnan() if smallest.isnan() else ~(values < smallest)).nonzero().flatten()
    kept = torch.ones_like(places, dtype=torch.bool)
    equal = (values[places] == smallest).nonzero().flatten()
    kept[equal[len(equal) - len(places) + number :]] = False
    return keep_entries(features, places[kept])


def _largest_from_above(values: torch.Tensor, place: int) -> torch.Tensor:
    """The value at a place, from 1, of the values in descending order; NaN first."""
    ascending = len(values) - place
    if values.device.type == "cpu":  # NumPy's selection uses vector instructions
        return torch.as_tensor(np.partition(values.numpy(), ascending)[ascending])
    return values.kthvalue(ascending + 1).values
