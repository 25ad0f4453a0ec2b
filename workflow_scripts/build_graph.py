"""Adapter of rule build_graph."""

from coact.artefacts import write_table, write_tensors
from coact.features.batches import count_active, read_batches
from coact.graph.build import coactivation_graph, node_table
from coact.jobs import job

with job(snakemake) as stamp:
    params = snakemake.params
    graph = coactivation_graph(read_batches(snakemake.input.features, params.batch_tokens), params.k)
    nodes = node_table(graph, *count_active(snakemake.input.heldout), params.live_frequency)
    sets = {"indptr": graph.sets.indptr, "indices": graph.sets.indices}
    write_tensors(sets, snakemake.output.sets, stamp, {"tokens": str(graph.n_tokens)})
    write_table(nodes, snakemake.output.nodes, stamp)
    write_table(graph.edges, snakemake.output.edges, stamp)
