"""Generated passages of known contexts, labelled.

For each feature that fires on them it is known which context every token belongs to. An endless source.
"""

import itertools
import zlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np

from coact.corpus.documents import Document


def check(spec: dict[str, Any]) -> None:
    """Nothing can be missing: the contexts are those of the schema."""


def get_labels(spec: dict[str, Any]) -> list[str]:
    """The contexts."""
    return list(spec["contexts"])


def describe(spec: dict[str, Any]) -> dict[str, Any]:
    """The contexts, the seed of their passages, and the versions of the packages that shape them."""
    versions = {name: metadata.version(name) for name in ("babel", "numpy")}
    return {"contexts": list(spec["contexts"]), "seed": spec["seed"], "packages": versions}


def read_documents(spec: dict[str, Any], seed: int) -> Iterator[Document]:
    """Yield passages for ever, the contexts by turns.

    A passage depends on the source's own seed, its context and its number alone: neither `seed`, which shuffles
    documents later, nor the other contexts change it.
    """
    from coact.corpus.passages import GENERATORS

    for number in itertools.count(1):
        for context in spec["contexts"]:
            entropy = (spec["seed"], zlib.crc32(context.encode()), number)
            text = GENERATORS[context](np.random.default_rng(entropy))
            yield Document(text, spec["name"], context, f"{context}/{number}")
