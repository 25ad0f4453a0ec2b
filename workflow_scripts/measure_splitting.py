"""Adapter of rule measure_splitting."""

from coact.artefacts import write_table
from coact.comparison.columns import Column
from coact.comparison.pairs import read_dictionaries
from coact.comparison.splitting import split_columns
from coact.jobs import job

with job(snakemake) as stamp:
    params = snakemake.params
    columns = [Column(*record) for record in params.columns]
    dictionaries = read_dictionaries(snakemake.input, params.shards)
    descendants, splitting = split_columns(columns, dictionaries, **params.splitting)
    write_table(descendants, snakemake.output.descendants, stamp)
    write_table(splitting, snakemake.output.splitting, stamp)
