"""Adapter of rule plot_chains."""

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.corpus.tokenizer import spell_tokens
from coact.figures.chains import chains
from coact.figures.save import save_drawing
from coact.jobs import job
from coact.spelling import show_token

with job(snakemake) as stamp:
    inputs = snakemake.input
    steps = [read_table(path) for path in inputs.steps]
    tokens = [sorted(set(table["token"].tolist())) for table in steps]
    shown = [
        dict(zip(ids, map(show_token, spell_tokens(path, ids)), strict=True))
        for path, ids in zip(inputs.tokenizers, tokens, strict=True)
    ]
    drawing = chains(
        [Column(*record) for record in snakemake.params.columns],
        [read_json(path) for path in inputs.summaries],
        [read_table(path) for path in inputs.chains],
        steps,
        shown,
    )
    save_drawing(drawing, **snakemake.output, dpi=snakemake.params.dpi, stamp=stamp)
