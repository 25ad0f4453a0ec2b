"""The co-activation graph.

In: what a pass over sparse feature activations counted. Out: `Graph` with its edges, and the table of nodes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coact.features.batches import SparseBatch
from coact.graph.counting import UNIT, Counts, count_batches
from coact.graph.degree import degrees
from coact.graph.pairs import PairTable
from coact.graph.sets import SetRule, TokenSets, join_sets, token_sets


@dataclass(frozen=True)
class Graph:
    """A co-activation graph and what it was counted from.

    Attributes:
        counts: what was counted.
        edges: see `edge_table`.
        sets: the sets of all kept tokens, in order.
        documents: (kept tokens,) int32, the document of each, -1 at special positions.
    """

    counts: Counts
    edges: pd.DataFrame
    sets: TokenSets
    documents: np.ndarray


def coactivation_graph(batches: Iterable[SparseBatch], k: int) -> Graph:
    """Top-k co-activation graph of SAE features, in one go.

    Two features are linked when both are among the k largest strictly positive activations of a token (ties: lower
    index). The weight is the mean over batches of the cosine between the two activation columns, all activations
    counted, weighted by the batch's number of tokens that link the two; exact to 1e-9.

    Memory grows with the number of edges and with a batch for each thread; the returned sets take 4 k + 12 bytes per
    token.

    Args:
        batches: CSR activations, each (tokens, features), read once.
        k: size of a token's top-k set, 2 <= k <= features.

    Raises:
        ConfigError: k is out of range, there is no batch, or the batches disagree on the number of features.
    """
    rule = SetRule(k)
    found = count_batches(batches, [rule], keep=[rule.name])
    counts = found.counts[rule.name]
    return Graph(counts, edge_table(counts.pairs), join_sets(found.sets[rule.name]), found.documents)


def edge_table(pairs: PairTable) -> pd.DataFrame:
    """The edges that pairs with sums make.

    Returns:
        source int32 < target int32, count int64, weight float64, first_batch int32 (number of the first batch that
        has the edge); sorted by source, then target.
    """
    return pd.DataFrame(
        {
            "source": pairs.source,
            "target": pairs.target,
            "count": pairs.counts,
            "weight": pairs.sums / UNIT / pairs.counts,
            "first_batch": pairs.first,
        }
    )


def topk_sets(batch: SparseBatch, k: int) -> TokenSets:
    """The k largest activations of every kept token of a batch; fewer where fewer are active."""
    return token_sets(batch, [SetRule(k)])[0]


def node_table(
    counts: Counts, edges: pd.DataFrame, heldout_count: np.ndarray, heldout_tokens: int, live_frequency: float
) -> pd.DataFrame:
    """The nodes of a graph, one row per feature.

    Args:
        counts: what was counted.
        edges: source, target, weight.
        heldout_count: (D,) int64, held-out tokens on which each feature is active.
        heldout_tokens: kept held-out tokens.
        live_frequency: least frequency of a live feature.

    Returns:
        feature int32, degree int64 (neighbours), strength float64 (sum of the weights), frequency float64 (share of
        the graph's tokens on which the feature is active; NaN where there is no token), frequency_heldout float64
        (likewise on held-out tokens), topk_count int64, live bool (fired on the graph's tokens, and its frequency
        there is at least `live_frequency`).
    """
    source, target, n_features = edges["source"].to_numpy(), edges["target"].to_numpy(), counts.n_features
    ends = np.concatenate([source, target])
    frequency = _share(counts.active, counts.n_tokens)
    return pd.DataFrame(
        {
            "feature": np.arange(n_features, dtype=np.int32),
            "degree": degrees(source, target, n_features),
            "strength": np.bincount(ends, np.tile(edges["weight"].to_numpy(), 2), n_features).astype(np.float64),
            "frequency": frequency,
            "frequency_heldout": _share(heldout_count, heldout_tokens),
            "topk_count": counts.members,
            "live": (counts.active > 0) & (frequency >= live_frequency),
        }
    )


def _share(count: np.ndarray, tokens: int) -> np.ndarray:
    return count / tokens if tokens else np.full(len(count), np.nan)
