"""Adapter of rule fetch_dataset."""

import pandas as pd

from coact.artefacts import write_json, write_table
from coact.corpus.sources.huggingface import COLUMNS, stream_documents
from coact.hub import pin
from coact.jobs import job

with job(snakemake) as stamp:
    params, output = snakemake.params, snakemake.output
    spec, key = params.source, f"corpus.sources: {params.source['name']}"
    commit = pin("dataset", spec["path"], spec["revision"], key)
    documents = pd.DataFrame(stream_documents(spec, commit, params.most_bytes, key), columns=COLUMNS)
    write_table(documents.astype({"row": "int64"}), output.documents, stamp)
    record = {name: spec[name] for name in ("path", "config", "split", "revision", "column")}
    record |= {"kind": "dataset", "name": spec["path"], "commit": commit, "documents": len(documents)}
    write_json({"provenance": stamp, **record}, output.pin)
