"""Adapter of rule compare_graphs."""

from coact.artefacts import write_table
from coact.comparison.columns import Column
from coact.comparison.pairs import compare_columns, read_dictionaries
from coact.jobs import job

with job(snakemake) as stamp:
    params = snakemake.params
    columns = [Column(*record) for record in params.columns]
    pairs, best = compare_columns(columns, read_dictionaries(snakemake.input, params.shards), **params.comparison)
    write_table(pairs, snakemake.output.pairs, stamp)
    write_table(best, snakemake.output.best, stamp)
