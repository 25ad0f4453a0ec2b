"""Graphs of dictionaries of one model, matched feature by feature.

In: the columns of a study with their graphs. Out: which pairs are compared, and a row per pair and measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.graphs import compare_graphs
from coact.comparison.matching import cosine_similarity, match

FEATURES_PER_BIN = 40
NULLS = {"null_random": "random", "null_frequency": "frequency"}


@dataclass(frozen=True)
class Matchable:
    """What of a column its comparison with another needs.

    Attributes:
        edges: source, target, count, weight.
        nodes: topk_count, live; one row per feature.
        communities: (D,) int32 labels, -1 for none.
        decoder: (D, d_in) float32.
    """

    edges: pd.DataFrame
    nodes: pd.DataFrame
    communities: np.ndarray
    decoder: np.ndarray


def comparable(columns: Sequence[Column]) -> list[tuple[int, int, str]]:
    """Pairs of dictionaries trained on one model, as places in `columns`, and in what they differ.

    "seed": in the seed only; "width": in the expansion factor; "recipe": in more. Neurons are in no pair: they have
    no decoder of their own.
    """
    found = []
    for a, b in combinations(range(len(columns)), 2):
        one, other = columns[a], columns[b]
        if one.model != other.model or one.expansion is None or other.expansion is None:
            continue
        if one.recipe != other.recipe:
            found.append((a, b, "recipe"))
        else:
            found.append((a, b, "seed" if one.expansion == other.expansion else "width"))
    return found


def compare_pair(a: Matchable, b: Matchable, *, seed: int, permutations: int) -> pd.DataFrame:
    """Agreement of two graphs on features matched by their decoder rows.

    Partners are permuted at random, and within bins of about equal top-k count: edges come from top-k sets, so
    features that are in many of them are linked in any graph.

    Returns:
        measure, null (random or frequency), value, null_mean, null_low, null_high, p, matched, mean_cosine (of the
        decoder rows of partners), edges_a, edges_b; see `coact.comparison.graphs.compare_graphs`. NaN: not defined.
    """
    live = [part.nodes["live"].to_numpy(bool) for part in (a, b)]
    matched = match(cosine_similarity(a.decoder, b.decoder), *live)
    found = compare_graphs(
        a.edges,
        b.edges,
        matched,
        a.communities,
        b.communities,
        b.nodes["topk_count"].to_numpy(),
        seed=seed,
        permutations=permutations,
        bins=max(10, len(matched) // FEATURES_PER_BIN),
    )
    size = {
        "matched": found["matched"],
        "mean_cosine": float(matched["similarity"].mean()) if len(matched) else None,
        "edges_a": found["edges_a"],
        "edges_b": found["edges_b"],
    }
    rows = [_row(measure, null, figures, size) for null in NULLS for measure, figures in found[null].items()]
    table = pd.DataFrame(rows)
    numbers = table.columns.difference(["measure", "null"])
    return table.astype(dict.fromkeys(numbers, np.float64))


def _row(measure: str, null: str, figures: dict[str, Any] | None, size: dict[str, Any]) -> dict[str, Any]:
    keys = ("value", "null_mean", "null_low", "null_high", "p")
    return {"measure": measure, "null": NULLS[null], **{key: (figures or {}).get(key) for key in keys}, **size}
