"""Adapter of rule plot_saturation."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.save import save_drawing
from coact.figures.sensitivity import saturation
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = saturation(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.sensitivity],
        snakemake.params.k,
        snakemake.params.include_bos,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
