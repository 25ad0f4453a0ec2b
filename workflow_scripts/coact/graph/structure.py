"""Structure of a graph: size, degrees, density, components, clustering.

In: number of nodes and edges between nodes 0..n-1. Out: plain numbers; None where a figure is not defined.
"""

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from coact.graph.centrality import assortativity
from coact.graph.clustering import local_clustering
from coact.graph.degree import degrees


def describe_structure(source: np.ndarray, target: np.ndarray, n_nodes: int) -> dict[str, Any]:
    """Descriptive figures of a simple undirected graph.

    Args:
        source, target: (edges,) integers below `n_nodes`, every edge once, no loops.
        n_nodes: number of nodes, isolated ones included.

    Returns:
        nodes, edges, mean_degree, median_degree, max_degree, density (edges over possible edges), components (isolated
        nodes are components), largest_component (nodes in it), isolated (nodes without an edge), component_sizes
        (pairs of size and number of components of that size, largest first) and average_clustering (mean over all
        nodes of the local clustering coefficient of Watts and Strogatz 1998, Nature 393:440, taken as 0 for nodes
        with fewer than two neighbours, as networkx does).
        assortativity is that of `coact.graph.centrality.assortativity`.
        Without a node the degrees, largest_component and average_clustering are None; below two nodes density is.
    """
    degree = degrees(source, target, n_nodes)
    sizes, how_many = np.unique(_component_sizes(source, target, n_nodes), return_counts=True)
    found: dict[str, Any] = {
        "nodes": n_nodes,
        "edges": len(source),
        "mean_degree": None,
        "median_degree": None,
        "max_degree": None,
        "density": 2 * len(source) / (n_nodes * (n_nodes - 1)) if n_nodes > 1 else None,
        "components": int(how_many.sum()),
        "largest_component": None,
        "isolated": int((degree == 0).sum()),
        "component_sizes": [[int(size), int(count)] for size, count in zip(sizes[::-1], how_many[::-1], strict=True)],
        "average_clustering": None,
        "assortativity": assortativity(source, target, n_nodes),
    }
    if n_nodes:
        found["mean_degree"] = 2 * len(source) / n_nodes
        found["median_degree"] = float(np.median(degree))
        found["max_degree"] = int(degree.max())
        found["largest_component"] = int(sizes[-1])
        found["average_clustering"] = float(local_clustering(source, target, n_nodes).mean())
    return found


def _component_sizes(source: np.ndarray, target: np.ndarray, n_nodes: int) -> np.ndarray:
    """(components,) int64, nodes in each."""
    if not n_nodes:
        return np.empty(0, np.int64)
    joined = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(n_nodes, n_nodes))
    return np.bincount(connected_components(joined, directed=False)[1])
