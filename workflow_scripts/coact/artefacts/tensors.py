"""Safetensors files that are written piece by piece, read by memory map, and checked by a digest.

The files are plain safetensors, readable by any safetensors library. The library itself writes a file only from
tensors that are whole in memory, so `TensorWriter` writes the same format as its parts arrive. The digest (XXH3, 128
bits, over the digests of the arrays in the order of the file) is in the file's metadata and tells a truncated or
altered file from a good one.
"""

import json
import os
import struct
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from coact.artefacts.files import atomic
from coact.errors import ArtefactError
from coact.provenance import canonical_json

DTYPES = {
    "F64": np.dtype("float64"),
    "F32": np.dtype("float32"),
    "F16": np.dtype("float16"),
    "BF16": np.dtype("uint16"),  # numpy has no bfloat16: its bits
    "I64": np.dtype("int64"),
    "I32": np.dtype("int32"),
    "I16": np.dtype("int16"),
    "U8": np.dtype("uint8"),
    "BOOL": np.dtype("bool"),
}
CODES = {dtype: code for code, dtype in DTYPES.items() if code != "BF16"}
NO_DIGEST = "0" * 32
CHUNK_BYTES = 1 << 24
SYNC_BYTES = 1 << 26
PARTS_IN_FLIGHT = 4


class TensorWriter:
    """Writes one safetensors file whose arrays arrive in parts, each from its first row to its last.

    Use as a context manager: `writer.append("name", values)`. Hashing, writing and flushing run in a second thread,
    so that whoever makes the values need not wait for the disk. The file gets its name when the block ends well.

    Args:
        path: the file.
        shapes: name -> (shape, safetensors dtype, a key of `DTYPES`).
        stamp: what made the file.
        metadata: further text values, kept beside the stamp.
    """

    def __init__(
        self,
        path: str | Path,
        shapes: dict[str, tuple[tuple[int, ...], str]],
        stamp: dict[str, Any],
        metadata: dict[str, str] | None = None,
    ) -> None:
        self._path = Path(path)
        self._metadata = {"coact": canonical_json(stamp), **(metadata or {}), "digest": NO_DIGEST}
        self._header: dict[str, Any] = {"__metadata__": self._metadata}
        offset = 0
        # Wider types first: every array then starts at a multiple of its item size.
        for name, (shape, code) in sorted(shapes.items(), key=lambda item: (-DTYPES[item[1][1]].itemsize, item[0])):
            size = int(np.prod(shape, dtype=np.int64)) * DTYPES[code].itemsize
            self._header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
        self._size = offset
        self._states = {name: xxhash.xxh3_128() for name in _arrays_of(self._header)}
        self._written = dict.fromkeys(self._states, 0)
        self._unsynced = 0
        self._parts: deque[Future[None]] = deque()

    def __enter__(self) -> "TensorWriter":
        self._atomic = atomic(self._path)
        self._part = self._atomic.__enter__()
        header = _encode_header(self._header)
        self._file = open(self._part, "w+b", buffering=0)
        self._file.write(header)
        self._file.truncate(len(header) + self._size)
        self._start = len(header)
        self._thread = ThreadPoolExecutor(1)
        return self

    def append(self, name: str, values: np.ndarray) -> None:
        """Add the next rows of an array. The writer keeps `values` for a while: they must not change afterwards.

        Raises:
            ValueError: another dtype than declared, or more values than its shape holds.
        """
        entry = self._header[name]
        begin, end = entry["data_offsets"]
        if values.dtype != DTYPES[entry["dtype"]] or self._written[name] + values.nbytes > end - begin:
            raise ValueError(f"{self._path}: {name} is {entry['dtype']} {entry['shape']}; it cannot take these values")
        place = self._start + begin + self._written[name]
        self._written[name] += values.nbytes
        self._parts.append(self._thread.submit(self._write, name, np.ascontiguousarray(values), place))
        if len(self._parts) > PARTS_IN_FLIGHT:
            self._parts.popleft().result()

    def _write(self, name: str, values: np.ndarray, place: int) -> None:
        data = memoryview(values.reshape(-1).view(np.uint8))
        self._states[name].update(data)
        self._unsynced += len(data)
        while data:
            done = os.pwrite(self._file.fileno(), data, place)
            data, place = data[done:], place + done
        # Flushed as it goes, so that little is left to wait for at the end.
        if self._unsynced >= SYNC_BYTES:
            os.fsync(self._file.fileno())
            self._unsynced = 0

    def __exit__(self, *error: Any) -> None:
        self._thread.shutdown(cancel_futures=error[0] is not None)
        try:
            if error[0] is None:
                self._seal()
        except BaseException as failure:
            error = (type(failure), failure, failure.__traceback__)
            raise
        finally:
            self._file.close()
            self._atomic.__exit__(*error)

    def _seal(self) -> None:
        for part in self._parts:
            part.result()
        for name, entry in _arrays_of(self._header).items():
            begin, end = entry["data_offsets"]
            if self._written[name] != end - begin:
                raise ValueError(f"{self._path}: {name} has {self._written[name]:,} of {end - begin:,} bytes")
        self._metadata["digest"] = _join_digests(self._states.values())
        os.pwrite(self._file.fileno(), _encode_header(self._header), 0)


