"""The graph around a feature, and the graph of a community, with a place for every node.

In: edges and communities of one graph. Out: plain lists of nodes and edges, small enough to be drawn.

Places come from the layout of Fruchterman and Reingold (1991, Software: Practice and Experience 21:1129), igraph's. It
starts from a circle here: alike on every run.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from coact.graph.igraphs import make_igraph, seeded
from coact.interpretation.cards import EDGE, Neighbours

ITERATIONS = 300
DIGITS = 3  # of a place
FLOOR = 0.1  # added to weights: an edge of weight 0 pulls too


class Neighbourhoods:
    """Parts of one graph.

    Args:
        edges: source, target, weight, count, q, lift, significant; every edge once.
        communities: (D,) integers, negative where a feature belongs to none.
        neighbours: most neighbours of a feature that are drawn, significant ones first, then by weight.
        members: most members of a community that are drawn, by strength.
        most_edges: most edges that are drawn, significant ones first, then by weight; edges of the feature itself are
            drawn always.
    """

    def __init__(
        self, edges: pd.DataFrame, communities: np.ndarray, neighbours: int, members: int, most_edges: int
    ) -> None:
        n, n_edges = len(communities), len(edges)
        self._members, self._most_edges = members, most_edges
        self._values = {name: edges[name].to_numpy() for name in EDGE}
        self._neighbours = Neighbours(edges, neighbours)
        ends = edges["source"].to_numpy(), edges["target"].to_numpy()
        # Row and column of a feature hold 1 + the number of the edge: a stored zero would vanish.
        self._adjacency = csr_array((np.arange(1, n_edges + 1), ends), shape=(n, n))
        self._strength = sum(np.bincount(end, edges["weight"].to_numpy(), n) for end in ends)
        self._communities = communities
        order = np.lexsort((-edges["weight"].to_numpy(), ~edges["significant"].to_numpy(bool)))
        self._rank = np.empty(n_edges, np.int64)
        self._rank[order] = np.arange(n_edges)

    @property
    def communities(self) -> list[int]:
        """Their sizes."""
        return np.bincount(self._communities[self._communities >= 0]).tolist()

    def around(self, feature: int) -> dict[str, Any]:
        """A feature, its neighbours and the edges among them.

        Returns:
            `nodes`: feature, x, y of each, the feature itself first, x and y from -1 to 1; `edges`: places of the two
            nodes among `nodes`, then the values of `EDGE`.
        """
        nodes = np.array([feature, *(entry["feature"] for entry in self._neighbours.of(feature))], np.int64)
        return self._draw(nodes, centre=0)

    def within(self, community: int) -> dict[str, Any]:
        """A community's strongest members and the edges among them; as `around`, the strongest member first."""
        members = np.flatnonzero(self._communities == community)
        nodes = members[np.argsort(-self._strength[members], kind="stable")][: self._members]
        return self._draw(nodes, centre=None)

    def _draw(self, nodes: np.ndarray, centre: int | None) -> dict[str, Any]:
        part = self._adjacency[nodes][:, nodes].tocoo()
        numbers = part.data - 1
        own = np.zeros(len(numbers), bool) if centre is None else (part.row == centre) | (part.col == centre)
        kept = np.lexsort((self._rank[numbers], ~own))[: max(self._most_edges, int(own.sum()))]
        source, target = part.row[kept], part.col[kept]
        values = [self._values[name][numbers[kept]] for name in EDGE]
        places = _layout(source, target, values[EDGE.index("weight")], len(nodes))
        lists = [value.tolist() for value in values]
        return {
            "nodes": [[int(node), *place] for node, place in zip(nodes, places.tolist(), strict=True)],
            "edges": [list(edge) for edge in zip(source.tolist(), target.tolist(), *lists, strict=True)],
        }


def _layout(source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_nodes: int) -> np.ndarray:
    """(n_nodes, 2) float64 places; both directions are filled from -1 to 1, for distances mean nothing."""
    if n_nodes < 2:
        return np.zeros((n_nodes, 2))
    graph = make_igraph(source, target, n_nodes)
    with seeded(0):  # for jitter where two nodes meet
        layout = graph.layout_fruchterman_reingold(
            weights=FLOOR + weight, niter=ITERATIONS, seed=graph.layout_circle(), grid="nogrid"
        )
    places = np.array(layout.coords)
    least, most = places.min(axis=0), places.max(axis=0)
    spread = np.where(most > least, most - least, 1.0)
    return np.round(2 * (places - (least + most) / 2) / spread, DIGITS) + 0.0  # no -0.0
