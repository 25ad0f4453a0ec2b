"""Adapter of rule make_neuron_dictionary."""

from pathlib import Path

import pandas as pd

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.jobs import job
from coact.sae.disk import sae_lens_metadata, save_sae
from coact.sae.history import HISTORY_COLUMNS
from coact.sae.neurons import neuron_dictionary

with job(snakemake) as stamp:
    params = snakemake.params
    width = open_shard(snakemake.input.activations[0]).width
    write_table(pd.DataFrame(columns=HISTORY_COLUMNS, dtype=float), snakemake.output.history, stamp)
    model = snakemake.wildcards.model
    metadata = sae_lens_metadata(model, params.hook, params.context_length, params.prepend_bos)
    save_sae(neuron_dictionary(width), Path(snakemake.output.sae[0]).parent, metadata, stamp)
