"""Adapter of rule plot_frequency_distribution."""

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.frequency import frequency_distribution
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = frequency_distribution(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.nodes],
        [read_json(path) for path in snakemake.input.statistics],
        snakemake.params.live_frequency,
        snakemake.params.confidence,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
