"""Adapter of rule build_graph."""

import pandas as pd

from coact.artefacts import write_table
from coact.features.batches import count_active
from coact.graph.build import edge_table, node_table
from coact.graph.measures import decoder_cosine, edge_measures, read_decoder
from coact.graph.parts import join_parts, merge_parts, open_parts, read_sets
from coact.jobs import job
from coact.nulls.significance import edge_significance

with job(snakemake) as stamp:
    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    parts = open_parts(inputs.counts)
    counts = merge_parts(parts)
    join_parts(parts, output.sets, stamp)
    sets, documents = read_sets(output.sets)
    graph = edge_table(counts.pairs)
    nodes = node_table(counts, graph, *count_active(inputs.heldout), params.live_frequency)
    measures = edge_measures(graph, counts.members, counts.n_tokens)
    measures["decoder_cosine"] = decoder_cosine(graph, read_decoder(inputs.weights))
    edges, repelled = [graph, measures], {}
    for null, groups in {"tokens": None, "documents": documents}.items():
        tested, repelled[null] = edge_significance(sets, graph, counts.n_features, params.fdr, groups)
        edges.append(tested.add_suffix("" if null == "tokens" else f"_{null}"))
    write_table(nodes, output.nodes, stamp)
    write_table(pd.concat(repelled, names=["null"]).reset_index("null"), output.repelled, stamp)
    write_table(pd.concat(edges, axis=1), output.edges, stamp)
