"""How alike the most similar features of two dictionaries are, beside what dictionaries without any relation give.

In: similarities of the features of two dictionaries (`coact.comparison.matching`). Out: for the features of either the
largest similarity with any feature of the other, summed up. Bricken et al. 2023 (Towards Monosemanticity) report the
median of these, by activations, as universality.

A largest value of many is large by chance alone. So each figure stands beside that of a null in which the second
dictionary keeps what each of its features is by itself and loses all relation to the first one: activations are moved
along the tokens (`shift_tokens`), or the entries of each decoder row change places (`shuffle_rows`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from coact.comparison.matching import best_matches
from coact.features.batches import SparseBatch

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
SHIFT_ROWS = 256  # so much memory is taken at a time when rows are shuffled


def shift_tokens(batches: Iterable[SparseBatch], seed: int) -> Iterator[SparseBatch]:
    """The same activations on other tokens of the batch.

    The kept tokens of a batch are turned as a ring, by a distance drawn between a quarter and three quarters of their
    number: what a feature does, and which features of this dictionary fire together, stays as it is.

    Args:
        batches: CSR activations.
        seed: seed of the distances, one per batch.
    """
    for number, batch in enumerate(batches):
        rows = np.flatnonzero(batch.kept)
        if len(rows) < 2:
            yield batch
            continue
        generator = np.random.default_rng([seed, number])
        distance = int(generator.integers(-(-len(rows) // 4), 3 * len(rows) // 4 + 1))
        sizes = np.diff(batch.indptr)
        sizes[rows] = np.roll(sizes[rows], -distance)
        # Rows that are not kept are empty, so turning the rows is turning their entries.
        first = batch.indptr[rows[distance]]
        yield replace(
            batch,
            indptr=np.concatenate([[0], np.cumsum(sizes)]),
            indices=np.roll(batch.indices, -first),
            values=np.roll(batch.values, -first),
        )


def shuffle_rows(rows: np.ndarray, seed: int) -> np.ndarray:
    """(D, d) with the entries of each row in an order of its own."""
    generator, shuffled = np.random.default_rng(seed), np.empty_like(rows)
    for first in range(0, len(rows), SHIFT_ROWS):
        shuffled[first : first + SHIFT_ROWS] = generator.permuted(rows[first : first + SHIFT_ROWS], axis=1)
    return shuffled


def best_similarities(similarity: np.ndarray, live_a: np.ndarray, live_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest similarity of each live feature of a with one of b, and of each of b with one of a; float64.

    Features without any similarity are left out.
    """
    found = best_matches(similarity, live_a, live_b), best_matches(similarity.T, live_b, live_a)
    there, back = (table["similarity"].dropna().to_numpy(np.float64) for table in found)
    return there, back


def best_figures(best: np.ndarray, null: np.ndarray) -> dict[str, float]:
    """Largest similarities of the features of a dictionary, summed up.

    Args:
        best, null: of each feature, observed and under the null.

    Returns:
        features (their number), mean, median, q05, q25, q75, q95; the same with null_ in front, but for the number; and
        above_null, the share of features above null_q95. NaN where there is no feature.
    """
    figures = {"features": float(len(best)), **_summary(best, ""), **_summary(null, "null_")}
    defined = len(best) and len(null)
    figures["above_null"] = float((best > figures["null_q95"]).mean()) if defined else np.nan
    return figures


def _summary(values: np.ndarray, prefix: str) -> dict[str, float]:
    if not len(values):
        return {f"{prefix}{name}": np.nan for name in ("mean", *QUANTILES)}
    quantiles = np.quantile(values, list(QUANTILES.values()))
    named = zip(QUANTILES, quantiles, strict=True)
    return {f"{prefix}mean": float(values.mean()), **{f"{prefix}{name}": float(value) for name, value in named}}
