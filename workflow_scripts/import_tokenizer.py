"""Adapter of rule import_tokenizer."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer, save_tokenizer
from coact.hub.models import tokenizer_folder
from coact.jobs import job

with job(snakemake):
    key = f"models.{snakemake.wildcards.tokenizer}"
    folder = tokenizer_folder(snakemake.params.settings, snakemake.input.source, key)
    save_tokenizer(load_tokenizer(folder), Path(snakemake.output.tokenizer).parent)
