"""Agreement of the graphs of two dictionaries whose features are matched, beside the agreement of random matchings.

In: the edges and communities of both graphs and a matching (`coact.comparison.matching`). Out: how alike the graphs are
that the matched features induce, and what the same figures are where partners are dealt out anew.

Method: a permutation test on the vertices, as in quadratic assignment (Hubert and Schultz 1976, British Journal of
Mathematical and Statistical Psychology 29:190): both graphs stay as they are, and only who is whose partner is drawn.
Under `null_random` any partner is as likely. Frequent features have edges with frequent ones in any graph, so under
`null_frequency` partners change places only with those of about their own frequency. p has the observed matching among
the draws (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from coact.comparison.measures import (
    ROUNDING,
    adjusted_information,
    correlation,
    mean_ranks,
    sum_of_products,
    union_correlation,
)
from coact.errors import ConfigError, StudyError
from coact.graph.degree import degrees

EDGE_VALUES = ("count", "weight")
FREQUENCY_BINS = 10


def compare_graphs(
    edges_a: pd.DataFrame,
    edges_b: pd.DataFrame,
    matched: pd.DataFrame,
    communities_a: np.ndarray,
    communities_b: np.ndarray,
    frequency_b: np.ndarray,
    *,
    seed: int,
    permutations: int,
    bins: int = FREQUENCY_BINS,
) -> dict[str, Any]:
    """How far two graphs agree on their matched features, beside two nulls of the matching.

    Args:
        edges_a, edges_b: source, target, count, weight (both above 0) of graphs of D_a and D_b features, edges once.
        matched: feature_a, feature_b, one to one; see `coact.comparison.matching.match`.
        communities_a, communities_b: (D_a,) and (D_b,) int labels, -1 for none.
        frequency_b: (D_b,) frequency of the features of b, or another measure of how often they could make an edge.
        seed: seed of the permutations.
        permutations: random matchings of each null.
        bins: quantile bins of `frequency_b` among matched features, within which `null_frequency` permutes. What
            frequencies differ by within a bin is not held fixed: where they span orders of magnitude, deciles leave
            enough for independent graphs to exceed this null, and bins of some tens of features do not.

    Returns:
        matched (features), edges_a, edges_b (of the induced graphs), edges_common, and null_random and null_frequency:
        dictionaries of

        - edge_jaccard: pairs that are an edge in both / in at least one (Jaccard 1912, New Phytologist 11:37).
        - count_pearson_common, count_spearman_common, weight_...: correlation, over pairs that are an edge in both, of
          log(1 + count), of weight; count_pearson_union, ...: over those that are an edge in at least one, 0 where
          absent.
        - degree_spearman: of the degrees in the induced graphs, over matched features.
        - community_ami: adjusted mutual information of communities (Vinh, Epps and Bailey 2010, Journal of Machine
          Learning Research 11:2837; arithmetic mean), over features with a community in both.

        Each is a dictionary of value, null_mean, null_low, null_high (2.5 and 97.5 percentiles), p (share of the
        matchings, the observed one among them, with at least this value) and permutations (those where the figure is
        defined), or None where the value is not defined: no edge, below three pairs, values that do not vary, a single
        community. The null's figures are None where most permutations have none, or no partner can change places (two
        features of one frequency bin could; without a finite frequency of every matched feature none can).

    Raises:
        ConfigError: `permutations` or `bins` is below 1.
        StudyError: a feature is matched twice.
    """
    for name, number in (("permutations", permutations), ("bins", bins)):
        if number < 1:
            raise ConfigError(f"comparison.{name} is {number}; expected at least 1")
    features_a, features_b = (_partners(matched, side) for side in ("feature_a", "feature_b"))
    a = _induce(edges_a, features_a, np.asarray(communities_a))
    b = _induce(edges_b, features_b, np.asarray(communities_b))
    observed, n_common = _agreement(a, b, np.arange(a.n_nodes))
    everyone = np.zeros(a.n_nodes, np.int64)
    frequent = _quantile_bins(np.asarray(frequency_b, np.float64)[features_b], bins)
    found: dict[str, Any] = {
        "matched": a.n_nodes,
        "edges_a": len(a.source),
        "edges_b": len(b.source),
        "edges_common": n_common,
    }
    for stream, (name, groups) in enumerate((("null_random", everyone), ("null_frequency", frequent))):
        drawn = _permute_within(groups, permutations, np.random.default_rng([seed, stream]))
        samples = [_agreement(a, b, place)[0] for place in drawn]
        found[name] = {
            measure: _beside(value, np.array([sample[measure] for sample in samples]), permutations)
            for measure, value in observed.items()
        }
    return found


def _partners(matched: pd.DataFrame, side: str) -> np.ndarray:
    """(n,) int64 features of one side of a matching, each of them once."""
    features = matched[side].to_numpy(np.int64)
    values, times = np.unique(features, return_counts=True)
    if len(values) < len(features):
        raise StudyError(
            f"matching: {side} {values[times > 1][0]} has {times[times > 1][0]} partners; expected one to one"
        )
    return features


def _quantile_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(n,) int64 bin of every value, or a bin for each where some are not known.

    Equal values are in one bin, so a bin may be larger than others, or empty.
    """
    if not np.isfinite(values).all() or not len(values):
        return np.arange(len(values))
    cuts = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(cuts, values, side="right")


