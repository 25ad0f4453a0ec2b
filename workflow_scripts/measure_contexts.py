"""Adapter of rule measure_contexts."""

from functools import partial

from coact.artefacts import read_table, write_json, write_table
from coact.corpus.tokens import open_tokens
from coact.features.batches import read_shards
from coact.interpretation.contexts import Tokens, measure_contexts
from coact.interpretation.memberships import open_memberships, shown_contexts
from coact.interpretation.purity import measure_purity
from coact.jobs import job

with job(snakemake) as stamp:
    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    streams = [open_tokens(path) for path in (inputs.train_tokens, inputs.heldout_tokens)]
    splits = [
        Tokens(partial(read_shards, shards), stream.tokens.reshape(-1)[: len(contexts.counted)], contexts)
        for shards, stream, contexts in zip(
            (inputs.train, inputs.heldout), streams, open_memberships(inputs.marks), strict=True
        )
    ]
    best, features = measure_contexts(*splits, **params.contexts)
    summary, assigned, neighbours = measure_purity(
        features,
        best,
        read_table(inputs.nodes, ["feature", "live", "frequency", "topk_count"]),
        read_table(inputs.communities, ["community"])["community"].to_numpy(),
        read_table(inputs.edges, ["source", "target", "count", "weight", "q", "significant"]),
        names=shown_contexts(best, params.ordinary),
        ordinary=params.ordinary,
        **params.purity,
    )
    write_json({"provenance": stamp, **snakemake.wildcards, **summary}, output.purity)
    tables = {"best": best, "features": features, "assigned": assigned, "neighbours": neighbours}
    for name, table in tables.items():
        write_table(table, output[name], stamp)
