"""Weights that write to the residual stream, without what normalisations take away again.

A LayerNorm subtracts the mean over dimensions, so that what components add to it changes nothing in the model's
predictions; it does change the activations on the residual stream, and SAEs have been trained on activations without it
(`center_writing_weights` of TransformerLens).
"""

import torch
from transformers import GPT2LMHeadModel, PreTrainedModel

from coact.errors import ConfigError
from coact.models.legacy import LegacyForCausalLM


@torch.no_grad()
def center_writing_weights(model: PreTrainedModel, key: str) -> PreTrainedModel:
    """Subtract the mean over d_model from all that is added to the residual stream, in place; the same predictions.

    The unembedding is untied from the embedding, if it is tied, and stays as it is.

    Args:
        model: of an architecture whose normalisations all subtract the mean: GPT-2's, or TransformerLens's own.
        key: the key of the configuration that names the model.
    Raises:
        ConfigError: it is of another one.
    """
    if isinstance(model, GPT2LMHeadModel):
        body = model.transformer
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
        model.config.tie_word_embeddings = False
        outputs = [part.c_proj for block in body.h for part in (block.attn, block.mlp)]
        rows = [body.wte.weight, body.wpe.weight, *(part.weight for part in outputs)]  # (..., d_model)
    elif isinstance(model, LegacyForCausalLM) and str(model.network.cfg.normalization_type).upper() in ("LN", "LNPRE"):
        body, layers = model.network, model.network.layers
        outputs = [block.attn.o for block in layers]
        outputs += [block.mlp.fc_out for block in layers if not model.network.cfg.attn_only]
        rows = [body.tok_embed.weight, body.pos.weight, *(part.weight.T for part in outputs)]
    else:
        raise ConfigError(
            f"{key}.center_writing_weights: found true for a {type(model).__name__}, expected false: it is done for"
            " GPT-2 and for models in TransformerLens's old format, whose normalisations all subtract the mean"
        )
    for weights in (*rows, *(part.bias for part in outputs)):
        weights -= weights.mean(-1, keepdim=True)
    return model
