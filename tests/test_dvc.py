"""The study under DVC, with the real commands: what it records is what its parameters made, here and in any clone.

Three studies of the smallest kind are run whole, the others are clones that go on from them: `repository` by DVC,
`micro_study` by Snakemake, and one from scratch with another parameter.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from conftest import ROOT, SEARCH_PATH, make_micro
from repositories import artefacts, change, cloned, commit, run, under_git
from test_workflow import STAGES

NOTHING = "Nothing to be done"
# A parameter of every section that a stage reads, another value, a rule that it is for, and one before it.
CHANGES = {
    "corpus.seed": (5, "collect_corpus", None),
    "models.main.learning_rate": (0.003, "train_model", "tokenize_corpus"),
    "activations.dtype": ("float32", "capture_activations", "train_model"),
    "saes.topk.k": (6, "train_sae", "capture_activations"),
    "graph.k": (3, "count_pairs", "encode_features"),
    "nulls.sweeps": (6, "sample_null", "build_graph"),
    "sensitivity.k": ([2, 6], "measure_sensitivity", "build_graph"),
    "communities.resolution": (1.5, "find_communities", "build_graph"),
    "statistics.bootstrap": (150, "describe_graph", "build_graph"),
    "interpretation.seed": (3, "measure_contexts", "build_graph"),
    "comparison.seed": (7, "compare_graphs", "describe_graph"),
    "figures.dpi": (70, "plot_graphs", "compare_graphs"),
    "explorer.neighbours": (12, "export_features", "compare_graphs"),
    "title": ("Another title", "render_report", "plot_graphs"),
}


def planned(folder):
    """Rule -> number of jobs that Snakemake would run; none where there is nothing to do."""
    printed = run(folder, "snakemake", "-n", "--quiet", "rules")
    if NOTHING in printed:
        return {}
    table = printed.split("Job stats:")[1].split("total")[0]
    counts = {name: int(jobs) for name, jobs in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    return {name: jobs for name, jobs in counts.items() if name != "all"}


def ran(printed):
    return set(re.findall(r"Running stage '(\w+)'", printed))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The smallest study in a fresh repository, reproduced by DVC, committed, and pushed to a folder."""
    folder = under_git(make_micro(tmp_path_factory.mktemp("dvc") / "study"))
    run(folder, "dvc", "repro")
    run(folder, "dvc", "remote", "add", "--default", "store", str(folder.parent / "store"))
    commit(folder, "Results")
    run(folder, "dvc", "push")
    return folder


@pytest.fixture(scope="module")
def changed(repository, tmp_path_factory):
    """A clone in which `graph.k` was changed, `dvc repro` run, and the results committed; and what that printed."""
    folder = cloned(repository, tmp_path_factory.mktemp("changed") / "study")
    change(folder, "graph.k", 3)
    printed = run(folder, "dvc", "repro")
    commit(folder, "Smaller sets")
    return folder, printed


def test_reproducing_makes_the_study_and_records_every_stage(repository):
    assert (repository / "results/report/report.html").is_file()
    assert set(yaml.safe_load((repository / "dvc.lock").read_text())["stages"]) == set(STAGES)
    assert "up to date" in run(repository, "dvc", "status")
    assert NOTHING in run(repository, "snakemake", "-n")
    assert run(repository, "dvc", "repro").count("didn't change, skipping") == len(STAGES)


def test_git_ignores_what_dvc_tracks(repository):
    assert "results/" not in run(repository, "git", "status", "--porcelain")


def test_what_snakemake_made_is_recorded_by_one_command(repository, micro_study, tmp_path):
    folder = under_git(Path(shutil.copytree(micro_study, tmp_path / "study")))
    shutil.copy2(ROOT / "Makefile", folder / "Makefile")
    installed = f"{os.path.relpath(sys.prefix, folder)}/study.installed"
    printed = run(folder, "make", "--old-file", installed, "record", f"VENV={os.path.relpath(sys.prefix, folder)}")
    assert NOTHING in printed
    assert run(folder, "dvc", "repro").count("didn't change, skipping") == len(STAGES)
    assert "up to date" in run(folder, "dvc", "status")
    assert artefacts(folder) == artefacts(repository)


