"""Adapter of rule import_model."""

from pathlib import Path

from coact.corpus.tokenizer import load_tokenizer
from coact.hub.models import model_folder, tokenizer_folder
from coact.jobs import job
from coact.models.bridge import check_hook, make_bridge
from coact.models.centering import center_writing_weights
from coact.models.folder import load_model, save_model
from coact.study import hook_key, hook_of

with job(snakemake):
    config, name, settings = snakemake.config, snakemake.wildcards.model, snakemake.params.settings
    asked = settings, snakemake.input.source, f"models.{name}"
    folder, tokenizer = model_folder(*asked), load_tokenizer(tokenizer_folder(*asked))
    check_hook(make_bridge(load_model(folder), tokenizer, str(folder)), hook_of(config, name), name,
               hook_key(config, name))  # fmt: skip
    model = load_model(folder)  # anew, since a bridge takes it over
    if settings["center_writing_weights"]:
        model = center_writing_weights(model, f"models.{name}")
    save_model(model, tokenizer, Path(snakemake.output.model[0]).parent)
