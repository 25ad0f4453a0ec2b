"""Which pairs of features share more, or fewer, top-k sets than chance.

In: top-k sets, their edges, optionally a group (document) per token. Out: per edge its expected count, z, p and q under
the degree-preserving null, and the pairs that repel each other.

The tests are all pairs of features that are in a set at all, with an edge or without. Attraction: a pair without an
edge has p = 1. Repulsion: pairs without an edge matter, since none is observed where many may be expected. There are
far too many pairs to test one by one, so they are screened by an upper bound of the expected count, from which follows
a lower bound of p. All pairs that could be significant are tested; the others count as tests with p = 1.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from coact.errors import ConfigError
from coact.graph.kernels import PAIR_SHIFT, group_by
from coact.graph.sets import TokenSets
from coact.nulls.inclusion import InclusionModel, fit_inclusion, pair_moments
from coact.nulls.tails import benjamini_hochberg, tail_probabilities

PAIRS_AT_ONCE = 1 << 21  # screened pairs that are held and tested together, about 150 bytes each
BINS_PER_NAT = 8  # of the histogram of screened pairs, by -ln of the bound of p
SMALLEST_LOG = 744  # -ln of the smallest float64


class FeatureIndex(NamedTuple):
    """A model's entries by feature: those of feature i are entries[starts[i]:starts[i + 1]].

    Attributes:
        starts: (D + 1,) int64.
        entries: (entries,) int64.
        groups: (entries,) int64, the group of each of them.
    """

    starts: np.ndarray
    entries: np.ndarray
    groups: np.ndarray


def edge_significance(
    sets: TokenSets, edges: pd.DataFrame, n_features: int, fdr: float, groups: np.ndarray | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Significance of pair counts under the null that keeps set sizes and features' counts.

    Args:
        sets: the observed top-k sets.
        edges: source < target, count: every pair that shares a set, once; see `coact.graph.pairs.edges_of_sets`.
        n_features: number of features D.
        fdr: false discovery rate, of the attracted and of the repelled pairs each (Benjamini and Hochberg 1995).
        groups: (tokens,) integer group of each token; the null keeps the counts within each group. None: one group.

    Returns:
        For every row of `edges`: expected float64 (mean count of the null), z float64 ((count - expected) / standard
        deviation; NaN where the null allows one count only), p float64 (of a count at least as large), q float64,
        significant bool (q <= fdr).
        The repelled pairs, by source and target: source int32, target int32, count int64, expected, z, p (of a count at
        most as large), q float64, all with q <= fdr.

    Raises:
        ConfigError: `fdr` is not between 0 and 1, a feature is not below `n_features`, or `groups` has another length
            than `sets`.
        StudyError: expected counts do not converge.
    """
    if not 0 < fdr < 1:
        raise ConfigError(f"nulls.fdr is {fdr}; expected a share between 0 and 1")
    highest = int(sets.indices.max(initial=-1))
    if highest >= n_features:
        raise ConfigError(f"a top-k set holds feature {highest:,}; expected features below {n_features:,}")
    if groups is not None and len(groups) != len(sets.indptr) - 1:
        raise ConfigError(
            f"groups are given for {len(groups):,} tokens; expected {len(sets.indptr) - 1:,}, one per set"
        )
    model = fit_inclusion(sets, n_features, groups)
    present = int(np.count_nonzero(np.bincount(model.features, minlength=n_features)))
    tests = present * (present - 1) // 2
    source, target, count = (edges[name].to_numpy() for name in ("source", "target", "count"))
    attracted = _tested(model, source, target, count, repelled=False)[["expected", "z", "p"]]
    attracted["q"] = benjamini_hochberg(attracted["p"].to_numpy(), tests)
    attracted["significant"] = attracted["q"] <= fdr
    attracted.index = edges.index
    return attracted, _repelled(model, source, target, count, tests, fdr)


def _tested(
    model: InclusionModel, source: np.ndarray, target: np.ndarray, count: np.ndarray, *, repelled: bool
) -> pd.DataFrame:
    """source, target, count, expected, z, p of pairs, p of the lower tail if `repelled`, else of the upper."""
    moments = pair_moments(model, source, target)
    tails = tail_probabilities(count, *moments)
    deviation = np.sqrt(moments.variance)
    z = np.divide(count - moments.expected, deviation, out=np.full(len(count), np.nan), where=deviation > 0)
    return pd.DataFrame(
        {
            "source": source.astype(np.int32),
            "target": target.astype(np.int32),
            "count": count.astype(np.int64),
            "expected": moments.expected,
            "z": z,
            "p": tails[1] if repelled else tails[0],
        }
    )


def _repelled(
    model: InclusionModel, source: np.ndarray, target: np.ndarray, count: np.ndarray, tests: int, fdr: float
) -> pd.DataFrame:
    """All pairs of the lower tail with q <= fdr, by source and target."""
    index = _index_features(model)
    largest_p = _largest_p(_count_screened(model, index, 1 - fdr), tests, fdr)
    keys = source.astype(np.int64) << PAIR_SHIFT | target
    order = np.argsort(keys, kind="stable")
    kept, row = [_tested(model, source[:0], target[:0], count[:0], repelled=True)], 0
    while largest_p > 0 and row < model.n_features:
        row, low, high = _screened(model, index, 1 - fdr, -math.log(largest_p), row, PAIRS_AT_ONCE)
        observed = _look_up(keys[order], count[order], low << PAIR_SHIFT | high)
        table = _tested(model, low, high, observed, repelled=True)
        kept.append(table[table["p"] <= largest_p])
    tested = pd.concat(kept, ignore_index=True)
    tested["q"] = benjamini_hochberg(tested["p"].to_numpy(), tests)
    return tested[tested["q"] <= fdr].sort_values(["source", "target"], ignore_index=True)


