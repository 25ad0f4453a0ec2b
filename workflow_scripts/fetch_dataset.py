"""Adapter of rule fetch_dataset."""

import logging

import pandas as pd

from coact.artefacts import write_json, write_table
from coact.corpus.sources.huggingface import COLUMNS, get_column, open_decoder, stream_documents
from coact.errors import StudyError
from coact.hub.models import tokenizer_folder
from coact.hub.repositories import pin
from coact.jobs import job

with job(snakemake) as stamp:
    params, output = snakemake.params, snakemake.output
    spec, key = params.source, f"corpus.sources: {params.source['name']}"
    rows, commit, failed, decoder = [], None, None, None
    if model := spec["tokens_of"]:
        folder = tokenizer_folder(params.model, snakemake.input.tokenizer, f"models.{model}")
        decoder = open_decoder(spec, folder, key)
    try:
        commit = pin("dataset", spec["path"], spec["revision"], key)
        rows = list(stream_documents(spec, commit, params.most_bytes, key, decoder))
    except StudyError as error:
        if not spec["optional"]:
            raise
        failed = str(error)
        logging.getLogger("coact").warning("left out, as it is optional: %s", failed)
    write_table(pd.DataFrame(rows, columns=COLUMNS).astype({"row": "int64", "text": "str"}), output.documents, stamp)
    record = {name: spec[name] for name in ("path", "config", "split", "revision", "tokens_of")}
    record |= {"column": get_column(spec), "same_share": decoder.share if decoder else None}
    record |= {"kind": "dataset", "name": spec["path"], "commit": commit, "documents": len(rows), "failed": failed}
    write_json({"provenance": stamp, **record}, output.pin)
