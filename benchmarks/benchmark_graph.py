"""Speed of the graph step beside three other ways to pair counts, and of the null model.

All run on the same synthetic batches: features fire independently, with frequencies that fall off as in Zipf's law,
and exponential activations. The ways are run in turns, `--repetitions` times, and medians are printed.

    study loop      a loop over tokens: torch.topk of the dense row, and for every pair in it the cosine of the two
                    dense activation columns of the batch (contiguous here), added to a dictionary; timed on some
                    of the tokens
    reference loop  the same counts and weights from tests/reference_graph.py, where the cosine of a pair is computed
                    once; timed on some of the tokens
    dense Gram      A^T A of the binarised dense activations, added to a D x D matrix; counts only, of all active
                    pairs rather than of top-k sets; timed on one chunk of tokens
    this project    coact.graph.build.coactivation_graph, on whole batches

The first three are far too slow for whole batches; their tokens/s are those of the tokens they were timed on.

Run from the root of the repository: python benchmarks/benchmark_graph.py
"""

import argparse
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from coact.costs.edges import ZIPF_OFFSET  # noqa: E402
from coact.features.batches import SparseBatch  # noqa: E402
from coact.graph.build import coactivation_graph  # noqa: E402
from coact.jobs import keep_memory  # noqa: E402
from coact.nulls.curveball import resample_sets  # noqa: E402
from reference_graph import dense_rows, loop_over_tokens  # noqa: E402

LARGEST_FREQUENCY = 0.5
PAUSE = 0.5  # seconds; PyTorch's threads go on spinning for a while after their work


def synthetic_batch(tokens: int, features: int, l0: float, seed: int) -> SparseBatch:
    """A batch whose features fire independently, feature of rank r with frequency proportional to 1 / (r + 20)."""
    generator = np.random.default_rng(seed)
    share = 1 / (ZIPF_OFFSET + np.random.default_rng(0).permutation(features))
    share = np.minimum(share * l0 / share.sum(), LARGEST_FREQUENCY)
    count = generator.binomial(tokens, share)
    rows = np.concatenate([generator.choice(tokens, size, replace=False) for size in count])
    columns = np.repeat(np.arange(features, dtype=np.int32), count)
    order = np.lexsort((columns, rows))
    return SparseBatch(
        indptr=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=tokens))]),
        indices=columns[order],
        values=generator.standard_exponential(len(rows), np.float32) + np.float32(1e-3),
        n_features=features,
        kept=np.ones(tokens, bool),
        documents=np.zeros(tokens, np.int32),
    )


def study_loop(rows: torch.Tensor, columns: torch.Tensor, k: int) -> dict[tuple[int, int], list[float]]:
    """Count and summed cosine of every pair over the tokens `rows`; `columns` (D, T) are those of the whole batch."""
    edges: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0, 0.0])
    for row in rows:
        values, features = torch.topk(row, k)
        active = sorted(features[values > 0].tolist())
        for one, other in combinations(active, 2):
            cosine = torch.cosine_similarity(columns[one], columns[other], dim=0)
            edges[one, other][0] += 1
            edges[one, other][1] += cosine.item()
    return edges


def accumulate_gram(activations: torch.Tensor, gram: torch.Tensor) -> None:
    """Add the number of tokens on which each pair of features is active to `gram`."""
    active = (activations > 0).float()
    gram.addmm_(active.T, active)


