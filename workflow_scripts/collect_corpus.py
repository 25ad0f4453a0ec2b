"""Adapter of rule collect_corpus."""

from coact.artefacts import write_json, write_table
from coact.corpus.collect import collect
from coact.jobs import job

with job(snakemake) as stamp:
    corpus = collect(**snakemake.params.corpus)
    write_table(corpus.train, snakemake.output.train, stamp)
    write_table(corpus.heldout, snakemake.output.heldout, stamp)
    write_json({"provenance": stamp, **corpus.manifest}, snakemake.output.manifest)
