"""Adapter of rule train_tokenizer."""

from pathlib import Path

from coact.artefacts import read_table
from coact.corpus.tokenizer import save_tokenizer, train_tokenizer
from coact.jobs import job

with job(snakemake):
    texts = read_table(snakemake.input.train, ["text"])["text"]
    tokenizer = train_tokenizer(texts, snakemake.params.vocabulary)
    save_tokenizer(tokenizer, Path(snakemake.output.tokenizer).parent)
