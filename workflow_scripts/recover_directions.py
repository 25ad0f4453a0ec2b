"""Adapter of rule recover_directions."""

from dataclasses import replace

from coact.activations import open_shard
from coact.artefacts import write_json, write_table
from coact.jobs import job
from coact.sae.architectures import ARCHITECTURES
from coact.sae.initialization import SAMPLE_TOKENS, check_memory
from coact.sae.stream import ActivationStream
from coact.sae.train import Training, train_sae
from coact.sae.truth.planted import plant
from coact.sae.truth.recovery import recover
from coact.sae.truth.settings import TruthSettings
from coact.study import dictionary_size

# Neither the training's nor, as all others, the architecture's.
FAMILY = {"kind", "architecture", "expansion", "batch_tokens"}

with job(snakemake) as stamp:
    section, settings, output = snakemake.params.truth, snakemake.params.settings, snakemake.output
    training = replace(Training.of(settings), snapshot_steps=())
    shards = [open_shard(snakemake.input.activations)]
    stream = ActivationStream(shards, True, settings["batch_tokens"], training.seed)
    d_sae = dictionary_size(stream.width, settings["expansion"])
    check_memory(stream.width, d_sae, stream.batch_tokens)
    own = {key: value for key, value in settings.items() if key not in FAMILY | vars(training).keys()}
    trained = train_sae(ARCHITECTURES[settings["architecture"]](stream.width, d_sae, **own), stream, training)
    truth, sample = plant(TruthSettings.of(section)), stream.sample(SAMPLE_TOKENS)
    found = recover(trained.sae, truth, sample, section["heldout_tokens"], section["found_cosine"])
    write_table(trained.history, output.history, stamp)
    write_table(found.truths, output.truths, stamp)
    write_table(found.features, output.features, stamp)
    write_json({**found.scores, "provenance": stamp}, output.scores)
