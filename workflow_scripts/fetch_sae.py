"""Adapter of rule fetch_sae."""

from coact.artefacts import write_json
from coact.hub.saes import fetch_sae
from coact.jobs import job

with job(snakemake) as stamp:
    found, _ = fetch_sae(snakemake.params.settings, f"saes.{snakemake.wildcards.sae}")
    write_json({"provenance": stamp, "kind": "sae", **found.record()}, snakemake.output.pin)
