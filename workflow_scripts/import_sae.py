"""Adapter of rule import_sae."""

from pathlib import Path

import pandas as pd

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.hub.saes import sae_settings
from coact.jobs import job
from coact.sae.disk import sae_lens_metadata, save_sae
from coact.sae.history import HISTORY_COLUMNS
from coact.sae.imports import check_reconstruction, read_sae

CHECKED_TOKENS = 8192

with job(snakemake) as stamp:
    params, wildcards = snakemake.params, snakemake.wildcards
    shard, key = open_shard(snakemake.input.activations[0]), f"saes.{wildcards.sae}"
    settings = sae_settings(params.settings, snakemake.input.source, key)
    sae, origin = read_sae(settings, shard.width, key)
    tokens = shard.rows(shard.kept_rows(include_special=False)[:CHECKED_TOKENS])
    where = f"activations of model '{wildcards.model}' at '{params.hook}'"
    check_reconstruction(sae, tokens, settings["most_fvu"], key, where)
    write_table(pd.DataFrame(columns=HISTORY_COLUMNS, dtype=float), snakemake.output.history, stamp)
    metadata = sae_lens_metadata(wildcards.model, params.hook, params.context_length, params.prepend_bos)
    save_sae(sae, Path(snakemake.output.sae[0]).parent, metadata | origin, stamp)
