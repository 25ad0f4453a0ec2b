"""Adapter of rule measure_sensitivity."""

from functools import partial

from coact.artefacts import read_table, write_table
from coact.features.batches import read_batches
from coact.graph.sets import rules_of
from coact.jobs import job
from coact.nulls.sensitivity import measure_sensitivity

with job(snakemake) as stamp:
    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    varied = params.sensitivity
    found = measure_sensitivity(
        partial(read_batches, inputs.features, params.batch_tokens),
        read_table(inputs.nodes, ["feature", "live", "frequency_heldout", "topk_count"]),
        rules_of([params.k, *varied["k"]], varied["thresholds"]),
        list(dict.fromkeys([params.include_bos, *varied["include_bos"]])),
        points=varied["points"],
        rarefaction_tokens=varied["rarefaction_tokens"],
        **params.chain,
    )
    write_table(found.grid, output.sensitivity, stamp)
    write_table(found.rarefaction, output.rarefaction, stamp)