def _index_features(model: InclusionModel) -> FeatureIndex:
    entries = group_by(model.features, model.n_features)
    starts = np.searchsorted(model.features[entries], np.arange(model.n_features + 1))
    groups = np.repeat(np.arange(len(model.sizes)), np.diff(model.bounds))
    return FeatureIndex(starts, entries, groups[entries])


def _look_up(keys: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(wanted,) int64 the counts of the wanted keys among ascending keys, 0 for those that are not there."""
    place = np.searchsorted(keys, wanted)
    there = place < len(keys)
    there[there] = keys[place[there]] == wanted[there]
    found = np.zeros(len(wanted), np.int64)
    found[there] = counts[place[there]]
    return found


def _largest_p(screened: np.ndarray, tests: int, fdr: float) -> float:
    """The largest p-value that could be significant, 0 if none could.

    `screened` is the histogram of pairs by the bound of -ln p. Of the r pairs that are significant each has
    p <= fdr r / tests, and r is at most the number of pairs whose bound allows such a p. Repeating this narrows both.
    """
    allowed = np.cumsum(screened[::-1])[::-1]
    largest = fdr
    while largest > 0:
        pairs = int(allowed[min(int(-math.log(largest) * BINS_PER_NAT), len(allowed) - 1)])
        narrower = fdr * min(pairs, tests) / max(tests, 1)
        if narrower >= largest:
            break
        largest = narrower
    return largest


@njit(cache=True)
def _count_screened(model: InclusionModel, index: FeatureIndex, least: float) -> np.ndarray:
    """Histogram of all pairs that reach `least` by the bound of -ln P(N = 0); see `_screened`."""
    histogram, scratch = np.zeros(SMALLEST_LOG * BINS_PER_NAT + 1, np.int64), _scratch(model.n_features)
    expected, most, touched = scratch
    for row in range(model.n_features):
        for other in touched[: _bound_row(row, model, index, *scratch)]:
            if expected[other] >= least:
                bound = min(_log_bound(expected[other], most[other]), SMALLEST_LOG)
                histogram[int(bound * BINS_PER_NAT)] += 1
            expected[other], most[other] = 0.0, 0
    return histogram


@njit(cache=True)
def _screened(
    model: InclusionModel, index: FeatureIndex, least: float, log_bound: float, first_row: int, at_once: int
) -> tuple[int, np.ndarray, np.ndarray]:
    """The pairs that pass the screen, from the feature `first_row` on, until there are `at_once` or more.

    Args:
        model, index: the model.
        least: what the bound of the mean count has to reach: P(N = 0) is at least 1 - E.
        log_bound: what the bound of -ln P(N = 0) has to reach.
        first_row: the lower feature of the first pairs.
        at_once: number of pairs.

    Returns:
        The next feature to go on from, and (pairs,) int64 source and target, source < target.
    """
    room, scratch = at_once + model.n_features, _scratch(model.n_features)
    source, target = np.empty(room, np.int64), np.empty(room, np.int64)
    expected, most, touched = scratch
    found, row = 0, first_row
    while row < model.n_features and found < at_once:
        for other in touched[: _bound_row(row, model, index, *scratch)]:
            if expected[other] >= least and _log_bound(expected[other], most[other]) >= log_bound:
                source[found], target[found] = row, other
                found += 1
            expected[other], most[other] = 0.0, 0
        row += 1
    return row, source[:found].copy(), target[:found].copy()


@njit(cache=True)
def _scratch(n_features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(n_features), np.zeros(n_features, np.int64), np.empty(n_features, np.int64)


@njit(cache=True)
def _bound_row(
    row: int,
    model: InclusionModel,
    index: FeatureIndex,
    expected: np.ndarray,
    most: np.ndarray,
    touched: np.ndarray,
) -> int:
    """Add an upper bound of the mean to `expected`, the largest count to `most`, for `row` with every higher feature.

    In a set of fixed size inclusion is negatively correlated, pi_ij <= pi_i pi_j, so the bound is Cauchy and Schwarz's.

    Returns:
        How many features are touched; they are listed in `touched`.
    """
    n_touched = 0
    for item in range(index.starts[row], index.starts[row + 1]):
        own, group = index.entries[item], index.groups[item]
        for entry in range(model.bounds[group], model.bounds[group + 1]):
            other = model.features[entry]
            if other > row:
                if most[other] == 0:
                    touched[n_touched] = other
                    n_touched += 1
                expected[other] += model.norms[own] * model.norms[entry]
                most[other] += min(model.counts[own], model.counts[entry])
    return n_touched


@njit(cache=True)
def _log_bound(expected: float, most: int) -> float:
    """An upper bound of -ln P(N = 0) for mean counts up to `expected`; see `coact.nulls.tails` for the distribution.

    With 1 / t <= share / m, P(N = 0) = prod_{x < m} (1 - share - x / t) / (1 - x / t) is at least
    ((1 - 2 share) / (1 - share))^m.
    """
    share = expected / most
    return most * math.log((1 - share) / (1 - 2 * share)) if share < 0.5 else math.inf
