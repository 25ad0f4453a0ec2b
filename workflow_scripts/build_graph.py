"""Adapter of rule build_graph."""

import pandas as pd

from coact.artefacts import write_table, write_tensors
from coact.features.batches import count_active, read_batches
from coact.graph.build import coactivation_graph, node_table
from coact.graph.measures import decoder_cosine, edge_measures, read_decoder
from coact.jobs import job
from coact.nulls.significance import edge_significance

with job(snakemake) as stamp:
    params = snakemake.params
    graph = coactivation_graph(read_batches(snakemake.input.features, params.batch_tokens), params.k)
    nodes = node_table(graph, *count_active(snakemake.input.heldout), params.live_frequency)
    measures = edge_measures(graph.edges, graph.topk_count, graph.n_tokens)
    measures["decoder_cosine"] = decoder_cosine(graph.edges, read_decoder(snakemake.input.weights))
    edges, repelled = [graph.edges, measures], {}
    for null, groups in {"tokens": None, "documents": graph.documents}.items():
        tested, repelled[null] = edge_significance(graph.sets, graph.edges, graph.n_features, params.fdr, groups)
        edges.append(tested.add_suffix("" if null == "tokens" else f"_{null}"))
    sets = {"indptr": graph.sets.indptr, "indices": graph.sets.indices, "documents": graph.documents}
    write_tensors(sets, snakemake.output.sets, stamp, {"tokens": str(graph.n_tokens)})
    write_table(nodes, snakemake.output.nodes, stamp)
    write_table(pd.concat(repelled, names=["null"]).reset_index("null"), snakemake.output.repelled, stamp)
    write_table(pd.concat(edges, axis=1), snakemake.output.edges, stamp)
