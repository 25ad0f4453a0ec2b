"""Centralities against networkx and cases by hand."""

import networkx as nx
import numpy as np
import pytest

from coact.graph import centrality
from coact.graph.centrality import assortativity, centralities

COLUMNS = {"degree": "int64", "strength": "float64", "pagerank": "float64", "betweenness": "float64", "core": "int32"}


def random_graph(seed: int, n: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    edges = np.argwhere(np.triu(generator.random((n, n)) < share, 1)).astype(np.int32)
    return edges[:, 0], edges[:, 1], generator.random(len(edges)) + 0.01


def networkx_graph(source: np.ndarray, target: np.ndarray, weight: np.ndarray, n: int) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from(zip(source.tolist(), target.tolist(), weight.tolist(), strict=True))
    return graph


def in_order(values: dict[int, float]) -> list[float]:
    return [values[node] for node in sorted(values)]


def edges_of(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges = np.array(pairs, np.int32).reshape(-1, 2)
    return edges[:, 0], edges[:, 1], np.ones(len(edges))


@pytest.mark.parametrize(("n", "share"), [(40, 0.03), (40, 0.2), (60, 0.5), (6, 1.0), (30, 0.0)])
def test_centralities_as_networkx(n, share):
    for seed in range(4):
        source, target, weight = random_graph(seed, n, share)
        graph = networkx_graph(source, target, weight, n)
        found = centralities(source, target, weight, n)
        assert found.dtypes.astype(str).to_dict() == COLUMNS
        assert found["degree"].tolist() == in_order(dict(graph.degree))
        assert found["core"].tolist() == in_order(nx.core_number(graph))
        np.testing.assert_allclose(found["strength"], in_order(dict(graph.degree(weight="weight"))), rtol=1e-12)
        np.testing.assert_allclose(found["pagerank"], in_order(nx.pagerank(graph, tol=1e-12, max_iter=1000)), atol=1e-9)
        np.testing.assert_allclose(found["betweenness"], in_order(nx.betweenness_centrality(graph)), atol=1e-12)
        assert found.attrs["betweenness"]["estimator"] == "exact"
        with np.errstate(invalid="ignore"):
            expected = nx.degree_assortativity_coefficient(graph) if len(source) else np.nan
        value = assortativity(source, target, n)
        assert (value is None) if np.isnan(expected) else value == pytest.approx(expected, abs=1e-9)


def test_centralities_by_hand():
    # A path 0-1-2-3, a triangle 4-5-6, and node 7 alone.
    found = centralities(*edges_of((0, 1), (1, 2), (2, 3), (4, 5), (4, 6), (5, 6)), 8)
    assert found["degree"].tolist() == [1, 2, 2, 1, 2, 2, 2, 0]
    assert found["core"].tolist() == [1, 1, 1, 1, 2, 2, 2, 0]
    # Node 1 is on the paths 0-2 and 0-3, of 7 * 6 / 2 pairs of other nodes.
    np.testing.assert_allclose(found["betweenness"], np.array([0, 2, 2, 0, 0, 0, 0, 0]) / 21)
    # An isolated node is visited by jumps alone: p = (0.15 + 0.85 p) / 8.
    assert found["pagerank"][7] == pytest.approx(0.15 / (8 - 0.85))
    assert found["pagerank"].sum() == pytest.approx(1)


def test_pagerank_follows_the_weights():
    source, target, _ = edges_of((0, 1), (0, 2))
    rank = centralities(source, target, np.array([3.0, 1.0]), 3)["pagerank"].to_numpy()
    # From node 0 three of four steps lead to node 1.
    np.testing.assert_allclose(rank[1:], 0.05 + 0.85 * rank[0] * np.array([0.75, 0.25]), rtol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_no_edges(n):
    found = centralities(*edges_of(), n)
    assert len(found) == n
    assert found.dtypes.astype(str).to_dict() == COLUMNS
    assert not found[["degree", "strength", "betweenness", "core"]].to_numpy().any()
    np.testing.assert_allclose(found["pagerank"], np.full(n, 1 / max(n, 1)))
    assert found.attrs["betweenness"] == {"estimator": "exact", "sources": 0, "nodes": 0}
    assert assortativity(*edges_of()[:2], n) is None


def test_one_edge():
    found = centralities(*edges_of((0, 1)), 2)
    assert found.to_dict("list") == {
        "degree": [1, 1],
        "strength": [1.0, 1.0],
        "pagerank": [pytest.approx(0.5)] * 2,
        "betweenness": [0.0, 0.0],
        "core": [1, 1],
    }


def test_betweenness_from_a_sample_of_sources(monkeypatch):
    source, target, weight = random_graph(0, 60, 0.08)
    n = 70  # ten isolated nodes, which are never sources
    exact = centralities(source, target, weight, n)["betweenness"].to_numpy()
    linked = int((centralities(source, target, weight, n)["degree"] > 0).sum())
    monkeypatch.setattr(centrality, "EXACT_WORK", 20 * len(source))
    monkeypatch.setattr(centrality, "LEAST_SOURCES", 5)
    tables = [centralities(source, target, weight, n, seed=seed) for seed in range(400)]
    assert tables[0].attrs["betweenness"] == {"estimator": "sampled_sources", "sources": 20, "nodes": linked}
    drawn = np.array([table["betweenness"] for table in tables])
    assert drawn.std(axis=0).max() > 0
    # Unbiased: the mean lies within 4 standard errors of the exact value, at all 70 nodes.
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - exact) <= 4 * error + 1e-12).all()
    again = centralities(source, target, weight, n, seed=3)
    assert again.to_numpy().tobytes() == tables[3].to_numpy().tobytes()


def test_a_sample_of_all_sources_is_exact(monkeypatch):
    source, target, weight = random_graph(1, 30, 0.2)
    exact = centralities(source, target, weight, 30)
    monkeypatch.setattr(centrality, "EXACT_WORK", 0)
    monkeypatch.setattr(centrality, "LEAST_SOURCES", 30)
    found = centralities(source, target, weight, 30)
    np.testing.assert_allclose(found["betweenness"], exact["betweenness"], atol=1e-15)
    assert found.attrs["betweenness"] == {"estimator": "exact", "sources": 30, "nodes": 30}


def test_assortativity_by_hand():
    # A star: every edge joins degree 3 to degree 1.
    assert assortativity(*edges_of((0, 1), (0, 2), (0, 3))[:2], 4) == -1.0
    # A triangle and an edge apart: ends have equal degrees, of two kinds.
    assert assortativity(*edges_of((0, 1), (0, 2), (1, 2), (3, 4))[:2], 6) == 1.0
    # A cycle: one degree only.
    assert assortativity(*edges_of((0, 1), (1, 2), (2, 3), (0, 3))[:2], 4) is None
    # A path of three edges: (1,2), (2,2), (2,1). Mean 5/3, covariance 8/3 - 25/9, variance 3 - 25/9.
    assert assortativity(*edges_of((0, 1), (1, 2), (2, 3))[:2], 4) == pytest.approx(-0.5)


def test_assortativity_of_large_degrees():
    # A star of 60,000 leaves: squares of the sums exceed 64 bits.
    leaves = np.arange(1, 60_001, dtype=np.int32)
    assert assortativity(np.zeros(60_000, np.int32), leaves, 60_001) == -1.0
