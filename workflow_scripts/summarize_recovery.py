"""Adapter of rule summarize_recovery."""

from coact.artefacts import read_json, write_table
from coact.jobs import job
from coact.sae.truth.table import collect, print_recovery

with job(snakemake) as stamp:
    architectures = snakemake.params.architectures
    records = [read_json(path) for path in snakemake.input.scores]
    table = collect(dict(zip(architectures, records, strict=True)), architectures)
    write_table(table, snakemake.output.scores, stamp)
    print_recovery(table)
