"""Checkpoints: trainings killed at any moment end with the same bytes, and what cannot go on says why.

Run as a script this file trains in processes of its own and kills them: see `kill_and_go_on`.
"""

import contextlib
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from coact.activations import open_shard
from coact.artefacts import open_tensors, read_table, write_table
from coact.errors import StudyError
from coact.sae.architectures import ARCHITECTURES
from coact.sae.checkpoint import Checkpoint, identity_of
from coact.sae.disk import save_sae
from coact.sae.stream import ActivationStream
from coact.sae.train import train_sae
from test_sae_stream import make_shard
from test_sae_training import SETTINGS, one_torch_thread, training  # noqa: F401

STEPS, BATCH_TOKENS = 20, 32
CONFIG = {
    "tokens": BATCH_TOKENS * STEPS,
    "learning_rate": 0.03,
    "dead_steps": 3,
    "resample_steps": (6, 13),
    "resample_window": 3,
    "snapshot_steps": (0, 5, 17),
    "gradient_clip": 5.0,
}
RESULTS = ("history.parquet", "sae_weights.safetensors", "cfg.json", "snapshots.safetensors")
PLAIN = {"learning_rate": 0.1, "k": [1, 2], "clip": None}


def make_data(folder):
    generator = np.random.default_rng(0)
    for part in (0, 1):
        make_shard(folder / f"shard-{part}", generator.normal(size=(700, 12)) ** 3)


def train(folder, name, out, minutes=0.0, d_sae=48):
    """What the rule does: train from the shards in `folder`, write to `out`, delete the checkpoint."""
    shards = [open_shard(folder / f"shard-{part}") for part in (0, 1)]
    sae = ARCHITECTURES[name](12, d_sae, **SETTINGS[name])
    settings = training(**CONFIG)
    checkpoint = Checkpoint(out / "checkpoint.safetensors", identity_of(vars(settings), shards), minutes)
    found = train_sae(sae, ActivationStream(shards, False, BATCH_TOKENS, 0), settings, checkpoint)
    write_table(found.history, out / "history.parquet", {})
    found.snapshots.write(out / "snapshots.safetensors", {})
    save_sae(found.sae, out, {}, {})
    checkpoint.delete()


# --- processes that are killed


