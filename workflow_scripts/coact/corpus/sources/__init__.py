"""Kinds of sources: where text comes from.

In: one entry of `corpus.sources`, with the defaults of the schema filled in. Out: documents, one at a time.

A kind is a module with four functions:

- `check(spec)` raises `ConfigError` for what can be known without reading text, and imports nothing heavy;
- `get_labels(spec)` lists the labels that its documents may have;
- `read_documents(spec, seed)` yields documents in an order that depends on the entry and the seed alone, and does
  no work for documents that are not asked for;
- `describe(spec)` gives what the manifest says of the source beyond its counts.

A new kind is one more module, a line in `KINDS` and a definition in `config.schema.yaml`.
"""

from types import ModuleType
from typing import Any

from coact.corpus.sources import files, huggingface, installed, probes
from coact.errors import ConfigError

KINDS: dict[str, ModuleType] = {
    "files": files,
    "huggingface": huggingface,
    "installed": installed,
    "probes": probes,
}


def check_sources(sources: list[dict[str, Any]]) -> None:
    """Refuse what is wrong with `corpus.sources` before any text is read. Takes milliseconds.

    Raises:
        ConfigError: two sources of one name, labels of two sources that would mix, an unknown kind, shares that
            sum to 0, a package that is not installed, or a glob that matches no file.
    """
    names = [spec["name"] for spec in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"corpus.sources: {names.count(name)} sources have the name {name!r}; names must differ")
    for spec in sources:
        if spec["kind"] not in KINDS:
            raise ConfigError(
                f"corpus.sources: {spec['name']} has kind {spec['kind']!r}; known kinds: {', '.join(KINDS)}"
            )
    if sum(spec["share"] for spec in sources) <= 0:
        raise ConfigError("corpus.sources: the shares sum to 0; at least one source needs a share above 0")
    for spec in used_sources(sources):
        KINDS[spec["kind"]].check(spec)
        if spec["kind"] != "probes":
            for other in used_sources(sources):
                if other["kind"] == "probes" and spec["name"] in get_kind_labels(other):
                    raise ConfigError(
                        f"corpus.sources: the name {spec['name']!r} is also a context of the probes {other['name']!r};"
                        " rename the source, so that its label is not taken for that context"
                    )


def available_sources(sources: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The sources that can be read, and by name why the others, optional ones of the Hub, cannot.

    Raises:
        ConfigError: none with a share above 0 is left.
    """
    failed = {
        spec["name"]: reason
        for spec in used_sources(sources)
        if spec["kind"] == "huggingface" and (reason := huggingface.why_left_out(spec))
    }
    kept = [spec for spec in sources if spec["name"] not in failed]
    if not used_sources(kept):
        raise ConfigError(f"corpus.sources: no source is left; {' '.join(failed.values())}")
    return kept, failed


def used_sources(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sources that have a share above 0, in the order of the configuration."""
    return [spec for spec in sources if spec["share"] > 0]


def get_shares(sources: list[dict[str, Any]]) -> dict[str, float]:
    """Share of the tokens by source, summing to 1. Sources of share 0 are left out."""
    used = used_sources(sources)
    total = sum(spec["share"] for spec in used)
    return {spec["name"]: spec["share"] / total for spec in used}


def get_kind_labels(spec: dict[str, Any]) -> list[str]:
    """The labels that documents of the source `spec` may have."""
    return KINDS[spec["kind"]].get_labels(spec)


def get_labels(sources: list[dict[str, Any]]) -> list[str]:
    """The labels of all used sources, each once, in the order of the configuration.

    A label's place in this list is its number in the token files of both splits.
    """
    return list(dict.fromkeys(label for spec in used_sources(sources) for label in get_kind_labels(spec)))
