"""The study under DVC, with the real commands: what it records is what its parameters made."""

import json
import shutil
import subprocess

import pytest
import yaml
from snakemake.utils import update_config

from conftest import ROOT, make_workspace, run_command
from test_workflow import STAGES


def run(folder, *command):
    """Run a command that has to succeed and return what it printed."""
    done = run_command(folder, *command)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A fresh repository of the tiny study, reproduced by `dvc repro`."""
    folder = make_workspace(tmp_path_factory.mktemp("dvc") / "study")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    update_config(config, yaml.safe_load((folder / "presets/tiny.yaml").read_text()))
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for name in (".gitignore", ".dvcignore"):
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "*.local"))
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=study", "-c", "user.email=study@example.org", "commit", "-qm", "Study")
    run(folder, "dvc", "repro")
    return folder


def test_reproducing_makes_the_study_and_records_every_stage(repository):
    assert (repository / "results/report/report.html").is_file()
    assert set(yaml.safe_load((repository / "dvc.lock").read_text())["stages"]) == set(STAGES)
    assert "up to date" in run(repository, "dvc", "status")


def test_snakemake_agrees_that_nothing_is_left_to_do(repository):
    assert "Nothing to be done" in run(repository, "snakemake", "-n")


def test_reproducing_again_skips_every_stage(repository):
    printed = run(repository, "dvc", "repro")
    assert printed.count("didn't change, skipping") == len(STAGES)


def test_metrics_plots_and_graph_of_stages_are_shown(repository):
    metrics = json.loads(run(repository, "dvc", "metrics", "show", "--json"))
    assert "main/topk-x1-s0" in json.dumps(metrics)
    assert "report" in run(repository, "dvc", "dag")
    run(repository, "dvc", "plots", "show", "--out", "plots")
    assert (repository / "plots" / "index.html").is_file()


def test_a_changed_parameter_runs_exactly_what_depends_on_it(repository):
    path = repository / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["comparison"]["seed"] = 7
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    assert "comparison.seed" in run(repository, "dvc", "params", "diff")
    pairs = repository / "results/comparison/pairs.parquet"
    edges = repository / "results/graphs/main/neurons/edges.parquet"
    before = pairs.read_bytes(), edges.read_bytes()
    printed = run(repository, "dvc", "repro")
    assert "Running stage 'comparison'" in printed
    for stage in ("corpus", "models", "activations", "saes", "features", "graphs", "interpretation"):
        assert f"Stage '{stage}' didn't change, skipping" in printed
    assert pairs.read_bytes() != before[0]
    assert edges.read_bytes() == before[1]


def test_git_ignores_what_dvc_tracks(repository):
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert "results/" not in status.stdout
