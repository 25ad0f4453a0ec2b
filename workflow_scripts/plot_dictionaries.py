"""Adapter of rule plot_dictionaries."""

from functools import partial

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.emergence import emergence
from coact.figures.frequency import feature_density
from coact.figures.frontier import frontier
from coact.figures.save import make_figure
from coact.figures.training import sae_loss_sparsity
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns, watched = ([Column(*record) for record in records] for records in (params.columns, params.watched))
    histories, densities = ([read_table(path) for path in paths] for paths in (inputs.histories, inputs.density))
    evaluations, emerged = ([read_json(path) for path in paths] for paths in (inputs.evaluations, inputs.emergence))
    make = partial(make_figure, paths=dict(snakemake.output), dpi=params.dpi, stamp=stamp)
    make(sae_loss_sparsity, columns, histories, evaluations)
    make(frontier, columns, evaluations)
    make(feature_density, columns, densities, evaluations, params.confidence)
    make(emergence, watched, emerged, params.confidence)
