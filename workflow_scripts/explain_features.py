"""Adapter of rule explain_features."""

from functools import partial

from coact.activations import open_shard
from coact.artefacts import write_json, write_table
from coact.corpus.tokenizer import spell_tokens
from coact.corpus.tokens import open_tokens
from coact.features.batches import read_shards
from coact.interpretation.endpoint import Settings
from coact.interpretation.explanations import score_directions, score_features, summarize_explanations
from coact.interpretation.rules import describe_rule, fit_rule
from coact.interpretation.simulation import Split, count_statuses, simulate_column
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    shards = [[open_shard(path) for path in paths] for paths in (inputs.train_activations, inputs.heldout_activations)]
    paths = [list(inputs.train_features), list(inputs.heldout_features)]
    reads = [partial(read_shards, part) for part in paths]
    streams = [open_tokens(inputs.train_tokens), open_tokens(inputs.heldout_tokens)]
    rule = fit_rule(reads[0](), streams[0], params.pseudo_count)
    features = score_features(rule, reads[1], streams[1], **params.sample)
    directions = score_directions(rule, shards, reads, streams, params.directions, **params.sample)
    summary = summarize_explanations(features, directions)
    write_table(features, output.explanations, stamp)
    write_table(directions, output.directions, stamp)
    write_table(describe_rule(rule, params.shown), output.rules, stamp)
    settings = Settings(**params.endpoint) if params.endpoint else None
    spelling = spell_tokens(inputs.tokenizer, range(int(max(stream.tokens.max() for stream in streams)) + 1))
    splits = [Split(*split) for split in zip(paths, streams, strict=True)]
    simulations = simulate_column(
        settings, rule.active, params.endpoint_features, splits, **params.sample, spelling=spelling
    )
    write_table(simulations, output.simulations, stamp)
    summary["endpoint"] = count_statuses(simulations) if params.endpoint else None
    write_json({**summary, "provenance": stamp}, output.summary)
