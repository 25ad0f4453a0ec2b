"""Adapter of rule plot_meaning."""

from functools import partial

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.figures.absorption import absorption
from coact.figures.contexts import context_heatmap, contexts
from coact.figures.maps import feature_map
from coact.figures.purity import purity
from coact.figures.rare_features import rare_features
from coact.figures.save import make_figure
from coact.figures.splitting import splitting
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns = [Column(*record) for record in params.columns]
    compared, descendants, pairs, ultralow = map(
        read_table, (inputs.contexts, inputs.descendants, inputs.splitting, inputs.ultralow)
    )
    best, features, maps, nodes, communities, assigned, absorbed = (
        [read_table(path) for path in inputs[name]]
        for name in ("best", "features", "maps", "nodes", "communities", "assigned", "absorption")
    )
    of_maps, of_absorption, of_purity = (
        [read_json(path) for path in inputs[name]] for name in ("map_summaries", "absorption_summaries", "purity")
    )
    make = partial(make_figure, paths=dict(snakemake.output), dpi=params.dpi, stamp=stamp)
    make(contexts, columns, compared, params.ordinary)
    make(context_heatmap, columns, compared, best, features, params.ordinary)
    make(purity, columns, of_purity)
    make(feature_map, columns, maps, of_maps, nodes, communities, assigned, compared, params.ordinary)
    make(rare_features, columns, ultralow)
    make(splitting, columns, descendants, pairs, params.least_cosine, compared, params.contexts)
    make(absorption, columns, absorbed, of_absorption)
