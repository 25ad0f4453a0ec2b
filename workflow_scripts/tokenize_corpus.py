"""Adapter of rule tokenize_corpus."""

from pathlib import Path

from coact.artefacts import read_table, write_json
from coact.corpus.sources import available_sources, get_labels, get_shares
from coact.corpus.tokenizer import load_tokenizer
from coact.corpus.tokens import save_tokens, tokenize
from coact.jobs import job

with job(snakemake) as stamp:
    settings = dict(snakemake.params.corpus)
    sources, _ = available_sources(settings.pop("sources"))
    wanted = {split: settings.pop(f"{split}_tokens") for split in ("train", "heldout")}
    tokenizer = load_tokenizer(Path(snakemake.input.tokenizer).parent)
    manifest = {"provenance": stamp, "tokenizer": snakemake.wildcards.tokenizer, "splits": {}}
    for split, n_tokens in wanted.items():
        stream, manifest["splits"][split] = tokenize(
            read_table(snakemake.input[split]),
            tokenizer,
            get_shares(sources),
            get_labels(sources),
            n_tokens,
            split=split,
            **settings,
        )
        save_tokens(stream, snakemake.output[split], stamp)
    write_json(manifest, snakemake.output.manifest)
