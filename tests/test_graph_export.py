"""The exported graph is the graph."""

import json
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from coact.graph.export import to_networkx, write_gexf, write_graphml

NODES = pd.DataFrame(
    {
        "feature": np.array([0, 1, 2, 3], np.int32),
        "degree": np.array([2, 1, 1, 0], np.int64),
        "strength": [1 / 3 + 0.1, 1 / 3, 0.1, 0.0],
        "frequency": [1e-300, 0.1, 0.2, np.nan],
        "topk_count": np.array([2**40, 1, 1, 0], np.int64),
        "live": [True, True, False, False],
    }
)
EDGES = pd.DataFrame(
    {
        "source": np.array([0, 0], np.int32),
        "target": np.array([1, 2], np.int32),
        "count": np.array([2**40, 7], np.int64),
        "weight": [1 / 3, 0.1],
    }
)


def assert_same(found: nx.Graph, expected: nx.Graph) -> None:
    assert list(found.nodes) == list(expected.nodes)
    assert {frozenset(pair) for pair in found.edges} == {frozenset(pair) for pair in expected.edges}
    for item, attributes in [*expected.nodes.items(), *expected.edges.items()]:
        read = found.edges[item] if isinstance(item, tuple) else found.nodes[item]
        assert list(read) == list(attributes)
        for name, value in attributes.items():
            assert type(read[name]) is type(value)
            assert read[name] == value or (np.isnan(read[name]) and np.isnan(value))


def test_networkx():
    graph = to_networkx(NODES, EDGES)
    assert not graph.is_directed()
    assert list(graph.nodes) == [0, 1, 2, 3]
    assert graph.edges[0, 1] == {"count": 2**40, "weight": 1 / 3}
    assert graph.nodes[2] == {
        "feature": 2, "degree": 1, "strength": 0.1, "frequency": 0.2, "topk_count": 1, "live": False
    }  # fmt: skip
    assert type(graph.nodes[2]["live"]) is bool


def test_graphml_is_read_back(tmp_path):
    path, stamp = tmp_path / "graph.graphml", {"config": "a < b & 'c' \"é\""}
    write_graphml(NODES, EDGES, path, stamp)
    found = nx.read_graphml(path, node_type=int)
    assert_same(found, to_networkx(NODES, EDGES))
    assert json.loads(found.graph["coact"]) == stamp
    assert [file.name for file in tmp_path.iterdir()] == ["graph.graphml"]


def random_graph():
    """Nodes and edges of a graph of 30 features."""
    generator = np.random.default_rng(0)
    pairs = np.argwhere(np.triu(generator.random((30, 30)) < 0.2, 1)).astype(np.int32)
    nodes = pd.DataFrame({"feature": np.arange(30, dtype=np.int32), "strength": generator.random(30)})
    edges = pd.DataFrame({"source": pairs[:, 0], "target": pairs[:, 1], "weight": generator.random(len(pairs))})
    return nodes, edges


def test_graphml_of_random_graphs(tmp_path, monkeypatch):
    monkeypatch.setattr("coact.graph.export.ROWS_AT_ONCE", 7)
    nodes, edges = random_graph()
    write_graphml(nodes, edges, tmp_path / "graph.graphml", {})
    assert_same(nx.read_graphml(tmp_path / "graph.graphml", node_type=int), to_networkx(nodes, edges))


def test_graphml_of_an_empty_graph(tmp_path):
    write_graphml(NODES, EDGES[:0], tmp_path / "graph.graphml", {})
    assert_same(nx.read_graphml(tmp_path / "graph.graphml", node_type=int), to_networkx(NODES, EDGES[:0]))


def test_names_of_attributes_are_escaped(tmp_path):
    nodes = NODES.rename(columns={"degree": "5% <&\"'>"})
    write_graphml(nodes, EDGES, tmp_path / "graph.graphml", {})
    assert_same(nx.read_graphml(tmp_path / "graph.graphml", node_type=int), to_networkx(nodes, EDGES))


def test_a_column_of_another_type_is_refused(tmp_path):
    with pytest.raises(KeyError, match="str"):
        write_graphml(NODES.assign(name="x"), EDGES, tmp_path / "graph.graphml", {})
    assert not list(tmp_path.iterdir())


def labelled(graph: nx.Graph) -> nx.Graph:
    """The graph as networkx reads it from GEXF, where every node has a label."""
    nx.set_node_attributes(graph, {node: str(node) for node in graph}, "label")
    return graph


