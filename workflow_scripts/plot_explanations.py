"""Adapter of rule plot_explanations."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.explanations import explanations
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = explanations(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.explanations],
        [read_table(path) for path in snakemake.input.directions],
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
