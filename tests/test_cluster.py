"""What jobs ask a cluster for, and how the profile puts them together; tests/test_slurm.py runs it."""

import re
from types import SimpleNamespace

import pytest
import yaml

from coact.config import complete, read_config
from coact.costs import jobs_of
from coact.plan.runtimes import LEAST_MINUTES, runtime_of
from coact.study import check
from conftest import ROOT, run_command
from test_workflow import WORKING_RULES

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
GROUPS = dict(entry.split("=") for entry in PROFILE["groups"])
GPU_RULES = {name for name, block in WORKING_RULES.items() if "gpu=get_gpus," in block}
COLUMN = {"model": "main", "sae": "topk-x2-s0"}


def study_of(**sections):
    """The default study, with keys of some sections replaced."""
    config = read_config([ROOT / "config.yaml"])
    for section, values in sections.items():
        config[section] = {**config[section], **values}
    return check(complete(config))


def helpers_of(study, local):
    """What rules/resources.smk defines, for a run on this machine or on a cluster."""
    names = {"STUDY": study, "workflow": SimpleNamespace(local_exec=local)}
    exec(compile((ROOT / "rules/resources.smk").read_text(), "resources.smk", "exec"), names)
    return names


@pytest.mark.parametrize("rule", WORKING_RULES)
def test_every_rule_asks_for_memory_and_time_by_its_own_name(rule):
    block = WORKING_RULES[rule]
    assert re.search(rf'mem_mb=get_memory\("{rule}", \d+', block)
    assert f'runtime=get_runtime("{rule}"' in block


def test_memory_and_time_grow_with_every_attempt():
    helpers = helpers_of(study_of(), local=True)
    for ask in (helpers["get_memory"]("train_sae", 100), helpers["get_runtime"]("train_sae")):
        assert [ask(COLUMN, attempt) for attempt in (2, 3)] == [2 * ask(COLUMN, 1), 3 * ask(COLUMN, 1)]


def test_memory_is_that_of_the_costs_and_on_a_cluster_that_of_snakemake_too():
    study = study_of()
    (peak,) = {job.memory for job in jobs_of(study) if job.rule == "train_sae" and job.sae == COLUMN["sae"]}
    here, there = (helpers_of(study, local)["get_memory"]("train_sae", 100)(COLUMN, 1) for local in (True, False))
    assert here == -(-peak // 10**6)
    assert there - here == helpers_of(study, False)["SNAKEMAKE_MEMORY"] > 0


def test_jobs_of_unknown_size_get_what_their_rule_says():
    nowhere = {"model": "far", "sae": "topk"}
    helpers = helpers_of(study_of(), local=True)
    assert helpers["get_memory"]("train_sae", 100, unknown=8000)(nowhere, 1) == 8000
    assert helpers["get_memory"]("train_sae", 100)(nowhere, 1) == 100
    assert helpers["get_runtime"]("train_sae", unknown=1440)(nowhere, 1) == 1440


@pytest.mark.parametrize(
    ("section", "values", "rule", "sae"),
    [
        ("activations", {"shard_tokens": 458_752 * 64, "train_tokens": 458_752 * 64}, "capture_activations", ""),
        ("graph", {"batches": 12 * 64}, "measure_sensitivity", COLUMN["sae"]),
        ("nulls", {"sweeps": 12 * 1000}, "sample_null", COLUMN["sae"]),
    ],
)
def test_more_work_is_given_more_time(section, values, rule, sae):
    text = {"corpus": {"train_tokens": 458_752 * 64}, "activations": {"train_tokens": 458_752 * 64}}
    text[section] = text.get(section, {}) | values
    assert runtime_of(study_of())(rule, "main", sae) == LEAST_MINUTES
    assert runtime_of(study_of(**text))(rule, "main", sae) > LEAST_MINUTES


def test_the_slurm_profile_leaves_what_the_default_profile_sets(workspace):
    ask = "import sys; from snakemake.cli import parse_args; a = parse_args(['--profile', 'profiles/slurm'])[1]; print("
    names = "a.executor, a.retries, a.rerun_incomplete, a.max_checksum_file_size, a.show_failed_logs, a.scheduler)"
    done = run_command(workspace, "python", "-c", ask + names)
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    assert done.stdout.splitlines()[-1] == f"slurm 2 True {default['max-checksum-file-size']} True greedy"
    assert not {"executor", "cores", "jobs", "groups", "resources"} & set(default)


def test_no_rule_with_a_gpu_is_in_a_group_and_every_group_is_of_rules():
    assert set(GROUPS) <= set(WORKING_RULES)
    assert not GPU_RULES & set(GROUPS)
    components = {entry.split("=")[0] for entry in PROFILE["group-components"]}
    assert components <= set(GROUPS.values())


def test_no_group_waits_for_itself(workspace):
    drawn = run_command(workspace, "snakemake", "--rulegraph").stdout
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', drawn, re.MULTILINE))
    waits = {}
    for before, after in re.findall(r"^\s*(\d+) -> (\d+)", drawn, re.MULTILINE):
        one, other = (GROUPS.get(names[number], names[number]) for number in (before, after))
        if one != other:
            waits.setdefault(other, set()).add(one)
    assert {"pages", "nulls", "graphs", "meaning"} <= set(waits)
    while waits:
        # Groups and rules that wait for nothing that is left; there is none where two wait for one another.
        free = {one for ones in waits.values() for one in ones} - set(waits)
        assert free, waits
        waits = {other: left for other, ones in waits.items() if (left := ones - free)}


def test_the_default_study_is_less_than_seventy_jobs_of_a_cluster(workspace):
    said = run_command(workspace, "snakemake", "-n", "--profile", "profiles/slurm").stdout
    counts = dict(re.findall(r"^(\w+) +(\d+)$", said[said.index("Job stats") :], re.MULTILINE))
    alone = set(counts) - set(GROUPS) - {"total", "all", "list_repositories", "record_provenance"}
    submitted = len(re.findall(r"Group job \w+", said)) + sum(int(counts[rule]) for rule in alone)
    assert int(counts["total"]) > 130
    assert 40 < submitted < 70
