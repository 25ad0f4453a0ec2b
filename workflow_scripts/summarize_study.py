"""Adapter of rule summarize_study."""

from coact.artefacts import read_json, write_json, write_table
from coact.comparison.summary import metrics, summarize
from coact.jobs import job

with job(snakemake) as stamp:
    evaluations = [read_json(path) for path in snakemake.input.evaluations]
    statistics = [read_json(path) for path in snakemake.input.statistics]
    rows = [(*column, *found) for column, *found in zip(snakemake.params.columns, evaluations, statistics, strict=True)]
    table = summarize(rows)
    write_table(table, snakemake.output.summary, stamp)
    write_json(metrics(table), snakemake.output.metrics)
