"""Feature splitting: which features of a wider dictionary descend from which of a narrower one.

In: dictionaries of one recipe in several widths, with their activations and graphs. Out: a row per feature of the wider
dictionary of a pair with its parent, and a row per pair with what it shows as a whole.

The parent of a feature is the one of the narrower dictionary whose decoder row has the largest cosine with its own
(Bricken et al. 2023, Towards Monosemanticity, find clusters of such features as dictionaries grow). A feature descends
from its parent where that cosine is at least a limit; others are new. Whether the two also fire together is measured on
tokens that the graph does not use.

Three references. The null of cosines is a dictionary whose rows have their entries shuffled. Two dictionaries of one
width and other seeds show how many features have several descendants where nothing is there to split. And imported
dictionaries may have begun with the same rows, so that feature 7 descends from feature 7 for that alone: `same_place`
counts these. Those trained here begin with rows that depend on the width.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, product, zip_longest
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from coact.comparison.columns import Column
from coact.comparison.matching import cosine_similarity
from coact.comparison.pairs import Matchable
from coact.comparison.universality import shuffle_rows
from coact.errors import StudyError
from coact.features.batches import SparseBatch, read_shards
from coact.progress import tracked

MOST_BINS, FEATURES_PER_BIN = 10, 20  # of top-k count, within which siblings are exchanged
CHILDREN = (0, 1, 2, 3)  # the last stands for as many or more
ROWS_AT_ONCE = 1024
WIDTH, BOTH, SEED = "width", "width and seed", "seed"
DESCENDANTS = {
    "feature": np.int32, "parent": np.int32, "cosine": np.float32, "null_cosine": np.float32, "descends": bool,
    "tokens": np.int64, "parent_tokens": np.int64, "both": np.int64, "coverage": np.float64, "share": np.float64,
}  # fmt: skip
SPLITTING = {
    "narrow_name": str, "wide_name": str, "differ": str, "narrow": np.int64, "wide": np.int64,
    "descending": np.float64, "null_descending": np.float64, "same_place": np.float64, "children": object,
    "coverage": np.float64, "expected_coverage": np.float64, "covered": np.float64, "expected_covered": np.float64,
    "siblings": np.int64, "linked": np.float64, "null_linked": np.float64, "linked_p": np.float64,
}  # fmt: skip


class WidthPair(NamedTuple):
    """Places of two dictionaries among the columns, the narrower one first, and in what they differ."""

    narrow: int
    wide: int
    differ: str


def widths_of(columns: Sequence[Column]) -> list[WidthPair]:
    """Pairs of dictionaries of one model and recipe that follow one another in their width; and as a reference seeds.

    Those that differ in "width" alone come first, then in "width and seed"; then pairs that differ in the "seed" alone,
    where the recipe has several widths.
    """
    groups: dict[tuple[str, str], dict[float, list[int]]] = {}
    for place, column in enumerate(columns):
        if column.expansion is not None:
            widths = groups.setdefault((column.model, column.recipe), {})
            widths.setdefault(column.expansion, []).append(place)
    found = []
    for widths in groups.values():
        for less, more in pairwise(sorted(widths)):
            for narrow, wide in product(widths[less], widths[more]):
                same = _seed(columns[narrow]) == _seed(columns[wide])
                found.append(WidthPair(narrow, wide, WIDTH if same else BOTH))
        if len(widths) > 1:
            found += [WidthPair(*pair, SEED) for places in widths.values() for pair in combinations(places, 2)]
    return sorted(found, key=lambda pair: ((WIDTH, BOTH, SEED).index(pair.differ), pair))


def _seed(column: Column) -> str:
    """As the name of a trained dictionary ends; imported ones, whose seeds are not known, have none."""
    return column.sae.rpartition("-s")[2]


def split_columns(
    columns: Sequence[Column], dictionaries: Sequence[Matchable], least_cosine: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What becomes of the features of every dictionary in the next wider one of its recipe.

    Args:
        columns, dictionaries: in the same order.
        least_cosine, seed: see `split_pair`.
    Returns:
        Descendants: a and b (names of the narrower and the wider dictionary) and differ before the columns of
        `split_pair`. Splitting, a row per pair of `widths_of`: narrow_name, wide_name, differ, and the figures of
        `split_pair`. Both without rows where there is no pair.
    Raises:
        StudyError: names two dictionaries that are not of the same tokens or space.
    """
    pairs = widths_of(columns)
    named = {"a": str, "b": str, "differ": str} | DESCENDANTS
    tables, rows = [pd.DataFrame(columns=list(named)).astype(named)], []
    for pair in tracked(pairs, len(pairs), "measure splitting", "pairs"):
        a, b = columns[pair.narrow].name, columns[pair.wide].name
        try:
            table, figures = split_pair(dictionaries[pair.narrow], dictionaries[pair.wide], least_cosine, seed)
        except StudyError as error:
            raise StudyError(f"{a} and {b}: {error}") from None
        tables.append(table.assign(a=a, b=b, differ=pair.differ)[list(named)])
        rows.append({"narrow_name": a, "wide_name": b, "differ": pair.differ, **figures})
    splitting = pd.DataFrame(rows, columns=list(SPLITTING)).astype(SPLITTING)
    return pd.concat(tables[1:] or tables, ignore_index=True), splitting


