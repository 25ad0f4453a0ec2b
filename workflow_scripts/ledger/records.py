"""The ledger's files: one a stage, results/ledger/{stage}.json."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from coact.artefacts import read_json, write_json
from coact.inventory import LEDGER


class Record(NamedTuple):
    """A job that is done.

    Attributes:
        job: what Snakemake knows of it: rule, parameters and the like; plain values, no times.
        inputs: path -> SHA-256 of what it read; None where it was not there any more.
        outputs: path -> SHA-256 of what it wrote.
        benchmark: file of its times, which Snakemake counts among its outputs when it looks at their age.
    """

    job: dict[str, Any]
    inputs: dict[str, str | None]
    outputs: dict[str, str]
    benchmark: str | None


def read_ledger(results: Path) -> dict[str, Record]:
    """Output -> the record of the job that wrote it, of all stages.

    Raises:
        ArtefactError: a file of the ledger is not JSON.
    """
    return {path: record for file in files_of(results) for record in read_stage(file) for path in record.outputs}


def files_of(results: Path) -> list[Path]:
    """The ledger's files."""
    return sorted((results / LEDGER).glob("*.json"))


def read_stage(file: Path) -> list[Record]:
    """The jobs of a stage; none where there is no file.

    Raises:
        ArtefactError: it is not JSON.
    """
    return [Record(**entry) for entry in read_json(file)["jobs"]] if file.is_file() else []


def write_stage(file: Path, records: Iterable[Record]) -> None:
    """Write the jobs of a stage in the order of their outputs; a file that would not change is left alone."""
    ordered = sorted(records, key=lambda record: min(record.outputs))
    if not file.is_file() or read_stage(file) != ordered:
        write_json({"jobs": [record._asdict() for record in ordered]}, file)
