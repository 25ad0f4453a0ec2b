"""Adapter of rule describe_graph."""

from coact.artefacts import open_tensors, read_table, write_json
from coact.graph.statistics import describe_graph
from coact.jobs import job
from coact.nulls.replicates import plain_statistics
from coact.nulls.summary import compare_with_nulls, count_tested

with job(snakemake) as stamp:
    params, inputs = snakemake.params, snakemake.input
    nodes, edges = read_table(inputs.nodes), read_table(inputs.edges)
    described = {
        name: describe_graph(nodes, table, **params.statistics)
        for name, table in {"observed": edges, "null": read_table(inputs.null_edges)}.items()
    }
    nulls = compare_with_nulls(
        plain_statistics(nodes, edges, **params.communities),
        [read_table(path) for path in inputs.replicates],
        params.statistics["confidence"],
    )
    size = {
        "k": params.k,
        "batches": params.batches,
        "tokens": int(open_tensors(inputs.sets).metadata["tokens"]),
    }
    tested = count_tested(edges, read_table(inputs.repelled), params.fdr)
    summary = {"provenance": stamp, **snakemake.wildcards, **size, **described, "nulls": nulls, "tested": tested}
    write_json(summary, snakemake.output.statistics)
