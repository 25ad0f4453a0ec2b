"""Adapter of rule plot_meaning."""

from functools import partial

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.corpus.tokenizer import spell_tokens
from coact.figures.absorption import absorption
from coact.figures.chains import chains
from coact.figures.contexts import context_heatmap, contexts
from coact.figures.explanations import explanations
from coact.figures.maps import feature_map
from coact.figures.save import make_figure
from coact.figures.splitting import splitting
from coact.jobs import job
from coact.spelling import show_token

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns = [Column(*record) for record in params.columns]
    compared, descendants, pairs = map(read_table, (inputs.contexts, inputs.descendants, inputs.splitting))
    best, features, explained, directions, walks, steps, maps, nodes, communities, assigned, absorbed = (
        [read_table(path) for path in inputs[name]]
        for name in ("best", "features", "explanations", "directions", "chains", "chain_steps", "maps", "nodes",
                     "communities", "assigned", "absorption")
    )  # fmt: skip
    of_chains, of_maps, of_absorption = (
        [read_json(path) for path in inputs[f"{name}_summaries"]] for name in ("chain", "map", "absorption")
    )
    tokens = [sorted(set(table["token"].tolist())) for table in steps]
    shown = [
        dict(zip(ids, map(show_token, spell_tokens(path, ids)), strict=True))
        for path, ids in zip(inputs.tokenizers, tokens, strict=True)
    ]
    make = partial(make_figure, paths=dict(snakemake.output), dpi=params.dpi, stamp=stamp)
    make(contexts, columns, compared, params.ordinary)
    make(context_heatmap, columns, compared, best, features, params.ordinary)
    make(feature_map, columns, maps, of_maps, nodes, communities, assigned, compared, params.ordinary)
    make(splitting, columns, descendants, pairs, params.least_cosine, compared, params.contexts)
    make(absorption, columns, absorbed, of_absorption)
    make(explanations, columns, explained, directions)
    make(chains, columns, of_chains, walks, steps, shown)
