"""Adapter of rule plot_ground_truth."""

from coact.artefacts import read_table
from coact.figures.ground_truth import ground_truth
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    params = snakemake.params
    tables = dict(zip(params.saes, map(read_table, snakemake.input.truths), strict=True))
    drawing = ground_truth(tables, params.truth["found_cosine"])
    save_drawing(drawing, **snakemake.output, dpi=params.dpi, stamp=stamp)