def _permute_within(groups: np.ndarray, permutations: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Permutations of range(n), uniform among those that keep every item's group; none where only one does."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    if all(len(group) < 2 for group in members):
        return []
    drawn = []
    for _ in range(permutations):
        place = np.empty(len(groups), np.int64)
        for group in members:
            place[group] = generator.permutation(group)
        drawn.append(place)
    return drawn


def _beside(value: float, samples: np.ndarray, permutations: int) -> dict[str, float | int | None] | None:
    """A value with what it is under a null; NaN is not defined."""
    if np.isnan(value):
        return None
    samples = samples[~np.isnan(samples)]
    found: dict[str, float | int | None] = {"value": value, "null_mean": None, "null_low": None, "null_high": None}
    found |= {"p": None, "permutations": len(samples)}
    if len(samples) and 2 * len(samples) >= permutations:
        low, high = np.quantile(samples, [0.025, 0.975])
        found |= {"null_mean": float(samples.mean()), "null_low": float(low), "null_high": float(high)}
        found["p"] = float((1 + (samples >= value - ROUNDING).sum()) / (1 + len(samples)))
    return found


class _EdgeValues:
    """Values of a graph's edges, above 0, with what their correlations need.

    Correlations do not change when all values are moved, so `values` and `ranks` are centred once; a pair without an
    edge then has not 0 but a value that is as far below.
    """

    def __init__(self, values: np.ndarray) -> None:
        distinct, self.group = np.unique(values, return_inverse=True)
        self.n_groups = len(distinct)
        self.mean = float(values.mean()) if len(values) else 0.0
        self.values = values - self.mean if self.n_groups > 1 else np.zeros(len(values))
        self.ranks = mean_ranks(self.group, self.n_groups) - (len(values) + 1) / 2
        self.value_square = sum_of_products(self.values, self.values)
        self.rank_square = sum_of_products(self.ranks, self.ranks)

    def ranks_among(self, chosen: np.ndarray) -> np.ndarray:
        """Mean ranks of the chosen edges among themselves."""
        return mean_ranks(self.group[chosen], self.n_groups)


@dataclass(frozen=True)
class _Induced:
    """The graph that matched features induce; node i is the feature in row i of the matching.

    Attributes:
        source, target: (edges,) int64 nodes, source < target, sorted.
        bounds, neighbours, edges: every edge in the lists of both of its nodes, as compressed sparse rows (int64).
        degree_ranks: (nodes,) float64, centred.
        labels: (nodes,) int64 from 0, -1 for none.
        values: by name, of the edges.
    """

    n_nodes: int
    source: np.ndarray
    target: np.ndarray
    bounds: np.ndarray
    neighbours: np.ndarray
    edges: np.ndarray
    degree_ranks: np.ndarray
    labels: np.ndarray
    values: dict[str, _EdgeValues]


def _induce(edges: pd.DataFrame, features: np.ndarray, communities: np.ndarray) -> _Induced:
    ends = edges[["source", "target"]].to_numpy(np.int64)
    n = len(features)
    node_of = np.full(1 + max(features.max(initial=-1), ends.max(initial=-1)), -1, np.int64)
    node_of[features] = np.arange(n)
    nodes = node_of[ends]
    chosen = np.flatnonzero((nodes >= 0).all(axis=1))
    low, high = nodes[chosen].min(axis=1), nodes[chosen].max(axis=1)
    order = np.lexsort((high, low))
    low, high, chosen = low[order], high[order], chosen[order]
    degree = degrees(low, high, n)
    near = np.argsort(np.concatenate([low, high]), kind="stable")
    count, weight = (edges[name].to_numpy(np.float64)[chosen] for name in EDGE_VALUES)
    labels = communities[features]
    labels = np.where(labels < 0, -1, np.unique(np.maximum(labels, 0), return_inverse=True)[1])
    return _Induced(
        n_nodes=n,
        source=low,
        target=high,
        bounds=np.concatenate([[0], np.cumsum(degree)]),
        neighbours=np.concatenate([high, low])[near],
        edges=np.tile(np.arange(len(low)), 2)[near],
        degree_ranks=mean_ranks(degree, int(degree.max(initial=-1)) + 1) - (n + 1) / 2,
        labels=labels.astype(np.int64),
        values={"count": _EdgeValues(np.log1p(count)), "weight": _EdgeValues(weight)},
    )


def _agreement(a: _Induced, b: _Induced, place: np.ndarray) -> tuple[dict[str, float], int]:
    """The figures when node i of b is the partner of node place[i] of a, NaN where not defined; edges in both."""
    in_a, in_b = _find_common(a.bounds, a.neighbours, a.edges, b.source, b.target, place)
    n_union = len(a.source) + len(b.source) - len(in_a)
    found = {"edge_jaccard": len(in_a) / n_union if n_union else np.nan}
    for name in EDGE_VALUES:
        x, y = a.values[name], b.values[name]
        x_values, y_values, x_ranks, y_ranks = x.values[in_a], y.values[in_b], x.ranks[in_a], y.ranks[in_b]
        found[f"{name}_pearson_common"] = correlation(x_values, y_values)
        found[f"{name}_spearman_common"] = correlation(x.ranks_among(in_a), y.ranks_among(in_b))
        absent = (n_union - len(a.source), n_union - len(b.source))
        found[f"{name}_pearson_union"] = union_correlation(
            n_union, *absent, -x.mean, -y.mean, x.value_square, y.value_square, x_values, y_values
        )
        # The absent share the lowest mean rank, which is half of all pairs below the mean rank of the edges.
        found[f"{name}_spearman_union"] = union_correlation(
            n_union, *absent, -n_union / 2, -n_union / 2, x.rank_square, y.rank_square, x_ranks, y_ranks
        )
    found["degree_spearman"] = correlation(a.degree_ranks[place], b.degree_ranks)
    found["community_ami"] = adjusted_information(a.labels[place], b.labels)
    return found, len(in_a)


@njit(cache=True)
def _find_common(
    bounds: np.ndarray,
    neighbours: np.ndarray,
    edges: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    place: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Edges that two graphs share.

    The neighbours of a node, spread out over a dense vector once, serve all edges of its partner: no pair is sorted.

    Args:
        bounds, neighbours, edges: the first graph, see `_Induced`.
        source, target: (edges,) nodes of the second graph, equal sources side by side.
        place: the node of the first graph that each node of the second is matched with.

    Returns:
        Edges of the first and of the second graph (int64), in the order of the second.
    """
    edge_to = np.full(len(bounds) - 1, -1, np.int64)
    in_a, in_b = np.empty(len(source), np.int64), np.empty(len(source), np.int64)
    held, n = -1, 0
    for edge in range(len(source)):
        node = place[source[edge]]
        if node != held:
            if held >= 0:
                for entry in range(bounds[held], bounds[held + 1]):
                    edge_to[neighbours[entry]] = -1
            for entry in range(bounds[node], bounds[node + 1]):
                edge_to[neighbours[entry]] = edges[entry]
            held = node
        found = edge_to[place[target[edge]]]
        if found >= 0:
            in_a[n], in_b[n] = found, edge
            n += 1
    return in_a[:n].copy(), in_b[:n].copy()
