"""Held-out cross-entropy of a model, clean and ablated, beside its baselines; what a patch does to its predictions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from transformer_lens.model_bridge import TransformerBridge

from coact.corpus.tokens import TokenStream
from coact.device import get_device
from coact.models.baselines import bigram_cross_entropy, unigram_cross_entropy
from coact.models.bridge import Patch, activations_at, patched_logits, token_losses
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
    for tokens, keep in _passes(targets, batch_contexts, what):
        chosen = None if patch is None else _where_kept(patch, keep, include_special)
        losses = token_losses(bridge, tokens, hook, chosen)[keep[:, 1:]]
        total, number = total + losses.double().sum().item(), number + losses.numel()
    return total / max(number, 1)


def _passes(targets: Targets, batch_contexts: int, what: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For every forward pass the token ids, (contexts, length) int64, and which of them belong to a document."""
    starts = range(0, len(targets.contexts), batch_contexts)
    for start in tracked(starts, len(starts), what, "batches"):
        part = slice(start, start + batch_contexts)
        tokens = torch.from_numpy(targets.contexts[part].astype(np.int64)).to(get_device())
        yield tokens, torch.from_numpy(targets.documents[part] >= 0).to(get_device())


def _where_kept(patch: Patch, keep: torch.Tensor, include_special: bool) -> Patch:
    """The patch at the tokens of documents, the activations as they are elsewhere; or the patch everywhere."""
    return patch if include_special else lambda value: torch.where(keep[..., None], patch(value), value)


@dataclass(frozen=True)
class PatchedPredictions:
    """What a patch does to the predictions of the counted targets.

    Attributes:
        cross_entropy: mean next-token cross-entropy with the patch, nats.
        divergence: mean over targets of the divergence KL(clean || patched) between the distributions over the
            vocabulary, nats (Kullback and Leibler 1951).

    Both are NaN where no target counts.
    """

    cross_entropy: float
    divergence: float


@torch.inference_mode()
def patched_predictions(
    bridge: TransformerBridge,
    targets: Targets,
    batch_contexts: int,
    hook: str,
    patch: Patch,
    include_special: bool = False,
    what: str = "predictions, patched",
) -> PatchedPredictions:
    """Cross-entropy with a patch, and how far the patch moves predictions from those of the model as it is.

    The model runs twice on the contexts of a pass. Memory holds both sets of logits, (contexts, length, vocabulary)
    float32, and what one context needs beside them.

    Args: those of `mean_cross_entropy`.
    """
    total, divergence, number = 0.0, 0.0, 0
    for tokens, keep in _passes(targets, batch_contexts, what):
        clean = patched_logits(bridge, tokens, hook, lambda value: value)
        patched = patched_logits(bridge, tokens, hook, _where_kept(patch, keep, include_special))
        compared = [_compare(*context) for context in zip(clean, patched, tokens, strict=True)]
        entropies, divergences = map(torch.stack, zip(*compared, strict=True))
        counted = keep[:, 1:]
        total += entropies[counted].double().sum().item()
        divergence += divergences[counted].double().sum().item()
        number += int(counted.sum())
    return PatchedPredictions(*(value / number if number else float("nan") for value in (total, divergence)))


def _compare(clean: torch.Tensor, patched: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy after the patch and KL(clean || patched) of a context's predictions, each (length - 1,)."""
    entropy = F.cross_entropy(patched[:-1], tokens[1:], reduction="none")
    before, after = clean[:-1].log_softmax(-1), patched[:-1].log_softmax(-1)
    return entropy, F.kl_div(after, before, reduction="none", log_target=True).sum(-1)


def mean_activation(
    bridge: TransformerBridge, targets: Targets, batch_contexts: int, hook: str, include_special: bool
) -> torch.Tensor:
    """Mean activation at a hook point over the tokens of documents (or over all): (width,) float32."""
    total, number = 0.0, 0
    for tokens, keep in _passes(targets, batch_contexts, "mean activation"):
        values = activations_at(bridge, hook, tokens)[keep | include_special]
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