def test_a_pulled_study_has_nothing_to_do_and_its_report_is_there(repository, tmp_path):
    folder = cloned(repository, tmp_path / "clone")
    assert NOTHING in run(folder, "snakemake", "-n")
    assert "up to date" in run(folder, "dvc", "status")
    assert run(folder, "dvc", "repro").count("didn't change, skipping") == len(STAGES)
    assert artefacts(folder) == artefacts(repository)
    assert "</html>" in (folder / "results/report/report.html").read_text()


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_parameter_is_seen_in_a_clone_as_where_the_study_was_made(repository, changes_clone, key):
    value, rule, earlier = CHANGES[key]
    plans = []
    for folder in (repository, changes_clone):
        kept = (folder / "config.yaml").read_text()
        change(folder, key, value)
        plans.append(planned(folder))
        (folder / "config.yaml").write_text(kept)
    assert plans[0] == plans[1]
    assert rule in plans[0]
    assert earlier not in plans[0]


@pytest.fixture(scope="module")
def changes_clone(repository, tmp_path_factory):
    return cloned(repository, tmp_path_factory.mktemp("clone") / "study")


def test_a_parameter_of_every_section_is_tried():
    sections = {section for entry in STAGES.values() for section in next(iter(entry["params"]))["config.yaml"] or []}
    assert sections - {key.split(".")[0] for key in CHANGES} == {"ground_truth"}  # not enabled in the smallest study


def test_a_clone_makes_for_another_parameter_what_a_run_from_scratch_makes(repository, changed, tmp_path):
    folder, printed = changed
    scratch = make_micro(tmp_path / "scratch")
    change(scratch, "graph.k", 3)
    run(scratch, "snakemake", "--cores", "2")
    assert {"graphs", "interpretation", "comparison", "report"} <= ran(printed)
    assert not ran(printed) & {"hub", "corpus", "models"}
    for rule in ("Train the SAE", "Capture activations", "Encode"):
        assert rule not in printed
    assert artefacts(folder) == artefacts(scratch)
    assert artefacts(folder) != artefacts(repository)
    assert NOTHING in run(folder, "snakemake", "-n")


@pytest.mark.slow
def test_parameters_changed_one_after_another_give_what_a_run_from_scratch_with_all_of_them_gives(repository, tmp_path):
    folder, scratch = cloned(repository, tmp_path / "study"), make_micro(tmp_path / "scratch")
    for key, (value, _, _) in CHANGES.items():
        for place in (folder, scratch):
            change(place, key, value)
        run(folder, "dvc", "repro")
    run(scratch, "snakemake", "--cores", "2")
    assert artefacts(folder) == artefacts(scratch)


def test_a_checkout_of_another_commit_brings_its_results(repository, changed):
    folder, _ = changed
    later = artefacts(folder)
    for step, expected in (("HEAD~1", artefacts(repository)), ("-", later)):
        run(folder, "git", "checkout", "-q", step)
        run(folder, "dvc", "checkout")
        assert artefacts(folder) == expected
        assert "up to date" in run(folder, "dvc", "status")
        assert NOTHING in run(folder, "snakemake", "-n")


def test_results_of_another_commit_are_not_taken_for_those_of_this_one(changed, tmp_path):
    folder = Path(shutil.copytree(changed[0], tmp_path / "study"))
    plan = planned(folder)
    run(folder, "git", "checkout", "-q", "HEAD~1")  # without dvc checkout
    assert not plan
    assert "count_pairs" in planned(folder)
    assert "train_sae" not in planned(folder)


