"""A model as a Hugging Face folder, whatever it came from."""

import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from coact.artefacts import atomic_folder
from coact.errors import ConfigError, first_line
from coact.formats import is_legacy, is_saved_legacy
from coact.models import MODEL_FILES


def load_model(folder: str | Path) -> PreTrainedModel:
    """The causal language model in a folder: safetensors weights only, no remote code.

    Models in TransformerLens's old format are opened as well, see `coact.models.legacy`.

    Raises:
        ConfigError: the folder holds no such model.
    """
    legacy = is_legacy(folder)
    if legacy or is_saved_legacy(folder):
        from coact.models.legacy import open_legacy, open_saved  # imports TransformerLens, which takes seconds

        return open_legacy(folder) if legacy else open_saved(folder)
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype="auto"
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(f"{folder}: no causal language model could be loaded ({_first_line(error)})") from None


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Save model and tokenizer as the four files of `MODEL_FILES`.

    Raises:
        ConfigError: the tokenizer holds ids that the model has no embedding for.
    """
    check_vocabulary(model, tokenizer, folder)
    with atomic_folder(folder) as part:
        model.save_pretrained(part, max_shard_size="999TB")
        tokenizer.save_pretrained(part)
        for file in part.iterdir():
            if file.name not in MODEL_FILES:
                file.unlink()
        missing = [name for name in MODEL_FILES if not (part / name).is_file()]
        if missing:
            raise ConfigError(f"{folder}: saving the model gave no {', '.join(missing)}; its type is not supported")


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str | Path) -> None:
    """Refuse a tokenizer with more ids than the model has embeddings."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ConfigError(f"{name}: the tokenizer has {len(tokenizer):,} tokens, but the model embeds only {rows:,}")


def new_gpt2(
    *,
    vocabulary: int,
    context_length: int,
    layers: int,
    d_model: int,
    heads: int,
    d_mlp: int,
    activation: str,
    seed: int,
    tokenizer: PreTrainedTokenizerBase,
) -> GPT2LMHeadModel:
    """A GPT-2-style model with random weights (float32, tied embeddings, no dropout)."""
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=context_length,
        n_embd=d_model,
        n_layer=layers,
        n_head=heads,
        n_inner=d_mlp,
        activation_function=activation,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return GPT2LMHeadModel(config)


def randomize(folder: str | Path, seed: int) -> PreTrainedModel:
    """A model of the architecture in `folder` with fresh random weights, as its own initialisation draws them."""
    torch.manual_seed(seed)
    if is_saved_legacy(folder):
        from coact.models.legacy import draw_legacy

        return draw_legacy(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


@torch.no_grad()
def shuffle(folder: str | Path, seed: int) -> PreTrainedModel:
    """The model in `folder` with the entries of every weight tensor in random order, tied tensors alike.

    Raises:
        ConfigError: the folder holds no causal language model.
    """
    model = load_model(folder)
    generator = torch.Generator().manual_seed(seed)
    for weights in model.parameters():
        order = torch.randperm(weights.numel(), generator=generator)
        weights.copy_(weights.flatten()[order].view_as(weights))
    return model


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", first_line(error))
