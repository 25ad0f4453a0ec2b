"""Adapter of rule export_graph."""

from coact.artefacts import read_table
from coact.graph.export import write_gexf, write_graphml
from coact.jobs import job

EDGE_COLUMNS = ["source", "target", "count", "weight", "expected", "z", "q", "significant"]

with job(snakemake) as stamp:
    nodes, edges = read_table(snakemake.input.nodes), read_table(snakemake.input.edges, EDGE_COLUMNS)
    communities = read_table(snakemake.input.communities, ["community", "core"])
    nodes = nodes.assign(**communities)
    write_graphml(nodes, edges, snakemake.output.graphml, stamp)
    write_gexf(nodes, edges, snakemake.output.gexf, stamp)
