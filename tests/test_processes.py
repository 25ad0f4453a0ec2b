"""A job ends with its run, where the system can tell that the run has ended."""

import os
import subprocess
import sys

import pytest

from coact.processes import RUN
from conftest import ROOT

JOB = (
    "import time; from coact.processes import end_with_run; end_with_run(); print('began', flush=True); time.sleep({})"
)
BEGIN = (
    "import os; from coact.processes import begin_run; begin_run(); print(os.environ['COACT_RUN'], flush=True); input()"
)


pidfds = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="no pidfds: only Linux tells when a process has ended"
)


def start(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def begun():
    """A run that waits, and how its jobs know it."""
    run = start(BEGIN)
    return run, run.stdout.readline().strip()


def ended(process):
    status = process.wait()
    process.communicate()
    return status


@pidfds
def test_a_job_ends_when_its_run_is_killed():
    run, name = begun()
    job = start(JOB.format(10_000), **{RUN: name})
    assert job.stdout.readline() == "began\n"
    run.kill()
    ended(run)
    assert ended(job) == 1


@pidfds
def test_a_job_whose_run_has_ended_before_it_began_does_not_begin():
    run, name = begun()
    run.communicate("\n")
    job = start(JOB.format(10_000), **{RUN: name})
    assert job.communicate()[0] == ""
    assert job.returncode == 1


def test_a_job_of_no_run_or_of_one_that_it_cannot_see_works_on():
    run, name = begun()
    run.communicate("\n")
    for environment in ({}, {RUN: f"{name.split()[0]} pid:[1]"}, {RUN: f"{name.split()[0]} "}):
        job = start(JOB.format(0), **environment)
        assert job.communicate()[0] == "began\n"
        assert job.returncode == 0


def test_signals_that_are_ignored_stay_so():
    code = """
import signal
from coact.processes import SIGNALS, end_on_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.default_int_handler)
end_on_signals()
print([number.name for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN])
"""
    assert start(code).communicate()[0] == "['SIGHUP']\n"
