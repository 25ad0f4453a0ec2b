"""What a completed configuration amounts to: its columns, shards and names; and whether its parts fit together.

A column of the study is a pair (model, SAE); controls are columns like any other. Light on imports, as `coact.config`.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coact.errors import ConfigError
from coact.hub.models import known_config
from coact.hub.saes import described, name_of, on_hub
from coact.imported import IMPORTED, MODEL_KWARGS, check_options, describe

SPLITS = ("train", "heldout")
NULLS = ("tokens", "documents", "shift")  # see coact.nulls.replicates
TESTED_NULLS = ("tokens", "documents")  # those that edges are tested under
CORPUS_TOKENIZER = "corpus"
MODEL_PINS = "results/hub/models"  # files of rule fetch_model: the commit of each model
SAE_PINS = "results/hub/saes"  # files of rule fetch_sae: the commit of each SAE


@dataclass(frozen=True)
class Study:
    """A study whose parts fit together. `config` is the completed configuration."""

    config: dict[str, Any]

    @property
    def batch_tokens(self) -> int:
        """Tokens in a graph batch, special positions included."""
        return self.config["graph"]["batch_contexts"] * self.config["corpus"]["context_length"]

    @property
    def graph_split(self) -> str:
        """Stream that the graph's batches come from."""
        return self.config["graph"]["split"]

    @property
    def frequency_split(self) -> str:
        """The other stream: tokens that the graph does not use."""
        return "heldout" if self.graph_split == "train" else "train"

    def null_parts(self) -> list[int]:
        """Replicates of a null model in each of its jobs."""
        total, size = (self.config["nulls"][key] for key in ("replicates", "replicates_per_job"))
        return [min(size, total - start) for start in range(0, total, size)]

    def models_of(self, *kinds: str) -> list[str]:
        """Names of the models of some kinds."""
        return [name for name, model in self.config["models"].items() if model["kind"] in kinds]

    def tokenizer_of(self, model: str) -> str:
        """Name of the tokenizer that a model uses: "corpus" when it is the one trained here, else the model's name."""
        kind = self.config["models"][model]["kind"]
        if kind == "trained":
            return CORPUS_TOKENIZER
        return self.tokenizer_of(self.config["models"][model]["like"]) if kind == "untrained" else model

    def hook_of(self, model: str) -> str:
        """The hook point that a model's activations are captured at: its own, or that of all."""
        return hook_of(self.config, model)

    def tokenizers(self) -> list[str]:
        """All tokenizers of the study, each once."""
        return list(dict.fromkeys(self.tokenizer_of(model) for model in self.config["models"]))

    def columns(self) -> list[tuple[str, str]]:
        """All (model, SAE) pairs, in the order of the configuration."""
        return [
            (model, sae)
            for model in self.config["models"]
            for family, settings in self.config["saes"].items()
            if settings["models"] is None or model in settings["models"]
            for sae in self.members(family)
        ]

    def members(self, family: str) -> list[str]:
        """Names of the SAEs of a family."""
        settings = self.config["saes"][family]
        if settings["kind"] != "trained":
            return [family]
        return [f"{family}-x{factor:g}-s{seed}" for factor in settings["expansion"] for seed in settings["seeds"]]

    def ordinary_labels(self) -> list[str]:
        """Labels of text that is not of one context: names of the sources other than probes."""
        return [source["name"] for source in self.config["corpus"]["sources"] if source["kind"] != "probes"]

    def saes_of(self, kind: str) -> list[str]:
        """Names of all SAEs of a kind."""
        families = [name for name, settings in self.config["saes"].items() if settings["kind"] == kind]
        return [sae for family in families for sae in self.members(family)]

    def sae_settings(self, sae: str) -> dict[str, Any]:
        """Settings of one SAE: those of its family, with its own `expansion` and `seed` in place of the lists.

        For an imported one `architecture`, `d_in`, `d_sae` and `expansion` are what its folder says.
        """
        family, _, rest = sae.partition("-")
        settings = {key: value for key, value in self.config["saes"][family].items() if key != "models"}
        if settings["kind"] == "trained":
            factor, seed = re.fullmatch(r"x(.+)-s(\d+)", rest).groups()
            settings |= {"expansion": float(factor), "seed": int(seed)}
            del settings["seeds"], settings["checkpoint_minutes"]  # which changes no result
        if settings["kind"] == "import":
            found = self.described(family)
            settings |= {key: found[key] for key in ("d_in", "d_sae")}
            settings |= {"architecture": IMPORTED[found["architecture"]], "expansion": found["d_sae"] / found["d_in"]}
        return settings

    def described(self, family: str) -> dict[str, Any]:
        """What an imported SAE says of itself, see `coact.imported.describe`; of one from the Hub its configuration."""
        settings, key = self.config["saes"][family], f"saes.{family}"
        if not on_hub(settings):
            return describe(settings, key)
        return described(settings, Path(SAE_PINS) / f"{family}.json", key)

    def hub_saes(self) -> list[str]:
        """Names of the SAEs that come from the Hub."""
        return [sae for sae in self.saes_of("import") if on_hub(self.config["saes"][sae])]

    def shape(self, model: str) -> dict[str, int]:
        """Shape of a model, as far as it can be told without loading it; without what is not known.

        Returns:
            layers, d_model, d_mlp, heads, vocabulary.
        """
        return _shape(self.config, model)

    def width_of(self, model: str) -> int | None:
        """Dimensions at a model's hook point, where its name and the model's shape tell; else None."""
        return hook_width(self.hook_of(model), self.shape(model))

    def features_of(self, model: str, sae: str) -> int | None:
        """Features of a dictionary, where the hook's name and the model's shape tell; else None."""
        width = self.width_of(model)
        settings = self.sae_settings(sae)
        if width is None or settings["kind"] == "neurons":
            return width
        if settings["kind"] == "import":
            return settings["d_sae"]
        return dictionary_size(width, settings["expansion"])

    def shard_tokens(self, split: str) -> list[int]:
        """Tokens of each activation shard of a stream; all but the last are of the configured size."""
        total, size = self.captured_tokens(split), self.config["activations"]["shard_tokens"]
        return [min(size, total - start) for start in range(0, total, size)]

    def captured_tokens(self, split: str) -> int:
        """Tokens captured from a stream: whole contexts of what the configuration asks for."""
        length = self.config["corpus"]["context_length"]
        return self.config["activations"][f"{split}_tokens"] // length * length

    def evaluated_tokens(self) -> int:
        """Held-out tokens that models run on with something spliced in: whole contexts, of those captured."""
        length = self.config["corpus"]["context_length"]
        return min(self.captured_tokens("heldout"), self.config["activations"]["evaluated_tokens"] // length * length)

    def encoded_tokens(self, split: str) -> list[int]:
        """Tokens of each feature shard of a stream; the graph's stream ends with the graph's last batch."""
        left = self.captured_tokens(split)
        if split == self.graph_split:
            left = self.config["graph"]["batches"] * self.batch_tokens
        size = self.config["activations"]["shard_tokens"]
        return [min(size, left - start) for start in range(0, left, size)]


def check(config: dict[str, Any]) -> Study:
    """The study of a completed configuration, once its parts are seen to fit together.

    Raises:
        ConfigError: names the key, what was found and what was expected.
    """
    study = Study(config)
    for name in config["models"]:
        _check_model(config, name)
    for name in config["saes"]:
        _check_family(study, name)
    if not study.columns():
        raise ConfigError("saes: no family is made for any of the models, so there is nothing to study")
    for source in config["corpus"]["sources"]:
        _check_tokenizer_model(study, source)
    _check_tokens(study)
    for model, sae in study.columns():
        _check_dictionary(study, model, sae)
    return study


def _check_model(config: dict[str, Any], name: str) -> None:
    model, key = config["models"][name], f"models.{name}"
    if name == CORPUS_TOKENIZER:
        raise ConfigError(
            f"{key}: the name '{CORPUS_TOKENIZER}' is taken by the tokenizer of the corpus; choose another"
        )
    if model["kind"] == "trained" and model["d_model"] % model["heads"]:
        raise ConfigError(f"{key}.heads: found {model['heads']}, expected a divisor of d_model = {model['d_model']}")
    if model["kind"] == "untrained":
        like = config["models"].get(model["like"])
        if like is None or like["kind"] == "untrained":
            others = [other for other, entry in config["models"].items() if entry["kind"] != "untrained"]
            raise ConfigError(
                f"{key}.like: found '{model['like']}', expected one of: {', '.join(others) or 'no model there'}"
            )
    if model["kind"] == "local":
        _check_folder(Path(model["path"]), key)
    layers, hook = _shape(config, name).get("layers"), hook_of(config, name)
    block = re.match(r"blocks\.(\d+)\.", hook)
    if block and layers is not None and int(block.group(1)) >= layers:
        raise ConfigError(f"{hook_key(config, name)}: found '{hook}', but model '{name}' has blocks 0 to {layers - 1}")


def _check_folder(folder: Path, key: str) -> None:
    if not folder.is_dir():
        raise ConfigError(f"{key}.path: '{folder}' is not a folder; expected a Hugging Face model folder")
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{key}.path: '{folder}' has no config.json; expected a Hugging Face model folder")
    if not list(folder.glob("*.safetensors")):
        raise ConfigError(f"{key}.path: '{folder}' has no *.safetensors weights; other formats are not read")
    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
    ):
        raise ConfigError(f"{key}.path: '{folder}' has no tokenizer (tokenizer.json, tokenizer.model or vocab.json)")


