"""The co-activation graph.

In: batches of sparse feature activations. Out: `Graph` with its edges, and the table of nodes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np
import pandas as pd

from coact.errors import ConfigError
from coact.features.batches import SparseBatch
from coact.graph.degree import degrees
from coact.graph.kernels import dot_columns, group_by, select_topk, squared_norms, transpose
from coact.graph.pairs import PairSums, PairTable, TopkSets, count_members, count_pairs

PIECES_PER_THREAD = 8


@dataclass(frozen=True)
class Graph:
    """A co-activation graph and what it was counted from.

    Attributes:
        n_features: number of features D, live or not.
        n_tokens: tokens that were kept.
        n_batches: batches that were read.
        edges: source int32 < target int32, count int64, weight float64; sorted by source, then target.
        topk_count: (D,) int64, tokens whose top-k set holds the feature.
        active_count: (D,) int64, tokens on which the feature is active.
        sets: the top-k sets of all kept tokens, in order.
        documents: (kept tokens,) int32, the document of each, -1 at special positions.
    """

    n_features: int
    n_tokens: int
    n_batches: int
    edges: pd.DataFrame
    topk_count: np.ndarray
    active_count: np.ndarray
    sets: TopkSets
    documents: np.ndarray


def coactivation_graph(batches: Iterable[SparseBatch], k: int) -> Graph:
    """Top-k co-activation graph of SAE features.

    Two features are linked when both are among the k largest strictly positive activations of a token (ties: lower
    index). The weight is the mean over batches of the cosine between the two activation columns, all activations
    counted, weighted by the batch's number of tokens that link the two. Sums are float64.

    Memory grows with the number of edges and with one batch; the returned top-k sets take 4 k + 12 bytes per token.

    Args:
        batches: CSR activations, each (tokens, features), read once.
        k: size of a token's top-k set, 2 <= k <= features.

    Raises:
        ConfigError: k is out of range, there is no batch, or the batches disagree on the number of features.
    """
    if k < 2:
        raise ConfigError(f"graph.k is {k}; expected at least 2, since a pair takes two features")
    totals, kept_sets, documents = PairSums(measures=1), [], []
    n_features, n_tokens, n_batches, active_count = -1, 0, 0, np.zeros(0, np.int64)
    for batch in batches:
        if n_batches == 0:
            n_features, active_count = batch.n_features, np.zeros(batch.n_features, np.int64)
            if k > n_features:
                raise ConfigError(f"graph.k is {k}; expected at most the number of features, {n_features:,}")
        if batch.n_features != n_features:
            raise ConfigError(
                f"batch {n_batches} has {batch.n_features:,} features; expected {n_features:,} as in those before it"
            )
        sets = topk_sets(batch, k)
        totals.add(batch_cosines(batch, count_pairs(sets)))
        kept_sets.append(sets)
        documents.append(batch.documents[batch.kept])
        active_count += np.bincount(batch.indices, minlength=n_features)
        n_tokens += len(sets.indptr) - 1
        n_batches += 1
    if n_batches == 0:
        raise ConfigError("graph.batches: there is no batch to build a graph from; expected at least one")
    table, sets = totals.total(), join_sets(kept_sets)
    edges = pd.DataFrame(
        {
            "source": table.source,
            "target": table.target,
            "count": table.counts,
            "weight": table.sums[:, 0] / table.counts,
        }
    )
    topk_count = count_members(sets, n_features)
    return Graph(n_features, n_tokens, n_batches, edges, topk_count, active_count, sets, np.concatenate(documents))


def topk_sets(batch: SparseBatch, k: int) -> TopkSets:
    """The k largest activations of every kept token of a batch; fewer where fewer are active."""
    indptr, indices, values = batch.arrays()
    set_indptr = np.concatenate([[0], np.cumsum(np.minimum(np.diff(indptr), k))])
    set_indices = np.empty(set_indptr[-1], np.int32)
    select_topk(indptr, indices, values, k, set_indptr, set_indices)
    # Rows that are not kept are empty, so leaving out their bounds is all it takes.
    return TopkSets(np.concatenate([[0], set_indptr[1:][batch.kept]]), set_indices)


def batch_cosines(batch: SparseBatch, pairs: PairTable) -> PairTable:
    """`pairs` of one batch with one measure: count times the cosine of the two activation columns in the batch."""
    indptr, indices, values = batch.arrays()
    bounds, rows, column_values = transpose(indptr, indices, values, batch.n_features)
    norms, lengths = squared_norms(bounds, column_values), np.diff(bounds)
    source, target = pairs.source, pairs.target
    swap = lengths[source] < lengths[target]
    longer, shorter = np.where(swap, target, source), np.where(swap, source, target)
    order = group_by(longer, batch.n_features)
    # Pieces of about equal work: the shorter column is read for each pair.
    work = np.cumsum(lengths[shorter[order]] + 1)
    n_pieces = PIECES_PER_THREAD * numba.get_num_threads()
    cuts = np.searchsorted(work, np.linspace(0, work[-1] if len(work) else 0, n_pieces + 1), side="right")
    cuts[0], cuts[-1] = 0, len(order)
    dots = dot_columns(order, longer, shorter, cuts, len(indptr) - 1, bounds, rows, column_values)
    cosines = np.minimum(dots / np.sqrt(norms[source] * norms[target]), 1.0)
    return PairTable(pairs.keys, pairs.counts, (pairs.counts * cosines)[:, None])


def node_table(graph: Graph, heldout_count: np.ndarray, heldout_tokens: int, live_frequency: float) -> pd.DataFrame:
    """The nodes of a graph, one row per feature.

    Args:
        graph: the graph.
        heldout_count: (D,) int64, held-out tokens on which each feature is active.
        heldout_tokens: kept held-out tokens.
        live_frequency: least frequency of a live feature.

    Returns:
        feature int32, degree int64 (neighbours), strength float64 (sum of the weights), frequency float64 (share of
        the graph's tokens on which the feature is active; NaN where there is no token), frequency_heldout float64
        (likewise on held-out tokens), topk_count int64, live bool (fired on the graph's tokens, and its frequency
        there is at least `live_frequency`).
    """
    source, target = graph.edges["source"].to_numpy(), graph.edges["target"].to_numpy()
    weight, ends = graph.edges["weight"].to_numpy(), np.concatenate([source, target])
    frequency = _share(graph.active_count, graph.n_tokens)
    return pd.DataFrame(
        {
            "feature": np.arange(graph.n_features, dtype=np.int32),
            "degree": degrees(source, target, graph.n_features),
            "strength": np.bincount(ends, np.tile(weight, 2), graph.n_features).astype(np.float64),
            "frequency": frequency,
            "frequency_heldout": _share(heldout_count, heldout_tokens),
            "topk_count": graph.topk_count,
            "live": (graph.active_count > 0) & (frequency >= live_frequency),
        }
    )


def _share(count: np.ndarray, tokens: int) -> np.ndarray:
    return count / tokens if tokens else np.full(len(count), np.nan)


def join_sets(parts: list[TopkSets]) -> TopkSets:
    """The sets of several parts, one after another."""
    sizes = np.concatenate([np.diff(part.indptr) for part in parts])
    return TopkSets(np.concatenate([[0], np.cumsum(sizes)]), np.concatenate([part.indices for part in parts]))
