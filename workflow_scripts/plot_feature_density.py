"""Adapter of rule plot_feature_density."""

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.frequency import feature_density
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = feature_density(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.density],
        [read_json(path) for path in snakemake.input.evaluations],
        snakemake.params.confidence,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
