"""Adapter of rule plot_emergence."""

from coact.artefacts import read_json
from coact.comparison.columns import Column
from coact.figures.emergence import emergence
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = emergence(
        [Column(*record) for record in snakemake.params.columns],
        [read_json(path) for path in snakemake.input.summaries],
        snakemake.params.confidence,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
