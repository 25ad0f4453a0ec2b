"""The plan: what cannot fit, what is printed, and its command."""

import copy
import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import yaml
from snakemake.utils import update_config

from coact.config import complete, read_config
from coact.costs import STAGES, Job, Measure, jobs_of
from coact.costs.reference import SECONDS
from coact.errors import ConfigError
from coact.plan.calibration import made_up_batch
from coact.plan.dictionaries import made_up_sae, time_encoding, time_step
from coact.plan.fit import disk_needed, problems, size
from coact.plan.limits import Limits, cgroup_bytes, read_limits
from coact.plan.page import duration, print_plan
from coact.plan.rates import MEASURED, PRODUCTS, REFERENCE, SCALED, Rates, rows_of, wall_seconds
from coact.study import check
from conftest import ROOT, run_command

TINY = ("config.yaml", "presets/tiny.yaml")
ROOMY = Limits(memory_bytes=10**15, disk_bytes=10**18, cores=2)
STEP = Measure("train SAE", "x", 4, 8, 2, flops=100.0)
COUNT = Measure("count pairs", d_sae=8, l0=2)


@pytest.fixture(scope="module")
def study():
    return check(read_config([ROOT / name for name in TINY]))


@pytest.fixture(scope="module")
def jobs(study):
    return jobs_of(study)


