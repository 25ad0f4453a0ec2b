"""A study whose processes are killed ends, with the same command, as one that nobody touched."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil
import pytest

from conftest import make_micro
from repositories import under_git
from runs import SNAKEMAKE, Run, finish, hashes, job_name, parts, unlock, whole_files
from test_workflow import STAGES

SEED = 20261122
MOST_JOBS = 40  # of 47: the last kill comes before the study is complete
LATEST_S = 2.0  # after the job that a kill waits for
IDLE = ("hub", "ground_truth", "provenance")  # stages with next to no work


class Kill(NamedTuple):
    """One kill: of what, while which rules were under way, how many jobs this run had finished, what it left."""

    victim: str
    under_way: str
    jobs_done: int
    half_written: int


def snakemake_of(run: Run, chance: random.Random) -> psutil.Process | None:
    return run.snakemake()


def dvc_of(run: Run, chance: random.Random) -> psutil.Process | None:
    return run.itself()


def job_of(run: Run, chance: random.Random) -> psutil.Process | None:
    jobs = run.wait_until(run.jobs, "a job")
    return chance.choice(jobs) if jobs else None


def writer_of(run: Run, chance: random.Random) -> psutil.Process | None:
    """A job that is writing a file right now: its number is in the file's temporary name."""
    return run.wait_until(
        lambda: next((job for part in parts(run.folder) for job in run.jobs() if f".{job.pid}." in part.name), None),
        "a file that is being written",
    )


VICTIMS = {
    "starting snakemake": snakemake_of,
    "snakemake": snakemake_of,
    "dvc": dvc_of,
    "job": job_of,
    "writing job": writer_of,
}


def strike(run: Run, victim: str, chance: random.Random) -> Kill | None:
    """Kill, and wait until nothing of the run is left. None when the run was over before."""
    time.sleep(chance.uniform(0, LATEST_S))
    process = VICTIMS[victim](run, chance)
    if process is None:
        return None
    rules = [job_name(job, run.folder) or "" for job in ([process] if "job" in victim else run.jobs())]
    process.kill()
    over = run.wait() == 0
    run.wait_for_all()
    return None if over else Kill(victim, ", ".join(sorted(rules)), run.finished_jobs(), len(parts(run.folder)))


def is_locked(run: Run) -> bool:
    return "cannot be locked" in run.printed()


def start_and_kill(
    folder: Path, command: tuple[str, ...], victim: str, ready: Callable[[Run], bool], chance: random.Random
) -> tuple[bool, Kill | None]:
    """Start a command, and kill once it is ready. The first value: whether the folder had to be unlocked before."""
    for unlocked in (False, True):
        with Run(folder, *command) as run:
            run.wait_until(lambda run=run: is_locked(run) or ready(run), "the moment to kill")
            if not is_locked(run):
                return unlocked, strike(run, victim, chance)
        unlock(folder)
    raise AssertionError(f"locked after it was unlocked:\n{run.printed()}")


class Killed:
    """A study that is killed again and again; after each kill, every file that has its name has to be whole."""

    def __init__(self, folder: Path, command: tuple[str, ...], reference: dict[str, str], seed: int = SEED) -> None:
        self.folder, self._command, self._reference = folder, command, reference
        self.chance = random.Random(seed)
        self.jobs_done = 0
        self._kills: list[Kill] = []
        self._unlocked: list[bool] = []

    def kill(self, victim: str, ready: Callable[[Run], bool] = lambda run: True) -> None:
        unlocked, kill = start_and_kill(self.folder, self._command, victim, ready, self.chance)
        assert kill is not None, f"the study was over before kill {len(self._kills) + 1}"
        assert whole_files(self.folder).items() <= self._reference.items()
        self.jobs_done += kill.jobs_done
        self._kills.append(kill)
        self._unlocked.append(unlocked)

    def end(self) -> None:
        """Let the command end, print the table of kills, and hold what it made beside what was made without."""
        unlocked, done = finish(self.folder, *self._command)
        assert done.returncode == 0, done.stdout[-4000:]
        table = pd.DataFrame(self._kills)
        table["next_command"] = ["locked" if was else "goes on" for was in [*self._unlocked[1:], unlocked]]
        same = hashes(self.folder) == self._reference
        print(f"{table.to_string()}\nartefacts are those of an undisturbed run: {same}")
        assert same
        assert parts(self.folder) == []


def kill_at_random_moments(study: Killed, writing: int, kills: int) -> None:
    """Kill jobs that are writing first, then Snakemake, jobs, and at times a Snakemake that has only begun."""
    for _ in range(writing):
        study.kill("writing job")
    moments = sorted(study.chance.sample(range(writing, MOST_JOBS), kills))
    for number, moment in enumerate(moments):
        victim = ("snakemake", "job", "snakemake", "job", "starting snakemake")[number % 5]
        if victim == "starting snakemake":
            study.kill(victim)
        else:
            study.kill(victim, lambda run, moment=moment: is_due(study, run, moment))


def is_due(study: Killed, run: Run, moment: int) -> bool:
    """Whether so many jobs have been finished, in all runs, and another one is under way."""
    return study.jobs_done + run.finished_jobs() >= moment and bool(run.jobs())


def test_a_study_killed_five_times_ends_as_one_that_was_not(tmp_path, micro_study):
    study = Killed(make_micro(tmp_path / "study"), SNAKEMAKE, hashes(micro_study))
    kill_at_random_moments(study, writing=1, kills=4)
    study.end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_a_study_killed_twelve_times_ends_as_one_that_was_not(tmp_path, micro_study, seed):
    study = Killed(make_micro(tmp_path / "study"), SNAKEMAKE, hashes(micro_study), seed)
    kill_at_random_moments(study, writing=2, kills=10)
    study.end()


@pytest.mark.slow
def test_a_study_of_dvc_killed_six_times_ends_as_one_that_was_not(tmp_path, micro_study):
    study = Killed(under_git(make_micro(tmp_path / "study")), ("dvc", "repro"), hashes(micro_study))
    stages = [stage for stage in STAGES if stage not in IDLE]
    chosen = sorted(random.Random(SEED).sample(stages, 6), key=stages.index)
    for number, stage in enumerate(chosen):
        victim = ("dvc", "snakemake", "job")[number % 3]
        study.kill(victim, lambda run, stage=stage: f"Running stage '{stage}'" in run.printed() and bool(run.jobs()))
    study.end()


def test_a_stage_of_dvc_goes_on_after_dvc_was_killed(tmp_path, micro_study):
    folder, reference = under_git(make_micro(tmp_path / "study")), hashes(micro_study)
    with Run(folder, "dvc", "repro", "models") as run:
        assert run.wait_until(run.jobs, "a job")
        run.itself().kill()
        run.wait()
        run.wait_for_all()  # Snakemake and the job end with it
    assert whole_files(folder).items() <= reference.items()
    unlocked, done = finish(folder, "dvc", "repro", "models")
    assert (unlocked, done.returncode) == (False, 0), done.stdout[-4000:]
    expected = {name: digest for name, digest in reference.items() if name.startswith("models/")}
    assert expected.items() <= whole_files(folder).items() <= reference.items()
