"""Adapter of rule compare_graphs."""

import pandas as pd

from coact.artefacts import read_table, write_table
from coact.comparison.columns import Column
from coact.comparison.pairs import Matchable, comparable, compare_pair
from coact.graph.measures import read_decoder
from coact.jobs import job
from coact.progress import tracked

with job(snakemake) as stamp:
    inputs, columns = snakemake.input, [Column(*record) for record in snakemake.params.columns]
    pairs, tables = comparable(columns), []
    graphs = {
        place: Matchable(
            read_table(inputs.edges[place], ["source", "target", "count", "weight"]),
            read_table(inputs.nodes[place], ["topk_count", "live"]),
            read_table(inputs.communities[place], ["community"])["community"].to_numpy(),
            read_decoder(inputs.weights[place]),
        )
        for place in sorted({place for pair in pairs for place in pair[:2]})
    }
    for a, b, differ in tracked(pairs, len(pairs), "compare graphs", "pairs"):
        found = compare_pair(graphs[a], graphs[b], **snakemake.params.comparison)
        tables.append(found.assign(a=columns[a].name, b=columns[b].name, differ=differ))
    empty = pd.DataFrame(columns=["a", "b", "differ", "measure", "null", "value"])
    write_table(pd.concat(tables, ignore_index=True) if tables else empty, snakemake.output.pairs, stamp)
