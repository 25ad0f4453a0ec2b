"""Runs that are told to stop, and two runs at once in one folder."""

import signal

from coact.processes import GOODBYE
from conftest import make_micro, run_command
from repositories import under_git
from runs import Run, hashes, whole_files

CORPUS = ("snakemake", "--cores", "2", "--", "all_corpus")
DVC = ("dvc", "repro", "corpus")


def check_the_corpus(folder, command, reference):
    done = run_command(folder, *command)
    assert done.returncode == 0, done.stdout[-4000:]
    expected = {name: reference[name] for name in reference if name.startswith(("corpus/", "tokens/", "tokenizers/"))}
    assert expected
    assert expected.items() <= whole_files(folder).items() <= reference.items()


def test_snakemake_ends_its_jobs_when_it_is_told_to_end(tmp_path, micro_study):
    folder, reference = make_micro(tmp_path / "study"), hashes(micro_study)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Run(folder, *CORPUS) as run:
            assert run.wait_until(run.jobs, "a job"), run.printed()  # no lock is left
            run.send(number)
            assert run.wait() != 0
            run.wait_for_all()
            printed = run.printed()
        assert GOODBYE.decode() in printed
        assert "died with <Signals.SIGTERM: 15>" in printed  # the job was not waited for
        assert whole_files(folder).items() <= reference.items()
    check_the_corpus(folder, CORPUS, reference)


def test_what_dvc_runs_ends_when_it_is_told_to_end(tmp_path, micro_study):
    folder, reference = under_git(make_micro(tmp_path / "study")), hashes(micro_study)
    for stop in (lambda run: run.send_to_all(signal.SIGINT), lambda run: run.send(signal.SIGTERM)):
        with Run(folder, *DVC) as run:
            assert run.wait_until(run.jobs, "a job"), run.printed()
            stop(run)
            assert run.wait() != 0
            run.wait_for_all()
        assert whole_files(folder).items() <= reference.items()
    check_the_corpus(folder, DVC, reference)


def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(tmp_path, micro_study):
    folder, reference = under_git(make_micro(tmp_path / "study")), hashes(micro_study)
    with Run(folder, *DVC) as run:
        run.wait_until(lambda: "Running stage 'corpus'" in run.printed(), "the stage")
        stopped, *_ = run.wait_until(run.jobs, "a job of the stage")
        stopped.suspend()  # the first run waits until both others were refused
        other = run_command(folder, *CORPUS)
        assert other.returncode != 0
        assert "cannot be locked. Please make sure that no other Snakemake process" in other.stdout
        other = run_command(folder, *DVC)
        assert other.returncode != 0
        assert "is busy, it is being blocked by" in other.stdout
        stopped.resume()
        assert run.wait() == 0, run.printed()
    check_the_corpus(folder, DVC, reference)