def test_differences_between_commits_are_shown(changed, tmp_path):
    folder, _ = changed
    assert json.loads(run(folder, "dvc", "params", "diff", "HEAD~1", "HEAD", "--json"))["config.yaml"] == {
        "graph.k": {"old": 4, "new": 3, "diff": -1}
    }
    metrics = json.loads(run(folder, "dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json"))["results/metrics.json"]
    assert metrics["main/topk-x1-s0.edges_live"]["old"] > metrics["main/topk-x1-s0.edges_live"]["new"]
    assert "main/topk-x1-s0.fvu" not in metrics
    run(folder, "dvc", "plots", "diff", "HEAD~1", "HEAD", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    for title in ("Degree against frequency", "FVU over training", "L0 over training"):
        assert title in page
    assert {"HEAD", "HEAD~1"} == set(re.findall(r'"rev": "([^"]+)"', page))


def run_queue(folder):
    """Run what is queued. DVC's worker may stay afterwards and hold what it prints to: it gets no pipe, and an end."""
    with (folder.parent / "queue.log").open("w") as log:
        done = subprocess.run(
            ["dvc", "exp", "run", "--run-all"],
            cwd=folder,
            env=os.environ | {"PATH": SEARCH_PATH},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert done.returncode == 0, (folder.parent / "queue.log").read_text()[-4000:]
    for path in (folder / ".dvc/tmp/exps/celery").glob("*.pid"):
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(int(path.read_text()))
            for process in (*worker.children(recursive=True), worker):
                process.kill()


def test_experiments_run_here_and_from_the_queue_with_their_parameters(changed, tmp_path):
    folder = Path(shutil.copytree(changed[0], tmp_path / "study"))
    printed = run(folder, "dvc", "exp", "run", "-n", "seven", "-S", "config.yaml:comparison.seed=7")
    assert ran(printed) == {"comparison", "figures", "explorer", "report", "provenance"}
    run(folder, "dvc", "exp", "run", "--queue", "-n", "dots", "-S", "config.yaml:figures.dpi=70")
    assert "dots" in run(folder, "dvc", "queue", "status")
    run_queue(folder)
    shown = json.loads(run(folder, "dvc", "exp", "show", "--json"))
    found = {}
    for entry in shown:
        for experiment in entry.get("experiments") or []:
            data = experiment["revs"][0]["data"]
            params = data["params"]["config.yaml"]["data"]
            assert data["metrics"]["results/metrics.json"]["data"]["main/topk-x1-s0"]["edges_live"] > 0
            found[experiment["name"]] = params["comparison"]["seed"], params["figures"]["dpi"]
    assert found == {"seven": (7, 80), "dots": (7, 70)}


def of_first_width(found):
    """The files of an artefact list that belong to the width that was there before."""
    kept = {name: digest for name, digest in found.items() if re.match("(saes|features|graphs)/main/topk-x1-s0/", name)}
    assert {name.partition("/")[0] for name in kept} == {"saes", "features", "graphs"}
    return kept


@pytest.mark.parametrize("command", [("snakemake", "--cores", "2", "all_saes", "all_features"), ("dvc", "repro")])
def test_another_width_trains_its_sae_alone(repository, tmp_path, command):
    folder = cloned(repository, tmp_path / "study")
    before = artefacts(folder)
    change(folder, "saes.topk.expansion", [1, 2])
    plan = planned(folder)
    assert (plan["train_sae"], plan["encode_features"], plan["build_graph"]) == (1, 2, 1)
    assert not set(plan) & {"collect_corpus", "train_model", "capture_activations"}
    run(folder, *command)
    after = artefacts(folder)
    assert of_first_width(after) == of_first_width(before)
    assert "saes/main/topk-x2-s0/sae_weights.safetensors" in after
    if command[0] == "dvc":  # and away with it: no file of it stays among what DVC records
        change(folder, "saes.topk.expansion", [1])
        run(folder, "dvc", "repro")
        assert artefacts(folder) == before
