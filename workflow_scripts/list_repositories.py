"""Adapter of rule list_repositories."""

from coact.artefacts import read_json, write_json
from coact.jobs import job

with job(snakemake) as stamp:
    pins = [read_json(path) for path in snakemake.input.pins]
    pins += [{"kind": "model", **pin["tokenizer"]} for pin in pins if pin.get("tokenizer")]
    names = ("kind", "name", "revision", "commit")
    repositories = [{name: pin[name] for name in names} for pin in pins if pin["commit"]]
    write_json({"provenance": stamp, "repositories": repositories}, snakemake.output.manifest)
