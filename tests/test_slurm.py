"""The study on a cluster: a real Slurm of two nodes on this machine, with failures on the way."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coact.artefacts import read_json
from conftest import make_micro
from repositories import artefacts
from slurm import Cluster, missing, wait_until

RUN = ("snakemake", "--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1")
COLUMN = "main/topk-x1-s0"
GRAPH = f"results/graphs/{COLUMN}/statistics.json"
GPU_RULES = {
    "train_model",
    "capture_activations",
    "evaluate_model",
    "train_sae",
    "evaluate_sae",
    "encode_features",
    "measure_effects",
}
MOST_SECONDS = 900


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Slurm that is running."""
    if reason := missing():
        pytest.skip(f"no cluster to run on: {reason}")
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


class Study:
    """A study that is run on a cluster, in the background, and what it says."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster = folder, cluster
        self.said = folder.with_name(f"{folder.name}.txt")

    def start(self, *arguments: str) -> subprocess.Popen:
        with open(self.said, "w", encoding="utf-8") as out:
            return subprocess.Popen(
                [*RUN, *arguments],
                cwd=self.folder,
                env=self.cluster.environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Status, and what was said."""
        return self.start(*arguments).wait(MOST_SECONDS), self.said.read_text()

    def files(self) -> dict[str, str]:
        """SHA-256 of every file of the results but the record, which names the machine, by path."""
        return artefacts(self.folder)


def running(cluster: Cluster, rule: str) -> dict[str, str] | None:
    """A job of a rule that is running."""
    return next((job for job in jobs_of(cluster, rule) if job["state"] == "RUNNING"), None)


def jobs_of(cluster: Cluster, rule: str) -> list[dict[str, str]]:
    """Jobs of a rule or a group so far, in the order of submission: their comments begin with its name."""
    found = [job for job in cluster.jobs() if re.match(rf"rule_{rule}(_|$)", job["comment"])]
    return sorted(found, key=lambda job: int(job["jobarrayid"]))


def once_running(
    cluster: Cluster, process: subprocess.Popen, rule: str, act: Callable[[dict[str, str]], object]
) -> None:
    """Do something to the first job of a rule, as soon as it runs."""
    wait_until(lambda: process.poll() is not None or running(cluster, rule) is not None, f"{rule} runs", MOST_SECONDS)
    act(running(cluster, rule))


@pytest.fixture(scope="module")
def disturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, str]:
    """The study up to its graph, during which jobs fail in every way; and what was said."""
    study = Study(make_micro(tmp_path_factory.mktemp("disturbed") / "study"), cluster)
    process = study.start("--set-resources", "train_model:mem_mb=50 if attempt == 1 else 4000", "--", GRAPH)
    lost = []

    def lose(job: dict[str, str]) -> None:
        lost.append(job["nodelist"])
        cluster.kill_node(job["nodelist"])

    once_running(cluster, process, "capture_activations", lose)
    once_running(cluster, process, "train_sae", lambda job: cluster.run("scancel", job["jobarrayid"]))
    cluster.start_node(lost[0])
    assert process.wait(MOST_SECONDS) == 0, study.said.read_text()[-6000:]
    return study, study.said.read_text()


def test_a_study_whose_jobs_fail_on_the_way_ends_by_itself_with_the_bytes_of_one_machine(disturbed, micro_study):
    there, here = disturbed[0].files(), Study(micro_study, disturbed[0].cluster).files()
    assert GRAPH.removeprefix("results/") in there
    assert there == {path: here[path] for path in there}