def _check_tokenizer_model(study: Study, source: dict[str, Any]) -> None:
    """Refuse token ids that are not of a model with a tokenizer of its own."""
    found, own = source.get("tokens_of"), study.models_of("local", "hub")
    if found is not None and found not in own:
        kind = study.config["models"].get(found, {}).get("kind")
        raise ConfigError(
            f"corpus.sources: {source['name']}.tokens_of: found '{found}'{f', a model of kind {kind}' if kind else ''},"
            f" expected a model of kind local or hub, whose tokenizer made the ids: {', '.join(own) or 'there is none'}"
        )


def _check_family(study: Study, family: str) -> None:
    for model in study.config["saes"][family]["models"] or []:
        if model not in study.config["models"]:
            known = ", ".join(study.config["models"])
            raise ConfigError(f"saes.{family}.models: '{model}' is not a model; models are: {known}")
    if "prefixes" in study.config["saes"][family]:
        _check_ascent(study.config["saes"][family]["prefixes"], f"saes.{family}.prefixes")
    if "resample_steps" in study.config["saes"][family]:
        settings = study.config["saes"][family]
        check_resampling(settings["resample_steps"], settings["resample_window"], f"saes.{family}.resample_steps")
        if settings["resample_steps"] and settings["decoder"] == "random":
            raise ConfigError(
                f"saes.{family}.resample_steps: found {settings['resample_steps']}, expected [] where decoder is"
                " random, since resampling would turn its rows to the data"
            )
    if study.config["saes"][family]["kind"] == "import":
        _check_import(study, family)


