"""Adapter of rule import_model."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer
from coact.hub import model_folder
from coact.jobs import job
from coact.models.bridge import check_hook, load_bridge
from coact.models.folder import load_model, save_model

with job(snakemake):
    key = f"models.{snakemake.wildcards.model}"
    folder = model_folder(snakemake.params.settings, snakemake.input.source, key)
    check_hook(load_bridge(folder), snakemake.config["activations"]["hook"], snakemake.wildcards.model)
    save_model(load_model(folder), load_tokenizer(folder), Path(snakemake.output.model[0]).parent)