def split_pair(
    narrow: Matchable, wide: Matchable, least_cosine: float, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What becomes of the features of a dictionary in a wider one.

    Args:
        narrow, wide: the dictionaries; the live features of each take part.
        least_cosine: from which on a feature descends from its parent, above 0.
        seed: of the nulls.
    Returns:
        One row per live feature of the wider one, of `DESCENDANTS`: feature; parent, -1 where either dictionary has no
        direction to compare; cosine, and null_cosine, the largest of its shuffled row; descends; tokens and
        parent_tokens, on which each is active, both; coverage (both / tokens), share (both / parent_tokens), NaN where
        there are no tokens. And the figures of `_figures` and `_siblings`.
    Raises:
        StudyError: the dictionaries are not of one space, their activations not of the same tokens or features.
    """
    live = [part.nodes["live"].to_numpy(bool) for part in (narrow, wide)]
    features, parents, cosines = _parents(narrow.decoder, wide.decoder, *live)
    _, _, by_chance = _parents(narrow.decoder, shuffle_rows(wide.decoder, seed), *live)
    descends = cosines >= least_cosine
    parent_of, counted = np.full(len(wide.decoder), -1, np.int64), np.zeros(len(wide.decoder), bool)
    parent_of[features], counted[features] = parents, descends
    counts = _count_together(narrow, wide, parent_of, counted)
    table = pd.DataFrame(
        {
            "feature": features,
            "parent": parents,
            "cosine": cosines,
            "null_cosine": by_chance,
            "descends": descends,
            "tokens": counts.wide[features],
            "parent_tokens": np.where(parents >= 0, counts.narrow[parents], 0),
            "both": counts.both[features],
        }
    )
    table["coverage"] = table["both"] / table["tokens"]  # of integers: NaN for none of none
    table["share"] = table["both"] / table["parent_tokens"]
    table = table.astype(DESCENDANTS)
    figures = _figures(table, least_cosine, np.flatnonzero(live[0]), counts)
    return table, figures | _siblings(table, wide, seed)


def _parents(
    narrow: np.ndarray, wide: np.ndarray, live_narrow: np.ndarray, live_wide: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Live features of the wider dictionary, their parents and the cosines with them; -1 and NaN for none.

    A row of zeros has no direction: it has no parent, and is none.
    """
    candidates, features = np.flatnonzero(live_narrow & narrow.any(axis=1)), np.flatnonzero(live_wide)
    parents, cosines = np.full(len(features), -1, np.int64), np.full(len(features), np.nan, np.float32)
    directed = np.flatnonzero(wide[features].any(axis=1))
    for start in range(0, len(directed) if len(candidates) else 0, ROWS_AT_ONCE):
        rows = directed[start : start + ROWS_AT_ONCE]
        cosine = cosine_similarity(wide[features[rows]], narrow[candidates])
        best = cosine.argmax(axis=1)
        parents[rows], cosines[rows] = candidates[best], cosine[np.arange(len(best)), best]
    return features, parents, cosines


class _Counts(NamedTuple):
    """Tokens on which features are active.

    Attributes:
        narrow, wide: of either dictionary.
        both: features of the wider one together with their parent.
        covered: features of the narrower one together with any descendant.
        tokens: all.
    """

    narrow: np.ndarray
    wide: np.ndarray
    both: np.ndarray
    covered: np.ndarray
    tokens: int


def _count_together(narrow: Matchable, wide: Matchable, parent_of: np.ndarray, descends: np.ndarray) -> _Counts:
    n, m = len(narrow.decoder), len(wide.decoder)
    sums, tokens = tuple(np.zeros(size, np.int64) for size in (n, m, m, n)), 0
    for one, other in _aligned(narrow, wide):
        _add_together(*one.arrays()[:2], *other.arrays()[:2], parent_of, descends, *sums)
        tokens += int(one.kept.sum())
    return _Counts(*sums, tokens)


def _aligned(narrow: Matchable, wide: Matchable) -> Iterator[tuple[SparseBatch, SparseBatch]]:
    """Batches of either dictionary over the same tokens."""
    batches = zip_longest(read_shards(narrow.features), read_shards(wide.features))
    for number, (one, other) in enumerate(batches):
        if one is None or other is None or not np.array_equal(one.kept, other.kept):
            raise StudyError(f"batch {number} of activations: tokens differ; expected the same tokens")
        for batch, part in ((one, narrow), (other, wide)):
            if batch.n_features != len(part.decoder):
                raise StudyError(
                    f"batch {number} of activations: {batch.n_features:,} features; expected "
                    f"{len(part.decoder):,}, as many as decoder rows"
                )
        yield one, other


@njit(cache=True, nogil=True)
def _add_together(
    indptr_a: np.ndarray,
    indices_a: np.ndarray,
    indptr_b: np.ndarray,
    indices_b: np.ndarray,
    parent_of: np.ndarray,
    descends: np.ndarray,
    narrow: np.ndarray,
    wide: np.ndarray,
    both: np.ndarray,
    covered: np.ndarray,
) -> None:
    active, seen = np.full(len(narrow), -1, np.int64), np.full(len(narrow), -1, np.int64)
    for row in range(len(indptr_a) - 1):
        for entry in range(indptr_a[row], indptr_a[row + 1]):
            active[indices_a[entry]] = row
            narrow[indices_a[entry]] += 1
        for entry in range(indptr_b[row], indptr_b[row + 1]):
            feature = indices_b[entry]
            wide[feature] += 1
            parent = parent_of[feature]
            if parent >= 0 and active[parent] == row:
                both[feature] += 1
                if descends[feature] and seen[parent] != row:
                    seen[parent] = row
                    covered[parent] += 1


def _figures(table: pd.DataFrame, least_cosine: float, parents: np.ndarray, counts: _Counts) -> dict[str, Any]:
    """What a pair of dictionaries shows.

    Returns:
        narrow, wide (live features); descending and null_descending (shares of the wider one's); same_place (of the
        descending, the share with the number of their parent); children (narrow features by their number of
        descendants: none, one, two, more); coverage (median over descendants; of tokens with the child, those with the
        parent) and covered (median over narrow features with two descendants or more; of tokens with the parent, those
        with any child), each with what it would be if features fired independently (expected_). NaN where there is
        nothing to take a share or median of.
    """
    descendants = table[table["descends"]]
    number = descendants["parent"].value_counts().reindex(parents, fill_value=0)
    split = number.index[number >= 2].to_numpy()
    split = split[counts.narrow[split] > 0]
    silent = np.log1p(-_shares(descendants["tokens"], counts.tokens)).groupby(descendants["parent"]).sum()
    return {
        "narrow": len(parents),
        "wide": len(table),
        "descending": _mean(table["descends"]),
        "null_descending": _mean(table["null_cosine"] >= least_cosine),
        "same_place": _mean(descendants["feature"] == descendants["parent"]),
        "children": [int((number == n).sum()) for n in CHILDREN[:-1]] + [int((number >= CHILDREN[-1]).sum())],
        "coverage": _median(descendants["coverage"]),
        "expected_coverage": _median(_shares(descendants["parent_tokens"], counts.tokens)),
        "covered": _median(counts.covered[split] / counts.narrow[split]),
        "expected_covered": _median(-np.expm1(silent.reindex(split))),
    }


def _shares(numbers: pd.Series, total: int) -> pd.Series:
    """Of all tokens; below 1, whose logarithm is needed, by half a token; NaN where there is none."""
    return numbers.clip(upper=total - 0.5) / total if total else numbers * np.nan


def _siblings(table: pd.DataFrame, wide: Matchable, seed: int, permutations: int = 200) -> dict[str, float]:
    """Whether descendants of one parent are linked in the graph of the wider dictionary.

    The null exchanges descendants among those of about equal top-k count, `permutations` times: features that are in
    many sets are linked in any graph.

    Returns:
        siblings (pairs), linked (share of them that an edge joins), null_linked (mean), linked_p (one-sided, of as
        large a share by chance); NaN without siblings.
    """
    descendants = table.loc[table["descends"], ["feature", "parent"]]
    pairs = descendants.merge(descendants, on="parent")
    pairs = pairs.loc[pairs["feature_x"] < pairs["feature_y"], ["feature_x", "feature_y"]].to_numpy(np.int64)
    if not len(pairs):
        return {"siblings": 0, "linked": np.nan, "null_linked": np.nan, "linked_p": np.nan}
    size = len(wide.decoder)
    edges = wide.edges[["source", "target"]].to_numpy(np.int64)
    known = np.unique(edges.min(1) * size + edges.max(1))
    features = descendants["feature"].to_numpy(np.int64)
    order = features[np.argsort(wide.nodes["topk_count"].to_numpy()[features], kind="stable")]
    bins = np.array_split(order, min(MOST_BINS, max(1, len(order) // FEATURES_PER_BIN)))
    generator, null = np.random.default_rng(seed), np.empty(permutations)
    for number in range(permutations):
        other = np.arange(size)
        for part in bins:
            other[part] = generator.permutation(part)
        null[number] = _linked(other[pairs], known, size)
    linked = _linked(pairs, known, size)
    above = 1 + int((null >= linked).sum())
    return {
        "siblings": len(pairs),
        "linked": linked,
        "null_linked": float(null.mean()),
        "linked_p": above / (permutations + 1),
    }


def _linked(pairs: np.ndarray, known: np.ndarray, size: int) -> float:
    """Share of pairs of features that are among the known edges."""
    return float(np.isin(pairs.min(1) * size + pairs.max(1), known).mean())


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else np.nan


def _median(values: Any) -> float:
    values = np.asarray(values, np.float64)
    return float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
