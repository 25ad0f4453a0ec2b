"""The one loader: any model folder as a TransformerLens `TransformerBridge`, and what is asked of its hook points."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from coact.corpus.tokenizer import load_tokenizer
from coact.device import get_device
from coact.errors import ConfigError
from coact.models.folder import load_model
from coact.models.legacy import LegacyForCausalLM, legacy_bridge

Patch = Callable[[torch.Tensor], torch.Tensor]


class _Reached(Exception):
    """Raised by a hook to end the forward pass at its hook point."""


def load_bridge(folder: str | Path) -> TransformerBridge:
    """Open a model folder in float32, with the weights as they are (no folding, no centring).

    Raises:
        ConfigError: there is no such model or tokenizer, or TransformerLens does not know the architecture.
    """
    return make_bridge(load_model(folder), load_tokenizer(folder), str(folder))


def make_bridge(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> TransformerBridge:
    """Wrap a Hugging Face model as a bridge, in evaluation mode, without gradients."""
    device = str(get_device())
    try:
        if isinstance(model, LegacyForCausalLM):
            bridge = legacy_bridge(model, tokenizer, device, name)
        else:
            bridge = TransformerBridge.boot_transformers(
                name, hf_model=model.float(), tokenizer=tokenizer, device=device, dtype=torch.float32
            )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ConfigError(f"{name}: TransformerLens cannot open this architecture ({error})") from None
    bridge.eval()
    return bridge.requires_grad_(False)


def check_hook(bridge: TransformerBridge, hook: str, model: str, key: str = "activations.hook") -> None:
    """Refuse a hook point that the model lacks, naming those it has.

    Raises:
        ConfigError: one line with the hook points, block numbers folded.
    """
    if hook in bridge.hook_dict:
        return
    layers = bridge.cfg.n_layers
    block = "blocks.0." if layers == 1 else f"blocks.[0-{layers - 1}]."
    known = dict.fromkeys(re.sub(r"^blocks\.\d+\.", block, name) for name in bridge.hook_dict)
    raise ConfigError(f"{key}: model '{model}' has no '{hook}'; it has: {', '.join(known)}")


@torch.inference_mode()
def activations_at(bridge: TransformerBridge, hook: str, tokens: torch.Tensor) -> torch.Tensor:
    """Activations at a hook point; the forward pass ends there and nothing else is kept.

    Args:
        bridge: the model.
        hook: name of the hook point.
        tokens: (contexts, length) int64.
    Returns:
        (contexts, length, width) float32; further axes, such as heads, are flattened into the width.
    Raises:
        ConfigError: the hook point gives no vector per token.
    """
    found: list[torch.Tensor] = []

    def keep(value: torch.Tensor, hook: object) -> None:
        """Take the activations and leave the forward pass, whose rest is not needed."""
        found.append(value)
        raise _Reached

    with contextlib.suppress(_Reached):
        bridge.run_with_hooks(tokens, return_type=None, fwd_hooks=[(hook, keep)])
    if not found:
        raise ConfigError(f"activations.hook: '{hook}' is not passed in a forward pass of this model")
    value = found[0]
    if value.shape[:2] != tokens.shape or value.dim() < 3:
        raise ConfigError(
            f"activations.hook: '{hook}' gives shape {tuple(value.shape)}, expected a vector for each of the"
            f" {tuple(tokens.shape)} tokens"
        )
    return value.flatten(2)


@torch.inference_mode()
def patched_logits(bridge: TransformerBridge, tokens: torch.Tensor, hook: str, patch: Patch) -> torch.Tensor:
    """Logits with the activations at a hook point replaced.

    Args:
        bridge: the model.
        tokens: (contexts, length) int64.
        hook: hook point to patch.
        patch: (contexts, length, width) float32 -> the same shape.
    Returns:
        (contexts, length, vocabulary) float32.
    """

    def replace(value: torch.Tensor, hook: object) -> torch.Tensor:
        return patch(value.flatten(2)).view_as(value)

    return bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[(hook, replace)])


@torch.inference_mode()
def token_losses(
    bridge: TransformerBridge, tokens: torch.Tensor, hook: str | None = None, patch: Patch | None = None
) -> torch.Tensor:
    """Next-token cross-entropy, with the activations at a hook point replaced where a patch is given.

    Args: those of `patched_logits`.
    Returns:
        (contexts, length - 1) float32, nats; column t is the loss of predicting token t + 1.
    """
    if patch is None:
        logits = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[])
    else:
        logits = patched_logits(bridge, tokens, hook, patch)
    losses = cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return losses.view(len(tokens), -1)
