"""Adapter of rule mark_contexts."""

from pathlib import Path

import pandas as pd

from coact.artefacts import write_table
from coact.corpus.tokenizer import load_tokenizer
from coact.corpus.tokens import open_tokens
from coact.interpretation.memberships import mark_splits, proxy_agreement, save_memberships
from coact.jobs import job

with job(snakemake) as stamp:
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    streams = [open_tokens(path) for path in (inputs.train, inputs.heldout)]
    tokenizer = load_tokenizer(Path(inputs.tokenizer).parent)
    marked = mark_splits(*streams, tokenizer, params.train_tokens, params.heldout_tokens, params.kinds)
    save_memberships(*marked, output.marks, stamp)
    agreement = [
        proxy_agreement(contexts).assign(split=split)
        for split, contexts in zip(("train", "heldout"), marked, strict=True)
    ]
    write_table(pd.concat(agreement, ignore_index=True), output.proxies, stamp)