class TensorFile(dict[str, np.ndarray]):
    """The arrays of a safetensors file, read-only memory maps, and its `metadata`."""

    def __init__(self, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
        super().__init__(arrays)
        self.metadata = metadata


def write_tensors(
    arrays: dict[str, np.ndarray], path: str | Path, stamp: dict[str, Any], metadata: dict[str, str] | None = None
) -> None:
    """Write whole arrays as one safetensors file."""
    shapes = {name: (array.shape, CODES[array.dtype]) for name, array in arrays.items()}
    with TensorWriter(path, shapes, stamp, metadata) as writer:
        for name, array in arrays.items():
            writer.append(name, array)


def open_tensors(path: str | Path) -> TensorFile:
    """Open a safetensors file of the study by memory map, after checking that it is whole.

    Raises:
        ArtefactError: the file is missing, truncated, altered, or was not written by `TensorWriter`.
    """
    header, start = _read_header(Path(path))
    metadata = header["__metadata__"]
    found = _digest(Path(path), header, start)
    if found != metadata["digest"]:
        raise ArtefactError(
            f"{path}: altered after it was written (digest of its data {found}, expected {metadata['digest']});"
            " delete the file and run the same command again"
        )
    return TensorFile(_map_arrays(Path(path), header, start), metadata)


def _arrays_of(header: dict[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def _encode_header(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length)) if length <= size else None
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file; expected a tensor file of the study") from None
    except (struct.error, ValueError):
        header = None
    if not isinstance(header, dict) or "digest" not in header.get("__metadata__", {}):
        raise ArtefactError(f"{path}: not a tensor file of the study (no readable header with a digest)")
    start = 8 + length
    expected = start + max((entry["data_offsets"][1] for entry in _arrays_of(header).values()), default=0)
    if size != expected:
        raise ArtefactError(
            f"{path}: truncated or extended ({size:,} bytes, expected {expected:,});"
            " delete the file and run the same command again"
        )
    return header, start


def _map_arrays(path: Path, header: dict[str, Any], start: int) -> dict[str, np.ndarray]:
    arrays = {}
    for name, entry in _arrays_of(header).items():
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        if 0 in shape:
            arrays[name] = np.empty(shape, dtype)
        else:
            arrays[name] = np.memmap(path, dtype, "r", start + entry["data_offsets"][0], shape)
    return arrays


def _digest(path: Path, header: dict[str, Any], start: int) -> str:
    states = []
    with open(path, "rb") as file:
        for entry in _arrays_of(header).values():
            begin, end = entry["data_offsets"]
            state = xxhash.xxh3_128()
            file.seek(start + begin)
            for left in range(end - begin, 0, -CHUNK_BYTES):
                state.update(file.read(min(left, CHUNK_BYTES)))
            states.append(state)
    return _join_digests(states)


def _join_digests(states: Iterable[xxhash.xxh3_128]) -> str:
    return xxhash.xxh3_128(b"".join(state.digest() for state in states)).hexdigest()
