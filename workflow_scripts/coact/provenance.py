"""What made an artefact: the parameters, their hash and the versions of the packages."""

import functools
import hashlib
import json
import platform
from importlib import metadata
from typing import Any

from coact import __version__

PACKAGES = (
    "torch",
    "transformers",
    "transformer-lens",
    "tokenizers",
    "snakemake",
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "pyarrow",
    "networkx",
    "umap-learn",
)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def config_hash(params: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `params`."""
    return hashlib.sha256(canonical_json(params).encode()).hexdigest()


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python, of this project and of the packages that shape the results."""
    found = {"python": platform.python_version(), "coact": __version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def stamp(rule: str, params: dict[str, Any], wildcards: dict[str, str]) -> dict[str, Any]:
    """The record written into every artefact.

    Args:
        rule: name of the workflow rule.
        params: the rule's parameters, seeds included.
        wildcards: the values of the rule's wildcards.
    Returns:
        A dictionary of plain values. It holds no time and no host, so that the same configuration gives
        the same bytes.
    """
    return {
        "rule": rule,
        "wildcards": wildcards,
        "params": params,
        "config_hash": config_hash(params),
        "versions": versions(),
    }
