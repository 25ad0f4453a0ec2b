"""Adapter of rule plot_behaviour."""

from functools import partial

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.corpus.tokenizer import spell_tokens
from coact.figures.chains import chains
from coact.figures.effects import effects
from coact.figures.explanations import explanations
from coact.figures.save import make_figure
from coact.figures.steering import steering
from coact.jobs import job
from coact.spelling import show_token

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns = [Column(*record) for record in params.columns]
    explained, directions, walks, steps, lenses, effect_tables, steered = (
        [read_table(path) for path in inputs[name]]
        for name in ("explanations", "directions", "chains", "chain_steps", "lenses", "effects", "steering")
    )
    of_chains, of_effects = ([read_json(path) for path in inputs[f"{name}_summaries"]] for name in ("chain", "effect"))
    tokens = [sorted(set(table["token"].tolist())) for table in steps]
    shown = [
        dict(zip(ids, map(show_token, spell_tokens(path, ids)), strict=True))
        for path, ids in zip(inputs.tokenizers, tokens, strict=True)
    ]
    make = partial(make_figure, paths=dict(snakemake.output), dpi=params.dpi, stamp=stamp)
    make(explanations, columns, explained, directions)
    make(chains, columns, of_chains, walks, steps, shown)
    make(effects, columns, lenses, effect_tables, of_effects)
    make(steering, columns, steered)
