"""Parameters and operations of a transformer, from its shape.

A shape is what `Study.shape` gives, complete: layers, d_model, d_mlp, heads, vocabulary. A multiplication with its
addition counts as two operations.
"""

import re
from collections.abc import Mapping

SHAPE = ("layers", "d_model", "d_mlp", "heads", "vocabulary")


def is_complete(shape: Mapping[str, int]) -> bool:
    """Whether all is known that the formulas here need."""
    return all(key in shape for key in SHAPE)


def block_weights(shape: Mapping[str, int]) -> int:
    """Weights of a block's matrices: four of attention, and three of the MLP.

    The third is that of gated MLPs; for those without it the number is too large by d_model x d_mlp.
    """
    return 4 * shape["d_model"] ** 2 + 3 * shape["d_model"] * shape["d_mlp"]


def parameters(shape: Mapping[str, int]) -> int:
    """Weights of a model, at most: blocks, and embeddings at both ends, which many models share."""
    return shape["layers"] * block_weights(shape) + 2 * shape["vocabulary"] * shape["d_model"]


def trained_parameters(shape: Mapping[str, int], context_length: int) -> int:
    """Parameters of a model of kind `trained`, exactly: GPT-2 with shared embeddings, biases and layer norms."""
    width, hidden = shape["d_model"], shape["d_mlp"]
    block = 4 * width**2 + 4 * width + 2 * width * hidden + hidden + width + 4 * width
    return (shape["vocabulary"] + context_length) * width + shape["layers"] * block + 2 * width


def blocks_to(hook: str, layers: int) -> int:
    """Blocks of which a forward pass that ends at a hook point does some; all where its name does not tell."""
    found = re.match(r"blocks\.(\d+)\.", hook)
    return min(layers, int(found.group(1)) + 1) if found else layers


def forward_flops(shape: Mapping[str, int], context_length: int, blocks: int, logits: bool) -> int:
    """Operations of a forward pass per token: 2 per weight, and attention (Kaplan et al. 2020, table 1).

    Args:
        blocks: how many blocks are passed.
        logits: whether the pass goes on to the logits.
    """
    attention = 4 * context_length * shape["d_model"]
    head = 2 * shape["d_model"] * shape["vocabulary"] if logits else 0
    return blocks * (2 * block_weights(shape) + attention) + head


def training_flops(shape: Mapping[str, int], context_length: int) -> int:
    """Operations of a training step per token: a backward pass takes twice a forward pass (Kaplan et al. 2020)."""
    return 3 * forward_flops(shape, context_length, shape["layers"], logits=True)


def sae_step_flops(d_in: int, d_sae: int, l0: float, batch_tokens: int, dead_share: float = 0.0) -> float:
    """Operations of an SAE's training step per token.

    The encoder's product is dense. All after it goes by active features: the reconstruction, the gradients of decoder
    rows, of activations and of encoder columns. Adam takes some 12 operations per parameter and step.

    Args:
        dead_share: share of the features that an auxiliary loss is there for; it multiplies densely with their encoder
            columns and decoder rows, forwards and twice backwards.
    """
    auxiliary = 12 * d_in * d_sae * dead_share
    return 2 * d_in * d_sae + 8 * d_in * l0 + 12 * 2 * d_in * d_sae / batch_tokens + auxiliary
