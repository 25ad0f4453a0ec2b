"""Adapter of rule make_gallery."""

from functools import partial
from pathlib import Path

from coact.artefacts import read_table, write_json
from coact.comparison.columns import Column
from coact.comparison.contexts import representative
from coact.corpus.tokenizer import load_tokenizer, token_bytes
from coact.graph.measures import read_decoder
from coact.interpretation.cards import Cards, Tables
from coact.interpretation.gallery import choose_gallery
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns, contexts = [Column(*record) for record in params.columns], read_table(inputs.compared)
    place = representative(columns, contexts, params.ordinary)
    column = columns[place]
    own = contexts[(contexts["model"] == column.model) & (contexts["sae"] == column.sae) & (contexts["feature"] >= 0)]
    best = dict(zip(own["context"], own["feature"].tolist(), strict=True))
    named = {context: best[context] for context in params.contexts if context in best}
    tables = Tables.read({name: inputs[name][place] for name in Tables.names()})
    chosen = choose_gallery(
        tables.features, read_decoder(inputs.weights[place]), named, params.features, params.most_cosine, params.least
    )
    spell = partial(token_bytes, load_tokenizer(Path(inputs.tokenizers[place]).parent))
    cards = Cards(tables, spell)
    features = [{**row, "card": cards.card(row["feature"])} for row in chosen.to_dict("records")]
    write_json({"provenance": stamp, "column": column.name, "features": features}, snakemake.output.gallery)
