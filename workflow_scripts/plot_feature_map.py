"""Adapter of rule plot_feature_map."""

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.maps import feature_map
from coact.figures.save import save_drawing
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    drawing = feature_map(
        [Column(*record) for record in params.columns],
        [read_table(path) for path in inputs.maps],
        [read_json(path) for path in inputs.summaries],
        [read_table(path, ["frequency"]) for path in inputs.nodes],
        [read_table(path, ["community"]) for path in inputs.communities],
        [read_table(path) for path in inputs.assigned],
        read_table(inputs.contexts),
        params.ordinary,
    )
    save_drawing(drawing, **snakemake.output, dpi=params.dpi, stamp=stamp)
