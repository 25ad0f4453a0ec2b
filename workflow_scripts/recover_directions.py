"""Adapter of rule recover_directions."""

from dataclasses import replace

from coact.activations import open_shard
from coact.artefacts import write_json, write_table
from coact.jobs import job
from coact.sae.memory import SAMPLE_TOKENS
from coact.sae.stream import ActivationStream
from coact.sae.train import Training, new_sae, train_sae
from coact.sae.truth.planted import plant
from coact.sae.truth.recovery import recover
from coact.sae.truth.settings import TruthSettings

with job(snakemake) as stamp:
    section, settings, output = snakemake.params.truth, snakemake.params.settings, snakemake.output
    training = replace(Training.of(settings), snapshot_steps=())
    shards = [open_shard(snakemake.input.activations)]
    stream = ActivationStream(shards, True, settings["batch_tokens"], training.seed)
    trained = train_sae(new_sae(settings, stream.width), stream, training)
    truth, sample = plant(TruthSettings.of(section)), stream.sample(SAMPLE_TOKENS)
    found = recover(trained.sae, truth, sample, section["heldout_tokens"], section["found_cosine"])
    write_table(trained.history, output.history, stamp)
    write_table(found.truths, output.truths, stamp)
    write_table(found.features, output.features, stamp)
    write_json({**found.scores, "provenance": stamp}, output.scores)
