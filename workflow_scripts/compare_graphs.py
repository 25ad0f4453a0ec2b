"""Adapter of rule compare_graphs."""

from coact.artefacts import read_table, write_table
from coact.comparison.columns import Column
from coact.comparison.pairs import Matchable, compare_columns
from coact.graph.measures import read_decoder
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    dictionaries = [
        Matchable(
            read_table(inputs.edges[place], ["source", "target", "count", "weight"]),
            read_table(inputs.nodes[place], ["topk_count", "live"]),
            read_table(inputs.communities[place], ["community"])["community"].to_numpy(),
            read_decoder(inputs.weights[place]),
            inputs.features[place * params.shards : (place + 1) * params.shards],
        )
        for place in range(len(params.columns))
    ]
    columns = [Column(*record) for record in params.columns]
    pairs, best = compare_columns(columns, dictionaries, **params.comparison)
    write_table(pairs, snakemake.output.pairs, stamp)
    write_table(best, snakemake.output.best, stamp)
