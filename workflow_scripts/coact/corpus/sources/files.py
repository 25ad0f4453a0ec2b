"""Text files, JSON Lines and Parquet files, by glob."""

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from coact.corpus.documents import Document
from coact.errors import ConfigError, first_line

BLOCK_BYTES = 1 << 20
PARQUET_ROWS = 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check(spec: dict[str, Any]) -> None:
    """Refuse a glob that matches no file.

    Raises:
        ConfigError: names the source and the glob.
    """
    _get_files(spec)


def get_labels(spec: dict[str, Any]) -> list[str]:
    """The one label of the source: its name."""
    return [spec["name"]]


def describe(spec: dict[str, Any]) -> dict[str, Any]:
    """How many files the glob matches."""
    return {"files": len(_get_files(spec))}


def read_documents(spec: dict[str, Any], seed: int) -> Iterator[Document]:
    """Yield the documents of all matching files, file by file, in an order of files drawn with `seed`.

    Files are drawn, not taken in the order of their names, so that a source that is not read to its end is a sample
    of all of them. Within a file the order stays. Null entries are passed over. Text is kept as it is; only a byte
    order mark at the start of a text file is dropped. Nothing but the document at hand is held in memory.

    Raises:
        ConfigError: no file matches; a file cannot be read, is not UTF-8 or not of its format; a line lacks the
            key or a table the column; a value is not text.
    """
    paths = _get_files(spec)
    root = _fixed_folder(spec["glob"])
    readers = {"text": _read_text, "jsonl": _read_json_lines, "parquet": _read_parquet}
    for index in np.random.default_rng(seed).permutation(len(paths)):
        path = paths[index]
        try:
            for number, text in readers[_get_format(spec, path)](path, spec):
                origin = path.relative_to(root).as_posix() + (f":{number}" if number else "")
                yield Document(text, spec["name"], spec["name"], origin)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None


def find_files(pattern: str) -> list[Path]:
    """The files that a glob matches, sorted; ** crosses folders."""
    return sorted(path for name in glob.glob(pattern, recursive=True) if (path := Path(name)).is_file())


def _get_files(spec: dict[str, Any]) -> list[Path]:
    """The files of a source, at least one."""
    paths = find_files(spec["glob"])
    if not paths:
        raise ConfigError(f"corpus.sources: {spec['name']}: glob {spec['glob']!r} matches no file")
    return paths


def _fixed_folder(pattern: str) -> Path:
    """The folder above the first part of `pattern` that has a wildcard, or above the file."""
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _get_format(spec: dict[str, Any], path: Path) -> str:
    if spec["format"] != "auto":
        return spec["format"]
    return {".jsonl": "jsonl", ".parquet": "parquet"}.get(path.suffix, "text")


def _read_text(path: Path, spec: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The documents of a text file with their numbers from 1 on, or the whole file with number 0."""
    with open(path, "rb") as file:
        start = len(BYTE_ORDER_MARK) if file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        file.seek(start)
        if not spec["separator"]:
            yield 0, _decode(file.read(), path, start)
            return
        for number, (offset, piece) in enumerate(_split(file, spec["separator"].encode()), start=1):
            yield number, _decode(piece, path, start + offset)


def _split(file: BinaryIO, separator: bytes) -> Iterator[tuple[int, bytes]]:
    """The pieces of `file` between separators with their offsets, read block by block."""
    offset, rest = 0, b""
    while block := file.read(BLOCK_BYTES):
        *pieces, rest = (rest + block).split(separator)
        for piece in pieces:
            yield offset, piece
            offset += len(piece) + len(separator)
    yield offset, rest


def _decode(data: bytes, path: Path, offset: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not UTF-8 text (byte 0x{data[error.start]:02x} at offset {offset + error.start:,})"
        ) from None


def _read_json_lines(path: Path, spec: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The texts of a JSON Lines file with their line numbers."""
    offset, key = 0, spec["column"]
    with open(path, "rb") as file:
        for number, data in enumerate(file, start=1):
            line = _decode(data, path, offset).strip().removeprefix("\ufeff")
            offset += len(data)
            if not line:
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ConfigError(f"{path}:{number}: not JSON ({error}); expected one object per line") from None
            if not isinstance(value, dict) or key not in value:
                found = f"keys {', '.join(map(repr, value))}" if isinstance(value, dict) else type(value).__name__
                raise ConfigError(f"{path}:{number}: no key {key!r} (found {found}); see 'column' of the source")
            if value[key] is not None:
                _check_text(value[key], f"{path}:{number}: key {key!r}")
                yield number, value[key]


def _read_parquet(path: Path, spec: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The texts of a Parquet file with their row numbers from 1 on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = spec["column"]
    try:
        with pq.ParquetFile(path) as file:
            if column not in file.schema_arrow.names:
                names = ", ".join(map(repr, file.schema_arrow.names))
                raise ConfigError(f"{path}: no column {column!r}; the columns are {names}")
            number = 0
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=[column]):
                for text in batch.column(0).to_pylist():
                    number += 1
                    if text is not None:
                        _check_text(text, f"{path}: column {column!r}, row {number:,}")
                        yield number, text
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{path}: not a whole Parquet file ({first_line(error)})") from None


def _check_text(value: Any, place: str) -> None:
    if not isinstance(value, str):
        raise ConfigError(f"{place} holds {type(value).__name__}; expected text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{place} holds half of a surrogate pair, which is not text") from None
