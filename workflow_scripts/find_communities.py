"""Adapter of rule find_communities."""

from coact.artefacts import open_tensors, read_table, write_json, write_table
from coact.features.batches import read_shards
from coact.graph.build import topk_sets
from coact.graph.measures import read_decoder
from coact.graph.partition import partition_graph
from coact.graph.sets import TokenSets, join_sets
from coact.jobs import job

with job(snakemake) as stamp:
    params, inputs = snakemake.params, snakemake.input
    observed = open_tensors(inputs.sets)
    table, summary = partition_graph(
        read_table(inputs.nodes, ["feature", "live"]),
        read_table(inputs.edges, ["source", "target", "count", "significant"]),
        TokenSets(observed["indptr"], observed["indices"]),
        observed["documents"],
        join_sets([topk_sets(shard, params.k) for shard in read_shards(inputs.heldout)]),
        read_decoder(inputs.weights),
        **params.communities,
    )
    write_json({"provenance": stamp, **snakemake.wildcards, **summary}, snakemake.output.summary)
    write_table(table, snakemake.output.communities, stamp)
