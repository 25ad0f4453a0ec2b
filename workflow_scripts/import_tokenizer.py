"""Adapter of rule import_tokenizer."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer, save_tokenizer
from coact.jobs import job

with job(snakemake):
    save_tokenizer(load_tokenizer(snakemake.params.folder), Path(snakemake.output.tokenizer).parent)
