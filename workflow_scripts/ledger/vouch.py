"""Before Snakemake looks at the results: which of them may be trusted.

In: a folder of results, its ledger and Snakemake's own records. Out: records that Snakemake can rely on.
"""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.persistence import MetadataRecord, PersistenceBase

from coact.artefacts import is_unfinished
from coact.inventory import LEDGER, TIMESTAMP
from ledger.digests import Digests, modified
from ledger.records import Record, files_of, read_ledger

ALGORITHM = "sha256:"  # before Snakemake's checksums


class Vouched(NamedTuple):
    """Outputs by what was done about them: told to Snakemake from the ledger, or marked as unfinished."""

    restored: list[str]
    unknown: list[str]


def vouch(persistence: PersistenceBase, results: Path, digests: Digests) -> Vouched:
    """Leave Snakemake with records of those results alone that are what a record says.

    Args:
        persistence: Snakemake's records of the study.
        results: folder of results, as the rules name it.
        digests: of files.
    Raises:
        ArtefactError: a file of the ledger is not JSON.
    """
    known, now = read_ledger(results), time.time()
    # When the ledger came here: a link to a cache keeps the time of writing, not this one.
    noted = max((file.lstat().st_ctime for file in files_of(results)), default=0.0)
    sound = _Sound(known, digests)
    here = list(outputs_in(results))
    unfinished = persistence._filter_incomplete_keys(here)
    restored, unknown = [], []
    for path in here:
        metadata, record = persistence._read_record(path), known.get(path)
        if path in unfinished:
            continue
        seen = metadata is not None and metadata.endtime == modified(path)
        if seen and (record is None or _agree(metadata, record) or metadata.endtime > noted):
            continue
        if record is not None and record.outputs[path] == digests.of(path) and sound(path):
            if not seen:
                _touch(path, now)
                restored.append(path)
            # A checkout leaves files that are the same in both commits, though other settings and inputs made them.
            persistence._write_record(path, _metadata(record, modified(path)))
        elif not seen:
            persistence._mark_incomplete(path, None)
            unknown.append(path)
    for benchmark in {known[path].benchmark for path in restored}:
        if benchmark and os.path.exists(benchmark):
            _touch(benchmark, now)
    # Snakemake remembers what made files that are gone, and knows by it when what they were needed for is out of date.
    for path, record in known.items():
        if not os.path.exists(path) and persistence._read_record(path) is None and sound(path):
            persistence._write_record(path, _metadata(record, now))
    return Vouched(restored, unknown)


def outputs_in(results: Path) -> Iterator[str]:
    """Paths of files, and of folders that are outputs as a whole, but for the ledger and unfinished files."""
    ledger = str(results / LEDGER)
    for folder, folders, files in os.walk(results):
        folders[:] = sorted(name for name in folders if _is_whole(name) and os.path.join(folder, name) != ledger)
        if TIMESTAMP in files:
            folders.clear()
            yield folder
        else:
            yield from (os.path.join(folder, name) for name in sorted(files) if _is_whole(name))


def _is_whole(name: str) -> bool:
    return not is_unfinished(name) and name != ".gitignore"


class _Sound:
    """Whether what a job read is still what it read, so that its outputs are what it would write now.

    An input that is gone counts by the job that made it: one that can be made again, and would be the same.
    """

    def __init__(self, known: Mapping[str, Record], digests: Digests) -> None:
        self.known = known
        self.digests = digests
        self.found: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        if path not in self.found:
            inputs = self.known[path].inputs
            self.found[path] = all(self._same(name, expected) for name, expected in inputs.items())
        return self.found[path]

    def _same(self, path: str, expected: str | None) -> bool:
        if os.path.exists(path):
            return expected is not None and self.digests.of(path) == expected
        maker = self.known.get(path)
        return maker is None or (maker.outputs[path] == expected and self(path))


def _agree(metadata: MetadataRecord, record: Record) -> bool:
    """Whether Snakemake and the ledger say the same of a file."""
    checksums = {**_checksums(record), **(metadata.input_checksums or {})}
    return metadata.params == record.job["params"] and checksums == _checksums(record)


def _checksums(record: Record) -> dict[str, str]:
    return {path: f"{ALGORITHM}{digest}" for path, digest in record.inputs.items() if digest is not None}


def _metadata(record: Record, time_made: float) -> MetadataRecord:
    fields: dict[str, Any] = {**record.job, "input": sorted(record.inputs), "input_checksums": _checksums(record)}
    return MetadataRecord(**fields, starttime=time_made, endtime=time_made, incomplete=False)


def _touch(path: str, now: float) -> None:
    """One time for all that is restored: none is then newer than what was made of it."""
    place = os.path.join(path, TIMESTAMP)
    os.utime(place if os.path.isfile(place) else path, (now, now))
