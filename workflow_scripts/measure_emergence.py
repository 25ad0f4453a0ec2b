"""Adapter of rule measure_emergence."""

from coact.artefacts import open_tensors, write_json, write_table
from coact.jobs import job
from coact.sae.emergence import measure_emergence

with job(snakemake) as stamp:
    snapshots = open_tensors(snakemake.input.snapshots)
    found = measure_emergence(snapshots, snakemake.params.seed, snakemake.params.confidence)
    write_table(found.table, snakemake.output.emergence, stamp)
    write_table(found.features, snakemake.output.features, stamp)
    write_json({"provenance": stamp, **dict(snakemake.wildcards), **found.summary}, snakemake.output.summary)
