"""SHA-256 of files and folders, each file read once."""

import contextlib
import hashlib
import os
import time
from pathlib import Path

from snakemake.logging import logger

from coact.artefacts import is_unfinished, read_json, write_json
from coact.errors import ArtefactError
from coact.inventory import TIMESTAMP, digest

INTERVAL_S = 10.0  # between words on the progress


def modified(path: str) -> float:
    """When an output was last written, as Snakemake takes it: a folder has a file for it."""
    place = os.path.join(path, TIMESTAMP)
    return os.lstat(place if os.path.isfile(place) else path).st_mtime


class Digests:
    """SHA-256 of files, remembered with size and time of the file.

    Args:
        memory: JSON file to remember them in.
    """

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        self.known: dict[str, list[int | str]] = {}
        with contextlib.suppress(ArtefactError):  # none yet, or one that a full disk cut off: all is read again
            self.known = read_json(memory)
        self.fresh = False
        self._read, self._told = 0, time.monotonic()

    def of(self, path: str) -> str:
        """SHA-256 (hex) of a file, or of the names and digests of a folder's files."""
        if os.path.isdir(path):
            return self._of_folder(Path(path))
        stat = os.stat(path)
        entry = self.known.get(path)
        if entry is None or entry[:2] != [stat.st_size, stat.st_mtime_ns]:
            entry = [stat.st_size, stat.st_mtime_ns, digest(Path(path))]
            self.known[path], self.fresh = entry, True
            self._tell(stat.st_size)
        return str(entry[2])

    def save(self) -> None:
        """Write what is new to the file, if that can be done: it only saves time."""
        if self.fresh:
            with contextlib.suppress(OSError, ArtefactError):
                write_json(self.known, self.memory)
            self.fresh = False

    def _tell(self, size: int) -> None:
        self._read += size
        if time.monotonic() - self._told > INTERVAL_S:
            self._told = time.monotonic()
            logger.info(f"Hashing results: {self._read / 1e9:,.1f} GB so far")

    def _of_folder(self, folder: Path) -> str:
        found = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != TIMESTAMP and not is_unfinished(path):
                found.update(f"{path.relative_to(folder).as_posix()}\0{self.of(str(path))}\n".encode())
        return found.hexdigest()
