"""Adapter of rule sample_null."""

from coact.artefacts import open_tensors, read_table, write_json, write_table
from coact.graph.degree import degrees
from coact.graph.null import null_edges, resample_sets
from coact.graph.pairs import TopkSets
from coact.jobs import job

with job(snakemake) as stamp:
    nodes = read_table(snakemake.input.nodes, ["feature"])
    observed = open_tensors(snakemake.input.sets)
    sets, mixing = resample_sets(
        TopkSets(observed["indptr"], observed["indices"]), len(nodes), **snakemake.params.nulls
    )
    edges = null_edges(sets, len(nodes))
    nodes["degree"] = degrees(edges["source"].to_numpy(), edges["target"].to_numpy(), len(nodes))
    write_json({"provenance": stamp, "sweeps": mixing}, snakemake.output.mixing)
    write_table(nodes, snakemake.output.nodes, stamp)
    write_table(edges, snakemake.output.edges, stamp)
