"""Adapter of rule train_sae."""

from contextlib import closing
from pathlib import Path

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.jobs import job
from coact.sae.checkpoint import FOLDER, Checkpoint, identity_of
from coact.sae.disk import sae_lens_metadata, save_sae
from coact.sae.stream import ActivationStream
from coact.sae.train import Training, new_sae, train_sae
from coact.trackers import open_tracker

with job(snakemake) as stamp:
    params, names, config = snakemake.params, snakemake.wildcards, snakemake.config
    # How often to write checkpoints and what to show changes no result, so neither is a parameter of the rule.
    minutes = config["saes"][names.sae.partition("-")[0]]["checkpoint_minutes"]
    settings = params.settings
    training = Training.of(settings)
    shards = [open_shard(path) for path in snakemake.input.activations]
    stream = ActivationStream(shards, params.include_bos, settings["batch_tokens"], training.seed)
    sae = new_sae(settings, stream.width)
    identity = identity_of(settings | {"include_bos": params.include_bos}, shards)
    checkpoint = Checkpoint(FOLDER / names.model / f"{names.sae}.safetensors", identity, minutes)
    with closing(open_tracker(config["tracking"], f"{names.model}/{names.sae}", settings)) as tracker:
        trained = train_sae(sae, stream, training, checkpoint, tracker)
    write_table(trained.history, snakemake.output.history, stamp)
    trained.snapshots.write(snakemake.output.snapshots, stamp)
    origin = names.model, params.hook, params.context_length, params.prepend_bos, settings["architecture"]
    save_sae(trained.sae, Path(snakemake.output.sae[0]).parent, sae_lens_metadata(*origin), stamp)
    checkpoint.delete()
