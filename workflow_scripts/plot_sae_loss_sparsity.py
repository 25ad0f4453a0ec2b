"""Adapter of rule plot_sae_loss_sparsity."""

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.save import save_drawing
from coact.figures.training import sae_loss_sparsity
from coact.jobs import job

with job(snakemake) as stamp:
    drawing = sae_loss_sparsity(
        [Column(*record) for record in snakemake.params.columns],
        [read_table(path) for path in snakemake.input.histories],
        [read_json(path) for path in snakemake.input.evaluations],
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
