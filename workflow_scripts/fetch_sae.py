"""Adapter of rule fetch_sae."""

from coact.artefacts import write_json
from coact.hub.saes import describe_at, fetch_sae
from coact.jobs import job

with job(snakemake) as stamp:
    settings, key = snakemake.params.settings, f"saes.{snakemake.wildcards.sae}"
    found, path = fetch_sae(settings, key)
    # So that later runs know it without asking the Hub or its cache.
    described = {"asked": settings, "described": describe_at(settings, path, key)}
    write_json({"provenance": stamp, "kind": "sae", **found.record(), **described}, snakemake.output.pin)
