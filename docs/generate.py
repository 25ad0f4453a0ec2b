"""Write docs/configuration.md from rules/config.schema.yaml.

Run: make docs, or PYTHONPATH=workflow_scripts python docs/generate.py
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coact.artefacts import atomic
from coact.config import branches, load_schema, resolve

PAGE = Path(__file__).with_name("configuration.md")
TITLES = {"saes": "SAEs", "ground_truth": "Ground truth"}
Node = dict[str, Any]

INTRO = """\
# Configuration

Written by `docs/generate.py` from `rules/config.schema.yaml`; do not edit. After a change to the schema: `make docs`.

The default study is `config.yaml`. Other studies are overlays of it:

```bash
snakemake --cores all --resources gpu=1 --configfile presets/tiny.yaml
```

In an overlay mappings are merged key by key, and lists and plain values are replaced. An entry of `models` or `saes`
that is set to `null` is left out; since keys merge, an entry that changes its kind needs a new name. Unknown keys are
refused. In the paths below `[]` stands for each item of a list, and `<model>` and `<family>` for names of your choice.
A default of "required" means that the key has none.

The configuration holds the science alone. Cores, memory and executors belong to `rules/` and `profiles/`.
"""
CHECKS = """\
## Checks between keys

Beyond types and ranges, a study is refused before anything runs, with one line that names the key, when

- shares of the sources sum to 0, two sources have one name, a glob matches no file, or a package is not installed;
- a source of the Hub has both `column` and `tokens_column`, only one of `tokens_column` and `tokens_of`, or a
  `tokens_of` that is no model of kind `local` or `hub`;
- a source has the name of a context of the probes, so that their labels would mix;
- `activations.train_tokens` or `activations.heldout_tokens` is above its namesake in `corpus`, or below one context;
- `activations.shard_tokens` is not a multiple of `graph.batch_contexts` x `corpus.context_length`;
- the captured stream that `graph.split` names holds fewer than `graph.batches` batches;
- a family has a key of another architecture than its own;
- `graph.k`, one of `sensitivity.k`, or `k` of a family is above the number of features (where the width at the hook
  point can be told);
- `prefixes` of a family do not ascend to 1, or one of them adds no feature to the one before;
- `activations.hook` names a block that a model lacks (other unknown hook points are refused once the model is open);
- a model is called `corpus`, its `heads` do not divide its `d_model`, or its `like` is not another, real model;
- a local model's folder lacks `config.json`, safetensors weights or a tokenizer;
- an imported SAE's folder lacks `cfg.json` or weights, or its architecture, width or hook point does not fit;
- a family names a model that is not there, or no family is made for any model.

