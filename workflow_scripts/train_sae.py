"""Adapter of rule train_sae."""

from pathlib import Path

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.jobs import job
from coact.sae.architectures import ARCHITECTURES
from coact.sae.disk import sae_lens_metadata, save_sae
from coact.sae.stream import ActivationStream
from coact.sae.train import train_sae
from coact.study import dictionary_size

TRAINING = ("tokens", "learning_rate", "warmup_share", "decay_share", "dead_steps", "seed")

with job(snakemake) as stamp:
    params, settings = snakemake.params, snakemake.params.settings
    shards = [open_shard(path) for path in snakemake.input.activations]
    stream = ActivationStream(shards, params.include_bos, settings["batch_tokens"], settings["seed"])
    sae = ARCHITECTURES[settings["architecture"]](
        stream.width,
        dictionary_size(stream.width, settings["expansion"]),
        **{key: settings[key] for key in ("k", "l1", "aux_share")},
    )
    history = train_sae(sae, stream, **{key: settings[key] for key in TRAINING})
    write_table(history, snakemake.output.history, stamp)
    model = snakemake.wildcards.model
    metadata = sae_lens_metadata(model, params.hook, params.context_length, params.prepend_bos)
    save_sae(sae, Path(snakemake.output.sae[0]).parent, metadata, stamp)
