"""What a job does around its work: its log, and errors as one line."""

import errno
import os
import subprocess
import sys

from coact.artefacts import atomic, atomic_folder
from conftest import ROOT


def run_logged(folder, body):
    """Run `body` inside `logged` in a fresh process; its status, what the terminal shows, and the log."""
    imports = (
        "from coact.artefacts import atomic_folder\nfrom coact.errors import StudyError\nfrom coact.jobs import logged"
    )
    code = f"{imports}\nwith logged('log'):\n    {body}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, (folder / "log").read_text()


def test_an_error_for_the_user_is_one_line_on_the_terminal_and_in_the_log(tmp_path):
    status, shown, log = run_logged(tmp_path, "print('work'); raise StudyError('k: found 1')")
    assert (status, shown) == (1, "error: k: found 1\n")
    assert log.startswith("work\n")
    assert log.endswith(" error: k: found 1\n")


def test_a_full_disk_outside_the_results_is_one_line_too(tmp_path):
    status, shown, log = run_logged(tmp_path, f"raise OSError({errno.ENOSPC}, 'full', '{tmp_path}/scratch/page.html')")
    assert status == 1
    assert shown.startswith(f"error: {tmp_path}/scratch/page.html: No space left on device; expected room for it in ")
    assert shown.count("\n") == 1
    assert "Traceback" not in log


def test_any_other_error_keeps_its_traceback(tmp_path):
    status, shown, log = run_logged(tmp_path, "1 / 0")
    assert status == 1
    assert "ZeroDivisionError" in log
    assert "ZeroDivisionError" in shown


def test_a_library_that_tells_the_system_error_in_its_text_only_is_understood(tmp_path):
    body = "with atomic_folder('model'): raise ValueError('I/O error: no space (os error 28)')"
    status, shown, _ = run_logged(tmp_path, body)
    assert status == 1
    assert shown.startswith("error: model: No space left on device; expected room for it in .")


def test_all_numerical_libraries_are_held_to_the_threads_of_the_job(tmp_path):
    code = """
import numba, numpy, scipy.linalg, threadpoolctl, torch
from coact.jobs import limit_threads
limit_threads(1)
pools = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
print(pools, torch.get_num_threads(), numba.get_num_threads())
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "{1} 1 1\n"


def test_what_killed_jobs_left_of_a_file_goes_when_it_is_written_and_nothing_else(tmp_path):
    left = [tmp_path / name for name in (".a.17.part", ".a.json.17.part", ".ab.17.part", ".a.part")]
    for path in left:
        path.write_text("half")
    (tmp_path / ".folder.17.part").mkdir()
    with atomic(tmp_path / "a") as part:
        part.write_text("whole")
    with atomic_folder(tmp_path / "folder") as part:
        (part / "file").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".a.json.17.part",
        ".a.part",
        ".ab.17.part",
        "a",
        "folder",
    ]
