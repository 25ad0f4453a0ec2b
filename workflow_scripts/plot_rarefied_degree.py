"""Adapter of rule plot_rarefied_degree."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.rarefaction import rarefied_degree
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = rarefied_degree(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.rarefaction],
        snakemake.params.rarefaction_tokens,
        snakemake.params.intervals,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
