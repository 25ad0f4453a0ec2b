"""Adapter of rule compare_contexts."""

from coact.artefacts import read_table, write_table
from coact.comparison.columns import Column
from coact.comparison.contexts import Found, compare_contexts
from coact.graph.measures import read_decoder
from coact.interpretation.memberships import open_memberships
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns = [Column(*record) for record in params.columns]
    found = [
        Found(
            read_table(inputs.best[place]),
            read_table(inputs.features[place], ["feature", "context", "threshold"]),
            read_decoder(inputs.weights[place]),
            inputs.heldout[place * params.shards : (place + 1) * params.shards],
        )
        for place in range(len(columns))
    ]
    # Of marks and of probes, one file per model, in the order of `models`.
    contexts = {model: open_memberships(path)[1] for model, path in zip(params.models, inputs.marks, strict=True)}
    probes = {model: read_table(path) for model, path in zip(params.models, inputs.probes, strict=True)}
    table, seeds = compare_contexts(columns, found, probes, contexts)
    write_table(table, snakemake.output.contexts, stamp)
    write_table(seeds, snakemake.output.seeds, stamp)
