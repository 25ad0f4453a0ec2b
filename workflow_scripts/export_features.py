"""Adapter of rule export_features."""

from functools import partial
from pathlib import Path

from coact.artefacts import atomic_folder
from coact.corpus.tokenizer import load_tokenizer, token_bytes
from coact.explorer.files import write_column
from coact.explorer.neighbourhoods import Neighbourhoods
from coact.interpretation.cards import Cards, Tables
from coact.jobs import job

with job(snakemake):
    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    tables = Tables.read(inputs)
    spell = partial(token_bytes, load_tokenizer(Path(inputs.tokenizer).parent))
    communities = tables.communities["community"].to_numpy()
    graphs = Neighbourhoods(tables.edges, communities, params.neighbours, params.members, params.most_edges)
    name = f"{wildcards.model}/{wildcards.sae}"
    with atomic_folder(snakemake.output.folder) as folder:
        write_column(folder, name, Cards(tables, spell), graphs, len(tables.features), params.per_file)
