"""Atomic files and JSON."""

import contextlib
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from coact.artefacts.disk import writing
from coact.errors import ArtefactError

PART = re.compile(r"\..+\.\d+\.part")  # what `_part` names


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, else delete it.

    What killed jobs left of earlier attempts is removed.

    Raises:
        UnwritableError: the disk is full, or the folder is not for writing.
    """
    path = Path(path)
    part = _part(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path)
        try:
            yield part
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; move its files into `path` when the block ends well.

    Files of other names that are in `path` already stay. What killed jobs left of earlier attempts is removed.

    Raises:
        UnwritableError: the disk is full, or the folder is not for writing.
    """
    path = Path(path)
    part = _part(path)
    with writing(path):
        remove_parts(path)
        part.mkdir(parents=True)
        try:
            yield part
            path.mkdir(parents=True, exist_ok=True)
            for file in sorted(part.iterdir()):
                file.chmod(0o666 & ~_umask())  # some libraries write files that only their owner may read
                os.replace(file, path / file.name)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def remove_parts(path: Path) -> None:
    """Remove the temporary files and folders of attempts at `path`, of which one at a time is under way."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if not part.name.removeprefix(f".{path.name}.").removesuffix(".part").isdigit():
            continue  # of a file whose name begins alike
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def is_unfinished(path: str | PurePath) -> bool:
    """Whether a file is one that is being written, or was when its job ended, or lies in such a folder."""
    return any(PART.fullmatch(name) for name in PurePath(path).parts)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def plain(value: Any) -> Any:
    """`value` as plain JSON types: numpy scalars and arrays converted, NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_json(value: Any, path: str | Path) -> None:
    """Write `value` as indented UTF-8 JSON; a number that is not finite becomes null ("not defined")."""
    with atomic(path) as part:
        part.write_text(
            json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: str | Path) -> Any:
    """The value in the JSON file `path`.

    Raises:
        ArtefactError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file; expected a JSON file of the study") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path}: not a whole JSON file ({error})") from None
