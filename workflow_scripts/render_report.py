"""Adapter of rule render_report."""

import tempfile
from pathlib import Path

from coact.artefacts import read_json, read_table
from coact.comparison.columns import columns_of
from coact.jobs import job
from coact.provenance import config_hash, versions
from coact.report.meaning import read_meaning
from coact.report.render import render
from coact.report.results import Results
from coact.report.tables import report_tables
from coact.report.variables import report_variables
from coact.study import check

with job(snakemake):
    paths, params = snakemake.input, snakemake.params
    study = check(params.config)
    results = Results(
        study=study,
        columns=columns_of(study),
        evaluations=[read_json(path) for path in paths.evaluations],
        statistics=[read_json(path) for path in paths.statistics],
        sensitivity=[read_table(path) for path in paths.sensitivity],
        rarefaction=[read_table(path) for path in paths.rarefaction],
        pairs=read_table(paths.pairs),
        best=read_table(paths.best),
        models=[read_json(path) for path in paths.models],
        corpus=read_json(paths.corpus),
        tokens={name: read_json(path) for name, path in zip(params.tokenizers, paths.tokens, strict=True)},
        recovery=read_table(paths.recovery),
        meaning=read_meaning(paths, study),
        captions={Path(path).stem: read_json(path) for path in paths.captions},
        versions=versions(),
        config_hash=config_hash(params.config),
    )
    texts, tables = report_variables(results), report_tables(results)
    pictures = {Path(path).name: path for path in paths.svg}
    with tempfile.TemporaryDirectory() as scratch:
        render(Path(paths.prose[0]).parent, Path(scratch) / "report", texts, tables, pictures, snakemake.output.report)
