"""`--sdm conda` and `--sdm apptainer`: what Snakemake asks of them, told by stand-ins on the path that note it down.

No package is installed and no image is built here.
"""

import os
import subprocess

import pytest
import yaml

from conftest import ROOT, SEARCH_PATH, make_micro

CONDA = """#!/usr/bin/env bash
echo "$*" >> "$NOTES"
case "$*" in
  "info --json") echo '{"conda_prefix": "'"$STAND_INS"'", "platform": "linux-64", "root_prefix": "'"$STAND_INS"'"}' ;;
  "--version") echo "conda 25.1.0" ;;
  "config --get channel_priority --json") echo '{"get": {"channel_priority": "strict"}}' ;;
  *"env create"*)
    while [ "$1" != --prefix ]; do [ "$1" = --file ] && cp "$2" "$NOTES.yaml"; shift; done
    mkdir -p "$2" ;;
esac
"""
APPTAINER = """#!/usr/bin/env bash
echo "$*" >> "$NOTES"
if [ "$1" = --version ]; then echo "apptainer version 1.3.4"; exit; fi
while [ "$1" != envs/study.sif ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture
def stand_in(tmp_path):
    """Puts an executable of this name on the path of a study; gives what runs Snakemake, and the file of notes."""
    bin_folder, notes, study = tmp_path / "bin", tmp_path / "notes", make_micro(tmp_path / "study")

    def make(name: str, script: str):
        bin_folder.mkdir()
        (bin_folder / name).write_text(script)
        (bin_folder / name).chmod(0o755)
        path = f"{bin_folder}{os.pathsep}{SEARCH_PATH}"
        environment = os.environ | {"PATH": path, "NOTES": str(notes), "STAND_INS": str(tmp_path)}

        def run(*arguments: str) -> str:
            command = ["snakemake", "--cores", "2", *arguments]
            done = subprocess.run(command, cwd=study, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return notes.read_text()

        return run

    make.study, make.notes = study, notes
    return make


def test_conda_is_asked_for_one_environment_of_all_that_is_locked(stand_in):
    notes = stand_in("conda", CONDA)("--sdm", "conda", "--conda-create-envs-only")
    assert notes.count("env create") == 1
    asked = yaml.safe_load(stand_in.notes.with_suffix(".yaml").read_text())
    locked = [line for line in (ROOT / "envs/study.lock").read_text().splitlines() if not line.startswith("#")]
    assert asked["dependencies"][-1] == {"pip": locked}


def test_apptainer_is_asked_to_run_jobs_in_the_image_of_the_study(stand_in):
    notes = stand_in("apptainer", APPTAINER)("--sdm", "apptainer", "--", "results/tokenizers/corpus/tokenizer.json")
    runs = [line for line in notes.splitlines() if " exec " in f" {line} "]
    assert any("collect_corpus" in line for line in runs)
    assert any("train_tokenizer" in line for line in runs)
    assert all(" envs/study.sif bash -c " in line for line in runs)
    assert (stand_in.study / "results/tokenizers/corpus/tokenizer.json").is_file()
