"""What an SAE that was made elsewhere says of itself: architecture, sizes, hook point. Light on imports: no torch.

In: the settings of a family of kind `import`. Out: its description, in the words of SAELens 6 whatever wrote it: keys
of its cfg.json, of which "architecture" is one of `IMPORTED`, "d_in" and "d_sae" are above 0, and "metadata" is a
dictionary. The weights themselves are read by `coact.sae.imports`.
"""

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

from coact.errors import ConfigError

# What SAELens calls the architectures that can be imported, and what this project does.
IMPORTED = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu", "gated": "gated"}
# Keys of SAELens before version 6 -> what they are called now.
RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
ORIGIN = ("model_name", "hook_name", "hook_head_index", "context_size", "prepend_bos", "sae_lens_version")
MODEL_KWARGS = "model_from_pretrained_kwargs"  # of the metadata: how the model is to be loaded
SAE_LENS_FILES = ("cfg.json", "sae_weights.safetensors")
SPARSIFY_FILES = ("cfg.json", "sae.safetensors")
# Names of hook points of TransformerLens, by those of Neel Nanda's `site` and by the modules that sparsify hooks.
SITES = {
    **{name: f"hook_{name}" for name in ("resid_pre", "resid_mid", "resid_post", "mlp_out", "attn_out")},
    "post": "mlp.hook_post",
    "pre": "mlp.hook_pre",
    "z": "attn.hook_z",
}
MODULES = {
    "": "hook_resid_post",
    "mlp": "hook_mlp_out",
    "mlp.act": "mlp.hook_post",
    **dict.fromkeys(("attn", "attention", "self_attn"), "hook_attn_out"),
}
MODULE = re.compile(r"(?:\w+\.)*?(?:layers|h|blocks)\.(\d+)(?:\.([\w.]+))?")
TRANSPOSED = ".T"  # after the name of a tensor
AnyPath = TypeVar("AnyPath", bound=PurePath)
HEADER_BYTES = 100_000_000  # safetensors allows no more


def describe(settings: Mapping[str, Any], key: str, *, whole: bool = True) -> dict[str, Any]:
    """What the SAE of a family says of itself.

    Args:
        settings: of the family: format and path, and for "tensors" what a folder would say.
        key: the key of the configuration that names the family.
        whole: whether the weights have to be there too.
    Raises:
        ConfigError: the files are not of such an SAE, or its architecture cannot be imported.
    """
    if whole:
        _check_files(settings, f"{key}.path")
    found = DESCRIPTIONS[settings["format"]](settings, f"{key}.path")
    for size in ("d_in", "d_sae", *(["k"] if found["architecture"] == "topk" else [])):
        if not isinstance(found.get(size), int) or found[size] < 1:
            place = f"{key}.path: {settings['path']}"
            raise ConfigError(f"{place}: {size}: found {found.get(size)!r}, expected a whole number above 0")
    return found


def files_of(settings: Mapping[str, Any]) -> list[Path]:
    """The files that an SAE is imported from."""
    path = Path(settings["path"])
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in {".json", ".safetensors"})
    return [file for file in (path, config_beside(path)) if file.is_file()]


def check_options(settings: Mapping[str, Any], key: str) -> None:
    """Refuse settings of a family that its format does not have, or lacks.

    Raises:
        ConfigError: names the key.
    """
    ways = ("path", "repository", "release")
    given = [name for name in ways if settings[name] is not None]
    if given not in (["path"], ["repository"], ["path", "repository"], ["release"]):
        found = " and ".join(given) or "none of them"
        raise ConfigError(f"{key}: found {found}, expected path, repository (with a path in it or not), or release")
    if (settings["release"] is None) != (settings["id"] is None):
        raise ConfigError(f"{key}.id: found {settings['id']!r}, expected {'one' if given == ['release'] else 'none'}")
    if given != ["path"] and settings["format"] == "tensors":
        raise ConfigError(f"{key}.{given[-1]}: format tensors takes a path; fetch the file first (hf download)")
    if given == ["release"] and settings["format"] != "sae_lens":
        raise ConfigError(f"{key}.format: found '{settings['format']}', expected sae_lens with a release")
    given = settings["tensors"] is not None
    if given != (settings["format"] == "tensors"):
        found = "found, expected none" if given else "is missing; expected architecture and names"
        raise ConfigError(f"{key}.tensors: {found} with format '{settings['format']}'")


