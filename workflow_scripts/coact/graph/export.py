"""The graph for other programs.

In: the tables of nodes and edges. Out: a NetworkX graph; GraphML (Brandes et al. 2002, Graph Drawing, LNCS 2265:501)
that networkx, igraph, Gephi and Cytoscape read; GEXF 1.3 (https://gexf.net), the format of Gephi.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import escape, quoteattr

import networkx as nx
import numpy as np
import pandas as pd

from coact.artefacts import atomic
from coact.provenance import canonical_json

ROWS_AT_ONCE = 1 << 16
XML_TYPES = {"bool": "boolean", "int32": "int", "int64": "long", "float64": "double"}
GEXF_TYPES = {"bool": "boolean", "int32": "integer", "int64": "long", "float64": "double"}
NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
GEXF_NAMESPACE = "http://gexf.net/1.3"
SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"


def to_networkx(nodes: pd.DataFrame, edges: pd.DataFrame) -> nx.Graph:
    """The graph as a NetworkX graph.

    Args:
        nodes: feature, the name of the node, and further columns, its attributes.
        edges: source, target, and further columns (count, weight), the edge's attributes.

    Returns:
        An undirected graph whose nodes are integers and whose attributes are Python integers, floats and booleans;
        `feature` is an attribute too.
    """
    graph = nx.Graph()
    graph.add_nodes_from(zip(nodes["feature"].tolist(), nodes.to_dict("records"), strict=True))
    attributes = edges.drop(columns=["source", "target"]).to_dict("records")
    graph.add_edges_from(zip(edges["source"].tolist(), edges["target"].tolist(), attributes, strict=True))
    return graph


def write_graphml(nodes: pd.DataFrame, edges: pd.DataFrame, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write the graph as GraphML, row by row, so memory does not grow with the graph.

    `networkx.read_graphml(path, node_type=int)` gives back the nodes, edges and attributes of `to_networkx`.

    Args:
        nodes, edges: as in `to_networkx`; columns are bool, int32, int64 or float64.
        path: the file.
        stamp: what made it; the graph's attribute `coact`, as JSON.

    Raises:
        KeyError: a column is of another type.
    """
    with atomic(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write("<?xml version='1.0' encoding='utf-8'?>\n")
        file.write(
            f'<graphml xmlns="{NAMESPACE}" xmlns:xsi="{SCHEMA}"'
            f' xsi:schemaLocation="{NAMESPACE} {NAMESPACE}/1.0/graphml.xsd">\n'
        )
        edge_data = edges.drop(columns=["source", "target"])
        file.write('<key id="coact" for="graph" attr.name="coact" attr.type="string"/>\n')
        _write_keys(file, nodes, "node")
        _write_keys(file, edge_data, "edge")
        file.write(f'<graph edgedefault="undirected"><data key="coact">{escape(canonical_json(stamp))}</data>\n')
        template = '<node id="%s">' + _data_template(nodes, "node") + "</node>\n"
        _write_rows(file, template, [nodes["feature"], *(nodes[name] for name in nodes)])
        template = '<edge source="%s" target="%s">' + _data_template(edge_data, "edge") + "</edge>\n"
        _write_rows(file, template, [edges["source"], edges["target"], *(edge_data[name] for name in edge_data)])
        file.write("</graph>\n</graphml>\n")


def write_gexf(nodes: pd.DataFrame, edges: pd.DataFrame, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write the graph as GEXF 1.3, row by row, so memory does not grow with the graph.

    Gephi (0.9.3 and later) and `networkx.read_gexf(path, node_type=int)` open it. Nodes are labelled with their
    feature. The column `weight` of the edges, where there is one, becomes the weight that Gephi lays out and filters
    by; all other columns, a node's community too, become attributes.

    Args:
        nodes, edges: as in `to_networkx`; columns are bool, int32, int64 or float64.
        path: the file.
        stamp: what made it; the description in the file's `meta`, as JSON.

    Raises:
        KeyError: a column is of another type.
    """
    edge_data = edges.drop(columns=["source", "target"])
    weights = [edge_data.pop("weight")] if "weight" in edge_data else []
    with atomic(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write("<?xml version='1.0' encoding='utf-8'?>\n")
        file.write(
            f'<gexf xmlns="{GEXF_NAMESPACE}" xmlns:xsi="{SCHEMA}"'
            f' xsi:schemaLocation="{GEXF_NAMESPACE} {GEXF_NAMESPACE}/gexf.xsd" version="1.3">\n'
        )
        description = escape(canonical_json(stamp))
        file.write(f"<meta><creator>coact</creator><description>{description}</description></meta>\n")
        file.write('<graph defaultedgetype="undirected" mode="static">\n')
        _write_attributes(file, nodes, "node")
        _write_attributes(file, edge_data, "edge")
        file.write("<nodes>\n")
        template = '<node id="%s" label="%s">' + _attvalues_template(nodes) + "</node>\n"
        _write_rows(file, template, [nodes["feature"], nodes["feature"], *(nodes[name] for name in nodes)])
        file.write("</nodes>\n<edges>\n")
        weight = ' weight="%s"' if weights else ""
        template = f'<edge source="%s" target="%s"{weight}>' + _attvalues_template(edge_data) + "</edge>\n"
        columns = [edges["source"], edges["target"], *weights, *(edge_data[name] for name in edge_data)]
        _write_rows(file, template, columns)
        file.write("</edges>\n</graph>\n</gexf>\n")


def _write_keys(file: TextIO, table: pd.DataFrame, kind: str) -> None:
    for name, dtype in table.dtypes.items():
        key, label = quoteattr(f"{kind}_{name}"), quoteattr(str(name))
        file.write(f'<key id={key} for="{kind}" attr.name={label} attr.type="{XML_TYPES[str(dtype)]}"/>\n')


def _data_template(table: pd.DataFrame, kind: str) -> str:
    keys = (quoteattr(f"{kind}_{name}").replace("%", "%%") for name in table)
    return "".join(f"<data key={key}>%s</data>" for key in keys)


def _write_attributes(file: TextIO, table: pd.DataFrame, kind: str) -> None:
    if len(table.columns):
        file.write(f'<attributes class="{kind}">\n')
        for number, (name, dtype) in enumerate(table.dtypes.items()):
            file.write(f'<attribute id="{number}" title={quoteattr(str(name))} type="{GEXF_TYPES[str(dtype)]}"/>\n')
        file.write("</attributes>\n")


def _attvalues_template(table: pd.DataFrame) -> str:
    """Attributes are named by their numbers: nothing in them needs escaping."""
    values = "".join(f'<attvalue for="{number}" value="%s"/>' for number in range(len(table.columns)))
    return f"<attvalues>{values}</attvalues>" if values else ""


def _write_rows(file: TextIO, template: str, columns: list[pd.Series]) -> None:
    """Numbers and booleans only: nothing in them needs escaping."""
    for first in range(0, len(columns[0]), ROWS_AT_ONCE):
        texts = [_texts(column.to_numpy()[first : first + ROWS_AT_ONCE]) for column in columns]
        file.writelines(template % row for row in zip(*texts, strict=True))


def _texts(values: np.ndarray) -> Iterator[str]:
    """Texts from which the same values are read; XML Schema spells booleans in lower case and NaN in mixed case."""
    if values.dtype == bool:
        return ("true" if value else "false" for value in values.tolist())
    if values.dtype.kind == "f":
        return ("NaN" if value != value else repr(value) for value in values.tolist())
    return (str(value) for value in values.tolist())