def get_ways(options: argparse.Namespace) -> dict[str, tuple[int, Callable[[], object]]]:
    """Name -> (tokens that one run works on, the run)."""
    sizes = options.tokens, options.features, options.l0
    batches = [synthetic_batch(*sizes, seed=1 + item) for item in range(options.batches)]
    print(f"L0 {np.mean([len(batch.indices) / options.tokens for batch in batches]):.2f}", flush=True)
    rows = dense_rows(batches[0])
    some_rows, columns = rows[: options.loop_tokens], np.ascontiguousarray(rows.T)
    gram_rows, gram = torch.from_numpy(rows[: options.gram_tokens]), torch.zeros(options.features, options.features)
    study_rows, study_columns = torch.from_numpy(some_rows), torch.from_numpy(columns)
    sets = coactivation_graph(batches, options.k).sets
    # Before anything is timed, and so that compiled code is there when it is.
    check_same(coactivation_graph(batches[:1], options.k).edges, loop_over_tokens(some_rows, columns, options.k)[0])
    resample_sets(sets, options.features, 1, seed=0)
    return {
        "study loop": (options.loop_tokens, lambda: study_loop(study_rows, study_columns, options.k)),
        "reference loop": (options.loop_tokens, lambda: loop_over_tokens(some_rows, columns, options.k)),
        "dense Gram": (options.gram_tokens, lambda: accumulate_gram(gram_rows, gram)),
        "this project": (options.tokens * options.batches, lambda: coactivation_graph(batches, options.k)),
        "null": (
            options.tokens * options.batches * options.sweeps,
            lambda: resample_sets(sets, options.features, options.sweeps, seed=0),
        ),
    }


def measure(ways: dict[str, tuple[int, Callable[[], object]]], repetitions: int) -> dict[str, list[float]]:
    """Name -> tokens/s of each repetition; the ways take turns."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions):
        for name, (tokens, work) in ways.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            work()
            rates[name].append(tokens / (time.perf_counter() - start))
        print(f"repetition {repetition + 1} of {repetitions}", file=sys.stderr)
    return rates


def check_same(edges: pd.DataFrame, counts: dict[tuple[int, int], int]) -> None:
    """Stop unless the graph of the whole batch has each pair of the loop over its part, as often or more often."""
    found = dict(zip(zip(edges["source"], edges["target"], strict=True), edges["count"], strict=True))
    if any(found.get(pair, 0) < count for pair, count in counts.items()):
        raise SystemExit("error: the graph lacks pairs that the reference loop found")


def print_table(ways: dict[str, tuple[int, Callable[[], object]]], rates: dict[str, list[float]]) -> None:
    """Medians over the repetitions; ratios are medians of the ratios within a repetition."""
    print(f"\n{'way':<16}{'tokens timed':>13}{'tokens/s':>12}{'least':>12}{'most':>12}{'this project is':>18}")
    for name in [name for name in ways if name != "null"]:
        rate = rates[name]
        ratio = statistics.median(own / other for own, other in zip(rates["this project"], rate, strict=True))
        print(
            f"{name:<16}{ways[name][0]:>13,}{statistics.median(rate):>12,.0f}{min(rate):>12,.0f}{max(rate):>12,.0f}"
            f"{ratio:>12,.1f} times"
        )
    null = rates["null"]
    print(f"\nnull model: {statistics.median(null):,.0f} sets/s ({min(null):,.0f} to {max(null):,.0f}) in a sweep")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=16_384, help="features D")
    parser.add_argument("--tokens", type=int, default=16_384, help="tokens in a batch")
    parser.add_argument("--batches", type=int, default=8, help="batches in one run of this project")
    parser.add_argument("--l0", type=float, default=24, help="mean number of active features of a token")
    parser.add_argument("--k", type=int, default=4, help="size of a top-k set")
    parser.add_argument("--threads", type=int, default=2, help="threads of NumPy, torch and numba")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each, in turns")
    parser.add_argument("--loop-tokens", type=int, default=256, help="tokens that the loops are timed on")
    parser.add_argument("--gram-tokens", type=int, default=512, help="tokens that the dense Gram matrix is timed on")
    parser.add_argument("--sweeps", type=int, default=5, help="sweeps of the null model")
    options = parser.parse_args()
    keep_memory()  # as every job does
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "torch"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.machine()}, {options.threads} threads")
    print(f"D {options.features:,}, {options.batches} batches of {options.tokens:,} tokens, k {options.k}, ", end="")
    ways = get_ways(options)
    print_table(ways, measure(ways, options.repetitions))


if __name__ == "__main__":
    main()