def _sae_lens(settings: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The cfg.json of SAELens, with keys of before its version 6 under their names of today, other keys kept."""
    config = _read_config(Path(settings["path"]) / SAE_LENS_FILES[0], key)
    place = f"{settings['path']}/{SAE_LENS_FILES[0]}"
    try:
        found = {"architecture": "standard"} | {RENAMED.get(name, name): value for name, value in config.items()}
        found["metadata"] = {name: found[name] for name in ORIGIN if name in found} | dict(found.get("metadata") or {})
        if found.get("activation_fn") == "topk":
            found |= {"architecture": "topk", "k": found["activation_fn_kwargs"].get("k")}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {place}: cannot be read ({error})") from None
    name = str(found["architecture"])
    if name not in IMPORTED:
        hint = "; SAELens' save_inference_model makes it jumprelu" if "batchtopk" in name else ""
        raise ConfigError(f"{key}: {place}: architecture: found '{name}', expected one of {', '.join(IMPORTED)}{hint}")
    return found


def _nanda(settings: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The <n>_cfg.json beside a <n>.pt of Neel Nanda's 1L-Sparse-Autoencoder, of any of its versions."""
    config = _read_config(config_beside(Path(settings["path"])), key)
    width = config.get("act_size", config.get("d_mlp"))
    size = config.get("dict_size")
    if size is None and isinstance(width, int) and isinstance(config.get("dict_mult"), int):
        size = width * config["dict_mult"]
    metadata = {"model_name": config.get("model_name")}
    site, layer = config.get("site"), config.get("layer")
    if site in SITES and isinstance(layer, int):
        metadata["hook_name"] = f"blocks.{layer}.{SITES[site]}"
    return {"architecture": "standard", "d_in": width, "d_sae": size, "metadata": metadata}


def _sparsify(settings: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The cfg.json of EleutherAI's sparsify; the folder's name says which module's output the SAE is of."""
    folder = Path(settings["path"])
    config, place = _read_config(folder / SPARSIFY_FILES[0], key), f"{folder}/{SPARSIFY_FILES[0]}"
    for name, plain in (("transcode", False), ("skip_connection", False), ("activation", "topk")):
        if config.get(name, plain) != plain:
            raise ConfigError(
                f"{key}: {place}: {name}: found {config[name]!r}, expected {plain!r}; others are no SAE of this study"
            )
    width, size = config.get("d_in"), config.get("num_latents")
    if not size and isinstance(width, int) and isinstance(config.get("expansion_factor"), int):
        size = width * config["expansion_factor"]
    module, metadata = MODULE.fullmatch(folder.resolve().name), {"model_name": None}
    if module and (module[2] or "") in MODULES:
        metadata["hook_name"] = f"blocks.{module[1]}.{MODULES[module[2] or '']}"
    return {"architecture": "topk", "k": config.get("k"), "d_in": width, "d_sae": size, "metadata": metadata}


def _tensors(settings: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What the configuration says of tensors of any names in a safetensors file; sizes are those of the decoder."""
    about, path = settings["tensors"], Path(settings["path"])
    shapes, asked = _shapes(path, key), about["names"]["W_dec"]
    shape = shapes.get(asked.removesuffix(TRANSPOSED))
    if shape is None or len(shape) != 2:
        place = f"{key.removesuffix('.path')}.tensors.names.W_dec"
        raise ConfigError(f"{place}: found '{asked}', expected a matrix; {path} has {', '.join(sorted(shapes))}")
    d_sae, d_in = reversed(shape) if asked.endswith(TRANSPOSED) else shape
    sae_lens = {ours: theirs for theirs, ours in IMPORTED.items()}[about["architecture"]]
    found = {"architecture": sae_lens, "d_in": d_in, "d_sae": d_sae, "metadata": {}}
    return found | ({"k": about.get("k")} if sae_lens == "topk" else {})


FOLDERS = {"sae_lens": SAE_LENS_FILES, "sparsify": SPARSIFY_FILES}
DESCRIPTIONS = {"sae_lens": _sae_lens, "nanda": _nanda, "sparsify": _sparsify, "tensors": _tensors}


def _check_files(settings: Mapping[str, Any], key: str) -> None:
    path, names = Path(settings["path"]), FOLDERS.get(settings["format"])
    if settings["format"] == "nanda":
        beside = config_beside(path)
        for file in (path, beside):
            if not file.is_file():
                raise ConfigError(
                    f"{key}: there is no file '{file}'; expected {path.name} with {beside.name} beside it"
                )
    if names and not path.is_dir():
        raise ConfigError(f"{key}: '{path}' is not a folder; expected that of an SAE in format {settings['format']}")
    for name in names or ():
        if not (path / name).is_file():
            raise ConfigError(f"{key}: '{path}' has no {name}; expected {' and '.join(names)}")


def config_beside(path: AnyPath) -> AnyPath:
    """The configuration of a <n>.pt of Neel Nanda's."""
    return path.with_name(f"{path.stem}_cfg.json")


def _read_config(path: Path, key: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: {path}: cannot be read ({error})") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{key}: {path}: cannot be read (found {type(found).__name__}, expected a mapping)")
    return found


def _shapes(path: Path, key: str) -> dict[str, list[int]]:
    """Shapes of the tensors in a safetensors file, from its header (the format's documentation: 8 bytes, then JSON)."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > HEADER_BYTES:
                raise ValueError(f"its header would have {size:,} bytes")
            header = json.loads(file.read(size))
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{key}: '{path}' is no safetensors file ({error})") from None
