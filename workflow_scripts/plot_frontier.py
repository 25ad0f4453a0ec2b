"""Adapter of rule plot_frontier."""

from coact.artefacts import read_json
from coact.comparison.columns import Column
from coact.figures.frontier import frontier
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = frontier(
        [Column(*record) for record in snakemake.params.columns],
        [read_json(path) for path in snakemake.input.evaluations],
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
