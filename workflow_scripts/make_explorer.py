"""Adapter of rule make_explorer."""

from pathlib import Path

from coact.artefacts import atomic, read_table
from coact.comparison.columns import Column
from coact.comparison.contexts import representative
from coact.explorer.files import contents
from coact.explorer.page import make_page
from coact.jobs import job

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    columns = [Column(*record) for record in params.columns]
    parts = contents(Path(folder) for folder in inputs.folders)
    known = [
        {"name": column.name, "control": column.control, **part} for column, part in zip(columns, parts, strict=True)
    ]
    start = representative(columns, read_table(inputs.compared), params.ordinary)
    with atomic(snakemake.output.page) as page:
        page.write_text(make_page(Path(inputs.page[0]).parent, params.title, known, start), encoding="utf-8")
