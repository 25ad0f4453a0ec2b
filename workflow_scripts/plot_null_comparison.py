"""Adapter of rule plot_null_comparison."""

from coact.artefacts import read_json
from coact.comparison.columns import Column
from coact.figures.nulls import null_comparison
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = null_comparison(
        [Column(*record) for record in snakemake.params.columns],
        [read_json(path) for path in snakemake.input.statistics],
        snakemake.params.confidence,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
