"""Adapter of rule fetch_model."""

from coact.artefacts import read_json, write_json
from coact.hub.models import fetch_model
from coact.jobs import job

with job(snakemake) as stamp:
    settings, key = snakemake.params.settings, f"models.{snakemake.wildcards.model}"
    model, tokenizer = fetch_model(settings["name"], settings["revision"], key)
    record = {"provenance": stamp, "kind": "model", **model.record(), "tokenizer": tokenizer and tokenizer.record()}
    # So that later runs know its shape without asking the Hub or its cache.
    write_json(record | {"config": read_json(model.folder / "config.json")}, snakemake.output.pin)
