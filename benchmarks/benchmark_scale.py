"""Time and memory of the pass over sparse features, against tokens, the number of features D and L0.

Synthetic batches are made on the fly, so that their number does not cost memory: features fire independently, with
frequencies that fall off as in Zipf's law and exponential activations (a batch's tokens are drawn anew each time). The
batches come in shards, as in the study: every shard is counted and written to disk, then all are merged, the measures
of every edge are added and the table of edges is written. Every point runs in a process of its own, whose peak of
resident memory is read at the end. Times are CPU seconds, without those that making the batches took.

Independent features are the worst case for memory: they make more distinct pairs than real ones.

    python benchmarks/benchmark_scale.py                 # the curves; minutes
    python benchmarks/benchmark_scale.py --large         # D 131,072 and 20 million tokens as well; under an hour
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts")]

from coact.artefacts import write_tables  # noqa: E402
from coact.costs.edges import ZIPF_OFFSET  # noqa: E402
from coact.features.batches import SparseBatch  # noqa: E402
from coact.graph.build import edge_table  # noqa: E402
from coact.graph.counting import count_batches  # noqa: E402
from coact.graph.measures import edge_measures  # noqa: E402
from coact.graph.parts import merge_ranges, merge_totals, open_parts, write_part  # noqa: E402
from coact.graph.sets import SetRule, join_sets  # noqa: E402
from coact.jobs import keep_memory  # noqa: E402

BATCH_TOKENS = 16_384
SHARD_BATCHES = 64
BASE = {"tokens": 1 << 20, "features": 16_384, "l0": 24}
CURVES = {
    "tokens": [1 << 18, 1 << 20, 1 << 22],
    "features": [2048, 16_384, 131_072],
    "l0": [8, 24, 96],
}
LARGE = {"tokens": 20_000_768, "features": 131_072, "l0": 24}


class Source:
    """Batches on the fly, and the CPU seconds that making them took."""

    def __init__(self, features: int, l0: float) -> None:
        share = 1 / (ZIPF_OFFSET + np.random.default_rng(0).permutation(features))
        self.features, self.l0, self.seconds = features, l0, 0.0
        self._cumulative = np.cumsum(share / share.sum())

    def batches(self, first: int, number: int) -> Iterator[SparseBatch]:
        """Batches first..first + number - 1."""
        for batch in range(first, first + number):
            start = time.thread_time()
            made = self._make(np.random.default_rng(batch))
            self.seconds += time.thread_time() - start
            yield made

    def _make(self, generator: np.random.Generator) -> SparseBatch:
        sizes = generator.poisson(self.l0, BATCH_TOKENS)
        rows = np.repeat(np.arange(BATCH_TOKENS, dtype=np.int64), sizes)
        drawn = np.searchsorted(self._cumulative, generator.random(len(rows)))
        keys = np.unique(rows * self.features + np.minimum(drawn, self.features - 1))
        rows = keys // self.features
        return SparseBatch(
            indptr=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=BATCH_TOKENS))]),
            indices=(keys % self.features).astype(np.int32),
            values=generator.standard_exponential(len(keys), np.float32) + np.float32(1e-3),
            n_features=self.features,
            kept=np.ones(BATCH_TOKENS, bool),
            documents=np.zeros(BATCH_TOKENS, np.int32),
        )


def run_point(tokens: int, features: int, l0: float, k: int, threads: int) -> dict[str, float]:
    """One point of the curves: CPU seconds, peak memory and edges."""
    keep_memory()
    numba.set_num_threads(threads)
    source, rule = Source(features, l0), SetRule(k)
    count_batches(source.batches(0, 1), [rule])  # compiled code is there before anything is measured
    source.seconds = 0.0
    n_batches = tokens // BATCH_TOKENS
    with tempfile.TemporaryDirectory() as folder:
        start, parts = time.process_time(), []
        for first in range(0, n_batches, SHARD_BATCHES):
            number = min(SHARD_BATCHES, n_batches - first)
            found = count_batches(source.batches(first, number), [rule], first, keep=[rule.name])
            parts.append(Path(folder) / f"{first}.safetensors")
            write_part(found.counts[rule.name], join_sets(found.sets[rule.name]), found.documents, parts[-1], {})
            del found
        counted = time.process_time() - start - source.seconds
        peak_counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        opened = open_parts(parts)
        totals = merge_totals(opened)
        edges = [0]

        def tables() -> Iterator[pd.DataFrame]:
            for pairs in merge_ranges(opened):
                table = edge_table(pairs)
                edges[0] += len(table)
                yield pd.concat([table, edge_measures(table, totals.members, totals.n_tokens)], axis=1)

        write_tables(tables(), Path(folder) / "edges.parquet", {})
        merged = time.process_time() - start - source.seconds - counted
    return {
        "tokens": totals.n_tokens,
        "features": features,
        "l0": l0,
        "edges": edges[0],
        "count_seconds": counted,
        "merge_seconds": merged,
        "count_mb": peak_counted,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, default=4, help="size of a top-k set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--large", action="store_true", help="the largest point as well")
    parser.add_argument("--point", help="one point as JSON, in this process")
    options = parser.parse_args()
    if options.point:
        print(json.dumps(run_point(**json.loads(options.point), k=options.k, threads=options.threads)))
        return
    points = [BASE | {name: value} for name, values in CURVES.items() for value in values]
    points = [dict(point) for point in dict.fromkeys(tuple(point.items()) for point in points)]
    points += [LARGE] if options.large else []
    header = ["tokens", "D", "L0", "edges", "tokens per CPU second of counting"]
    header += ["merging, measures, writing: CPU s", "peak of counting, MB", "peak, MB"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    for point in points:
        command = [sys.executable, __file__, "--point", json.dumps(point), "--k", str(options.k)]
        command += ["--threads", str(options.threads)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(
            f"| {found['tokens']:,} | {found['features']:,} | {found['l0']} | {found['edges']:,}"
            f" | {found['tokens'] / found['count_seconds']:,.0f} | {found['merge_seconds']:.1f}"
            f" | {found['count_mb']:,.0f} | {found['peak_mb']:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
