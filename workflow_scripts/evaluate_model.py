"""Adapter of rule evaluate_model."""

from pathlib import Path

from coact.artefacts import write_json
from coact.corpus.tokens import open_tokens
from coact.jobs import job
from coact.models.bridge import load_bridge
from coact.models.evaluate import Targets, evaluate_model

with job(snakemake) as stamp:
    params, name = snakemake.params, snakemake.wildcards.model
    heldout = open_tokens(snakemake.input.heldout)
    contexts = params.heldout_tokens // heldout.tokens.shape[1]
    figures = evaluate_model(
        load_bridge(Path(snakemake.input.model[0]).parent),
        open_tokens(snakemake.input.train).tokens,
        Targets(heldout.tokens[:contexts], heldout.documents[:contexts]),
        hook=params.hook,
        batch_contexts=params.forward_contexts,
        include_special=params.include_bos,
    )
    write_json({"provenance": stamp, "model": name, "kind": params.kind, **figures}, snakemake.output.evaluation)