def plan(*arguments, folder=ROOT):
    command = [sys.executable, "-m", "coact.plan", *arguments]
    environment = {"PYTHONPATH": str(ROOT / "workflow_scripts"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


# --- what does not fit


def test_all_fits_where_there_is_room(jobs):
    assert problems(jobs, ROOMY) == []


def test_too_little_disk_is_told_with_both_numbers_and_the_key(jobs):
    needed = disk_needed(jobs, cores=2)
    assert problems(jobs, replace(ROOMY, disk_bytes=needed)) == []
    (found,) = problems(jobs, replace(ROOMY, disk_bytes=1000))
    assert found.startswith(f"disk: needs {size(needed)}, and 1 kB are free")
    assert "of stage features: lower graph.batches" in found


def test_each_job_that_is_too_large_is_told_once():
    there = [
        Job("SAEs", "train_sae", "main", sae, memory=memory, key="saes.topk.expansion")
        for sae, memory in (("topk-x1-s0", 3 * 10**9), ("topk-x2-s0", 5 * 10**9))
    ]
    assert problems(there, Limits(4 * 10**9, 10**12)) == [
        "memory: train_sae main/topk-x2-s0 needs 5 GB, and this machine has 4 GB: lower saes.topk.expansion"
    ]


def test_the_memory_of_a_gpu_is_a_limit_of_the_jobs_that_use_it():
    large = Job("SAEs", "train_sae", memory=30 * 10**9, gpu=True, key="saes.topk.batch_tokens")
    limits = Limits(64 * 10**9, 10**12, gpu_bytes=24 * 10**9)
    (found,) = problems([large, replace(large, rule="build_graph", gpu=False)], limits)
    assert found == "memory of the GPU: train_sae needs 30 GB, and it has 24 GB: lower saes.topk.batch_tokens"


def test_checkpoints_count_for_as_many_trainings_as_run_side_by_side():
    job = Job("SAEs", "train_sae", number=3, disk=10, passing=7)
    assert disk_needed([job], cores=1) == 37
    assert disk_needed([job], cores=2) == 44
    assert disk_needed([job], cores=8) == 51


def test_a_control_group_limits_memory(tmp_path):
    (tmp_path / "user" / "job").mkdir(parents=True)
    (tmp_path / "user" / "memory.max").write_text("4000\n")
    (tmp_path / "user" / "job" / "memory.max").write_text("max\n")
    assert cgroup_bytes(tmp_path, "0::/user/job\n") == 4000
    assert cgroup_bytes(tmp_path, "0::/\n") is None
    (tmp_path / "memory" / "old").mkdir(parents=True)
    (tmp_path / "memory" / "old" / "memory.limit_in_bytes").write_text("3000")
    assert cgroup_bytes(tmp_path, "8:pids:/\n4:memory:/old\n0::/user/job\n") == 3000


def test_what_the_results_take_now_is_free_for_them(tmp_path):
    before = read_limits(tmp_path / "results")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "file").write_bytes(bytes(50_000_000))
    after = read_limits(tmp_path / "results")
    assert before.memory_bytes == after.memory_bytes > 0
    assert after.cores >= 1
    assert after.disk_bytes > before.disk_bytes - 40_000_000  # other processes write, too


# --- times


def test_a_time_rests_on_the_best_that_there_is():
    rates = Rates(50.0, "it", {STEP: 3.0}, imports={"module": 7.0}, slowness=2.0)
    other = replace(STEP, d_sae=9)
    assert rates.seconds_per_token(STEP) == 3
    assert rates.seconds_per_token(other) == 2  # 100 operations at 50 per second
    assert rates.seconds_per_token(COUNT) == 2 * SECONDS["count_pairs"].of(tokens=1, entries=2)
    assert [rates.basis(measure) for measure in (STEP, other, COUNT)] == [MEASURED, PRODUCTS, REFERENCE]
    assert replace(rates, scaled=frozenset([STEP])).basis(STEP) == SCALED
    job = Job("SAEs", "train_sae", imports="module", work=((STEP, 10), (other, 1)), seconds=4.0)
    assert rates.seconds(job) == 7 + 30 + 2 + 8
    assert rates.bases(job) == {MEASURED, PRODUCTS, REFERENCE}


def test_a_study_takes_as_long_as_its_work_or_its_longest_jobs_or_its_gpu():
    rates = Rates(1.0, "it")
    jobs = [Job("a", "one", seconds=10.0, number=4), Job("b", "two", seconds=20.0, gpu=True)]
    assert wall_seconds(jobs, rates, cores=1, gpu=False) == 60
    assert wall_seconds(jobs, rates, cores=100, gpu=False) == 30  # a job of each stage, one after the other
    shared = [replace(job, gpu=True) for job in jobs]
    assert wall_seconds(shared, rates, cores=100, gpu=True) == 60


def test_rows_add_up(jobs):
    rates = Rates(1e9, "it")
    rows = rows_of(jobs, rates)
    assert sum(row.jobs for row in rows) == sum(job.number for job in jobs)
    assert sum(row.disk for row in rows) == sum(job.number * job.disk for job in jobs)
    assert max(row.memory for row in rows) == max(job.memory for job in jobs)
    assert sum(row.flops for row in rows) == pytest.approx(sum(job.number * job.flops for job in jobs))


# --- what is measured on


@pytest.mark.parametrize(("features", "l0"), [(512, 16), (512, 200), (16_384, 24)])
def test_a_made_up_batch_is_a_batch(features, l0):
    batch = made_up_batch(features, l0, 2048)
    assert len(batch.indptr) == 2049
    assert batch.indptr[-1] == len(batch.indices) == len(batch.values)
    assert batch.indices.max() < features
    assert 0.5 * l0 < len(batch.indices) / 2048 <= 1.1 * l0
    for row in range(0, 2048, 100):
        held = batch.indices[batch.indptr[row] : batch.indptr[row + 1]]
        assert (held[1:] > held[:-1]).all()


@pytest.mark.parametrize("architecture", ["topk", "relu", "jumprelu", "gated", "batchtopk", "matryoshka"])
def test_every_architecture_can_be_timed(architecture, one_thread):
    config = read_config([ROOT / "config.yaml"])
    config["saes"] = {"it": {"kind": "trained", "architecture": architecture, "expansion": [16], "batch_tokens": 256}}
    made = jobs_of(check(complete(config)))
    (step,) = (job.work[0][0] for job in made if job.rule == "train_sae" and job.model == "main")
    (encode, *_) = (job.work[0][0] for job in made if job.rule == "encode_features" and job.model == "main")

    def timer(work, budget):
        work()
        return 1.0

    assert time_step(step, 1e15, 10.0, timer)[1]
    assert time_encoding(encode, 1e15, 10.0, timer)[1]
    seconds, whole = time_step(step, 1e9, 1.0, timer)  # slow enough for a smaller size
    assert not whole
    assert seconds > 1.0 / 256
    x = torch.randn(512, step.d_in, generator=torch.Generator().manual_seed(0))
    sae = made_up_sae(json.loads(step.subject), step, step.d_sae, x)
    active = len(sae.encode_sparse(x).values) / len(x)
    assert active == pytest.approx(step.l0, rel=0.5)


# --- the page and the command


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0.4 s"), (45, "45 s"), (89, "89 s"), (90, "1.5 min"), (7200, "2.0 h"), (864_000, "10 d")],
)
def test_durations_are_words(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (8.27e12, "8.27 TB"), (3e18, "3,000 PB")]
)
def test_sizes_are_words(number, text):
    assert size(number) == text


