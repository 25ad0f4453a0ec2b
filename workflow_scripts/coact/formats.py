"""What format a model's folder is in, as its files tell: that of transformers, or TransformerLens's before 4.0."""

from pathlib import Path
from typing import Any

from coact.artefacts import read_json
from coact.errors import ConfigError

FINAL_WEIGHTS = "*final.pth"  # of a model in the old format; others are from along its training
LEGACY_TYPE = "transformer_lens"  # model_type of such a model once it is saved by this project


def is_legacy(folder: str | Path) -> bool:
    """Whether a folder is a model in the format that TransformerLens had before 4.0."""
    found = _config(folder)
    return "model_type" not in found and {"d_model", "n_layers", "d_vocab"} <= set(found)


def legacy_weights(folder: str | Path) -> Path:
    """The file of the final weights of such a model.

    Raises:
        ConfigError: there is none, or more than one.
    """
    files = sorted(Path(folder).glob(FINAL_WEIGHTS))
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise ConfigError(f"{folder}: found {found}, expected one file {FINAL_WEIGHTS} of final weights")
    return files[0]


def is_saved_legacy(folder: str | Path) -> bool:
    """Whether a folder is a model that came in that format, and was saved by this project."""
    return _config(folder).get("model_type") == LEGACY_TYPE


def _config(folder: str | Path) -> dict[str, Any]:
    path = Path(folder) / "config.json"
    return read_json(path) if path.is_file() else {}
