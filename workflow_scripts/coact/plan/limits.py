"""What this machine has."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Limits:
    """What a study has to fit in.

    Attributes:
        memory_bytes: of this machine, or of the control group that this process is in where that is less.
        disk_bytes: free on the file system of the results, with what the results take there now, which is replaced.
        gpu_bytes: memory of the GPU that is used; None where there is none.
        cores: that this process may use.
    """

    memory_bytes: int
    disk_bytes: int
    gpu_bytes: int | None = None
    cores: int = 1


def read_limits(results: Path) -> Limits:
    """The limits of this machine; `results` is the folder of the results, which need not be there."""
    place = next(folder for folder in (results.absolute(), *results.absolute().parents) if folder.is_dir())
    taken = sum(path.stat().st_size for path in results.rglob("*") if path.is_file())
    return Limits(_memory_bytes(), shutil.disk_usage(place).free + taken, _gpu_bytes(), _cores())


def cgroup_bytes(root: Path = CGROUPS, membership: str = "") -> int | None:
    """The least limit of the control groups from a process's own up to the root; None without one.

    Args:
        root: where control groups are mounted.
        membership: what /proc/self/cgroup says; version 2 has a line "0::<path>", version 1 "<number>:memory:<path>".
    """
    found = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        base, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        if controllers and "memory" not in controllers.split(","):
            continue
        own = base / path.strip("/")
        for folder in (own, *own.parents):
            if (folder / name).is_file():
                text = (folder / name).read_text().strip()
                found += [int(text)] if text.isdigit() else []
            if folder == base:
                break
    return min(found, default=None)


def _memory_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    process = Path("/proc/self/cgroup")
    allowed = cgroup_bytes(membership=process.read_text()) if process.is_file() else None
    return total if allowed is None else min(total, allowed)


def _gpu_bytes() -> int | None:
    from coact.device import has_gpu

    if not has_gpu():
        return None
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
