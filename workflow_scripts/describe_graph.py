"""Adapter of rule describe_graph."""

from functools import partial

from coact.artefacts import read_table, write_json, write_table
from coact.corpus.tokenizer import spell_tokens
from coact.corpus.tokens import open_tokens
from coact.graph.occurrences import describe_features
from coact.graph.parts import read_sets
from coact.graph.resampling import count_documents, document_intervals
from coact.graph.statistics import describe_graph
from coact.jobs import job
from coact.nulls.proportion import correct_quadrants, degree_table, listed_features
from coact.nulls.replicates import plain_statistics
from coact.nulls.summary import compare_with_nulls, count_tested

with job(snakemake) as stamp:
    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    options = params.statistics
    nodes, edges, (sets, documents) = read_table(inputs.nodes), read_table(inputs.edges), read_sets(inputs.sets)
    described = {
        name: describe_graph(nodes, table, **options)
        for name, table in {"observed": edges, "null": read_table(inputs.null_edges)}.items()
    }
    nulls = compare_with_nulls(
        plain_statistics(nodes, edges, **params.communities),
        [read_table(path) for path in inputs.replicates],
        options["confidence"],
        document_intervals(nodes, edges, sets, documents, **params.resampling),
    )
    degrees = degree_table(nodes, [read_table(path) for path in inputs.null_nodes])
    quadrants = described["observed"]["quadrants"]
    corrected = correct_quadrants(degrees, quadrants, options["listed"], options["confidence"])
    listed = describe_features(
        listed_features(quadrants, corrected),
        inputs.features,
        open_tokens(inputs.tokens),
        nodes["topk_count"].to_numpy(),
        partial(spell_tokens, inputs.tokenizer),
    )
    summary = {"provenance": stamp, **snakemake.wildcards, "k": params.k, "batches": params.batches}
    summary |= {**count_documents(documents), **described, "nulls": nulls}
    summary |= {"tested": count_tested(edges, read_table(inputs.repelled), params.fdr)}
    write_table(degrees, output.degrees, stamp)
    write_json({**summary, "corrected": corrected, "listed_features": listed}, output.statistics)