def check_resampling(steps: Sequence[int], window: int, key: str = "resample_steps") -> None:
    """Refuse steps at which no feature can have been silent for `window` steps yet.

    Raises:
        ConfigError: names `key`.
    """
    early = min(steps, default=window)
    if early < window:
        raise ConfigError(
            f"{key} has {early:,}, but resample_window is {window:,} steps, so no feature can be silent that long by"
            f" then; expected steps of at least {window:,}"
        )


def _check_import(study: Study, family: str) -> None:
    settings = study.config["saes"][family]
    check_options(settings, f"saes.{family}")
    metadata = study.described(family)["metadata"]
    found = metadata.get("hook_name")
    centered = bool((metadata.get(MODEL_KWARGS) or {}).get("center_writing_weights"))
    for model in settings["models"] or study.config["models"]:
        asked = study.hook_of(model)
        _check_centering(study, family, model, centered)
        if settings["hook_check"] and found not in (None, asked):
            raise ConfigError(
                f"saes.{family}: '{name_of(settings)}' is an SAE of activations at '{found}', but"
                f" {hook_key(study.config, model)} is '{asked}'; where both name one place, set"
                f" saes.{family}.hook_check to false"
            )


def _check_centering(study: Study, family: str, model: str, centered: bool) -> None:
    """Refuse an SAE of a residual stream without its mean on a model that has it."""
    settings, on_stream = study.config["models"][model], "resid" in study.hook_of(model)
    if centered and on_stream and settings.get("center_writing_weights") is False:
        raise ConfigError(
            f"models.{model}.center_writing_weights: found false, expected true for the SAE '{family}', which is of a"
            " model with centred writing weights"
        )


def _check_tokens(study: Study) -> None:
    corpus, activations, graph = (study.config[name] for name in ("corpus", "activations", "graph"))
    for split in SPLITS:
        asked, there = activations[f"{split}_tokens"], corpus[f"{split}_tokens"]
        if asked > there:
            raise ConfigError(f"activations.{split}_tokens: found {asked:,}, but corpus.{split}_tokens holds {there:,}")
    for key in ("train_tokens", "heldout_tokens", "evaluated_tokens"):
        if activations[key] < corpus["context_length"]:
            raise ConfigError(
                f"activations.{key}: found {activations[key]:,},"
                f" expected at least one context of {corpus['context_length']} tokens"
            )
    steering = study.config["interpretation"]["steering"]
    if 1 + steering["prompt_tokens"] + steering["tokens"] > corpus["context_length"]:
        raise ConfigError(
            f"interpretation.steering: BOS, {steering['prompt_tokens']} prompt_tokens and {steering['tokens']} tokens"
            f" do not fit in corpus.context_length {corpus['context_length']}"
        )
    if activations["shard_tokens"] % study.batch_tokens:
        raise ConfigError(
            f"activations.shard_tokens: found {activations['shard_tokens']:,},"
            f" expected a multiple of the {study.batch_tokens:,} tokens of a batch"
            " (graph.batch_contexts x corpus.context_length)"
        )
    available = study.captured_tokens(study.graph_split) // study.batch_tokens
    if graph["batches"] > available:
        raise ConfigError(
            f"graph.batches: found {graph['batches']},"
            f" but activations.{study.graph_split}_tokens holds {available} batches of {study.batch_tokens:,} tokens"
        )


