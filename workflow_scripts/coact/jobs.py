"""What every job does around its work: its log file, and errors as one line.

The adapters in `workflow_scripts/` wrap their body in `job(snakemake)`.
"""

import contextlib
import ctypes
import logging
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from threadpoolctl import threadpool_limits

from coact.artefacts import explain
from coact.errors import StudyError
from coact.processes import end_with_run
from coact.progress import set_terminal
from coact.provenance import stamp

# Parameters of mallopt, from malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


@contextlib.contextmanager
def logged(path: str) -> Iterator[None]:
    """Send all output of the block to the file `path`, and an error for the user to the terminal as one line.

    Errors for the user are every `StudyError`, and what a full or closed disk gives.

    Raises:
        SystemExit: with status 1 after such an error; other exceptions go through, after their traceback is
            written to the log.
    """
    _flush()
    kept = [os.dup(1), os.dup(2)]
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8")
    set_terminal(terminal if terminal.isatty() else None)
    try:
        with _opened(path) as log_file:
            os.dup2(log_file.fileno(), 1)
            os.dup2(log_file.fileno(), 2)
            logging.basicConfig(level=logging.INFO, stream=log_file, format="%(asctime)s %(message)s", force=True)
            yield
    except Exception as error:
        if _line_of(error) is None:
            raise
        print(_line_of(error), file=terminal)
        raise SystemExit(1) from None
    finally:
        _flush()
        for descriptor, copy in enumerate(kept, start=1):
            os.dup2(copy, descriptor)
            os.close(copy)
        set_terminal(None)
        terminal.close()


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """The log file, with the error that ends the block at its end."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log_file = open(path, "w", buffering=1, encoding="utf-8")  # noqa: SIM115 (on a full disk closing fails, too)
    try:
        yield log_file
    except Exception as error:
        _flush()  # what was printed before comes before
        with contextlib.suppress(OSError):
            if line := _line_of(error):
                logging.getLogger("coact").error(line)
            else:
                traceback.print_exc(file=log_file)
        raise
    finally:
        with contextlib.suppress(OSError):
            log_file.close()


def _line_of(error: Exception) -> str | None:
    """An error that is for the user, as its line."""
    message = str(error) if isinstance(error, StudyError) else explain(error)
    return message and f"error: {message}"


def _flush() -> None:
    """Write out what was printed, as far as the disk takes it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()


def limit_threads(threads: int) -> None:
    """Hold the numerical libraries that are loaded to `threads` threads."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    for name in ("torch", "numba"):
        if name in sys.modules:
            sys.modules[name].set_num_threads(threads)
    threadpool_limits(threads)  # NumPy's and SciPy's OpenBLAS, which read the environment when they were loaded


def keep_memory() -> None:
    """Let glibc keep freed memory for the next tensor instead of giving it back to the kernel.

    A training or capturing loop frees and takes the same few megabytes in every step; with glibc's defaults, the
    kernel clears those pages anew each time.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 25)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run the body of an adapter: log, one-line errors, the threads that the scheduler gave, an end with the run.

    Yields:
        The stamp of this job, for its artefacts (see `coact.provenance.stamp`).
    """
    end_with_run()
    limit_threads(snakemake.threads)
    keep_memory()
    with logged(snakemake.log[0]):
        yield stamp(snakemake.rule, dict(snakemake.params), dict(snakemake.wildcards))
