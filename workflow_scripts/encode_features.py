"""Adapter of rule encode_features."""

from pathlib import Path

from coact.activations import open_shard
from coact.features.encode import encode_shard
from coact.jobs import job
from coact.sae.disk import load_sae

with job(snakemake) as stamp:
    params = snakemake.params
    sae = load_sae(Path(snakemake.input.sae[0]).parent)
    shard = open_shard(snakemake.input.activations)
    encode_shard(sae, shard, params.tokens, params.include_bos, snakemake.output.features, stamp)
