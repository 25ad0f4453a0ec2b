"""The record of a study's results, and folders beside it."""

import json
import shutil
import subprocess
import sys

import pytest

from coact import inventory
from coact.inventory import compare, describe_code, describe_host, seeds_of, take_inventory
from conftest import ROOT, run_command

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of no bytes


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for name in ("graphs/a.json", "activations/shard", "features/shard", "report/page.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "graphs" / "empty").write_bytes(b"")
    (folder / "graphs" / ".a.json.1234.part").write_text("half")
    (folder / "graphs" / ".folder.1234.part").mkdir()
    (folder / "graphs" / ".folder.1234.part" / "a.json").write_text("half")
    (folder / "provenance.json").write_text(json.dumps({"artefacts": take_inventory(folder)}))
    return folder


def verify(folder):
    command = [sys.executable, "-m", "coact.inventory", str(folder)]
    return subprocess.run(command, cwd=ROOT / "workflow_scripts", text=True, capture_output=True, check=False)


def test_every_finished_file_is_listed_by_its_hash_and_the_record_is_not(results):
    found = take_inventory(results)
    assert list(found) == ["activations/shard", "features/shard", "graphs/a.json", "graphs/empty", "report/page.html"]
    assert found["graphs/empty"] == {"bytes": 0, "sha256": EMPTY}


def test_names_that_look_unfinished_are_listed(results):
    for name in ("saes/gpt.part2/metrics.json", "graphs/a.12.part", "graphs/.hidden.part"):
        (results / name).parent.mkdir(exist_ok=True, parents=True)
        (results / name).write_text("whole")
    assert {"saes/gpt.part2/metrics.json", "graphs/a.12.part", "graphs/.hidden.part"} < set(take_inventory(results))


def test_large_files_are_read_in_parts(results, monkeypatch):
    whole = take_inventory(results)
    monkeypatch.setattr(inventory, "CHUNK", 3)
    assert take_inventory(results) == whole


def test_differences_are_told_apart(results):
    recorded = take_inventory(results)
    (results / "graphs" / "a.json").write_text("graphs/a.jsoN")  # as long as before
    (results / "report" / "page.html").unlink()
    shutil.rmtree(results / "activations")
    (results / "graphs" / "later").write_text("new")
    found = compare(results, recorded)
    assert found == (["graphs/a.json"], ["report/page.html"], ["activations/shard"], ["graphs/later"])


def test_a_folder_is_verified_by_its_record(results):
    done = verify(results)
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 of 5 artefacts are as recorded" in done.stdout
    shutil.rmtree(results / "features")
    (results / "extra").write_text("")
    done = verify(results)
    assert done.returncode == 0
    assert "1 files of activations and features are not there" in done.stdout
    assert "Not recorded: extra" in done.stdout
    (results / "graphs" / "a.json").write_text("other")
    done = verify(results)
    assert done.returncode == 1
    assert done.stderr == f"error: {results}/graphs/a.json: changed since provenance.json was written\n"
    assert "3 of 5 artefacts are as recorded" in done.stdout


def test_a_folder_without_a_record_is_one_line(tmp_path):
    done = verify(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_seeds_are_found_wherever_they_are():
    config = {
        "corpus": {"seed": 3, "sources": [{"kind": "probes", "seed": 4}]},
        "saes": {"a": {"seeds": [0, 1]}},
        "k": 2,
    }
    assert seeds_of(config) == {"corpus.seed": 3, "corpus.sources.0.seed": 4, "saes.a.seeds": [0, 1]}


def test_the_host_and_the_commit_are_told(tmp_path):
    host = describe_host(2)
    assert host["memory_bytes"] > 1e8
    assert host["processor"]
    assert describe_code(tmp_path) == {"commit": None, "changed": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    found = describe_code(tmp_path)
    assert len(found["commit"]) == 40
    assert not found["changed"]
    (tmp_path / "file").write_text("2")
    assert describe_code(tmp_path)["changed"]


def test_a_study_records_all_that_it_left_and_is_verified(tiny_study):
    record = json.loads((tiny_study / "results/provenance.json").read_text())
    folder = tiny_study / "results"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
    assert there
    assert there <= set(record["artefacts"])
    assert "report/report.html" in record["artefacts"]
    assert record["provenance"]["params"]["config"]["graph"]["k"] == 4
    assert record["seeds"]["corpus.seed"] == 0
    assert record["provenance"]["versions"]["torch"]
    done = run_command(ROOT, "make", "-n", "verify")
    assert "-m coact.inventory results" in done.stdout
    assert verify(folder).returncode == 0
