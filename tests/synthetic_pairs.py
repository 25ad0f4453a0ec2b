"""Plausible comparisons of dictionaries, for tests of sentences and report."""

from collections.abc import Sequence

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.pairs import BEST_COLUMNS, PAIR_COLUMNS, SUMMARY

DIFFER = {"seed": ("decoder", "activations"), "width": ("decoder", "activations"), "neurons": ("activations",),
          "model": ("activations",)}  # fmt: skip


def make_pairs(columns: Sequence[Column]) -> pd.DataFrame:
    """Comparisons of the first column's graph with the others'."""
    numbers = {
        "null_low": 0.1,
        "null_high": 0.3,
        "matched": 200.0,
        "same_partner": 0.25,
        "edges_a": 900.0,
        "edges_b": 800.0,
    }
    rows = [
        {"a": columns[0].name, "b": other.name, "differ": differ, "matching": matching, "measure": measure,
         "null": null, "value": 0.4 if matching == "decoder" else 0.5, "null_mean": mean, "p": 0.005,
         "mean_similarity": 0.6, **numbers}
        for other, (differ, matchings) in zip(columns[1:], DIFFER.items(), strict=False)
        for matching in matchings
        for measure in ("edge_jaccard", "degree_spearman", "weight_spearman_common", "community_ami")
        for null, mean in (("random", 0.1), ("frequency", 0.2))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def make_best(columns: Sequence[Column], medians: dict[str, float] | None = None) -> pd.DataFrame:
    """Best matches between the first column and the others, in both directions."""
    medians = medians or {"seed": 0.72, "width": 0.61, "neurons": 0.46, "model": 0.13}
    rows = [
        {"a": one.name, "b": two.name, "differ": differ, "matching": matching, "features": 400.0, "above_null": 0.9,
         **dict.fromkeys(SUMMARY, medians[differ]), **{f"null_{name}": 0.05 for name in SUMMARY}}
        for other, (differ, matchings) in zip(columns[1:], DIFFER.items(), strict=False)
        for one, two in ((columns[0], other), (other, columns[0]))
        for matching in matchings
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=BEST_COLUMNS)
