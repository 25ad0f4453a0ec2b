"""Adapter of rule probe_contexts."""

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.interpretation.memberships import open_memberships
from coact.interpretation.probes import measure_probes, save_directions
from coact.jobs import job

with job(snakemake) as stamp:
    inputs = snakemake.input
    shards = [[open_shard(path) for path in paths] for paths in (inputs.train, inputs.heldout)]
    probes, weights, biases = measure_probes(*shards, *open_memberships(inputs.marks), **snakemake.params.probes)
    write_table(probes, snakemake.output.probes, stamp)
    save_directions(weights, biases, snakemake.output.directions, stamp)
