"""Adapter of rule plot_splitting."""

from coact.artefacts import read_table
from coact.comparison.columns import Column
from coact.figures.save import save_drawing
from coact.figures.splitting import splitting
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    drawing = splitting(
        [Column(*record) for record in params.columns],
        read_table(inputs.descendants),
        read_table(inputs.splitting),
        params.least_cosine,
        read_table(inputs.contexts, ["model", "sae", "context", "feature"]) if inputs.get("contexts") else None,
        params.contexts,
    )
    save_drawing(drawing, **snakemake.output, dpi=params.dpi, stamp=stamp)
