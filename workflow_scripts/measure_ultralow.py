"""Adapter of rule measure_ultralow."""

import pandas as pd

from coact.artefacts import read_json, read_table, write_table
from coact.graph.measures import read_encoder
from coact.interpretation.ultralow import measure_ultralow
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    tables = [
        measure_ultralow(
            read_table(inputs.densities[place], ["count"]),
            read_encoder(inputs.weights[place]),
            read_table(inputs.nodes[place], ["live", "topk_count"]),
            read_table(inputs.edges[place], ["source", "target"]),
            tokens=read_json(inputs.evaluations[place])["tokens"],
            **params.ultralow,
        ).assign(model=model, sae=sae)
        for place, (model, sae) in enumerate(params.columns)
    ]
    table = pd.concat(tables, ignore_index=True)
    write_table(table[["model", "sae", *table.columns.drop(["model", "sae"])]], snakemake.output.ultralow, stamp)
