"""A full disk, a closed folder, scratch files that are lost: one line says so, and the same command finishes."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coact.artefacts import check_folders, write_json
from coact.artefacts.disk import LEAST_BYTES
from coact.errors import UnwritableError
from conftest import run_command
from runs import SNAKEMAKE, Run, hashes, parts, whole_files

GRAPH = "graphs/main/topk-x1-s0/graph.graphml"  # nothing but the record is made of it
SENSITIVITY = "graphs/main/topk-x1-s0/sensitivity.parquet"
SHARD = "activations/main/train-00000.safetensors"
FILLER = ".filler"
KEPT = "What is complete is kept; the same command goes on from there"


@contextmanager
def mounted(*arguments: str) -> Iterator[None]:
    """`mount` with these arguments, the last of them the place."""
    place = arguments[-1]
    if os.getuid() != 0 or subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system takes root and the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    with mounted("--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield


@pytest.fixture
def study(micro_study, tmp_path):
    """A copy of the finished study without one of its files."""
    folder = Path(shutil.copytree(micro_study, tmp_path / "study"))
    (folder / "results" / GRAPH).unlink()
    return folder


def check_that_it_finishes(folder, reference):
    done = run_command(folder, *SNAKEMAKE)
    assert done.returncode == 0, done.stdout[-4000:]
    assert hashes(folder) == reference
    assert parts(folder) == []


def test_on_a_full_disk_the_file_is_named_and_what_is_complete_is_kept(study, tmp_path, micro_study):
    reference, results = hashes(micro_study), study / "results"
    kept = results.rename(tmp_path / "kept")
    (kept / SHARD).unlink()
    results.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=1g", "tmpfs", str(results)):
        shutil.copytree(kept, results, dirs_exist_ok=True)
        leave(results, 2 * LEAST_BYTES)  # enough to start, too little for the shard
        done = run_command(study, *SNAKEMAKE, "--", f"results/{SHARD}")
        assert done.returncode != 0
        assert f"error: results/{SHARD}: No space left on device; expected room for it in results/" in done.stdout
        assert KEPT in done.stdout
        assert "Traceback" not in done.stdout
        leave(results, 0)
        done = run_command(study, *SNAKEMAKE)
        assert done.returncode != 0
        assert f"{results}: 0 bytes are free; expected 1,000,000 at least: make room there. {KEPT}" in done.stdout
        (results / FILLER).unlink()
        rest = {name: digest for name, digest in reference.items() if name != GRAPH}
        assert whole_files(study) == {name: digest for name, digest in rest.items() if name != SHARD}
        assert run_command(study, *SNAKEMAKE, "--", f"results/{SHARD}").returncode == 0
        assert whole_files(study) == rest


def leave(folder, free):
    """Fill the disk of a folder until so many bytes are free."""
    with (folder / FILLER).open("ab") as file:
        while (left := shutil.disk_usage(folder).free - free) >= 4096:
            file.write(bytes(left))
            file.flush()


def test_results_that_may_not_be_written_are_named_and_looked_at_nonetheless(study, micro_study):
    reference, results = hashes(micro_study), study / "results"
    with read_only(results):
        done = run_command(study, *SNAKEMAKE)
        assert done.returncode != 0
        assert f"{results}: may not be written to; expected that it may. {KEPT}" in done.stdout
        assert "Traceback" not in done.stdout
        assert run_command(study, "snakemake", "-n", "--", "results/metrics.json").returncode == 0
    check_that_it_finishes(study, reference)


def test_a_study_in_a_folder_that_may_not_be_written_is_refused_in_one_line(study):
    with read_only(study):
        done = run_command(study, *SNAKEMAKE)
        assert done.returncode != 0
        assert f"{study}: may not be written to; expected that it may. {KEPT}" in done.stdout
        assert "Traceback" not in done.stdout


def test_a_file_of_a_folder_that_is_closed_is_named(tmp_path):
    with read_only(tmp_path), pytest.raises(UnwritableError) as raised:
        write_json({}, tmp_path / "a.json")
    assert str(raised.value).startswith(f"{tmp_path}/a.json: Read-only file system; expected that {tmp_path} may be")


def test_the_nearest_folder_that_is_there_is_looked_at(tmp_path):
    check_folders(str(tmp_path / "results" / "graphs"))
    (tmp_path / "closed").mkdir()
    with read_only(tmp_path / "closed"), pytest.raises(UnwritableError, match=r"/closed: may not be written to"):
        check_folders(str(tmp_path), str(tmp_path / "closed" / "results" / "graphs"))


def test_a_lost_scratch_folder_is_done_without(study, tmp_path, micro_study):
    (study / "results/report/report.html").unlink()
    done = run_command(study, "env", f"TMPDIR={tmp_path / 'lost'}", *SNAKEMAKE)
    assert done.returncode == 0, done.stdout[-4000:]
    assert hashes(study) == hashes(micro_study)


def test_lost_activations_and_features_are_named_and_made_again(study, micro_study):
    shutil.rmtree(study / "results" / "activations")
    (study / "results" / SENSITIVITY).unlink()
    command = (*SNAKEMAKE, "--", f"results/{SENSITIVITY}")
    with Run(study, *command) as run:
        assert run.wait_until(run.jobs, "a job")
        shutil.rmtree(study / "results" / "features")  # while the job still imports its modules
        assert run.wait() != 0
        assert "no such file; expected a tensor file of the study" in run.printed()
        assert "Traceback" not in run.printed()
    done = run_command(study, *command)
    assert done.returncode == 0, done.stdout[-4000:]
    assert SENSITIVITY in whole_files(study)
    assert whole_files(study).items() <= hashes(micro_study).items()
