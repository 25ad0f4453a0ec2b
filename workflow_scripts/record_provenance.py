"""Adapter of rule record_provenance."""

import os
from pathlib import Path

from coact.artefacts import write_json
from coact.inventory import describe_code, describe_host, seeds_of, take_inventory
from coact.jobs import job

with job(snakemake) as stamp:
    config, record = snakemake.params.config, Path(snakemake.output.record)
    about = {"provenance": stamp, "seeds": seeds_of(config), "host": describe_host(os.cpu_count() or 1)}
    about |= {"code": describe_code(Path(snakemake.scriptdir)), "artefacts": take_inventory(record.parent)}
    write_json(about, record)
