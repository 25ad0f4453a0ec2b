"""Adapter of rule plot_graphs."""

from functools import partial

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.degree import degree_distribution, log_degree_distribution
from coact.figures.degree_frequency import degree_frequency
from coact.figures.frequency import frequency_distribution
from coact.figures.nulls import null_comparison
from coact.figures.rarefaction import rarefied_degree
from coact.figures.save import make_figure
from coact.figures.sensitivity import saturation, sensitivity
from coact.figures.universality import universality
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns = [Column(*record) for record in params.columns]
    nodes, null_nodes, varied, rarefaction = (
        [read_table(path) for path in inputs[name]] for name in ("nodes", "null_nodes", "sensitivity", "rarefaction")
    )
    statistics = [read_json(path) for path in inputs.statistics]
    make = partial(make_figure, paths=dict(snakemake.output), dpi=params.dpi, stamp=stamp)
    make(degree_distribution, columns, nodes, null_nodes, params.confidence)
    make(log_degree_distribution, columns, nodes, null_nodes, statistics)
    make(frequency_distribution, columns, nodes, statistics, params.live_frequency, params.confidence)
    make(degree_frequency, columns, nodes, null_nodes, statistics, params.confidence)
    make(null_comparison, columns, statistics, params.confidence)
    make(saturation, columns, varied, params.k, params.include_bos)
    make(sensitivity, columns, varied, params.k, params.include_bos)
    make(universality, columns, read_table(inputs.matches))
    make(rarefied_degree, columns, rarefaction, params.rarefaction_tokens, params.intervals)
