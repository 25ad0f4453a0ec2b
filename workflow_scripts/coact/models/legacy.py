"""Models in the format that TransformerLens had before 4.0, such as gelu-1l: as a model of transformers.

In: a repository's folder with configuration and weights of a HookedTransformer. Out: a model that transformers saves
and opens like any other, wrapped around TransformerLens's own network (`NativeModel`), since GPT-2's classes have no
bias of the unembedding and no SoLU. Nothing of the weights is folded or centred.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from coact.artefacts import read_json
from coact.errors import ConfigError, first_line
from coact.formats import LEGACY_TYPE, legacy_weights

ARCHITECTURE = "TransformerLensNative"
# Layout of the weights that is read; others are of repositories that nothing here is about.
LAYOUT = "neel"
# Keys of a configuration, and what stands for one that is missing.
KEYS: dict[str, Any] = {
    "d_model": None, "n_layers": None, "d_mlp": None, "d_head": None, "n_heads": None, "n_ctx": None, "d_vocab": None,
    "act_fn": None, "attn_only": False, "final_rms": False,
}  # fmt: skip
# Parts of parameters' names in a bridge, and in the network that it wraps.
NAMES = {
    "embed.": "tok_embed.",
    "pos_embed.": "pos.",
    "blocks.": "layers.",
    "ln_final.": "ln_out.",
    "unembed.": "head.",
}
INNER = {".mlp.in.": ".mlp.fc_in.", ".mlp.out.": ".mlp.fc_out."}


class LegacyConfig(PreTrainedConfig):
    """Configuration of such a model: `network`, the keys of TransformerLens, and `unembed_bias`."""

    model_type = LEGACY_TYPE

    def __init__(self, network: dict[str, Any] | None = None, unembed_bias: bool = False, **other: Any) -> None:
        self.network = dict(network or {})
        self.unembed_bias = unembed_bias
        # Under the names of transformers, so that what reads a model's shape from its configuration finds it.
        names = {"hidden_size": "d_model", "num_hidden_layers": "n_layers", "intermediate_size": "d_mlp",
                 "vocab_size": "d_vocab", "max_position_embeddings": "n_ctx"}  # fmt: skip
        self.__dict__.update({name: self.network.get(key) for name, key in names.items()})
        super().__init__(**{**other, "tie_word_embeddings": False})

    def of_bridge(self) -> TransformerBridgeConfig:
        """The same for TransformerLens."""
        return TransformerBridgeConfig(**self.network, positional_embedding_type="standard", architecture=ARCHITECTURE)


class LegacyForCausalLM(PreTrainedModel):
    """TransformerLens's network as a model of transformers."""

    config_class = LegacyConfig
    base_model_prefix = "network"

    def __init__(self, config: LegacyConfig) -> None:
        super().__init__(config)
        own = config.of_bridge()
        self.network = NativeModel(own)
        if config.unembed_bias:
            self.network.head = torch.nn.Linear(own.d_model, own.d_vocab)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Leave the weights as TransformerLens makes them."""

    def get_input_embeddings(self) -> torch.nn.Module:
        """The embedding of tokens."""
        return self.network.tok_embed

    def forward(self, input_ids: torch.Tensor, **_: Any) -> CausalLMOutput:
        """Logits (contexts, length, vocabulary) of tokens (contexts, length)."""
        return CausalLMOutput(logits=self.network(input_ids))


def open_legacy(folder: str | Path) -> LegacyForCausalLM:
    """The model in the folder of a repository of that format.

    Raises:
        ConfigError: its layout is another one, weights are missing or more than expected, or the file is no plain table
            of tensors.
    """
    folder = Path(folder)
    found, path = read_json(folder / "config.json"), legacy_weights(folder)
    network = _network(found, folder)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = convert_tl_checkpoint({name: value.float() for name, value in weights.items()},
                                      LegacyConfig(network).of_bridge())  # fmt: skip
    except Exception as error:  # unpickling raises many kinds, and TransformerLens its own
        raise ConfigError(f"{path}: no weights of such a model ({first_line(error)}); nothing in it was run") from None
    bias = state.get("unembed.bias")
    config = LegacyConfig(network, unembed_bias=bias is not None and bool(bias.any()))
    if not config.unembed_bias:
        state.pop("unembed.bias", None)
    model = LegacyForCausalLM(config)
    try:
        model.network.load_state_dict({_renamed(name): value for name, value in state.items()}, strict=True)
    except RuntimeError as error:
        raise ConfigError(f"{path}: weights do not fit config.json ({' '.join(str(error).split())})") from None
    return model


def open_saved(folder: str | Path) -> LegacyForCausalLM:
    """Such a model as `save_pretrained` left it.

    transformers would make it without memory first and then fill in its weights; the masks, which are not saved,
    would be lost.
    """
    model = LegacyForCausalLM(LegacyConfig.from_pretrained(folder))
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=True)
    return model


def draw_legacy(folder: str | Path) -> LegacyForCausalLM:
    """A model of the configuration of a saved one, with fresh weights as TransformerLens draws them."""
    model = LegacyForCausalLM(LegacyConfig.from_pretrained(folder))
    initialize_native_model(model.network, model.config.of_bridge())
    return model


def _network(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    missing = [key for key, default in KEYS.items() if default is None and key not in found]
    if missing:
        raise ConfigError(f"{folder}: config.json has no {', '.join(missing)}; expected those of a HookedTransformer")
    layout = found.get("architecture", LAYOUT)
    if layout != LAYOUT or "_old" in str(folder):
        raise ConfigError(f"{folder}: its layout is '{layout}', of an old kind; expected '{LAYOUT}'")
    if found.get("shortformer_pos"):
        raise ConfigError(f"{folder}: it has shortformer positions, which TransformerLens does not open any more")
    network = {key: found.get(key, default) for key, default in KEYS.items()}
    return network | {"normalization_type": found.get("normalization", found.get("normalization_type"))}


def _renamed(name: str) -> str:
    """A bridge's name of a parameter as the network has it."""
    for part, other in NAMES.items():
        if name.startswith(part):
            name = other + name.removeprefix(part)
            break
    for part, other in INNER.items():
        name = name.replace(part, other)
    return name


def legacy_bridge(
    model: LegacyForCausalLM, tokenizer: PreTrainedTokenizerBase, device: str, name: str
) -> TransformerBridge:
    """Wrap such a model as a bridge, in float32."""
    return build_bridge_from_module(
        model.float().network.to(device),
        architecture=ARCHITECTURE,
        tl_config=model.config.of_bridge(),
        tokenizer=tokenizer,
        dtype=torch.float32,
        device=device,
        model_name=name,
    )
