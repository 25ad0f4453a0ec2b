"""Examples, tokens and summaries of all features: one streaming pass beside a scan of dense activations per feature.

The scan is what example scripts of the field do: activations of all tokens lie dense in memory, and for each feature
its column is searched for the contexts with the largest activation. It is run on some features and gives the examples
alone, no tokens, bigrams, histograms, labels or quantiles; what it finds is checked against the pass.

    python benchmarks/benchmark_examples.py --results results [--columns main/topk-x2-s0 main/neurons] [--features 200]

Prints, per column, the seconds of CPU of the pass and of the scan for all features, their ratio (medians of pairs of
runs in turns) and the memory that the pass adds.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))

SETTINGS = {"examples": 10, "quantiles": 8, "reach": 12, "tokens": 10, "seed": 0}


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results of a study")
    parser.add_argument("--columns", nargs="+", default=["main/topk-x2-s0", "main/topk-x4-s0", "main/neurons"])
    parser.add_argument("--tokenizer", default="corpus")
    parser.add_argument("--features", type=int, default=200, help="features that the scan is run on")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def dense_activations(paths: list[Path]) -> np.ndarray:
    """(tokens, D) float32, 0 at special positions."""
    from coact.features.batches import read_shards

    parts = []
    for batch in read_shards(paths):
        part = np.zeros((len(batch.kept), batch.n_features), np.float32)
        part[np.repeat(np.arange(len(part)), np.diff(batch.indptr)), batch.indices] = batch.values
        parts.append(part)
    return np.concatenate(parts)


def scan(dense: np.ndarray, features: np.ndarray, length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per feature the largest activation of each of its best contexts, and its activations around these."""
    found = []
    for feature in features:
        column = np.ascontiguousarray(dense[:, feature]).reshape(-1, length)
        best = column.max(1)
        contexts = np.argsort(-best, kind="stable")[: SETTINGS["examples"]]
        contexts = contexts[best[contexts] > 0]
        places = column[contexts].argmax(1)
        around = [
            column[context, max(place - SETTINGS["reach"], 0) : place + SETTINGS["reach"] + 1]
            for context, place in zip(contexts, places, strict=True)
        ]
        found.append((best[contexts], np.concatenate(around) if around else np.empty(0, np.float32)))
    return found


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU, and what the work gives."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def check(table: Any, features: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """The pass and the scan find the same examples."""
    tops = table[table["kind"] == "top"]
    for feature, (best, around) in zip(features, found, strict=True):
        part = tops[tops["feature"] == feature]
        np.testing.assert_array_equal(part["activation"].to_numpy(), best)
        if len(part):
            np.testing.assert_array_equal(np.concatenate(part["activations"].tolist()), around)


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments()
    from coact.corpus.tokens import open_tokens
    from coact.features.batches import read_shards
    from coact.interpretation.describe import describe_features

    stream = open_tokens(options.results / "tokens" / options.tokenizer / "heldout.safetensors")
    length = stream.tokens.shape[1]
    print(f"{'column':<24}{'features':>9}{'entries':>12}{'pass, s':>9}{'scan, s':>9}{'ratio':>8}{'MB added':>10}")
    for column in options.columns:
        paths = sorted((options.results / "features" / column).glob("heldout-*.safetensors"))
        describe_features(paths, stream, **SETTINGS)  # compiles
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        entries = sum(len(batch.indices) for batch in read_shards(paths))
        described = describe_features(paths, stream, **SETTINGS)
        added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        dense = dense_activations(paths)
        features = np.linspace(0, dense.shape[1] - 1, min(options.features, dense.shape[1])).astype(int)
        pairs = []
        for _ in range(options.rounds):
            ours, described = timed(lambda: describe_features(paths, stream, **SETTINGS))  # noqa: B023
            theirs, found = timed(lambda: scan(dense, features, length))  # noqa: B023
            pairs.append((ours, theirs * dense.shape[1] / len(features)))
        check(described.examples, features, found)
        ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{column:<24}{dense.shape[1]:>9,}{entries:>12,}{ours:>9.2f}{theirs:>9.2f}{ratio:>8.1f}{added:>10.0f}")


if __name__ == "__main__":
    main()