Text that falls short of its share of tokens is found when the corpus is tokenized, since only then is its length known.
"""


def main() -> None:
    """Write the page."""
    with atomic(PAGE) as part:
        part.write_text(configuration(load_schema()), encoding="utf-8")


def configuration(schema: Node) -> str:
    """The page as Markdown.

    Args:
        schema: the JSON Schema of the configuration, as `coact.config.load_schema` gives it.
    """
    plain = {name: node for name, node in schema["properties"].items() if not _holds_keys(node, schema)}
    parts = [INTRO, "## Study\n", _table(_rows(plain, schema, "", schema["required"]))]
    for name, node in schema["properties"].items():
        if name not in plain:
            parts += _section(name, node, schema, name in schema["required"])
    return "\n".join([*parts, CHECKS])


def _section(name: str, node: Node, schema: Node, required: bool) -> Iterator[str]:
    """A stage: its description, its table, and a subsection for every group of keys and every kind of its entries."""
    yield f"## {TITLES.get(name, name.capitalize())}\n"
    yield f"`{name}`{' (required)' if required else ''}: {_text(node['description'])}\n"
    if "properties" in node:
        groups = {key: child for key, child in node["properties"].items() if _holds_keys(child, schema)}
        plain = {key: child for key, child in node["properties"].items() if key not in groups}
        yield _table(_rows(plain, schema, f"{name}.", node.get("required", [])))
        for key, child in groups.items():
            yield f"### `{name}.{key}`\n"
            yield f"{_text(child['description'])}\n"
            path, keys = f"{name}.{key}.", child
            if "properties" not in child:  # entries of any names
                path, keys = f"{path}<name>.", child["additionalProperties"]
            yield _table(_rows(keys["properties"], schema, path, keys.get("required", [])))
        for key, child in plain.items():
            if "items" in child and branches(resolve(child["items"], schema), schema):
                yield from _entries(f"{name}.{key}[]", child["items"], schema)
    else:
        entry = "<model>" if name == "models" else "<family>"
        yield f"Names match `{resolve(node['propertyNames'], schema)['pattern']}`.\n"
        yield from _entries(f"{name}.{entry}", node["additionalProperties"], schema)


def _entries(path: str, node: Node, schema: Node) -> Iterator[str]:
    """What entries of every kind share, then one subsection per kind."""
    node = resolve(node, schema)
    kinds = {kind: child for _, kind, child in branches(node, schema)}
    tables = {kind: child["properties"] for kind, child in kinds.items()}
    first = next(iter(tables.values()))
    shared = {key: value for key, value in first.items() if all(table.get(key) == value for table in tables.values())}
    shared = {**{key: value for key, value in shared.items() if key == "name"}, **node["properties"], **shared}
    yield f"### `{path}`\n"
    yield _table(_rows(shared, schema, f"{path}.", node["required"]))
    for kind, child in kinds.items():
        yield f"### `{path}`, kind `{kind}`\n"
        yield f"{_text(child['description'])}\n"
        own = {key: value for key, value in tables[kind].items() if key not in shared}
        if own:
            yield _table(_rows(own, schema, f"{path}.", child.get("required", [])))
        else:
            yield "No further keys.\n"
        for key, value, branch in branches(child, schema):
            yield f"#### `{path}`, {key} `{value}`\n"
            yield f"{_text(branch['description'])}\n"
            yield _table(_rows(branch["properties"], schema, f"{path}.", branch.get("required", [])))


def _holds_keys(node: Node, schema: Node) -> bool:
    kind = resolve(node, schema).get("type")
    return "object" in ([kind] if isinstance(kind, str) else kind or [])


def _rows(properties: dict[str, Node], schema: Node, prefix: str, required: list[str]) -> Iterator[list[str]]:
    for name, child in properties.items():
        node = resolve(child, schema)
        default = "required" if name in required else _default(node, schema)
        yield [
            f"`{prefix}{name}`",
            _type(node, schema),
            default,
            _range(node, schema),
            _text(node.get("description", "")),
        ]


def _type(node: Node, schema: Node) -> str:
    names = node.get("type", "string")
    names = [names] if isinstance(names, str) else names
    if "array" not in names:
        return " or ".join(names)
    item = resolve(node["items"], schema)
    plural = {"object": "mappings"}.get(item.get("type", "string"), f"{item.get('type', 'string')}s")
    return " or ".join(f"list of {plural}" if name == "array" else name for name in names)


def _default(node: Node, schema: Node) -> str:
    if "default" not in node:
        return "none"
    value = node["default"]
    if isinstance(value, list) and len(value) > 1 and value == resolve(node["items"], schema).get("enum"):
        return "all of them"
    text = f"{value:.12g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if not isinstance(value, str) else f"`{value}`"


def _range(node: Node, schema: Node) -> str:
    """Choices and bounds in words."""
    parts = []
    if "enum" in node:
        parts.append(", ".join(f"`{choice}`" for choice in node["enum"]))
    for key, word in (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"),
                      ("exclusiveMaximum", "below")):  # fmt: skip
        if key in node:
            parts.append(f"{word} {node[key]:.15g}")
    if "pattern" in node:
        parts.append(f"matches `{node['pattern']}`")
    if node.get("minLength"):
        parts.append("not empty")
    if node.get("minItems"):
        parts.append(f"at least {node['minItems']} item{'s' if node['minItems'] > 1 else ''}")
    if node.get("uniqueItems"):
        parts.append("no repeats")
    if "items" in node and (each := _range(resolve(node["items"], schema), schema)):
        parts.append(f"each {each}" if "enum" not in resolve(node["items"], schema) else f"of {each}")
    return "; ".join(parts)


def _text(description: str) -> str:
    """A description as Markdown that shows it as it is."""
    return re.sub(r"[<*]", r"\\\g<0>", " ".join(description.split()))


def _table(rows: Iterator[list[str]]) -> str:
    lines = ["| Key | Type | Default | Range | Description |", "|:---|:---|:---|:---|:---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
