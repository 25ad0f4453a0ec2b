"""A disk that takes no more, or a folder that is not for writing, as one line for the user."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from coact.errors import UnwritableError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}
KEPT = "What is complete is kept; the same command goes on from there"
LEAST_BYTES = 1_000_000  # below it nothing can be run: Snakemake's own records fail


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of a block that writes `path` into one line, where the disk or the folder is the reason.

    Raises:
        UnwritableError: instead of such an error, of Python or of a library.
    """
    try:
        yield
    except Exception as error:
        message = explain(error, path)
        if message is None:
            raise
        raise UnwritableError(message) from error


def explain(error: Exception, path: Path | None = None) -> str | None:
    """What is wrong with the disk or the folder, in one line; None where the error is another.

    Args:
        path: what was written; None takes the file that the error names.
    """
    number = _number_of(error)
    named = getattr(error, "filename", None)
    if number not in FULL | CLOSED or (path is None and named is None):
        return None
    if path is None or (named is not None and path.name not in str(named)):
        path = Path(named)  # its folder, a scratch file, or a file that was read
    folder = _nearest(path.parent)
    if number in FULL:
        expected = f"expected room for it in {folder}, where {shutil.disk_usage(folder).free:,} bytes are free"
    elif path.exists() and not os.access(path, os.R_OK):
        expected = "expected a file that may be read"
    else:
        expected = f"expected that {folder} may be written to"
    return f"{path}: {os.strerror(number)}; {expected}. {KEPT}"


def check_folders(*folders: str) -> None:
    """Refuse to start where a folder, or the one that it will be made in, takes no files.

    Raises:
        UnwritableError: it may not be written to, or its disk is full.
    """
    for folder in folders:
        place = _nearest(Path(folder).absolute())
        if not os.access(place, os.W_OK | os.X_OK):
            raise UnwritableError(f"{place}: may not be written to; expected that it may. {KEPT}")
        free = shutil.disk_usage(place).free
        if free < LEAST_BYTES:
            raise UnwritableError(
                f"{place}: {free:,} bytes are free; expected {LEAST_BYTES:,} at least: make room there. {KEPT}"
            )


def _number_of(error: Exception) -> int | None:
    """The system's number of an error; libraries written in Rust tell it in their text only."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found.group(1)) if found else getattr(error, "errno", None)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return folder if folder.exists() or folder == folder.parent else _nearest(folder.parent)
