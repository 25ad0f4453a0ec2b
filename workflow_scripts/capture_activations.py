"""Adapter of rule capture_activations."""

from pathlib import Path

from coact.activations.capture import capture
from coact.corpus.tokens import open_tokens
from coact.jobs import job
from coact.models.bridge import check_hook, load_bridge

with job(snakemake) as stamp:
    params = snakemake.params
    bridge = load_bridge(Path(snakemake.input.model[0]).parent)
    check_hook(bridge, params.hook, snakemake.wildcards.model)
    stream = open_tokens(snakemake.input.tokens)
    length = stream.tokens.shape[1]
    part = slice(params.start // length, (params.start + params.tokens) // length)
    contexts = {name: getattr(stream, name)[part] for name in ("tokens", "documents", "labels")}
    capture(bridge, params.hook, contexts, params.dtype, params.forward_contexts, snakemake.output.shard, stamp)
