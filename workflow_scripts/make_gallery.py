"""Adapter of rule make_gallery."""

from functools import partial
from pathlib import Path

from coact.artefacts import read_table, write_json
from coact.comparison.columns import Column
from coact.comparison.contexts import representative
from coact.corpus.tokenizer import load_tokenizer, token_bytes
from coact.graph.measures import read_decoder
from coact.interpretation.cards import Tables, make_cards
from coact.interpretation.gallery import choose_gallery
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params = snakemake.input, snakemake.params
    columns, contexts = [Column(*record) for record in params.columns], read_table(inputs.contexts)
    place = representative(columns, contexts, params.ordinary)
    column = columns[place]
    own = contexts[(contexts["model"] == column.model) & (contexts["sae"] == column.sae) & (contexts["feature"] >= 0)]
    best = dict(zip(own["context"], own["feature"].tolist(), strict=True))
    named = {context: best[context] for context in params.contexts if context in best}
    names = ("features", "examples", "tokens", "nodes", "edges", "communities")
    tables = Tables(*(read_table(inputs[name][place]) for name in names), others={})
    chosen = choose_gallery(
        tables.features, read_decoder(inputs.weights[place]), named, params.features, params.most_cosine, params.least
    )
    spell = partial(token_bytes, load_tokenizer(Path(inputs.tokenizers[place]).parent))
    cards = make_cards(tables, chosen["feature"].tolist(), spell)
    features = [{**row, "card": card} for row, card in zip(chosen.to_dict("records"), cards, strict=True)]
    write_json({"provenance": stamp, "column": column.name, "features": features}, snakemake.output.gallery)
