"""Draws that the passages share."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
SHORTEST, LONGEST = 100, 800


def draw_length(rng: np.random.Generator) -> int:
    """Length of a passage in characters, log-uniform between `SHORTEST` and `LONGEST`."""
    return int(np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """One of `items`, each as likely as the others."""
    return items[int(rng.integers(len(items)))]


def pick_skewed(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """One of `items`, the first ones more often: as in real text, few are common and most are rare."""
    return items[int(len(items) * rng.random() ** 1.5)]


def fill(make: Callable[[], str], separator: str, length: int) -> str:
    """Items of `make` with `separator` between them, up to at least `length` characters."""
    items, size = [], 0
    while size < length:
        items.append(make())
        size += len(items[-1]) + len(separator)
    return separator.join(items)


def wrap(text: str, width: int, separator: str = "\n") -> str:
    """`text` cut every `width` characters; spaces at the cuts are dropped."""
    return separator.join(text[start : start + width].strip(" ") for start in range(0, len(text), width))
