"""Local clustering. In: edges between nodes 0..n-1. Out: a coefficient per node.

For every edge the neighbours that its two ends have in common are counted. Nodes with at least n / 64 neighbours hold
them as bits, so that two such nodes are compared 64 neighbours at a time; else the shorter of the two lists is read. So
an edge takes at most n / 64 steps, and bits take at most 16 bytes per edge. Counts are integers: nothing depends on the
order of edges.
"""

import numpy as np
from numba import njit

WORD = 64
SHIFT, LOW_BITS, ONE = np.uint64(6), np.uint64(63), np.uint64(1)
TWO, FOUR, TOP_BYTE = np.uint64(2), np.uint64(4), np.uint64(56)
PAIRS, QUADS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
BYTES, SUM = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


def local_clustering(source: np.ndarray, target: np.ndarray, n_nodes: int) -> np.ndarray:
    """Local clustering coefficients of a simple undirected graph (Watts and Strogatz 1998, Nature 393:440).

    Args:
        source, target: (edges,) integers below `n_nodes`, every edge once, no loops.
        n_nodes: number of nodes.

    Returns:
        (n_nodes,) float64, the share of pairs of a node's neighbours that are joined; 0 below two neighbours.
    """
    bounds, neighbours = _neighbour_lists(
        np.ascontiguousarray(source, np.int64), np.ascontiguousarray(target, np.int64), n_nodes
    )
    degree = np.diff(bounds)
    closed = _count_closed(bounds, neighbours, (n_nodes + WORD - 1) // WORD)
    return closed / np.maximum(degree * (degree - 1), 1)


@njit(cache=True)
def _neighbour_lists(source: np.ndarray, target: np.ndarray, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of every node, in no order: (n + 1,) int64 bounds, (2 edges,) int32."""
    bounds = np.zeros(n_nodes + 1, np.int64)
    for edge in range(len(source)):
        bounds[source[edge] + 1] += 1
        bounds[target[edge] + 1] += 1
    for node in range(n_nodes):
        bounds[node + 1] += bounds[node]
    place, neighbours = bounds[:-1].copy(), np.empty(2 * len(source), np.int32)
    for edge in range(len(source)):
        one, other = source[edge], target[edge]
        neighbours[place[one]] = other
        neighbours[place[other]] = one
        place[one] += 1
        place[other] += 1
    return bounds, neighbours


@njit(cache=True)
def _count_closed(bounds: np.ndarray, neighbours: np.ndarray, words: int) -> np.ndarray:
    """(n,) int64, ordered pairs of neighbours of each node that are joined."""
    n_nodes = len(bounds) - 1
    row, hubs = np.full(n_nodes, -1, np.int64), 0
    for node in range(n_nodes):
        if bounds[node + 1] - bounds[node] >= max(words, 2):
            row[node] = hubs
            hubs += 1
    bits = np.zeros((hubs, words), np.uint64)
    for node in range(n_nodes):
        if row[node] >= 0:
            for entry in range(bounds[node], bounds[node + 1]):
                other = np.uint64(neighbours[entry])
                bits[row[node], np.int64(other >> SHIFT)] |= ONE << (other & LOW_BITS)
    closed, marked = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.bool_)
    for node in range(n_nodes):
        mine = neighbours[bounds[node] : bounds[node + 1]]
        for other in mine:
            marked[other] = True
        for other in mine:
            theirs = neighbours[bounds[other] : bounds[other + 1]]
            # The end with fewer neighbours is the one whose list is read.
            if len(theirs) < len(mine) or (len(theirs) == len(mine) and other < node):
                common = 0
                if row[other] >= 0:
                    common = _count_common(bits[row[node]], bits[row[other]])
                else:
                    for third in theirs:
                        common += marked[third]
                closed[node] += common
                closed[other] += common
        for other in mine:
            marked[other] = False
    return closed


@njit(cache=True)
def _count_common(one: np.ndarray, other: np.ndarray) -> int:
    """Bits that are set in both."""
    common = np.uint64(0)
    for word in range(len(one)):
        both = one[word] & other[word]
        # The number of ones in a word; compilers know this form and put the processor's own instruction in its place.
        both -= (both >> ONE) & PAIRS
        both = (both & QUADS) + ((both >> TWO) & QUADS)
        common += (((both + (both >> FOUR)) & BYTES) * SUM) >> TOP_BYTE
    return np.int64(common)
