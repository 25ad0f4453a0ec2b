"""Adapter of rule map_features."""

from coact.artefacts import read_table, write_json, write_table
from coact.graph.measures import read_decoder
from coact.interpretation.maps import context_numbers, map_features
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    decoder = read_decoder(inputs.weights)
    table, summary = map_features(
        decoder,
        read_table(inputs.nodes, ["live", "topk_count"]),
        read_table(inputs.communities, ["community"])["community"].to_numpy(),
        context_numbers(read_table(inputs.assigned), params.ordinary, len(decoder)),
        read_table(inputs.edges, ["source", "target"]),
        **params.map,
    )
    write_table(table, output.map, stamp)
    write_json({"provenance": stamp, **snakemake.wildcards, **summary}, output.summary)