def test_gexf_is_read_back(tmp_path):
    path = tmp_path / "graph.gexf"
    nodes = NODES.assign(community=np.array([0, 0, 1, -1], np.int32))
    write_gexf(nodes, EDGES, path, {"config": "a < b & 'c' \"é\""})
    found = nx.read_gexf(path, node_type=int)
    assert not found.is_directed()
    assert_same(found, labelled(to_networkx(nodes, EDGES)))
    assert found.nodes[3]["community"] == -1
    assert [file.name for file in tmp_path.iterdir()] == ["graph.gexf"]


def test_gexf_by_hand(tmp_path):
    nodes = pd.DataFrame({"feature": np.array([3, 8], np.int32), "live": [True, False]})
    edges = pd.DataFrame({"source": [3], "target": [8], "weight": [0.1], "count": np.array([2**40], np.int64)})
    write_gexf(nodes, edges, tmp_path / "graph.gexf", {"seed": 1})
    assert (tmp_path / "graph.gexf").read_text() == (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        '<gexf xmlns="http://gexf.net/1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://gexf.net/1.3 http://gexf.net/1.3/gexf.xsd" version="1.3">\n'
        '<meta><creator>coact</creator><description>{"seed":1}</description></meta>\n'
        '<graph defaultedgetype="undirected" mode="static">\n'
        '<attributes class="node">\n'
        '<attribute id="0" title="feature" type="integer"/>\n'
        '<attribute id="1" title="live" type="boolean"/>\n'
        "</attributes>\n"
        '<attributes class="edge">\n'
        '<attribute id="0" title="count" type="long"/>\n'
        "</attributes>\n"
        "<nodes>\n"
        '<node id="3" label="3"><attvalues><attvalue for="0" value="3"/><attvalue for="1" value="true"/></attvalues>'
        "</node>\n"
        '<node id="8" label="8"><attvalues><attvalue for="0" value="8"/><attvalue for="1" value="false"/></attvalues>'
        "</node>\n"
        "</nodes>\n"
        "<edges>\n"
        f'<edge source="3" target="8" weight="0.1"><attvalues><attvalue for="0" value="{2**40}"/></attvalues></edge>\n'
        "</edges>\n"
        "</graph>\n"
        "</gexf>\n"
    )


def test_gexf_carries_the_stamp(tmp_path):
    stamp = {"config": "a < b & 'c' \"é\""}
    write_gexf(NODES, EDGES, tmp_path / "graph.gexf", stamp)
    root = ElementTree.parse(tmp_path / "graph.gexf").getroot()
    assert json.loads(root.findtext("{*}meta/{*}description")) == stamp


def test_gexf_of_random_graphs(tmp_path, monkeypatch):
    monkeypatch.setattr("coact.graph.export.ROWS_AT_ONCE", 7)
    nodes, edges = random_graph()
    before = edges.copy()
    write_gexf(nodes, edges, tmp_path / "graph.gexf", {})
    assert_same(nx.read_gexf(tmp_path / "graph.gexf", node_type=int), labelled(to_networkx(nodes, edges)))
    pd.testing.assert_frame_equal(edges, before)


@pytest.mark.parametrize("columns", [["source", "target"], ["source", "target", "count"]])
def test_gexf_without_weights(tmp_path, columns):
    write_gexf(NODES, EDGES[columns], tmp_path / "graph.gexf", {})
    found = nx.read_gexf(tmp_path / "graph.gexf", node_type=int)
    assert_same(found, labelled(to_networkx(NODES, EDGES[columns])))


@pytest.mark.parametrize("rows", [0, 4])
def test_gexf_of_an_empty_graph(tmp_path, rows):
    write_gexf(NODES[:rows], EDGES[:0], tmp_path / "graph.gexf", {})
    expected = labelled(to_networkx(NODES[:rows], EDGES[:0]))
    assert_same(nx.read_gexf(tmp_path / "graph.gexf", node_type=int), expected)


def test_gexf_escapes_names_and_refuses_other_types(tmp_path):
    nodes = NODES.rename(columns={"degree": "5% <&\"'>"})
    write_gexf(nodes, EDGES, tmp_path / "graph.gexf", {})
    found = nx.read_gexf(tmp_path / "graph.gexf", node_type=int)
    assert_same(found, labelled(to_networkx(nodes, EDGES)))
    with pytest.raises(KeyError, match="str"):
        write_gexf(NODES.assign(name="x"), EDGES, tmp_path / "other.gexf", {})
    assert [file.name for file in tmp_path.iterdir()] == ["graph.gexf"]
