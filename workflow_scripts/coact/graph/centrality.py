"""Centralities, cores and degree assortativity.

In: edges between nodes 0..n-1. Out: a table with a row per node, and one number; None where it is not defined.

Counted are shortest paths (Brandes 2001, Journal of Mathematical Sociology 25:163), visits of a random surfer (Brin
and Page 1998, Computer Networks 30:107) and cores (Seidman 1983, Social Networks 5:269), by igraph.
"""

import numpy as np
import pandas as pd

from coact.graph.degree import degrees
from coact.graph.igraphs import igraph, make_igraph

DAMPING = 0.85
EXACT_WORK = 1_000_000_000  # nodes with an edge x edges up to which betweenness is exact
LEAST_SOURCES = 100


def centralities(
    source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_nodes: int, *, seed: int = 0
) -> pd.DataFrame:
    """Centralities of the nodes of a simple undirected graph.

    Betweenness takes a search through all edges from every node with an edge. Where that is too much (nodes with an
    edge times edges above 1e9) it is estimated from a simple random sample of these nodes as sources, in number
    1e9 / edges but at least 100: what they contribute, times nodes with an edge over sources (Brandes and Pich 2007,
    International Journal of Bifurcation and Chaos 17:2303). The estimate is unbiased.

    Args:
        source, target: (edges,) integers below `n_nodes`, every edge once, no loops.
        weight: (edges,) above 0.
        n_nodes: number of nodes, isolated ones included.
        seed: seed of the sample of sources.

    Returns:
        One row per node, in order:

        - degree int64; strength float64, the sum of the weights of its edges;
        - pagerank float64, of the weighted graph with damping 0.85: at isolated nodes the surfer jumps to any node.
          Sums to 1;
        - betweenness float64, weights ignored: shortest paths between other nodes that lead through the node, a pair
          of nodes with several shortest paths counting in shares, over the number of pairs, (n - 1)(n - 2) / 2. 0
          below three nodes;
        - core int32, the largest k such that the node is in the k-core, the largest subgraph in which all degrees are
          at least k.

        `.attrs["betweenness"]`: estimator ("exact" or "sampled_sources"), sources (searches made), nodes (with an
        edge).
    """
    degree = degrees(source, target, n_nodes)
    weight = np.asarray(weight, np.float64)
    strength = np.bincount(source, weight, n_nodes) + np.bincount(target, weight, n_nodes)
    graph = make_igraph(source, target, n_nodes)
    betweenness, how = _betweenness(graph, np.flatnonzero(degree), seed)
    table = pd.DataFrame(
        {
            "degree": degree,
            "strength": strength.astype(np.float64),  # NumPy counts in integers where there is no weight
            "pagerank": np.array(graph.pagerank(directed=False, damping=DAMPING, weights=weight.tolist()), np.float64),
            "betweenness": betweenness,
            "core": np.array(graph.coreness(), np.int32),
        }
    )
    table.attrs["betweenness"] = how
    return table


def assortativity(source: np.ndarray, target: np.ndarray, n_nodes: int) -> float | None:
    """Degree assortativity (Newman 2002, Physical Review Letters 89:208701).

    The Pearson correlation, over edges taken in both directions, of the degrees at their two ends.

    Args:
        source, target, n_nodes: as in `centralities`.

    Returns:
        A value in [-1, 1], or None where all ends have one degree, as without edges.
    """
    degree = degrees(source, target, n_nodes)
    one, other = degree[source], degree[target]
    # Integers, so that no variation is exactly 0; Python's, since the squares of sums may exceed 64 bits.
    edges, both = len(one), int((one + other).sum())
    variance = 2 * edges * int((one * one + other * other).sum()) - both * both
    return (4 * edges * int((one * other).sum()) - both * both) / variance if variance else None


def _betweenness(graph: igraph.Graph, linked: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, str | int]]:
    """(n,) float64 normalised betweenness, and how it was found."""
    n, edges, sources = graph.vcount(), graph.ecount(), linked
    if len(linked) * edges > EXACT_WORK:
        size = min(len(linked), max(LEAST_SOURCES, EXACT_WORK // edges))
        sources = np.sort(np.random.default_rng(seed).choice(linked, size, replace=False))
    sampled = len(sources) < len(linked)
    how = {"estimator": "sampled_sources" if sampled else "exact", "sources": len(sources), "nodes": len(linked)}
    if n < 3 or not len(linked):
        return np.zeros(n), how
    found = np.array(graph.betweenness(directed=False, sources=sources.tolist() if sampled else None), np.float64)
    return found * (len(linked) / len(sources)) / ((n - 1) * (n - 2) / 2), how
