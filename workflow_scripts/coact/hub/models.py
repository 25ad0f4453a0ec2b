"""Models of the Hub: their files, and the repository of their tokenizer where they name one for that."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coact.artefacts import read_json
from coact.errors import ConfigError
from coact.formats import FINAL_WEIGHTS, is_legacy, legacy_weights
from coact.hub.repositories import Snapshot, cached_file, fetch, fetch_file

# Of a model: weights as safetensors, and whatever a tokenizer may consist of.
MODEL_PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.tiktoken")
# Of one in the format that TransformerLens had before 4.0: final weights only, of those along its training.
LEGACY_PATTERNS = (*MODEL_PATTERNS, FINAL_WEIGHTS)
TOKENIZER_PATTERNS = ("*.json", "*.model", "*.txt", "*.tiktoken")


def fetch_model(name: str, revision: str, key: str) -> tuple[Snapshot, Snapshot | None]:
    """Fetch a model, and its tokenizer where it names another repository for that.

    Args, Raises: as for `fetch`.
    """
    found = fetch("model", name, revision, MODEL_PATTERNS, key)
    if not is_legacy(found.folder):
        return found, None
    found = fetch("model", name, found.commit, LEGACY_PATTERNS, key)._replace(revision=revision)
    legacy_weights(found.folder)
    tokenizer = read_json(found.folder / "config.json").get("tokenizer_name")
    if not tokenizer:
        raise ConfigError(f"{key}.name: '{name}' has no tokenizer_name in its config.json, so its tokens are not known")
    return found, fetch("model", tokenizer, "main", TOKENIZER_PATTERNS, key)


def known_config(settings: Mapping[str, Any], pin: Path) -> dict[str, Any]:
    """The config.json of a model of the Hub, as far as it is known without asking; else nothing.

    Args:
        settings: of the model.
        pin: the file of rule fetch_model, which need not be there.
    """
    known = read_json(pin) if pin.is_file() else {}
    if (known.get("name"), known.get("revision")) == (settings["name"], settings["revision"]):
        return known["config"]
    found = cached_file(settings["name"], settings["revision"], "config.json")
    return {} if found is None else read_json(found)


def ask_config(settings: Mapping[str, Any], key: str) -> None:
    """Have the config.json of a model cached, so that `known_config` finds it.

    Args:
        settings: of the model.
        key: the key of the configuration that names it.
    Raises:
        ConfigError, StudyError: there is none, or the Hub cannot be asked.
    """
    fetch_file(settings["name"], settings["revision"], "config.json", key, "name")


def model_folder(settings: Mapping[str, Any], source: Sequence[str], key: str) -> Path:
    """The folder that a model comes in.

    Args:
        settings: of a model of kind `local` or `hub`.
        source: of the latter, the file of rule fetch_model alone.
        key: the key of the configuration that names the model.
    """
    if settings["kind"] == "local":
        return Path(settings["path"])
    # A commit that is cached is not asked for; where the cache was emptied since, it is fetched again.
    return fetch_model(settings["name"], read_json(source[0])["commit"], key)[0].folder


def tokenizer_folder(settings: Mapping[str, Any], source: Sequence[str], key: str) -> Path:
    """The folder that a model's tokenizer comes in. Args: as of `model_folder`."""
    pinned = read_json(source[0])["tokenizer"] if settings["kind"] == "hub" else None
    if pinned is None:
        return model_folder(settings, source, key)
    return fetch("model", pinned["name"], pinned["commit"], TOKENIZER_PATTERNS, key).folder
