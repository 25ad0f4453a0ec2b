"""Runs of a study that are watched, stopped and started again; what they leave."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from coact.inventory import RECORD, verify
from conftest import SEARCH_PATH, run_command
from repositories import artefacts

PATIENCE_S = 900  # no promise about speed: only what hangs is given up
SNAKEMAKE = ("snakemake", "--cores", "2")


def _hear() -> None:
    """Hear the signals that a shell lets the commands ignore that it puts in the background."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Run:
    """A command under way in `folder`, as the leader of a process group; what it prints goes to a file.

    As a context manager it leaves no process behind.
    """

    def __init__(self, folder: Path, *command: str, **environment: str) -> None:
        self.folder, self._log = folder, folder / "run.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | {"PATH": SEARCH_PATH} | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_hear,
            )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.all():
            kill(process)
        self._process.wait()

    def itself(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def printed(self) -> str:
        return self._log.read_text(errors="replace")

    def finished_jobs(self) -> int:
        return self.printed().count("Finished jobid")

    def all(self) -> list[psutil.Process]:
        """Processes of the command's session that are alive, whoever their parent is now."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == self._process.pid and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    def jobs(self) -> list[psutil.Process]:
        """Jobs of the study that are under way."""
        return [process for process in self.all() if job_name(process, self.folder)]

    def snakemake(self) -> psutil.Process | None:
        """The Snakemake of the command, which may be the command itself."""
        return next((process for process in self.all() if is_snakemake(words_of(process))), None)

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """What `condition` gives, once that is something; what it gives at the end when the command ends before."""
        for _ in patiently(what):
            going = self._process.poll() is None
            found = condition()
            if found or not going:
                return found
        return None

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def send_to_all(self, number: int) -> None:
        """As the terminal does on Ctrl-C."""
        os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """The exit status, once the command has ended."""
        return self._process.wait(PATIENCE_S)

    def wait_for_all(self) -> None:
        """Wait until no process of the session is left."""
        for _ in patiently("the end of all processes"):
            if not self.all():
                return


def patiently(what: str) -> Iterator[None]:
    """Moments to look again; an error when there were too many of them."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        yield
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S} s for {what}")


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_snakemake(words: list[str]) -> bool:
    """Whether a command line is that of a run of Snakemake, by hand or by a stage of DVC."""
    return "bin/snakemake" in " ".join(words[:2]) or words[1:3] == ["-m", "ledger"]


def job_name(process: psutil.Process, folder: Path) -> str | None:
    """The rule that a process is the script of, in the study of this folder."""
    words = words_of(process)
    is_job = len(words) > 1 and words[-1].startswith(f"{folder}/.snakemake/scripts/") and "python" in words[0]
    return words[-1].split(".")[-2] if is_job else None


def kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def finish(folder: Path, *command: str) -> tuple[bool, subprocess.CompletedProcess[str]]:
    """Run a command to its end; where Snakemake's lock is in the way, unlock, once, and say that it was."""
    done = run_command(folder, *command)
    if "cannot be locked" not in done.stdout:
        return False, done
    unlock(folder)
    return True, run_command(folder, *command)


def unlock(folder: Path) -> None:
    done = run_command(folder, "snakemake", "--unlock")
    assert done.returncode == 0, done.stdout


def hashes(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every artefact of a finished study, after a check that the folder holds what it recorded."""
    assert verify(folder / "results") == 0
    artefacts = json.loads((folder / "results" / RECORD).read_text())["artefacts"]
    return {name: entry["sha256"] for name, entry in artefacts.items()}


def whole_files(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file that has its name, of a study that is under way."""
    return artefacts(folder) if (folder / "results").exists() else {}


def parts(folder: Path) -> list[Path]:
    """What jobs have left half-written."""
    return [path for name in ("results", "checkpoints") for path in (folder / name).rglob("*.part")]
