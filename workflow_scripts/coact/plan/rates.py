"""How fast this machine works, and what the jobs of a study then take."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from coact.costs import Job, Measure
from coact.costs.reference import IMPORT_SECONDS, SECONDS

# On what a time rests, the best first.
MEASURED, SCALED, PRODUCTS, REFERENCE = "measured", "scaled", "by FLOPs", "reference"
BASES = (MEASURED, SCALED, PRODUCTS, REFERENCE)


@dataclass(frozen=True)
class Rates:
    """How fast this machine works.

    Attributes:
        flops: operations per second in a matrix product in float32, on the device and on one thread.
        device: where, in words.
        measured: seconds per token.
        scaled: those of `measured` that were measured at a smaller size, and scaled by their operations.
        imports: seconds from the start of Python to the end of an import, by module.
        slowness: seconds that this machine takes for one of the machine of `coact.costs.reference`.
        busy: whether other processes were at work while this was measured.
    """

    flops: float
    device: str
    measured: dict[Measure, float] = field(default_factory=dict)
    scaled: frozenset[Measure] = frozenset()
    imports: dict[str, float] = field(default_factory=dict)
    slowness: float = 1.0
    busy: bool = False

    def seconds_per_token(self, measure: Measure) -> float:
        """Seconds: as measured, else by operations, else those of the reference."""
        if measure in self.measured:
            return self.measured[measure]
        if measure.flops:
            return measure.flops / self.flops
        name = {"count pairs": "count_pairs", "resample": "resample"}[measure.kind]
        return SECONDS[name].of(tokens=1, entries=measure.l0) * self.slowness

    def basis(self, measure: Measure) -> str:
        """On what `seconds_per_token` rests."""
        if measure in self.measured:
            return SCALED if measure in self.scaled else MEASURED
        return PRODUCTS if measure.flops else REFERENCE

    def seconds(self, job: Job) -> float:
        """Seconds of a job, from the start of its process."""
        start = self.imports.get(job.imports, IMPORT_SECONDS.get(job.imports, 0.0) * self.slowness)
        work = sum(self.seconds_per_token(measure) * tokens for measure, tokens in job.work)
        return start + work + job.seconds * self.slowness

    def bases(self, job: Job) -> set[str]:
        """On what the seconds of a job rest."""
        found = {self.basis(measure) for measure, _ in job.work}
        return found | ({REFERENCE} if job.seconds else set())


@dataclass(frozen=True)
class Row:
    """A line of the plan: jobs of a stage.

    Attributes:
        name: the stage, and the rule where its work is calibrated.
        jobs: how many.
        tokens, flops, disk: of all jobs together.
        memory: bytes of the largest job.
        cpu_seconds: of all jobs together, times their threads.
        longest: seconds of the longest job.
        bases: on what the time rests.
    """

    name: str
    jobs: int = 0
    tokens: int = 0
    flops: float = 0.0
    disk: int = 0
    memory: int = 0
    cpu_seconds: float = 0.0
    longest: float = 0.0
    bases: frozenset[str] = frozenset()

    def plus(self, job: Job, rates: Rates) -> "Row":
        """This line with a job more."""
        seconds = rates.seconds(job)
        return replace(
            self,
            jobs=self.jobs + job.number,
            tokens=self.tokens + job.number * job.tokens,
            flops=self.flops + job.number * job.flops,
            disk=self.disk + job.number * job.disk,
            memory=max(self.memory, job.memory),
            cpu_seconds=self.cpu_seconds + job.number * seconds * job.threads,
            longest=max(self.longest, seconds),
            bases=self.bases | rates.bases(job),
        )


def rows_of(jobs: Sequence[Job], rates: Rates) -> list[Row]:
    """The lines of the plan: in a stage one for each rule whose work is calibrated, and one for all its other jobs."""
    calibrated = {job.rule for job in jobs if job.work}
    rows: dict[str, Row] = {}
    for job in jobs:
        name = f"{job.stage}: {job.rule}" if job.rule in calibrated else job.stage
        rows[name] = rows.get(name, Row(name)).plus(job, rates)
    return list(rows.values())


def wall_seconds(jobs: Sequence[Job], rates: Rates, cores: int, gpu: bool) -> float:
    """Seconds of the whole study at least, when nothing but cores, the GPU and the order of stages holds it up.

    The most of: all work spread over the cores; the longest jobs of all stages, one after another; the jobs that share
    one GPU, one after another.
    """
    total = sum(job.number * rates.seconds(job) * min(job.threads, cores) for job in jobs) / cores
    longest: dict[str, float] = {}
    for job in jobs:
        longest[job.stage] = max(longest.get(job.stage, 0.0), rates.seconds(job))
    shared = sum(job.number * rates.seconds(job) for job in jobs if job.gpu) if gpu else 0.0
    return max(total, sum(longest.values()), shared)
