"""Local clustering against networkx, and graphs for igraph."""

import networkx as nx
import numpy as np
import pytest

from coact.graph import igraphs
from coact.graph.clustering import local_clustering
from coact.graph.igraphs import make_igraph


def random_graph(n, edges, seed):
    """Distinct edges, most of them between the first nodes; in no order, ends in no order."""
    generator = np.random.default_rng(seed)
    drawn = np.sort((n * generator.random((edges, 2)) ** 3).astype(int), axis=1)
    drawn = generator.permutation(np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0))
    return np.where(generator.random(len(drawn))[:, None] < 0.5, drawn, drawn[:, ::-1])


# Below 64 nodes every node with two neighbours holds them as bits; at 700 nodes some do, at 5,000 none.
@pytest.mark.parametrize(("n", "edges"), [(1, 0), (3, 3), (30, 200), (64, 900), (65, 900), (700, 4000), (5000, 9000)])
def test_local_clustering_as_networkx(n, edges):
    for seed in range(3):
        drawn = random_graph(n, edges, seed)
        graph = nx.Graph(drawn.tolist())
        graph.add_nodes_from(range(n))
        expected = nx.clustering(graph)
        found = local_clustering(drawn[:, 0], drawn[:, 1], n)
        np.testing.assert_allclose(found, [expected[node] for node in range(n)], atol=1e-15)


def test_local_clustering_by_hand():
    # A triangle 0 1 2 with a tail 2-3, and a node apart.
    found = local_clustering(np.array([0, 1, 0, 2]), np.array([1, 2, 2, 3]), 5)
    np.testing.assert_allclose(found, [1, 1, 1 / 3, 0, 0])
    assert len(local_clustering(np.empty(0, int), np.empty(0, int), 0)) == 0


def test_all_of_a_complete_graph_is_joined():
    source, target = np.triu_indices(200, 1)
    np.testing.assert_array_equal(local_clustering(source, target, 200), np.ones(200))


def test_an_igraph_has_its_edges_in_the_order_given(monkeypatch):
    monkeypatch.setattr(igraphs, "EDGES_AT_ONCE", 3)
    source, target = np.array([4, 0, 2, 1, 0, 3, 1]), np.array([5, 1, 3, 2, 2, 4, 5])
    graph = make_igraph(source, target, 8)
    assert graph.vcount() == 8
    assert [edge.tuple for edge in graph.es] == [tuple(sorted(pair)) for pair in zip(source, target, strict=True)]
    assert make_igraph(source[:0], target[:0], 2).ecount() == 0
