"""Graphs of two dictionaries, matched feature by feature, and how alike the features themselves are.

In: the columns of a study with their graphs, decoders and activations. Out: a row per pair, matching, measure and null,
and a row per pair, matching and direction.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from coact.artefacts import read_table
from coact.comparison.columns import Column, comparable
from coact.comparison.graphs import compare_graphs
from coact.comparison.matching import activation_correlation, cosine_similarity, match
from coact.comparison.universality import best_figures, best_similarities, shift_tokens, shuffle_rows
from coact.errors import StudyError
from coact.features.batches import read_shards
from coact.graph.measures import read_decoder
from coact.progress import tracked

FEATURES_PER_BIN = 40
NULLS = {"null_random": "random", "null_frequency": "frequency"}
FIGURES = ("value", "null_mean", "null_low", "null_high", "p")
SIZES = ("matched", "mean_similarity", "same_partner", "edges_a", "edges_b")
SUMMARY = ("mean", "q05", "q25", "median", "q75", "q95")
PAIR_COLUMNS = ("a", "b", "differ", "matching", "measure", "null", *FIGURES, *SIZES)
BEST_COLUMNS = (
    *("a", "b", "differ", "matching", "features"),
    *SUMMARY,
    *(f"null_{name}" for name in SUMMARY),
    "above_null",
)
log = logging.getLogger("coact")


@dataclass(frozen=True)
class Matchable:
    """What of a column its comparison with another needs.

    Attributes:
        edges: source, target, count, weight.
        nodes: topk_count, live; one row per feature.
        communities: (D,) int32 labels, -1 for none.
        decoder: (D, d_in) float32.
        features: feature shards, of the same tokens for all that are compared by their activations.
    """

    edges: pd.DataFrame
    nodes: pd.DataFrame
    communities: np.ndarray
    decoder: np.ndarray
    features: Sequence[str | Path] = ()


def read_dictionaries(paths: Mapping[str, Any], shards: int) -> list[Matchable]:
    """What of all columns their comparison needs.

    Args:
        paths: edges, nodes, weights and features of the columns in turn, so many feature shards of each; and, where
            communities are compared, communities.
        shards: feature shards of a column.
    """
    communities = paths.get("communities")
    return [
        Matchable(
            read_table(edges, ["source", "target", "count", "weight"]),
            read_table(paths["nodes"][place], ["topk_count", "live"]),
            read_table(communities[place], ["community"])["community"].to_numpy()
            if communities
            else np.empty(0, np.int32),
            read_decoder(paths["weights"][place]),
            paths["features"][place * shards : (place + 1) * shards],
        )
        for place, edges in enumerate(paths["edges"])
    ]


def compare_columns(
    columns: Sequence[Column],
    dictionaries: Sequence[Matchable],
    *,
    seed: int,
    permutations: int,
    most_pairs: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All comparisons of a study.

    Args:
        columns, dictionaries: in the same order.
        seed, permutations: see `compare_pair`.
        most_pairs: dictionaries with more pairs of features, one from each, are left out, and the log says so.

    Returns:
        Tables with the columns `PAIR_COLUMNS` and `BEST_COLUMNS`: those of `compare_pair` after a, b (names) and
        differ. In the second one, b is the dictionary in which features of a are looked for.

    Raises:
        StudyError: names two dictionaries that are not of the same tokens.
    """
    agreements, best = [pd.DataFrame(columns=PAIR_COLUMNS)], [pd.DataFrame(columns=BEST_COLUMNS)]
    pairs = comparable(columns)
    for pair in tracked(pairs, len(pairs), "compare graphs", "pairs"):
        names = columns[pair.a].name, columns[pair.b].name
        a, b = dictionaries[pair.a], dictionaries[pair.b]
        n_pairs = len(a.nodes) * len(b.nodes)
        if n_pairs > most_pairs:
            log.warning("%s and %s have %s pairs of features, more than comparison.most_pairs = %s: not compared",
                        *names, f"{n_pairs:,}", f"{most_pairs:,}")  # fmt: skip
            continue
        try:
            found = compare_pair(a, b, pair.matchings, seed=seed, permutations=permutations)
        except StudyError as error:
            raise StudyError(f"{names[0]} and {names[1]}: {error}") from None
        agreements.append(found[0].assign(a=names[0], b=names[1], differ=pair.differ)[list(PAIR_COLUMNS)])
        for direction, (one, other) in {"there": names, "back": names[::-1]}.items():
            rows = found[1][found[1]["direction"] == direction]
            best.append(rows.assign(a=one, b=other, differ=pair.differ)[list(BEST_COLUMNS)])
    return tuple(pd.concat(tables[1:] or tables, ignore_index=True) for tables in (agreements, best))


