"""Graphs for igraph's algorithms. In: edges between nodes 0..n-1. Out: an `igraph.Graph`."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np

# igraph takes matplotlib, for drawing, wherever it finds it; every job of the graph would pay a second for that.
_hidden = "matplotlib" not in sys.modules
if _hidden:
    sys.modules["matplotlib"] = None
import igraph  # noqa: E402

if _hidden:
    del sys.modules["matplotlib"]

EDGES_AT_ONCE = 1 << 16  # Python's integers take ten times the memory of the array's


def make_igraph(source: np.ndarray, target: np.ndarray, n_nodes: int) -> igraph.Graph:
    """An undirected graph whose edges are numbered in the order given.

    igraph takes five times as long to read an array as to read pairs of Python's integers.

    Args:
        source, target: (edges,) integers below `n_nodes`.
        n_nodes: number of nodes, isolated ones included.
    """
    parts = (slice(first, first + EDGES_AT_ONCE) for first in range(0, len(source), EDGES_AT_ONCE))
    pairs = chain.from_iterable(zip(source[part].tolist(), target[part].tolist(), strict=True) for part in parts)
    return igraph.Graph(n_nodes, edges=pairs)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """igraph's random numbers from a generator of our own; afterwards from Python's `random`, its default."""
    igraph.set_random_number_generator(random.Random(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
