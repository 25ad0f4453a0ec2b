"""Adapter of rule plot_contexts."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.contexts import contexts
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    columns = [Column(*record) for record in snakemake.params.columns]
    drawing = contexts(columns, read_table(snakemake.input.contexts), snakemake.params.ordinary)
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
