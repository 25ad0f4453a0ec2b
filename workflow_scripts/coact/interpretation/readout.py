"""The linear path from a hook point to the logits.

In: a model, the hook point of a dictionary, held-out contexts. Out: a linear map from directions in the hooked space to
logits: through the output matrix of the hooked component to the residual stream, then through the final normalisation
and the unembedding, with the weights as they are. A normalisation is linear but for its scale, which is frozen (Elhage
et al. 2021, A Mathematical Framework for Transformer Circuits). Biases do not depend on the direction and are left out.
What later layers make of a direction is left out too; patches (`coact.interpretation.effects`) measure that.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import DynamicCache

from coact.device import get_device
from coact.models.bridge import Patch

UNEMBED_HOOK = "unembed.hook_in"
NORM_HOOK = "ln_final.hook_in"
BLOCK_NAME = re.compile(r"blocks\.(\d+)\.")
AS_THEY_ARE = ("hook_resid_pre", "hook_resid_post", "hook_attn_out", "hook_mlp_out")
BATCH_CONTEXTS = 32


class _Reached(Exception):
    """Raised by a hook to leave the forward pass before the unembedding, by far its largest product."""


@dataclass(frozen=True)
class FinalState:
    """The end of a forward pass.

    Attributes:
        residual: (contexts, length, d_model) residual stream before the final normalisation.
        normalized: (contexts, length, d_model) after it: what the unembedding is applied to.
    """

    residual: torch.Tensor
    normalized: torch.Tensor


def run_to_unembedding(
    bridge: TransformerBridge,
    tokens: torch.Tensor,
    hook: str | None = None,
    patch: Patch | None = None,
    cache: DynamicCache | None = None,
) -> FinalState:
    """Forward pass up to the unembedding, with the activations at a hook point replaced where a patch is given.

    Gradients, forward-mode ones too, are the caller's affair.

    Args:
        bridge: the model.
        tokens: (contexts, length) int64.
        hook: hook point to patch.
        patch: (contexts, length, width) float32 -> the same shape.
        cache: keys and values of earlier tokens of the contexts, patched then; those of `tokens` are added to it.
    """
    found: dict[str, torch.Tensor] = {}

    def replace(value: torch.Tensor, hook: object) -> torch.Tensor:
        return patch(value.flatten(2)).view_as(value)

    def keep(value: torch.Tensor, hook: object) -> None:
        found[NORM_HOOK] = value

    def leave(value: torch.Tensor, hook: object) -> None:
        found[UNEMBED_HOOK] = value
        raise _Reached

    hooks: list[tuple[str, Callable[..., torch.Tensor | None]]] = [] if patch is None else [(hook, replace)]
    if NORM_HOOK in bridge.hook_dict:
        hooks.append((NORM_HOOK, keep))
    with contextlib.suppress(_Reached):
        options = {} if cache is None else {"past_key_values": cache, "use_cache": True}
        bridge.run_with_hooks(tokens, return_type=None, fwd_hooks=[*hooks, (UNEMBED_HOOK, leave)], **options)
    last = found[UNEMBED_HOOK]
    return FinalState(found.get(NORM_HOOK, last), last)


@dataclass(frozen=True)
class Readout:
    """The linear path from a hook point to the logits.

    Attributes:
        reason: why there is no linear path from the hook point to the logits; empty where there is one.
        exact: whether `unembed` gives the model's own logits; False for a model that changes them afterwards.
        to_residual: (width, d_model) from the hooked space to the residual stream; None where these are the same.
        centred: whether the final normalisation subtracts the mean over dimensions (LayerNorm; RMSNorm does not).
        gain: (d_model,) weight of the final normalisation.
        epsilon: added to the variance by the final normalisation; None where the model has no such normalisation.
        inverse_scale: mean over held-out tokens of 1 / scale of the final normalisation, so that the readout of a
            direction is the mean of its readouts with each token's own scale.
        unembedding: (d_model, vocabulary).
        unembedding_bias: (vocabulary,).
    """

    reason: str
    exact: bool
    to_residual: torch.Tensor | None
    centred: bool
    gain: torch.Tensor
    epsilon: float | None
    inverse_scale: float
    unembedding: torch.Tensor
    unembedding_bias: torch.Tensor

    @property
    def defined(self) -> bool:
        """Whether there is a linear path."""
        return not self.reason

    @property
    def vocabulary(self) -> int:
        """Number of logits."""
        return self.unembedding.shape[1]

    def before_unembedding(self, directions: torch.Tensor) -> torch.Tensor:
        """Directions (n, width) of the hooked space as what they add to the input of the unembedding, (n, d_model).

        That is for a scale of 1.

        Raises:
            ValueError: there is no linear path.
        """
        if self.reason:
            raise ValueError(self.reason)
        rows = directions if self.to_residual is None else directions @ self.to_residual
        return (rows - rows.mean(1, keepdim=True) if self.centred else rows) * self.gain

    def logits(self, directions: torch.Tensor) -> torch.Tensor:
        """Directions (n, width) of the hooked space as what they add to the logits, (n, vocabulary)."""
        return self.inverse_scale * self.before_unembedding(directions) @ self.unembedding

    def inverse_scales(self, residual: torch.Tensor) -> torch.Tensor:
        """1 / scale of the final normalisation at each token: (..., d_model) -> (...,)."""
        if self.epsilon is None:
            return torch.ones_like(residual[..., 0])
        rows = residual - residual.mean(-1, keepdim=True) if self.centred else residual
        return (rows.square().mean(-1) + self.epsilon).rsqrt()

    def unembed(self, normalized: torch.Tensor) -> torch.Tensor:
        """Logits (n, vocabulary) of inputs (n, d_model) of the unembedding."""
        return torch.addmm(self.unembedding_bias, normalized, self.unembedding)


@torch.no_grad()
def make_readout(bridge: TransformerBridge, hook: str, contexts: np.ndarray, documents: np.ndarray) -> Readout:
    """The linear path from a hook point to the logits of a model.

    Args:
        bridge: the model, its weights as they are.
        hook: hook point of the dictionary.
        contexts: (contexts, length) token ids of held-out text, over which the scale is averaged.
        documents: same shape, -1 at special positions, which do not count.
    Returns:
        The readout; its `reason` says so where the hook point has no linear path to the logits.
    """
    to_residual, reason = _find_path(bridge, hook)
    norm = getattr(bridge, "ln_final", None) if NORM_HOOK in bridge.hook_dict else None
    weight = getattr(norm, "weight", None)
    gain = torch.ones(bridge.W_U.shape[0]) if weight is None else weight.detach().float()
    offset = norm is not None and norm.uses_weight_offset  # Gemma keeps the weight less 1
    exact = _is_exact(bridge, contexts)
    parts = {
        "reason": reason or ("" if exact else "the model changes its logits after the unembedding"),
        "exact": exact,
        "to_residual": to_residual,
        "centred": norm is not None and not norm.uses_rms_norm,
        "gain": (gain + 1 if offset else gain).to(get_device()),
        "epsilon": None if norm is None else _epsilon(bridge),
        "unembedding": bridge.W_U.detach().contiguous(),
        "unembedding_bias": bridge.b_U.detach(),
    }
    scale = _mean_inverse_scale(bridge, Readout(**parts, inverse_scale=1.0), contexts, documents)
    return Readout(**parts, inverse_scale=scale)


def _find_path(bridge: TransformerBridge, hook: str) -> tuple[torch.Tensor | None, str]:
    """The matrix from the hooked space to the residual stream, or why there is none.

    Names are compared by the hook points they stand for, since many have two.
    """
    found = BLOCK_NAME.match(hook)
    if not found:
        return None, f"'{hook}' is not in a block"
    prefix, block = found.group(), bridge.blocks[int(found.group(1))]
    point = bridge.hook_dict[hook]

    def is_any(*names: str) -> bool:
        return any(bridge.hook_dict.get(prefix + name) is point for name in names)

    if is_any(*AS_THEY_ARE):
        return None, ""
    through = {"mlp.hook_post": ("mlp", "W_out", "ln2_post"), "attn.hook_z": ("attn", "W_O", "ln1_post")}
    for name, (part, matrix, after) in through.items():
        if not is_any(name):
            continue
        if hasattr(block, after):
            return None, f"'{hook}' is followed by a normalisation before the residual stream"
        try:
            weight = getattr(getattr(block, part), matrix).detach()
        except AttributeError:
            return None, f"the model has no {matrix} that follows '{hook}'"
        weight = weight.flatten(0, -2)
        return weight, ""
    if is_any("hook_resid_mid"):
        return None, f"a change at '{hook}' reaches the MLP alone: TransformerLens puts it behind the skip connection"
    return None, f"what follows '{hook}' before the residual stream is not linear"


def _epsilon(bridge: TransformerBridge) -> float:
    component = bridge.ln_final.original_component
    for name in ("eps", "variance_epsilon"):
        if isinstance(getattr(component, name, None), float):
            return float(getattr(component, name))
    return float(getattr(bridge.cfg, "eps", 1e-5))


def _is_exact(bridge: TransformerBridge, contexts: np.ndarray) -> bool:
    """Whether the unembedding's output is what the model gives as logits; a soft cap, for one, changes it."""
    tokens = torch.from_numpy(contexts[:1].astype(np.int64)).to(get_device())
    state = run_to_unembedding(bridge, tokens).normalized.flatten(0, 1)
    expected = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[]).flatten(0, 1)
    found = torch.addmm(bridge.b_U, state, bridge.W_U)
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def _mean_inverse_scale(
    bridge: TransformerBridge, readout: Readout, contexts: np.ndarray, documents: np.ndarray
) -> float:
    total, number = 0.0, 0
    for start in range(0, len(contexts), BATCH_CONTEXTS):
        part = slice(start, start + BATCH_CONTEXTS)
        tokens = torch.from_numpy(contexts[part].astype(np.int64)).to(get_device())
        kept = torch.from_numpy(documents[part] >= 0).to(get_device())
        scales = readout.inverse_scales(run_to_unembedding(bridge, tokens).residual)[kept]
        total, number = total + scales.double().sum().item(), number + scales.numel()
    return total / number if number else float("nan")
