"""How a study spreads over the nodes of a cluster: by arithmetic, and measured on a Slurm of this machine.

    python benchmarks/benchmark_cluster.py presets/wide.yaml --cores 1 2 4 100        by arithmetic
    python benchmarks/benchmark_cluster.py --measure presets/tiny.yaml benchmarks/spread.yaml --cores 1 2

By arithmetic, jobs take what `coact.costs` says at its reference's speed. They wait for what the rules say, for all
shards of a dictionary where a job reads one, and start when a core is free, the longest rest of the study first. The
critical path is the longest chain of jobs: no number of cores makes the study shorter.

Measured are the jobs of null models alone, which are as many as there are replicates for: the study is brought to its
graphs on this machine first. Every node of the Slurm (tests/slurm.py) has one core. On a machine with fewer cores than
nodes, or with other work, the nodes wait for one another.
"""

import argparse
import heapq
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from coact.config import complete, read_config  # noqa: E402
from coact.costs import jobs_of  # noqa: E402
from coact.costs.reference import WORK_FLOPS  # noqa: E402
from coact.plan.page import duration  # noqa: E402
from coact.plan.rates import Rates  # noqa: E402
from coact.study import NULLS, Study, check  # noqa: E402
from conftest import make_workspace  # noqa: E402
from slurm import Cluster, missing  # noqa: E402


@dataclass(eq=False)
class Task:
    """A job by arithmetic: what it takes, and what waits for it."""

    rule: str
    model: str
    sae: str
    seconds: float
    after: list["Task"] = field(default_factory=list)
    waits: int = 0
    path: float = 0.0  # seconds of the longest chain that begins with it

    def concerns(self, other: "Task") -> bool:
        """Whether a job of a rule that reads this one's rule reads this job: of the same model and dictionary."""
        return all(not a or not b or a == b for a, b in ((self.model, other.model), (self.sae, other.sae)))


def tasks_of(study: Study, overlays: list[str], without: list[str]) -> list[Task]:
    """The jobs of a study with what they wait for, in an order in which they can be done; some rules take no time."""
    rates = Rates(WORK_FLOPS, "the reference")
    by_rule: dict[str, list[Task]] = defaultdict(list)
    for job in jobs_of(study):
        seconds = 0.0 if job.rule in without else rates.seconds(job)
        by_rule[job.rule] += [Task(job.rule, job.model, job.sae, seconds) for _ in range(job.number)]
    for before, after in rule_edges(overlays):
        for one in by_rule[before]:
            for other in by_rule[after]:
                if one.concerns(other):
                    one.after.append(other)
                    other.waits += 1
    return ordered([task for tasks in by_rule.values() for task in tasks])


