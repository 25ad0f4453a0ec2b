"""Processes of a run: its jobs end with it, whether it is told to end or killed.

The run is the Snakemake process that was started by hand or by DVC; `rules/common.smk` prepares it. Its jobs are the
scripts that it starts. On its own, a killed Snakemake would leave them working beside those of the next run, and one
that is told to end would wait for them.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import psutil

RUN = "COACT_RUN"  # in the environment: the process of the run and its PID namespace
SCRIPTS = os.path.join(".snakemake", "scripts")  # where Snakemake puts the scripts of jobs
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BETWEEN_S = 0.2
GOODBYE = b"Stopping: jobs under way are ended. The same command goes on with what is complete.\n"


def begin_run() -> None:
    """Make this process the run of the jobs that it starts; under DVC, let it end when DVC does."""
    os.environ[RUN] = f"{os.getpid()} {_namespace()}"
    end_on_signals()
    if "DVC_STAGE" in os.environ:
        _watch(os.getppid(), lambda: os.kill(os.getpid(), signal.SIGTERM))


def end_on_signals() -> None:
    """Let signals end the jobs on this machine, and then the run as Ctrl-C does: it unlocks the folder.

    Snakemake's own answer to SIGTERM, and to SIGINT where jobs do not get it too, is to wait for the jobs, which may
    take hours. A signal that is ignored, as `nohup` has it, stays so.
    """
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end)


def end_with_run() -> None:
    """End this process, a job, as soon as its run has ended. Without pidfds (Linux has them) it works on."""
    pid, _, namespace = os.environ.get(RUN, "").partition(" ")
    if namespace and namespace == _namespace():
        _watch(int(pid), lambda: os._exit(1))


def _end(number: int, frame: FrameType | None) -> None:
    for later in SIGNALS:
        signal.signal(later, signal.default_int_handler if later == signal.SIGINT else signal.SIG_IGN)
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, GOODBYE)
    threading.Thread(target=_end_jobs, daemon=True).start()
    raise KeyboardInterrupt


def _end_jobs() -> None:
    # Again and again until this process ends: a job may be about to start.
    while True:
        for process in _jobs():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        time.sleep(BETWEEN_S)


def _jobs() -> Iterator[psutil.Process]:
    """Scripts that this process has started; not what it runs to talk to a cluster."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(SCRIPTS in word for word in process.cmdline()):
                yield process


def _namespace() -> str:
    """The namespace that process numbers are of; empty where the end of a process cannot be waited for."""
    with contextlib.suppress(OSError):
        if hasattr(os, "pidfd_open"):
            return os.readlink("/proc/self/ns/pid")
    return ""


def _watch(pid: int, then: Callable[[], None]) -> None:
    """Call `then` in a thread when the process `pid` has ended; at once if it has already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        then()
    except (AttributeError, OSError):
        return  # not Linux, or an old kernel: nobody waits
    else:
        threading.Thread(target=_call_after, args=(descriptor, then), daemon=True).start()


def _call_after(descriptor: int, then: Callable[[], None]) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()
    then()
