"""Adapter of rule plot_context_heatmap."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.contexts import context_heatmap
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = context_heatmap(
        [Column(*record) for record in snakemake.params.columns],
        read_table(snakemake.input.contexts),
        [read_table(path) for path in snakemake.input.best],
        [read_table(path) for path in snakemake.input.features],
        snakemake.params.ordinary,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
