"""Adapter of rule plot_sensitivity."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.save import save_drawing
from coact.figures.sensitivity import sensitivity
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = sensitivity(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.sensitivity],
        snakemake.params.k,
        snakemake.params.include_bos,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
