"""Adapter of rule measure_absorption."""

from coact.activations import open_shard
from coact.artefacts import read_table, write_json, write_table
from coact.features.batches import count_active, read_shards
from coact.graph.measures import read_decoder, read_decoder_bias
from coact.interpretation.absorption import Dictionary, measure_absorption
from coact.interpretation.memberships import open_memberships, shown_contexts
from coact.interpretation.probes import open_directions
from coact.interpretation.sparse_probes import choose_candidates, grow_probes
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    train, heldout = open_memberships(inputs.marks)
    best, features = read_table(inputs.contexts), read_table(inputs.features, ["feature", "context", "f1_train"])
    names = [name for name in shown_contexts(best, params.ordinary) if name not in params.ordinary]
    fires, _ = count_active(inputs.heldout)
    dictionary = Dictionary(read_decoder(inputs.weights), read_decoder_bias(inputs.weights), fires)
    candidates = choose_candidates(best, features, names, params.main["candidates"])
    main = grow_probes(
        read_shards(inputs.train),
        train,
        candidates,
        least_gain=params.main["least_gain"],
        most=params.main["most_features"],
    )
    table, summary = measure_absorption(
        [open_shard(path) for path in inputs.activations],
        read_shards(inputs.heldout),
        heldout,
        open_directions(inputs.directions, inputs.probes),
        main,
        dictionary,
        **params.absorption,
    )
    write_table(table, snakemake.output.table, stamp)
    write_json({"provenance": stamp, **snakemake.wildcards, **summary}, snakemake.output.summary)
