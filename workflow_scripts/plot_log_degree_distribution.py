"""Adapter of rule plot_log_degree_distribution."""

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.degree import log_degree_distribution
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = log_degree_distribution(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.nodes],
        [read_table(path) for path in snakemake.input.null_nodes],
        [read_json(path) for path in snakemake.input.statistics],
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