@pytest.mark.parametrize(
    ("rule", "states"),
    [
        ("train_model", {"FAILED", "OUT_OF_MEMORY"}),  # Slurm calls it the latter where it has cgroups
        ("capture_activations", {"NODE_FAIL"}),
        ("train_sae", {"CANCELLED"}),
    ],
)
def test_a_job_that_fails_is_named_with_its_state_and_its_log_and_is_tried_again(disturbed, rule, states):
    study, said = disturbed
    first = next(job for job in jobs_of(study.cluster, rule) if job["state"] != "COMPLETED")
    number = first["jobarrayid"]
    assert first["state"] in states
    assert re.search(rf"SLURM-job '{number}' failed.*'{first['state']}'", said)
    assert re.search(rf"Error in rule {rule}.*?slurm_logs/rule_{rule}/\S*/{number}\.log", said, re.DOTALL)
    assert "COMPLETED" in {job["state"] for job in jobs_of(study.cluster, rule)}


def test_jobs_of_gpu_rules_see_one_gpu_and_others_none(disturbed):
    cluster = disturbed[0].cluster
    visible, seen = cluster.visible(), set()
    for job in cluster.jobs():
        rule = next((rule for rule in GPU_RULES if job["comment"].startswith(f"rule_{rule}")), None)
        gpus = 0 if rule is None else 1
        assert job["tres-per-job"] == ("gres:gpu:1" if gpus else "N/A"), job
        for devices in visible.get(job["jobarrayid"], set()):
            assert devices in ({"0", "1"} if gpus else {"none"}), job
            seen.add(rule)
    assert {"train_model", "capture_activations", "train_sae", "encode_features", None} <= seen


def test_shards_are_jobs_of_their_own_and_both_nodes_work(disturbed):
    cluster = disturbed[0].cluster
    for rule in ("capture_activations", "encode_features"):
        assert len([job for job in jobs_of(cluster, rule) if job["state"] == "COMPLETED"]) == 2
    assert {job["nodelist"] for job in cluster.jobs()} == {"n0", "n1"}


def test_the_same_command_finishes_what_a_run_without_retries_left(cluster, tmp_path, micro_study):
    study = Study(make_micro(tmp_path / "study"), cluster)
    target = ("--", "results/tokens/corpus/manifest.json")
    process = study.start("--retries", "0", *target)
    before = len(jobs_of(cluster, "text"))
    wait_until(lambda: len(jobs_of(cluster, "text")) > before, "the text is asked for", MOST_SECONDS)
    once_running(cluster, process, "text", lambda job: cluster.run("scancel", job["jobarrayid"]))
    assert process.wait(MOST_SECONDS) != 0
    # Of a group the state is in Slurm's log, which is shown.
    assert re.search(
        r"Error in group text.*rule collect_corpus:.*slurm_logs/group_text\S*\.log.*CANCELLED AT",
        study.said.read_text(),
        re.DOTALL,
    )
    status, said = study.run(*target)
    assert status == 0, said[-3000:]
    here = Study(micro_study, cluster).files()
    assert study.files() == {path: here[path] for path in study.files()}


@pytest.mark.slow
def test_the_whole_study_is_that_of_one_machine_although_a_job_is_over_its_time(cluster, tmp_path, micro_study):
    study = Study(make_micro(tmp_path / "study"), cluster)
    process = study.start()
    known = {job["jobarrayid"] for job in jobs_of(cluster, "probe_contexts")}

    def overdue(job: dict[str, str]) -> None:
        wait_until(lambda: job["jobarrayid"] in cluster.visible(), "its task has begun", MOST_SECONDS)
        cluster.freeze(job["jobarrayid"])
        cluster.run("scontrol", "update", f"jobid={job['jobarrayid']}", "TimeLimit=0")

    once_running(cluster, process, "probe_contexts", overdue)
    assert process.wait(2 * MOST_SECONDS) == 0, study.said.read_text()[-6000:]
    first = next(job for job in jobs_of(cluster, "probe_contexts") if job["jobarrayid"] not in known)
    assert first["state"] == "TIMEOUT"
    assert f"SLURM-job '{first['jobarrayid']}' failed, SLURM status is: 'TIMEOUT'" in study.said.read_text()
    assert study.files() == Study(micro_study, cluster).files()
    there, here = (read_json(folder / "results/provenance.json") for folder in (study.folder, micro_study))
    assert there["artefacts"] == here["artefacts"]