def start(*arguments, at_write=None, at_rename=None):
    """Train in a forked process, which kills itself in the middle of a write or before a rename; its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.pwrite = killing(os.pwrite, at_write, half=True)
        os.replace = killing(os.replace, at_rename)
        train(*arguments)
        status = 0
    finally:
        os._exit(status)


def killing(function, turn, half=False):
    """`function`, but its call number `turn` ends the process; `half` of the data are written before."""
    turns = iter(range(1, 10**9))

    def call(*arguments):
        if next(turns) == turn:
            if half:
                function(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return call


def ended_by_kill(child):
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a training failed"
    return os.WIFSIGNALED(status)


def kill_and_go_on(folder, name, generator):
    """One training that nobody disturbs, and one that is killed again and again; what happened to the second."""
    train(folder, name, folder / name / "whole")  # the first one of all loads compiled code
    began = time.monotonic()
    train(folder, name, folder / name / "again")
    took = time.monotonic() - began
    arguments = (folder, name, folder / name / "killed")
    checkpoint = arguments[2] / "checkpoint.safetensors"
    steps, parts = [], 0
    for kill in ("write", "rename", "time", None):
        turn = {"write": generator.integers(60, 200), "rename": generator.integers(2, 6)}.get(kill)
        child = start(*arguments, **({f"at_{kill}": turn} if turn else {}))
        if kill == "time":
            time.sleep(took * generator.uniform(0.2, 0.6))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        killed = ended_by_kill(child)
        parts += len(list(checkpoint.parent.glob(".checkpoint*.part")))
        steps.append(int(open_tensors(checkpoint)["run.done"]) if checkpoint.exists() else None)
        if not killed:
            break
    return {"steps": steps, "parts": parts, "killed": killed}


def main(folder):
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    generator = np.random.default_rng(0)
    make_data(folder)
    found = {name: kill_and_go_on(folder, name, generator) for name in ARCHITECTURES}
    (folder / "found.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folder of trainings that were killed in a process that has trained nothing itself, so that it may be forked."""
    folder = tmp_path_factory.mktemp("killed")
    # Numba's own threads can be forked, those of OpenMP cannot.
    layer = {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment = os.environ | layer | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, __file__, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_training_killed_at_any_moment_ends_with_the_same_bytes(killed, name):
    found = json.loads((killed / "found.json").read_text())[name]
    assert not found["killed"]
    # Two kills at least, one of which left a checkpoint half written; no process went back behind the one before.
    assert len(found["steps"]) > 2
    assert found["parts"] > 0
    reached = [step for step in found["steps"][:-1] if step is not None]
    assert reached == sorted(reached)
    assert len(set(reached)) > 1
    assert 0 < max(reached) <= STEPS
    folders = [killed / name / part for part in ("whole", "killed")]
    for result in RESULTS:
        assert folders[0].joinpath(result).read_bytes() == folders[1].joinpath(result).read_bytes(), result
    # A process killed while it wrote a result leaves a part, which no one takes for the result.
    assert sorted(path.name for path in folders[1].iterdir() if path.suffix != ".part") == sorted(RESULTS)


def test_what_was_killed_had_resampled_features_and_snapshots(killed):
    for name in ("topk", "relu"):
        assert open_tensors(killed / name / "whole" / "snapshots.safetensors")["steps"].tolist() == [0, 5, 17, STEPS]
    histories = [killed.joinpath(name, "whole", "history.parquet") for name in ARCHITECTURES]
    assert sum(read_table(path)["resampled"].sum() for path in histories) > 0


# --- in this process


@pytest.fixture
def data(tmp_path):
    make_data(tmp_path)
    return tmp_path


def test_checkpoints_change_no_result(data):
    for minutes in (0.0, 1e9):
        train(data, "topk", data / str(minutes), minutes)
    for result in RESULTS:
        assert data.joinpath("0.0", result).read_bytes() == data.joinpath("1000000000.0", result).read_bytes()


def saved(folder, **identity):
    """A checkpoint with two arrays, and its settings."""
    checkpoint = Checkpoint(folder / "main" / "sae.safetensors", PLAIN | identity, 0)
    checkpoint.save({"weights": np.arange(5.0), "done": np.array(3)})
    return checkpoint


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path):
    saved(tmp_path)
    found = Checkpoint(tmp_path / "main" / "sae.safetensors", PLAIN, 5.0).load()
    assert found["weights"].tolist() == [0, 1, 2, 3, 4]
    assert int(found["done"]) == 3
    assert Checkpoint(tmp_path / "other.safetensors", PLAIN, 5.0).load() is None


def test_parts_left_by_killed_jobs_are_removed(tmp_path):
    checkpoint = saved(tmp_path)
    part = checkpoint.path.with_name(f".{checkpoint.path.name}.123.part")
    part.write_bytes(b"half")
    other = checkpoint.path.with_name(".other.safetensors.123.part")
    other.write_bytes(b"half")
    checkpoint.load()
    assert not part.exists()
    assert other.exists()
    checkpoint.delete()
    assert not checkpoint.path.exists()
    checkpoint.delete()


def test_checkpoints_are_due_by_the_clock(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c", PLAIN, 0.05 / 60)
    assert not checkpoint.is_due
    time.sleep(0.06)
    assert checkpoint.is_due
    checkpoint.save({"done": np.array(3)})
    assert not checkpoint.is_due


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 0.2}, "learning_rate was 0.1 and is 0.2 now"),
        ({"k": [1, 3]}, r"k was \[1, 2\] and is \[1, 3\] now"),
        ({"clip": 1.0}, "clip was None and is 1.0 now"),
        ({"version of torch": "3.0"}, "version of torch was 'not there' and is '3.0' now"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, changed, message):
    checkpoint = saved(tmp_path)
    message = f"^{re.escape(str(checkpoint.path))}: checkpoint of another training: {message}; .* delete this file"
    with pytest.raises(StudyError, match=message):
        Checkpoint(checkpoint.path, PLAIN | changed, 0).load()
    assert checkpoint.load() is not None


def test_tuples_and_lists_are_the_same_setting(tmp_path):
    path = saved(tmp_path).path
    assert Checkpoint(path, PLAIN | {"k": (1, 2)}, 0).load() is not None