def compare_pair(
    a: Matchable, b: Matchable, matchings: Sequence[str], *, seed: int, permutations: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Agreement of two graphs on matched features, and the best matches of single features.

    Partners are permuted at random, and within bins of about equal top-k count: edges come from top-k sets, so
    features that are in many of them are linked in any graph.

    Args:
        a, b: the dictionaries.
        matchings: "decoder", "activations".
        seed: seed of the permutations and of the nulls of best matches.
        permutations: random matchings of each null.

    Returns:
        matching, measure, null (random or frequency), value, null_mean, null_low, null_high, p, matched,
        mean_similarity (of partners), same_partner (share of the features matched in both ways that have the same
        partner in both), edges_a, edges_b; see `coact.comparison.graphs.compare_graphs`. NaN: not defined.
        matching, direction ("there": features of a in b; "back"), and `coact.comparison.universality.best_figures`.
    """
    live = [part.nodes["live"].to_numpy(bool) for part in (a, b)]
    matched, best = {}, []
    for matching in matchings:
        by_chance = best_similarities(_similarity(a, b, matching, seed), *live)
        similarity = _similarity(a, b, matching, None)
        values = best_similarities(similarity, *live)
        matched[matching] = match(similarity, *live)
        for direction, found, null in zip(("there", "back"), values, by_chance, strict=True):
            best.append({"matching": matching, "direction": direction, **best_figures(found, null)})
    same = _same_partner(*matched.values()) if len(matched) == 2 else np.nan
    rows = [
        {"matching": matching, **row, "same_partner": same}
        for matching, table in matched.items()
        for row in _agreement(a, b, table, seed, permutations)
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys((*FIGURES, *SIZES), np.float64)), pd.DataFrame(best)


def _agreement(a: Matchable, b: Matchable, matched: pd.DataFrame, seed: int, permutations: int) -> list[dict[str, Any]]:
    """A row per measure and null of two graphs on matched features."""
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
    sizes = {name: found[name] for name in ("matched", "edges_a", "edges_b")}
    sizes["mean_similarity"] = matched["similarity"].mean()
    return [
        {"measure": measure, "null": null, **_figures(figures), **sizes}
        for key, null in NULLS.items()
        for measure, figures in found[key].items()
    ]


def _figures(found: dict[str, Any] | None) -> dict[str, Any]:
    return {name: (found or {}).get(name) for name in FIGURES}


def _similarity(a: Matchable, b: Matchable, matching: str, null_seed: int | None) -> np.ndarray:
    """(D_a, D_b) float32; with a seed, of b without any relation to a."""
    if matching == "decoder":
        return cosine_similarity(a.decoder, b.decoder if null_seed is None else shuffle_rows(b.decoder, null_seed))
    batches = read_shards(b.features)
    return activation_correlation(
        read_shards(a.features), batches if null_seed is None else shift_tokens(batches, null_seed)
    )


def _same_partner(one: pd.DataFrame, other: pd.DataFrame) -> float:
    both = one.merge(other, on="feature_a")
    return float((both["feature_b_x"] == both["feature_b_y"]).mean()) if len(both) else np.nan
