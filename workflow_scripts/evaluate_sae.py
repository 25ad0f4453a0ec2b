"""Adapter of rule evaluate_sae."""

from pathlib import Path

from coact.activations import open_shard
from coact.artefacts import read_json, write_json, write_table
from coact.corpus.tokens import open_tokens
from coact.jobs import job
from coact.models.bridge import load_bridge
from coact.models.evaluate import Targets, patched_predictions
from coact.sae.disk import load_sae
from coact.sae.evaluate import density, evaluation, l0_table, reconstruction

with job(snakemake) as stamp:
    params, column = snakemake.params, dict(snakemake.wildcards)
    sae = load_sae(Path(snakemake.input.sae[0]).parent)
    shards = [open_shard(path) for path in snakemake.input.activations]
    found = reconstruction(sae, shards, params.include_bos)
    spliced = patched_predictions(
        load_bridge(Path(snakemake.input.model[0]).parent),
        Targets.from_stream(open_tokens(snakemake.input.heldout), params.heldout_tokens),
        params.forward_contexts,
        params.hook,
        lambda value: sae.reconstruct(value.flatten(0, 1))[0].view_as(value),
        params.include_bos,
        "predictions, spliced",
    )
    figures = evaluation(sae, params.architecture, found, spliced, read_json(snakemake.input.model_evaluation))
    write_json({"provenance": stamp, **column, **figures}, snakemake.output.evaluation)
    write_table(density(sae, found), snakemake.output.density, stamp)
    write_table(l0_table(found), snakemake.output.l0, stamp)
