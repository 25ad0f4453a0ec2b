"""The configuration: read against its schema, completed with defaults, and checked before anything runs.

Light on imports: the workflow loads it at every start.
"""

import copy
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from coact.errors import ConfigError

SCHEMA = Path(__file__).resolve().parents[2] / "rules" / "config.schema.yaml"


def load_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def read_config(paths: Sequence[str | Path]) -> dict[str, Any]:
    """The completed configuration of files that lie one over the other, as Snakemake lays its --configfile.

    Mappings are merged, key by key at every depth; all else is replaced by what comes later.

    Raises:
        ConfigError: a file cannot be read or holds no mapping, or what they give together is refused by `complete`.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
        if found is not None and not isinstance(found, dict):
            raise ConfigError(f"{path}: found {type(found).__name__}, expected a mapping of keys")
        _merge(merged, found or {})
    return complete(merged)


def _merge(config: dict[str, Any], overlay: dict[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = copy.deepcopy(value)


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """A checked copy of `config` with every default filled in.

    Entries of `models` and `saes` that are null are left out (an overlay removes an entry so).

    Raises:
        ConfigError: a key is unknown, a value is of the wrong type or out of range.
    """
    config = copy.deepcopy(config)
    for section in ("models", "saes"):
        if isinstance(config.get(section), dict):
            config[section] = {name: entry for name, entry in config[section].items() if entry is not None}
    schema = load_schema()
    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    found = (_message(leaf, schema) for error in errors for leaf in _leaves(error))
    messages = sorted(message for message in found if message)
    if messages:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise ConfigError(messages[0] + more)
    return _fill(config, schema, schema)


def _leaves(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    if not error.context:
        return [error]
    return [leaf for child in error.context for leaf in _leaves(child)]


def _message(error: jsonschema.ValidationError, schema: dict[str, Any]) -> str | None:
    """One line on an error; None where it only follows from another."""
    key = "config"
    for part in error.absolute_path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix("config.")
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        return _message_on_key(key, error.instance, error.schema, schema)
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{key}: key '{missing}' is missing"
    if error.validator == "type":
        expected = error.validator_value
        expected = expected if isinstance(expected, str) else " or ".join(expected)
        return f"{key}: found {error.instance!r}, expected {expected}"
    return f"{key}: {error.message}"


def _message_on_key(key: str, instance: dict[str, Any], node: dict[str, Any], schema: dict[str, Any]) -> str | None:
    """One line on a key of `instance` that `node`, and the branches of it that apply, do not have; None without one.

    A key of a branch that does not apply, as of another architecture, is told as that.
    """
    known, owners, choice = list(node.get("properties", {})), {}, None
    for selector, value, branch in branches(node, schema):
        properties = branch.get("properties", {})
        if instance.get(selector) == value:
            known, choice = known + list(properties), f"{selector} '{value}'"
        for name in properties:
            owners.setdefault(name, []).append(value)
    unknown = set(instance) - set(known)
    if owners and choice is None:  # what chooses a branch is wrong or missing, and that is an error of its own
        unknown -= set(owners)
    if not unknown:
        return None
    name = min(unknown)
    if name in owners:
        return f"{key}: key '{name}' is not one of {choice} ({_have(owners[name])} it)"
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
    return f"{key}: unknown key '{name}'; {hint}"


def _have(names: list[str]) -> str:
    return f"{', '.join(sorted(names))} {'has' if len(names) == 1 else 'have'}"


def resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A node of the schema with its reference followed; keys beside the reference win."""
    if "$ref" not in node:
        return node
    own = {key: value for key, value in node.items() if key != "$ref"}
    return {**schema["$defs"][node["$ref"].rsplit("/", 1)[1]], **own}


def branches(node: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """What a node adds depending on the value of one of its keys: (key, value, further node) of every branch."""
    found = []
    for branch in node.get("allOf", []):
        ((key, condition),) = branch["if"]["properties"].items()
        found.append((key, condition["const"], resolve(branch["then"], schema)))
    return found


def _fill(value: Any, node: dict[str, Any], schema: dict[str, Any]) -> Any:
    node = resolve(node, schema)
    for key, choice, branch in branches(node, schema):
        if isinstance(value, dict) and value.get(key) == choice:
            value = _fill(value, branch, schema)
    if isinstance(value, dict):
        filled = {}
        for name, child in node.get("properties", {}).items():
            if name not in value:
                target = resolve(child, schema)
                if "default" not in target:
                    continue
                filled[name] = copy.deepcopy(target["default"])
            else:
                filled[name] = value[name]
            filled[name] = _fill(filled[name], child, schema)
        other = node.get("additionalProperties")
        for name, item in value.items():
            if name not in filled:
                filled[name] = _fill(item, other, schema) if isinstance(other, dict) else item
        return filled
    if isinstance(value, list) and isinstance(node.get("items"), dict):
        return [_fill(item, node["items"], schema) for item in value]
    return value