def _check_dictionary(study: Study, model: str, sae: str) -> None:
    features = study.features_of(model, sae)
    if features is None:
        return
    settings, family = study.sae_settings(sae), sae.partition("-")[0]
    width = study.width_of(model)
    if settings["kind"] == "import" and settings["d_in"] != width:
        raise ConfigError(
            f"saes.{family}.path: '{name_of(settings)}' is an SAE of {settings['d_in']} dimensions, but activations of"
            f" model '{model}' have {width}"
        )
    asked = {"graph.k": study.config["graph"]["k"], "sensitivity.k": max(study.config["sensitivity"]["k"], default=0)}
    if "k" in settings:
        asked[f"saes.{family}.k"] = settings["k"]
    for key, k in asked.items():
        if k > features:
            raise ConfigError(f"{key}: found {k}, but '{sae}' on model '{model}' has only {features} features")
    if "prefixes" in settings:
        prefix_sizes(features, settings["prefixes"], f"saes.{family}.prefixes")


def dictionary_size(width: int, expansion: float) -> int:
    """Number of features of an SAE: the expansion factor times the input width, at least 1."""
    return max(1, math.floor(width * expansion + 0.5))


def prefix_sizes(features: int, prefixes: Sequence[float], key: str = "prefixes") -> tuple[int, ...]:
    """Sizes of nested prefixes of a dictionary, given as shares of its features; to the nearest.

    Raises:
        ConfigError: shares do not ascend to 1, or a prefix adds no feature to the one before; the message names `key`.
    """
    _check_ascent(prefixes, key)
    sizes = (0, *(math.floor(features * share + 0.5) for share in prefixes))
    for share, before, size in zip(prefixes, sizes, sizes[1:], strict=False):
        if size == before:
            raise ConfigError(
                f"{key}: found {share:g}, which of {features} features are {size},"
                f" expected at least one more than the {before} before it"
            )
    return sizes[1:]


def _check_ascent(prefixes: Sequence[float], key: str) -> None:
    if not prefixes or list(prefixes) != sorted(set(prefixes)) or prefixes[-1] != 1:
        raise ConfigError(f"{key}: found {list(prefixes)}, expected shares that ascend to 1")


def hook_of(config: dict[str, Any], model: str) -> str:
    """The hook point of a model: its own, that of the model it is like, or `activations.hook`."""
    key = hook_key(config, model)
    return config["activations"]["hook"] if key == "activations.hook" else config["models"][key.split(".")[1]]["hook"]


def hook_key(config: dict[str, Any], model: str) -> str:
    """The key of the configuration that says where a model's activations are captured."""
    settings = config["models"].get(model) or {}
    if settings.get("hook") is not None:
        return f"models.{model}.hook"
    return hook_key(config, settings["like"]) if settings.get("like") else "activations.hook"


def hook_width(hook: str, shape: dict[str, int]) -> int | None:
    """Number of dimensions at a hook point, where its name and the model's shape tell; else None."""
    if re.search(r"\.mlp\.hook_(post|pre)$", hook):
        return shape.get("d_mlp")
    if re.search(r"hook_(resid_\w+|mlp_out|attn_out|embed)$", hook):
        return shape.get("d_model")
    return None


def _shape(config: dict[str, Any], name: str) -> dict[str, int]:
    """See `Study.shape`."""
    model = config["models"][name]
    if model["kind"] == "untrained":
        return _shape(config, model["like"])
    if model["kind"] == "trained":
        own = {key: model[key] for key in ("layers", "d_model", "d_mlp", "heads")}
        return own | {"vocabulary": config["corpus"]["vocabulary"]}
    if model["kind"] == "hub":
        found = known_config(model, Path(MODEL_PINS) / f"{name}.json")  # nothing before it is there
    else:
        try:
            found = json.loads((Path(model["path"]) / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"models.{name}.path: config.json cannot be read ({error})") from None
    keys = {
        "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        "d_model": ("hidden_size", "n_embd", "d_model"),
        "d_mlp": ("intermediate_size", "n_inner", "ffn_dim", "d_mlp"),
        "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
        "vocabulary": ("vocab_size", "d_vocab"),
    }
    shape = {key: found[name] for key, names in keys.items() for name in names if isinstance(found.get(name), int)}
    if found.get("model_type") == "gpt2" and "d_model" in shape:
        shape.setdefault("d_mlp", 4 * shape["d_model"])  # which n_inner: null stands for
    return shape
