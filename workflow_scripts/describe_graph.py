"""Adapter of rule describe_graph."""

from coact.artefacts import open_tensors, read_table, write_json
from coact.graph.statistics import describe_graph
from coact.jobs import job

with job(snakemake) as stamp:
    params = snakemake.params
    nodes = read_table(snakemake.input.nodes)
    described = {
        name: describe_graph(nodes, read_table(path, ["source", "target"]), **params.statistics)
        for name, path in {"observed": snakemake.input.edges, "null": snakemake.input.null_edges}.items()
    }
    size = {
        "k": params.k,
        "batches": params.batches,
        "tokens": int(open_tensors(snakemake.input.sets).metadata["tokens"]),
    }
    summary = {"provenance": stamp, **snakemake.wildcards, **size, **described}
    write_json(summary, snakemake.output.statistics)
