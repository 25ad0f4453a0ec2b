"""Adapter of rule evaluate_model."""

from pathlib import Path

from coact.artefacts import write_json
from coact.corpus.tokens import open_tokens
from coact.jobs import job
from coact.models.bridge import load_bridge
from coact.models.evaluate import Targets, evaluate_model

with job(snakemake) as stamp:
    params, name = snakemake.params, snakemake.wildcards.model
    figures = evaluate_model(
        load_bridge(Path(snakemake.input.model[0]).parent),
        open_tokens(snakemake.input.train).tokens,
        Targets.from_stream(open_tokens(snakemake.input.heldout), params.heldout_tokens),
        hook=params.hook,
        batch_contexts=params.forward_contexts,
        include_special=params.include_bos,
    )
    write_json({"provenance": stamp, "model": name, "kind": params.kind, **figures}, snakemake.output.evaluation)
