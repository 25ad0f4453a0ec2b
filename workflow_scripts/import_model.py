"""Adapter of rule import_model."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer
from coact.hub.models import model_folder, tokenizer_folder
from coact.jobs import job
from coact.models.bridge import check_hook, make_bridge
from coact.models.folder import load_model, save_model
from coact.study import hook_key, hook_of

with job(snakemake):
    config, name = snakemake.config, snakemake.wildcards.model
    asked = snakemake.params.settings, snakemake.input.source, f"models.{name}"
    folder, tokenizer = model_folder(*asked), load_tokenizer(tokenizer_folder(*asked))
    check_hook(make_bridge(load_model(folder), tokenizer, str(folder)), hook_of(config, name), name,
               hook_key(config, name))  # fmt: skip
    save_model(load_model(folder), tokenizer, Path(snakemake.output.model[0]).parent)
