"""Safetensors files that are written piece by piece, read by memory map, and checked by a digest.

The files are plain safetensors, readable by any safetensors library. The library itself writes a file only from
tensors that are whole in memory, so `TensorWriter` writes the same format through a memory map. The digest (XXH3,
128 bits, over the data section) is in the file's metadata and tells a truncated or altered file from a good one.
"""

import json
import struct
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


class TensorWriter:
    """Writes one safetensors file whose arrays are filled in place.

    Use as a context manager: `writer["name"][a:b] = values`. The file gets its name when the block ends well.

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

    def __enter__(self) -> "TensorWriter":
        self._atomic = atomic(self._path)
        self._part = self._atomic.__enter__()
        header = _encode_header(self._header)
        with open(self._part, "wb") as file:
            file.write(header)
            file.truncate(len(header) + self._size)
        self._start = len(header)
        self._arrays = _map_arrays(self._part, self._header, self._start, "r+")
        return self

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            # Pages written through the map are the file's own; `atomic` brings them to the disk before the renaming.
            self._arrays = {}
            self._metadata["digest"] = _digest(self._part, self._start)
            with open(self._part, "r+b") as file:
                file.write(_encode_header(self._header))
        self._atomic.__exit__(*error)


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
            writer[name][...] = array


def open_tensors(path: str | Path) -> TensorFile:
    """Open a safetensors file of the study by memory map, after checking that it is whole.

    Raises:
        ArtefactError: the file is missing, truncated, altered, or was not written by `TensorWriter`.
    """
    header, start = _read_header(Path(path))
    metadata = header["__metadata__"]
    found = _digest(Path(path), start)
    if found != metadata["digest"]:
        raise ArtefactError(
            f"{path}: altered after it was written (digest of its data {found}, expected {metadata['digest']});"
            " delete the file and run the same command again"
        )
    return TensorFile(_map_arrays(Path(path), header, start, "r"), metadata)


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
    expected = start + max(
        (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0
    )
    if size != expected:
        raise ArtefactError(
            f"{path}: truncated or extended ({size:,} bytes, expected {expected:,});"
            " delete the file and run the same command again"
        )
    return header, start


def _map_arrays(path: Path, header: dict[str, Any], start: int, mode: str) -> dict[str, np.ndarray]:
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        if 0 in shape:
            arrays[name] = np.empty(shape, dtype)
        else:
            arrays[name] = np.memmap(path, dtype, mode, start + entry["data_offsets"][0], shape)
    return arrays


def _digest(path: Path, start: int) -> str:
    state = xxhash.xxh3_128()
    with open(path, "rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()
