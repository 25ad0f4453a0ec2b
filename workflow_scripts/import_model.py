"""Adapter of rule import_model."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer
from coact.hub import model_folder
from coact.jobs import job
from coact.models.bridge import check_hook, load_bridge
from coact.models.folder import load_model, save_model
from coact.study import hook_key, hook_of

with job(snakemake):
    config, name = snakemake.config, snakemake.wildcards.model
    folder = model_folder(snakemake.params.settings, snakemake.input.source, f"models.{name}")
    check_hook(load_bridge(folder), hook_of(config, name), name, hook_key(config, name))
    save_model(load_model(folder), load_tokenizer(folder), Path(snakemake.output.model[0]).parent)