def rule_edges(overlays: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of rules, of which the second waits for the first."""
    command = ["snakemake", "--rulegraph", *(["--configfile", *overlays] if overlays else [])]
    drawn = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', drawn, re.MULTILINE))
    return ((names[a], names[b]) for a, b in re.findall(r"^\s*(\d+) -> (\d+)", drawn, re.MULTILINE))


def ordered(tasks: list[Task]) -> list[Task]:
    """The tasks, each after those it waits for; and the chains that begin with them."""
    left = {task: task.waits for task in tasks}
    found = [task for task in tasks if not task.waits]
    for task in found:
        for other in task.after:
            left[other] -= 1
            if not left[other]:
                found.append(other)
    for task in reversed(found):
        task.path = task.seconds + max((other.path for other in task.after), default=0.0)
    return found


def schedule(tasks: list[Task], cores: int) -> float:
    """Seconds from the first start to the last end."""
    left, now, free = {task: task.waits for task in tasks}, 0.0, cores
    number = {task: place for place, task in enumerate(tasks)}
    ready = [(-task.path, number[task]) for task in tasks if not task.waits]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    while ready or running:
        while ready and free:
            _, place = heapq.heappop(ready)
            heapq.heappush(running, (now + tasks[place].seconds, place))
            free -= 1
        now, place = heapq.heappop(running)
        free += 1
        for other in tasks[place].after:
            left[other] -= 1
            if not left[other]:
                heapq.heappush(ready, (-other.path, number[other]))
    return now


def critical_path(tasks: list[Task]) -> list[Task]:
    """The longest chain of jobs."""
    chain = [max(tasks, key=lambda task: task.path)]
    while chain[-1].after:
        chain.append(max(chain[-1].after, key=lambda task: task.path))
    return chain


def print_arithmetic(tasks: list[Task], cores: list[int]) -> None:
    """Print times by number of cores, the critical path, and which rules the work is in."""
    total, chain = sum(task.seconds for task in tasks), critical_path(tasks)
    print(f"{len(tasks):,} jobs, {duration(total)} of work, critical path {duration(chain[0].path)}")
    print(f"{'cores':>6} {'time':>10} {'times as fast':>14} {'cores at work':>14}")
    for number in cores:
        seconds = schedule(tasks, number)
        print(f"{number:>6} {duration(seconds):>10} {total / seconds:>14.1f} {total / seconds / number:>14.0%}")
    print("critical path: " + ", ".join(f"{task.rule} {duration(task.seconds)}" for task in chain if task.seconds))
    shares, jobs = Counter(), Counter(task.rule for task in tasks)
    for task in tasks:
        shares[task.rule] += task.seconds
    for rule, seconds in shares.most_common(8):
        longest = max(task.seconds for task in tasks if task.rule == rule)
        print(f"  {rule}: {jobs[rule]:,} jobs, {duration(seconds)}, the longest {duration(longest)}")


def prepare(folder: Path, study: Study, overlays: list[str]) -> list[str]:
    """Bring a study to its graphs in a folder; the files of its null models, which are left to be made."""
    make_workspace(folder)
    for place, overlay in enumerate(overlays):
        shutil.copy2(overlay, folder / f"overlay-{place}.yaml")
    graphs = [f"results/graphs/{model}/{sae}" for model, sae in study.columns()]
    command = ["snakemake", "--cores", "all", "--quiet", "all", *configfiles(overlays)]
    subprocess.run([*command, "--", *(f"{graph}/nodes.parquet" for graph in graphs)], cwd=folder, check=True)
    parts = range(len(study.null_parts()))
    return [f"{graph}/nulls/{null}-{part}/mixing.json" for graph in graphs for null in NULLS for part in parts]


def configfiles(overlays: list[str]) -> list[str]:
    """What Snakemake is told of overlays that lie in a study's folder."""
    return ["--configfile", *(f"overlay-{place}.yaml" for place in range(len(overlays)))] if overlays else []


def measure(prepared: Path, targets: list[str], overlays: list[str], nodes: int) -> float:
    """Seconds of the null models of a prepared study on a Slurm of so many nodes with a core each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(prepared, Path(scratch) / "study"))
        cluster = Cluster(Path(scratch) / "slurm", nodes=nodes, cores=1)
        command = ["snakemake", "--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"]
        command += ["--group-components", "pages=1", "--quiet", "all", *configfiles(overlays)]
        try:
            cluster.start()
            start = time.perf_counter()
            subprocess.run([*command, "--", *targets], cwd=folder, env=cluster.environment, check=True)
            return time.perf_counter() - start
        finally:
            cluster.stop()


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overlays", nargs="*", help="overlays of config.yaml, the study's")
    parser.add_argument("--cores", nargs="+", type=int, default=[1, 2, 4, 16, 100])
    parser.add_argument("--without", nargs="+", default=[], help="rules that take no time, as where SAEs are there")
    parser.add_argument("--measure", action="store_true", help="run the study on as many nodes of one core")
    options = parser.parse_args()
    study = check(complete(read_config([ROOT / "config.yaml", *map(Path, options.overlays)])))
    print_arithmetic(tasks_of(study, options.overlays, options.without), options.cores)
    if options.measure:
        if reason := missing():
            sys.exit(f"error: no cluster to run on: {reason}")
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch) / "prepared"
            targets = prepare(prepared, study, options.overlays)
            for nodes in options.cores:
                seconds = measure(prepared, targets, options.overlays, nodes)
                print(f"measured: {len(targets)} jobs of null models on {nodes} nodes of one core, {duration(seconds)}")


if __name__ == "__main__":
    main()