def test_the_page_says_what_is_not_known(study, jobs):
    far = {"kind": "hub", "name": "owner/nowhere", "revision": "main", "hook": None}
    parts = {"models": {**study.config["models"], "far": far}, "saes": {"neurons": {"kind": "neurons", "models": None}}}
    unknown, file = check({**study.config, **parts}), io.StringIO()
    print_plan(unknown, jobs_of(unknown), Rates(1e9, "it"), ROOMY, file)
    assert "Not known: the shape of far, before it is fetched" in file.getvalue()
    assert "far/neurons" in file.getvalue()
    assert max(map(len, file.getvalue().splitlines())) <= 200


def test_the_tiny_study_is_planned_with_a_calibration(tmp_path):
    done = plan(*(str(ROOT / name) for name in TINY), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for stage in STAGES:
        assert f"\n{stage}" in done.stdout, stage
    for word in ("Tokens:", "FLOPs:", "Disk:", "Memory:", "Time:", "measured:", "reference:"):
        assert f"\n{word}" in done.stdout.replace("\n  ", "\n"), word
    assert not (tmp_path / "results").exists()


def test_an_impossible_study_is_refused_with_numbers_and_keys(tmp_path):
    overlay = {
        "corpus": {"train_tokens": 8 * 10**15},
        "activations": {"train_tokens": 8 * 10**15, "shard_tokens": 1 << 40},
    }
    (tmp_path / "large.yaml").write_text(yaml.safe_dump(overlay))
    done = plan("--no-calibration", *(str(ROOT / name) for name in TINY), "large.yaml", folder=tmp_path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert any("disk: needs" in line and "PB" in line and "activations.train_tokens" in line for line in lines)
    assert any("memory: collect_corpus needs" in line and "lower corpus.train_tokens" in line for line in lines)
    assert "by FLOPs" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph: {kk: 3}", "error: configuration: graph: unknown key 'kk'; did you mean k?"),
        ("graph: [", "wrong.yaml: cannot be read"),
        ("- 1", "wrong.yaml: found list, expected a mapping"),
        ("corpus: {sources: [{name: a, kind: files, glob: 'nowhere/*.txt', share: 1}]}", "nowhere/*.txt"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path, text, message):
    (tmp_path / "wrong.yaml").write_text(text)
    done = plan(str(ROOT / "config.yaml"), "wrong.yaml", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_overlays_lie_over_one_another_as_in_snakemake(tmp_path):
    names = ["config.yaml", "presets/wide.yaml", "presets/tiny.yaml"]
    merged = {}
    for name in names:
        update_config(merged, copy.deepcopy(yaml.safe_load((ROOT / name).read_text())))
    assert read_config([ROOT / name for name in names]) == complete(merged)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"no-such-file\.yaml: cannot be read"):
        read_config(["no-such-file.yaml"])


def test_make_plan_passes_overlays_on():
    done = run_command(ROOT, "make", "-n", "plan", "CONFIG=presets/tiny.yaml presets/wide.yaml")
    assert "-m coact.plan config.yaml presets/tiny.yaml presets/wide.yaml" in done.stdout
