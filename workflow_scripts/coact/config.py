"""The configuration: read against its schema, completed with defaults, and checked before anything runs.

Light on imports: the workflow loads it at every start.
"""

import copy
import difflib
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from coact.errors import ConfigError

SCHEMA = Path(__file__).resolve().parents[2] / "rules" / "config.schema.yaml"


def load_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


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
    messages = sorted(_message(leaf) for error in errors for leaf in _leaves(error))
    if messages:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise ConfigError(messages[0] + more)
    return _fill(config, schema, schema)


def _leaves(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    if not error.context:
        return [error]
    return [leaf for child in error.context for leaf in _leaves(child)]


def _message(error: jsonschema.ValidationError) -> str:
    key = "config"
    for part in error.absolute_path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix("config.")
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{key}: unknown key '{unknown}'; {hint}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{key}: key '{missing}' is missing"
    if error.validator == "type":
        expected = error.validator_value
        expected = expected if isinstance(expected, str) else " or ".join(expected)
        return f"{key}: found {error.instance!r}, expected {expected}"
    return f"{key}: {error.message}"


def _fill(value: Any, node: dict[str, Any], schema: dict[str, Any]) -> Any:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    for branch in node.get("allOf", []):
        kind = branch["if"]["properties"]["kind"]["const"]
        if isinstance(value, dict) and value.get("kind") == kind:
            value = _fill(value, branch["then"], schema)
    if isinstance(value, dict):
        filled = {}
        for name, child in node.get("properties", {}).items():
            if name not in value:
                target = schema["$defs"][child["$ref"].rsplit("/", 1)[1]] if "$ref" in child else child
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
