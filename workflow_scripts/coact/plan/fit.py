"""What cannot fit."""

from collections import defaultdict
from collections.abc import Sequence

from coact.costs import Job
from coact.plan.limits import Limits


def disk_needed(jobs: Sequence[Job], cores: int) -> int:
    """Bytes of all that the study leaves, and of the checkpoints of as many trainings as run side by side."""
    passing = sorted((job.passing for job in jobs for _ in range(min(job.number, cores))), reverse=True)
    return sum(job.number * job.disk for job in jobs) + sum(passing[:cores])


def problems(jobs: Sequence[Job], limits: Limits) -> list[str]:
    """What does not fit, one line each: what is needed, what there is, and the key to lower; empty where all fits."""
    found, needed = [], disk_needed(jobs, limits.cores)
    if needed > limits.disk_bytes:
        shares: dict[tuple[str, str], int] = defaultdict(int)
        for job in jobs:
            shares[job.stage, job.disk_key or job.key] += job.number * job.disk
        (stage, key), most = max(shares.items(), key=lambda share: share[1])
        found.append(
            f"disk: needs {size(needed)}, and {size(limits.disk_bytes)} are free; {size(most)} of it are of stage"
            f" {stage}: lower {key}"
        )
    largest: dict[str, Job] = {}
    for job in jobs:
        if job.rule not in largest or job.memory > largest[job.rule].memory:
            largest[job.rule] = job
    for job in largest.values():
        if job.memory > limits.memory_bytes:
            found.append(_too_large(job, "memory", limits.memory_bytes, "this machine has"))
        elif job.gpu and limits.gpu_bytes is not None and job.memory > limits.gpu_bytes:
            found.append(_too_large(job, "memory of the GPU", limits.gpu_bytes, "it has"))
    return found


def _too_large(job: Job, what: str, there: int, has: str) -> str:
    advice = f": lower {job.key}" if job.key else ""
    return f"{what}: {job.name} needs {size(job.memory)}, and {has} {size(there)}{advice}"


def size(number: float) -> str:
    """Bytes in words, to three digits: 1.23 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} PB"
