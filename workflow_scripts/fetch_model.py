"""Adapter of rule fetch_model."""

from coact.artefacts import write_json
from coact.hub import MODEL_PATTERNS, fetch
from coact.jobs import job

with job(snakemake) as stamp:
    settings, key = snakemake.params.settings, f"models.{snakemake.wildcards.model}"
    found = fetch("model", settings["name"], settings["revision"], MODEL_PATTERNS, key)
    record = {"provenance": stamp, "kind": "model", **found._asdict()}
    del record["folder"]  # of this machine
    write_json(record, snakemake.output.pin)