def test_the_identity_has_settings_data_versions_and_device(data):
    shards = [open_shard(data / "shard-0")]
    found = identity_of({"k": 2}, shards)
    assert found["settings.k"] == 2
    assert found["version of torch"] == torch.__version__.split("+")[0]
    assert found["device"] in ("cpu", "cuda")
    before = found[f"digest of {shards[0].path}"]
    make_shard(data / "shard-0", np.ones((3, 12)))
    assert identity_of({"k": 2}, shards)[f"digest of {shards[0].path}"] != before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-7], "truncated or extended"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "altered after it was written"),
        (lambda content: b"not a checkpoint", "not a tensor file"),
        (lambda content: b"", "not a tensor file"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path, damage, message):
    checkpoint = saved(tmp_path)
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    with pytest.raises(StudyError, match=rf"sae\.safetensors: {message}.*; delete this checkpoint") as found:
        checkpoint.load()
    assert "\n" not in str(found.value)


@contextlib.contextmanager
def largest_file(size):
    """No file may grow beyond `size` bytes: writing fails as on a full disk (Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_where_a_checkpoint_cannot_be_written_the_last_one_stays(tmp_path, caplog):
    checkpoint = saved(tmp_path)
    with largest_file(20_000), caplog.at_level(logging.WARNING, "coact"):
        checkpoint.save({"weights": np.zeros(10_000), "done": np.array(4)})
    assert "sae.safetensors: checkpoint not written (File too large); training goes on" in caplog.text
    assert int(checkpoint.load()["done"]) == 3
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["sae.safetensors"]


def test_on_a_full_disk_the_last_checkpoint_stays(tmp_path, caplog):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system takes root and the right to mount; files of limited size are tested above")
    try:
        checkpoint = saved(place)
        with caplog.at_level(logging.WARNING, "coact"):
            checkpoint.save({"weights": np.zeros(10_000), "done": np.array(4)})
        assert "checkpoint not written (No space left on device); training goes on" in caplog.text
        assert int(checkpoint.load()["done"]) == 3
        assert [path.name for path in checkpoint.path.parent.iterdir()] == ["sae.safetensors"]
        del checkpoint
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_training_whose_checkpoints_cannot_be_written_ends_as_any(data, caplog):
    train(data, "topk", data / "roomy", minutes=1e9, d_sae=300)
    with largest_file(60_000):
        # Checkpoints are larger than that, and so are weights: those are written without the limit.
        shards = [open_shard(data / f"shard-{part}") for part in (0, 1)]
        sae, settings = ARCHITECTURES["topk"](12, 300, **SETTINGS["topk"]), training(**CONFIG)
        checkpoint = Checkpoint(data / "full" / "checkpoint.safetensors", {}, 0)
        found = train_sae(sae, ActivationStream(shards, False, BATCH_TOKENS, 0), settings, checkpoint)
    assert caplog.text.count("checkpoint not written") == STEPS
    save_sae(found.sae, data / "full", {}, {})
    assert [path.name for path in (data / "full").iterdir() if "checkpoint" in path.name] == []
    weights = [data.joinpath(part, "sae_weights.safetensors").read_bytes() for part in ("roomy", "full")]
    assert weights[0] == weights[1]


def test_a_training_goes_on_from_a_checkpoint_of_its_own_only(data):
    out = data / "out"
    with pytest.raises(KeyboardInterrupt):
        stop_after(7, data, out)
    done = open_tensors(out / "checkpoint.safetensors")["run.done"]
    assert int(done) == 7
    make_shard(data / "shard-1", np.random.default_rng(9).normal(size=(700, 12)))
    with pytest.raises(StudyError, match=r"checkpoint of another training: digest of .*shard-1 was '\w+' and is '\w+'"):
        train(data, "topk", out)


def stop_after(step, data, out):
    """Train, but be interrupted when the checkpoint of a step is written."""

    class Interrupting(Checkpoint):
        def save(self, arrays):
            super().save(arrays)
            if arrays["run.done"] == step:
                raise KeyboardInterrupt

    shards = [open_shard(data / f"shard-{part}") for part in (0, 1)]
    settings = training(**CONFIG)
    checkpoint = Interrupting(out / "checkpoint.safetensors", identity_of(vars(settings), shards), 0)
    sae = ARCHITECTURES["topk"](12, 48, **SETTINGS["topk"])
    train_sae(sae, ActivationStream(shards, False, BATCH_TOKENS, 0), settings, checkpoint)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
