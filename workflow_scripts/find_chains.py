"""Adapter of rule find_chains."""

from coact.artefacts import write_json, write_table
from coact.corpus.tokens import open_tokens
from coact.features.batches import read_shards
from coact.interpretation.chain_tables import tabulate_chains
from coact.interpretation.chains import ChainSettings, read_succession
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    train = read_succession(read_shards(inputs.train_features), open_tokens(inputs.train_tokens), params.k)
    heldout = read_succession(read_shards(inputs.heldout_features), open_tokens(inputs.heldout_tokens), params.k)
    found = tabulate_chains(train, heldout, ChainSettings(**params.chains))
    write_table(found.edges, output.edges, stamp)
    write_table(found.chains, output.chains, stamp)
    write_table(found.steps, output.steps, stamp)
    write_table(found.loops, output.loops, stamp)
    write_json({**found.summary, "provenance": stamp}, output.summary)
