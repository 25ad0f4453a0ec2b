"""The plan as text on a terminal."""

from collections.abc import Sequence
from typing import TextIO

from coact.costs import Job
from coact.costs.dictionaries import unknown_columns, unknown_models
from coact.plan.fit import disk_needed, size
from coact.plan.limits import Limits
from coact.plan.rates import BASES, MEASURED, PRODUCTS, REFERENCE, SCALED, Rates, rows_of, wall_seconds
from coact.study import Study
from coact.terminal import open_console, print_table

HEADINGS = ("stage", "jobs", "tokens", "FLOPs", "disk", "memory", "longest job", "CPU time", "rests on")
LEGEND = (
    "Of all jobs together, but memory and time of the longest. Time of a job as it runs by itself on its threads.\n"
    "Disk, memory and times of graphs are upper bounds: of features that fire independently of one another."
)
MEANINGS = {
    MEASURED: "this project's code, run here on made-up data of the study's own sizes",
    SCALED: "the same on smaller sizes, scaled by operations",
    PRODUCTS: "operations, at the speed of a matrix product here; real code is slower",
    REFERENCE: "the default study's times, scaled by tokens, active features, edges and the speed of this machine",
}
UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Seconds in words, to two or three digits: 1.5 h."""
    unit, length = next(((unit, length) for unit, length in UNITS if seconds >= 1.5 * length), UNITS[-1])
    number = seconds / length
    return f"{number:,.0f} {unit}" if number >= 9.95 else f"{number:.1f} {unit}"


def print_plan(study: Study, jobs: Sequence[Job], rates: Rates, limits: Limits, file: TextIO | None = None) -> None:
    """Print what the jobs of a study take, and what these numbers rest on."""
    console, rows = open_console(file), rows_of(jobs, rates)
    shown = (
        (
            row.name,
            [
                f"{row.jobs:,}",
                f"{row.tokens:,}" if row.tokens else "-",
                f"{row.flops:.1e}" if row.flops else "-",
                size(row.disk) if row.disk else "-",
                size(row.memory),
                duration(row.longest),
                duration(row.cpu_seconds),
                ", ".join(basis for basis in BASES if basis in row.bases),
            ],
        )
        for row in rows
    )
    print_table(console, HEADINGS, shown, f"{LEGEND}\n")
    for line in (*totals(study, jobs, rates, limits), "", *grounds(study, jobs, rates)):
        console.print(line, soft_wrap=True, markup=False)


def totals(study: Study, jobs: Sequence[Job], rates: Rates, limits: Limits) -> list[str]:
    """Tokens, operations, disk, memory and time of the whole study, a line each."""
    corpus, activations = study.config["corpus"], study.config["activations"]
    largest, longest = max(jobs, key=lambda job: job.memory), max(jobs, key=rates.seconds)
    cpu = sum(job.number * rates.seconds(job) * job.threads for job in jobs)
    gpu = limits.gpu_bytes is not None
    captured = activations["train_tokens"] + activations["heldout_tokens"]
    trained = sum(job.number * job.tokens for job in jobs if job.rule == "train_sae")
    there = f", {size(limits.gpu_bytes)} on the GPU" if gpu else ""
    beside = "jobs for the GPU one at a time" if gpu else f"{limits.cores} cores"
    return [
        f"Tokens: {corpus['train_tokens'] + corpus['heldout_tokens']:,} of text, {captured:,} captured from each model,"
        f" {trained:,} to train SAEs on",
        f"FLOPs:  {sum(job.number * job.flops for job in jobs):.2e}",
        f"Disk:   {size(disk_needed(jobs, limits.cores))} at its peak; {size(limits.disk_bytes)} are free",
        f"Memory: {size(largest.memory)} for the largest job ({largest.name}); there are"
        f" {size(limits.memory_bytes)}{there}",
        f"Time:   at least {duration(wall_seconds(jobs, rates, limits.cores, gpu))} here with {beside};"
        f" {duration(cpu)} of CPU time; longest job {duration(rates.seconds(longest))} ({longest.name})",
    ]


def grounds(study: Study, jobs: Sequence[Job], rates: Rates) -> list[str]:
    """What the numbers rest on, and what is not known."""
    used = set().union(*(rates.bases(job) for job in jobs))
    lines = [
        f"Times rest on {rates.flops / 1e9:,.0f} GFLOP/s in a float32 matrix product (one thread, {rates.device}), and:"
    ]
    lines += [f"  {basis + ':':<11}{MEANINGS[basis]}" for basis in BASES if basis in used]
    if rates.busy:
        lines.append("This machine was busy while it was measured, so that times are too long.")
    lines.append("Tokens, FLOPs, disk and memory are by arithmetic (docs/planning.md).")
    unknown = unknown_models(study)
    if unknown:
        lines.append(f"Not known: the shape of {', '.join(unknown)}, before it is fetched; its jobs are left out.")
    columns = [f"{model}/{sae}" for model, sae in unknown_columns(study)]
    if columns:
        lines.append(f"Not known: the width of {', '.join(columns)}; their jobs are left out.")
    return lines
