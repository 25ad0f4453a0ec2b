"""Adapter of rule import_sae."""

from pathlib import Path

import pandas as pd

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.jobs import job
from coact.sae import sae_lens
from coact.sae.disk import sae_lens_metadata, save_sae
from coact.sae.history import HISTORY_COLUMNS

READERS = {"sae_lens": sae_lens.read_sae}

with job(snakemake) as stamp:
    params, settings = snakemake.params, snakemake.params.settings
    width = open_shard(snakemake.input.activations[0]).width
    sae, origin = READERS[settings["format"]](
        settings["path"], width, settings["input_scale"], settings["fold_decoder_norms"]
    )
    write_table(pd.DataFrame(columns=HISTORY_COLUMNS, dtype=float), snakemake.output.history, stamp)
    model = snakemake.wildcards.model
    metadata = sae_lens_metadata(model, params.hook, params.context_length, params.prepend_bos)
    save_sae(sae, Path(snakemake.output.sae[0]).parent, metadata | origin, stamp)
