"""Held-out cross-entropy of a model, clean and ablated, beside its baselines."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge

from coact.corpus.tokens import TokenStream
from coact.device import get_device
from coact.models.baselines import bigram_cross_entropy, unigram_cross_entropy
from coact.models.bridge import Patch, activations_at, token_losses
from coact.progress import tracked


@dataclass(frozen=True)
class Targets:
    """Which predictions count: those of tokens that belong to a document.

    Attributes:
        contexts: (contexts, length) int token ids.
        documents: (contexts, length) int, -1 at BOS and separators.
    """

    contexts: np.ndarray
    documents: np.ndarray

    @classmethod
    def from_stream(cls, stream: TokenStream, tokens: int) -> Self:
        """The first contexts of a token stream, as many whole ones as `tokens` hold."""
        contexts = tokens // stream.tokens.shape[1]
        return cls(stream.tokens[:contexts], stream.documents[:contexts])

    @property
    def counted(self) -> np.ndarray:
        """(contexts, length - 1) bool."""
        return np.asarray(self.documents[:, 1:] >= 0)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Previous and target token ids of all counted predictions."""
        counted = self.counted
        return self.contexts[:, :-1][counted], self.contexts[:, 1:][counted]


def mean_cross_entropy(
    bridge: TransformerBridge,
    targets: Targets,
    batch_contexts: int,
    hook: str | None = None,
    patch: Patch | None = None,
    include_special: bool = False,
    what: str = "cross-entropy",
) -> float:
    """Mean next-token cross-entropy over the counted targets, nats.

    Args:
        bridge: the model.
        targets: held-out contexts.
        batch_contexts: contexts in a forward pass.
        hook: hook point to patch.
        patch: replaces activations, (contexts, length, width) -> same.
        include_special: patch BOS and separator positions too; they keep their activations otherwise.
    """
    total, number = 0.0, 0
    starts = range(0, len(targets.contexts), batch_contexts)
    for start in tracked(starts, len(starts), what, "batches"):
        part = slice(start, start + batch_contexts)
        tokens = torch.from_numpy(targets.contexts[part].astype(np.int64)).to(get_device())
        keep = torch.from_numpy(targets.documents[part] >= 0).to(get_device())
        chosen = patch
        if patch is not None and not include_special:

            def chosen(value: torch.Tensor, keep: torch.Tensor = keep) -> torch.Tensor:
                """The patch at the tokens of documents, the activations as they are elsewhere."""
                return torch.where(keep[..., None], patch(value), value)

        losses = token_losses(bridge, tokens, hook, chosen)[keep[:, 1:]]
        total, number = total + losses.double().sum().item(), number + losses.numel()
    return total / max(number, 1)


def mean_activation(
    bridge: TransformerBridge, targets: Targets, batch_contexts: int, hook: str, include_special: bool
) -> torch.Tensor:
    """Mean activation at a hook point over the tokens of documents (or over all): (width,) float32."""
    total, number = 0.0, 0
    for start in range(0, len(targets.contexts), batch_contexts):
        part = slice(start, start + batch_contexts)
        tokens = torch.from_numpy(targets.contexts[part].astype(np.int64)).to(get_device())
        keep = torch.from_numpy((targets.documents[part] >= 0) | include_special).to(get_device())
        values = activations_at(bridge, hook, tokens)[keep]
        total, number = total + values.double().sum(0), number + len(values)
    return (total / max(number, 1)).float()


def evaluate_model(
    bridge: TransformerBridge,
    train: np.ndarray,
    targets: Targets,
    *,
    hook: str,
    batch_contexts: int,
    include_special: bool,
) -> dict[str, float]:
    """Held-out cross-entropy of a model: clean, with a hook point zero- and mean-ablated, and of its baselines.

    Args:
        bridge: the model.
        train: (contexts, length) token ids that the baselines are counted on.
        targets: held-out contexts.
        hook: hook point to ablate.
        batch_contexts: contexts in a forward pass.
        include_special: ablate BOS and separator positions too.
    Returns:
        parameters, tokens (targets counted), cross_entropy, cross_entropy_zero, cross_entropy_mean, unigram, bigram;
        nats per token.
    """
    mean = mean_activation(bridge, targets, batch_contexts, hook, include_special)
    patches = {
        "cross_entropy": None,
        "cross_entropy_zero": torch.zeros_like,
        "cross_entropy_mean": lambda value: mean.expand_as(value),
    }
    losses = {
        name: mean_cross_entropy(bridge, targets, batch_contexts, hook, patch, include_special, name)
        for name, patch in patches.items()
    }
    previous, wanted = targets.pairs()
    vocabulary = int(bridge.cfg.d_vocab)
    return {
        "parameters": sum(p.numel() for p in {id(p): p for p in bridge.original_model.parameters()}.values()),
        "tokens": int(targets.counted.sum()),
        **losses,
        "unigram": unigram_cross_entropy(train, wanted, vocabulary),
        "bigram": bigram_cross_entropy(train, previous, wanted, vocabulary),
    }
