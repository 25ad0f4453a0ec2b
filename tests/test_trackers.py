"""Trackers: what W&B and TensorBoard themselves find in their files, runs that go on, and what is refused."""

import logging
import random
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from coact.errors import ConfigError
from coact.trackers import Tracker, check_tracking, open_tracker, run_id
from conftest import ROOT
from test_config import study

OFF = {"wandb": None, "tensorboard": False}
OFFLINE = {"wandb": {"mode": "offline", "project": "coact"}, "tensorboard": False}
BOARD = {"wandb": None, "tensorboard": True}
CONFIG = {"architecture": "topk", "k": 16}
BLOCK_BYTES, HEADER = 32_768, struct.Struct("<IHB")


def read_records(path):
    """Records of a .wandb file: a LevelDB log (crc, length, kind; blocks of 32 KiB) behind 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, part, found = path.read_bytes(), 7, b"", []
    while at + HEADER.size <= len(data):
        if BLOCK_BYTES - at % BLOCK_BYTES < HEADER.size:
            at += BLOCK_BYTES - at % BLOCK_BYTES
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        part += data[at + HEADER.size : at + HEADER.size + length]
        at += HEADER.size + length
        if kind in (1, 4):  # whole, or the last of several parts
            found.append(Record.FromString(part))
            part = b""
    return found


def read_history(folder):
    """Step -> {name: value as JSON} of an offline run."""
    (path,) = folder.glob("*.wandb")
    rows = [record.history for record in read_records(path) if record.WhichOneof("record_type") == "history"]
    named = [{item.key or "/".join(item.nested_key): item.value_json for item in row.item} for row in rows]
    return {int(row["_step"]): row for row in named}


def offline_runs(folder):
    return sorted((folder / "wandb").glob("offline-run-*"))


# --- off


def test_without_tracking_nothing_is_imported_or_written(tmp_path):
    code = (
        "import sys; from coact.trackers import open_tracker\n"
        "tracker = open_tracker({'wandb': None, 'tensorboard': False}, 'main/a', {})\n"
        "tracker.log(1, {'loss': 1.0}); tracker.close()\n"
        "print(sorted({'wandb', 'tensorboard', 'torch'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT / "workflow_scripts"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_the_section_is_off_by_default_and_takes_no_key():
    assert study().config["tracking"] == OFF
    assert study(tracking={"wandb": {}}).config["tracking"]["wandb"] == OFFLINE["wandb"]
    with pytest.raises(ConfigError, match=r"tracking\.wandb: unknown key 'key'"):
        study(tracking={"wandb": {"key": "secret"}})
    with pytest.raises(ConfigError, match=r"tracking\.wandb\.mode: 'cloud' is not one of"):
        study(tracking={"wandb": {"mode": "cloud"}})


def test_no_rule_has_the_section_among_its_parameters():
    # A parameter that changes makes a finished rule run again.
    for path in (ROOT / "rules").glob("*.smk"):
        assert not re.search(r"""CONFIG\[["']tracking""", path.read_text()), path.name


# --- W&B


@pytest.fixture
def no_key(monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_an_offline_run_holds_the_history(no_key, tmp_path):
    tracker = open_tracker(OFFLINE, "main/topk-x4-s0", CONFIG, tmp_path)
    for step in (10, 20, 30):
        tracker.log(step, {"loss": 1 / step, "l0": float(step), "gradient_norm": None})
    tracker.close()
    (folder,) = offline_runs(tmp_path)
    assert folder.name.endswith(run_id("main/topk-x4-s0", CONFIG))
    history = read_history(folder)
    assert list(history) == [10, 20, 30]
    assert float(history[20]["loss"]) == 1 / 20
    assert float(history[30]["l0"]) == 30
    assert "gradient_norm" not in history[10]
    (path,) = folder.glob("*.wandb")
    run = next(record.run for record in read_records(path) if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name) == ("coact", "main/topk-x4-s0")
    assert {item.key: item.value_json for item in run.config.update}["k"] == "16"


def test_a_resumed_training_has_the_id_of_its_run(no_key, tmp_path):
    for steps in ((1, 2), (2, 3)):
        tracker = open_tracker(OFFLINE, "main/topk", CONFIG, tmp_path)
        for step in steps:
            tracker.log(step, {"loss": float(step)})
        tracker.close()
    runs = [record.run.run_id for path in (tmp_path / "wandb").glob("*/*.wandb") for record in read_records(path)
            if record.WhichOneof("record_type") == "run"]  # fmt: skip
    assert set(runs) == {run_id("main/topk", CONFIG)}
    written = [read_history(folder) for folder in offline_runs(tmp_path)]
    assert sorted(step for part in written for step in part) == [1, 2, 2, 3]


def test_ids_tell_trainings_apart_and_keep_to_what_is_allowed():
    ids = {run_id(name, config) for name in ("main/a", "main.a", "m" * 300, "m" * 301) for config in (CONFIG, {"k": 8})}
    assert len(ids) == 8
    assert all(re.fullmatch(r"[\w.-]{1,128}", found) for found in ids)
    assert run_id("main/a", {"k": 16, "architecture": "topk"}) == run_id("main/a", CONFIG)


def test_online_without_a_key_is_refused(no_key, tmp_path):
    settings = {"wandb": {"mode": "online", "project": "coact"}, "tensorboard": False}
    with pytest.raises(ConfigError, match="'online', but the environment variable WANDB_API_KEY is not set"):
        open_tracker(settings, "main/topk", CONFIG, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_wandb_refuses_is_one_line(no_key, tmp_path):
    settings = {"wandb": {"mode": "offline", "project": "a/b"}, "tensorboard": False}
    with pytest.raises(ConfigError, match=r"^tracking\.wandb: W&B did not start a run \(.*a/b.*\)$"):
        open_tracker(settings, "main/topk", CONFIG, tmp_path)


# --- TensorBoard


def read_scalars(folder, name):
    found = EventAccumulator(str(folder))
    found.Reload()
    return {event.step: event.value for event in found.Scalars(name)}


def test_event_files_hold_the_history(tmp_path):
    tracker = open_tracker(BOARD, "main/topk", CONFIG, tmp_path)
    for step in (10, 20):
        tracker.log(step, {"loss": 2.0 * step, "fvu": None})
    tracker.close()
    assert read_scalars(tmp_path / "tensorboard" / "main" / "topk", "loss") == {10: 20.0, 20: 40.0}


def test_a_resumed_training_takes_the_place_of_the_steps_it_repeats(tmp_path):
    for first, factor in ((1, 1.0), (3, 10.0)):
        tracker = open_tracker(BOARD, "main/topk", CONFIG, tmp_path)
        for step in range(first, first + 4):
            tracker.log(step, {"loss": factor * step})
        tracker.close()
    expected = {1: 1.0, 2: 2.0, 3: 30.0, 4: 40.0, 5: 50.0, 6: 60.0}
    assert read_scalars(tmp_path / "tensorboard" / "main" / "topk", "loss") == expected


# --- both


@pytest.mark.parametrize(
    ("settings", "package", "key"),
    [(OFFLINE, "wandb", "tracking.wandb"), (BOARD, "tensorboard", "tracking.tensorboard")],
)
def test_a_missing_package_is_named_before_training(settings, package, key, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"^{key}: the module {package} is not installed; run pip install {package}"):
        check_tracking(settings)


def test_trackers_draw_no_random_numbers(no_key, tmp_path):
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    tracker = open_tracker({**OFFLINE, "tensorboard": True}, "main/topk", CONFIG, tmp_path)
    tracker.log(1, {"loss": 1.0})
    tracker.close()
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


class Recorder:
    """A sink that keeps what it gets, and fails from a step on."""

    def __init__(self, fails_from=None):
        self.seen, self.closed, self.fails_from = [], 0, fails_from

    def log(self, step, values):
        if self.fails_from is not None and step >= self.fails_from:
            raise OSError("no space left\non the device")
        self.seen.append((step, values))

    def close(self):
        self.closed += 1


def test_a_sink_that_fails_is_left_out_and_the_others_go_on(caplog):
    bad, good = Recorder(fails_from=2), Recorder()
    tracker = Tracker({"bad": bad, "good": good})
    with caplog.at_level(logging.WARNING, "coact"):
        for step in (1, 2, 3):
            tracker.log(step, {"loss": step})
        tracker.close()
        tracker.close()
    assert caplog.messages == ["tracking.bad: failed and is left out from now on (no space left)"]
    assert [step for step, _ in bad.seen] == [1]
    assert good.seen == [(1, {"loss": 1.0}), (2, {"loss": 2.0}), (3, {"loss": 3.0})]
    assert (bad.closed, good.closed) == (0, 1)
