"""Adapter of rule collect_corpus."""

from coact.artefacts import write_json, write_table
from coact.corpus.collect import collect
from coact.corpus.sources import available_sources
from coact.jobs import job

with job(snakemake) as stamp:
    settings = dict(snakemake.params.corpus)
    sources, failed = available_sources(settings.pop("sources"))
    corpus = collect(sources, **settings)
    write_table(corpus.train, snakemake.output.train, stamp)
    write_table(corpus.heldout, snakemake.output.heldout, stamp)
    write_json({"provenance": stamp, **corpus.manifest, "left_out": failed}, snakemake.output.manifest)
