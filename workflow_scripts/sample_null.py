"""Adapter of rule sample_null."""

from coact.artefacts import open_tensors, read_table, write_json, write_table
from coact.graph.sets import TokenSets
from coact.jobs import job
from coact.nulls.replicates import sample_null

with job(snakemake) as stamp:
    params, output, wildcards = snakemake.params, snakemake.output, snakemake.wildcards
    nodes = read_table(snakemake.input.nodes)
    observed = open_tensors(snakemake.input.sets)
    found = sample_null(
        wildcards.null,
        TokenSets(observed["indptr"], observed["indices"]),
        observed["documents"],
        nodes,
        replicates=params.replicates,
        chain=params.chain,
        communities=params.communities,
        part=int(wildcards.part),
    )
    write_json({"provenance": stamp, "replicates": found.mixing}, output.mixing)
    write_table(found.nodes, output.nodes, stamp)
    write_table(found.edges, output.edges, stamp)
    write_table(found.statistics, output.statistics, stamp)
