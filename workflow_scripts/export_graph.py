"""Adapter of rule export_graph."""

from coact.artefacts import read_table
from coact.graph.export import write_graphml
from coact.jobs import job

with job(snakemake) as stamp:
    nodes, edges = read_table(snakemake.input.nodes), read_table(snakemake.input.edges)
    write_graphml(nodes, edges, snakemake.output.graphml, stamp)
