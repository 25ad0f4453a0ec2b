"""Adapter of rule describe_features."""

from coact.activations import open_shard
from coact.artefacts import write_table
from coact.corpus.tokens import open_tokens
from coact.features.batches import read_shards
from coact.graph.measures import read_decoder
from coact.interpretation.describe import describe_features
from coact.interpretation.similarity import nearest_neurons, similar_features
from coact.jobs import job

with job(snakemake) as stamp:
    paths, params, output = snakemake.input, snakemake.params, snakemake.output
    found = describe_features(paths.features, open_tokens(paths.tokens), **params.shown)
    features = found.summary
    others, cosines = similar_features(read_decoder(paths.weights), params.similar)
    features["similar"], features["similar_cosines"] = list(others), list(cosines)
    shards = map(open_shard, paths.activations)
    features["neuron"], features["neuron_correlation"] = nearest_neurons(read_shards(paths.features), shards)
    write_table(found.examples, output.examples, stamp)
    write_table(found.tokens, output.tokens, stamp)
    write_table(features, output.features, stamp)
