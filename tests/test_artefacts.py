"""Files are whole or absent, and a damaged one is recognised."""

import json

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

from coact.artefacts import (
    TensorWriter,
    atomic,
    open_tensors,
    read_json,
    read_table,
    write_json,
    write_table,
    write_tensors,
)
from coact.errors import ArtefactError, UnwritableError

STAMP = {"rule": "test", "params": {"seed": 0}}


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "shard.safetensors"
    write_tensors({"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.array([1, 2], np.int64)}, path, STAMP)
    return path


def test_a_tensor_file_reads_back_and_is_plain_safetensors(shard):
    ours, theirs = open_tensors(shard), safetensors.numpy.load_file(shard)
    assert set(ours) == set(theirs) == {"a", "b"}
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert json.loads(ours.metadata["coact"]) == STAMP


def test_arrays_are_aligned_and_may_be_empty(tmp_path):
    shapes = {"small": ((3,), "BOOL"), "none": ((0, 5), "F32"), "wide": ((2,), "I64")}
    with TensorWriter(tmp_path / "x", shapes, STAMP) as writer:
        writer.append("wide", np.array([7]))
        writer.append("small", np.array([True, False, True]))
        writer.append("wide", np.array([8]))
    file = open_tensors(tmp_path / "x")
    assert file["none"].shape == (0, 5)
    assert file["wide"].ctypes.data % 8 == 0
    assert file["small"].tolist() == [True, False, True]
    assert file["wide"].tolist() == [7, 8]


def test_parts_give_the_same_bytes_as_the_whole(tmp_path):
    values = np.arange(60, dtype=np.float32).reshape(12, 5)
    write_tensors({"a": values, "b": values[:, 0].copy()}, tmp_path / "whole", STAMP)
    shapes = {"a": ((12, 5), "F32"), "b": ((12,), "F32")}
    with TensorWriter(tmp_path / "parts", shapes, STAMP) as writer:
        for start in range(0, 12, 5):
            writer.append("b", values[start : start + 5, 0])
            writer.append("a", values[start : start + 5])
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_writer_refuses_what_does_not_fit_and_leaves_nothing(tmp_path):
    def write(*parts):
        with TensorWriter(tmp_path / "x", {"a": ((2,), "F32")}, STAMP) as writer:
            for part in parts:
                writer.append("a", part)

    for parts, message in (
        ([np.zeros(3, np.float32)], "cannot take"),
        ([np.zeros(2, np.float64)], "cannot take"),
        ([np.zeros(1, np.float32)], "4 of 8 bytes"),
    ):
        with pytest.raises(ValueError, match=message):
            write(*parts)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_reaches_the_writer_as_one_line(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("coact.artefacts.tensors.os.pwrite", fail)
    expected = rf"/x: No space left on device; expected room for it in {tmp_path}, where [\d,]+ bytes are free\. What"
    with pytest.raises(UnwritableError, match=expected):
        write_tensors({"a": np.zeros(2, np.float32)}, tmp_path / "x", STAMP)
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_tensors({"a": np.ones(5, np.float16)}, tmp_path / name, STAMP)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: data + b"\0", "extended"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "altered"),
        (lambda data: data[:5], "no readable header"),
        (lambda data: b"", "no readable header"),
        (lambda data: b"\xff" * 40, "no readable header"),
    ],
)
def test_a_damaged_tensor_file_is_named(shard, damage, message):
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ArtefactError, match=message) as caught:
        open_tensors(shard)
    assert str(shard) in str(caught.value)


def test_a_failed_block_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as part:
        part.write_text(f"new {1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_writer_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), TensorWriter(tmp_path / "x", {"a": ((2,), "F32")}, STAMP):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_json_turns_what_is_not_finite_into_null(tmp_path):
    write_json(
        {"a": float("nan"), "b": np.float32(0.5), "c": [np.int64(3), float("inf")], "d": np.arange(2)}, tmp_path / "x"
    )
    assert read_json(tmp_path / "x") == {"a": None, "b": 0.5, "c": [3, None], "d": [0, 1]}


def test_damaged_json_and_tables_are_named(tmp_path):
    (tmp_path / "x.json").write_text('{"a": ')
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    for read, name in ((read_json, "x.json"), (read_table, "x.parquet"), (read_json, "none"), (read_table, "none")):
        with pytest.raises(ArtefactError, match=name):
            read(tmp_path / name)


def test_a_table_reads_back_with_its_types(tmp_path):
    table = pd.DataFrame(
        {"feature": np.arange(3, dtype=np.int32), "weight": [0.5, 1.0, np.nan], "live": [True, False, True]}
    )
    write_table(table, tmp_path / "t", STAMP)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t"), table)
    assert read_table(tmp_path / "t", ["live"]).columns.tolist() == ["live"]
