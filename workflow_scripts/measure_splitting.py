"""Adapter of rule measure_splitting."""

import numpy as np

from coact.artefacts import read_table, write_table
from coact.comparison.columns import Column
from coact.comparison.pairs import Matchable
from coact.comparison.splitting import split_columns
from coact.graph.measures import read_decoder
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    dictionaries = [
        Matchable(
            read_table(inputs.edges[place], ["source", "target"]),
            read_table(inputs.nodes[place], ["topk_count", "live"]),
            np.empty(0, np.int32),  # communities are not compared
            read_decoder(inputs.weights[place]),
            inputs.features[place * params.shards : (place + 1) * params.shards],
        )
        for place in range(len(params.columns))
    ]
    columns = [Column(*record) for record in params.columns]
    descendants, splitting = split_columns(columns, dictionaries, **params.splitting)
    write_table(descendants, snakemake.output.descendants, stamp)
    write_table(splitting, snakemake.output.splitting, stamp)
