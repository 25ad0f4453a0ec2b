"""How the statistics of a graph vary with the documents that it was counted on.

In: the nodes, the edges, and the top-k sets with the document of each. Out: an interval for each statistic, from
samples of documents drawn with replacement; None where not defined.

Tokens of a document are alike, so documents are drawn, not tokens (the bootstrap: Efron and Tibshirani 1993, An
Introduction to the Bootstrap, chapter 6; of clusters: Davison and Hinkley 1997, Bootstrap Methods and their
Application, section 3.8). A graph only asks whether any document has an edge: which documents have it is listed once,
and a sample keeps the edges that one of its documents has. How often it drew a document makes no difference.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from coact.graph.association import correlation
from coact.graph.centrality import assortativity
from coact.graph.clustering import local_clustering
from coact.graph.degree import degrees
from coact.graph.sets import TokenSets

PAIRS_AT_ONCE = 1 << 22  # pair occurrences that are held and sorted together, 8 bytes each
LEAST_DOCUMENTS = 2
CORRELATION = (-1.0, 1.0)
# The least and the largest value that each statistic can have; those that grow with the graph are bounded below.
RANGES = {
    "edges": (0.0, np.inf),
    "mean_degree": (0.0, np.inf),
    "density": (0.0, 1.0),
    "average_clustering": (0.0, 1.0),
    "assortativity": CORRELATION,
    "pearson": CORRELATION,
    "spearman": CORRELATION,
    "pearson_log": CORRELATION,
}
Found = dict[str, dict[str, float | None]]


def count_documents(documents: np.ndarray) -> dict[str, int]:
    """How much text a graph is counted on.

    Args:
        documents: (tokens,) integers, the document of each kept token, -1 at special positions.

    Returns:
        tokens (kept, special positions included), documents, and longest_document (its kept tokens; 0 without one).
    """
    sizes = np.unique(documents[documents >= 0], return_counts=True)[1]
    return {"tokens": len(documents), "documents": len(sizes), "longest_document": int(sizes.max(initial=0))}


def document_intervals(
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    sets: TokenSets,
    documents: np.ndarray,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Intervals of statistics under resampling of documents.

    A sample has as many documents as there are, drawn with replacement, and so holds only about 63 % of the distinct
    ones: its graph has fewer edges than the observed one, whatever the text. Its values are therefore no guesses at
    the observed value, and their quantiles no interval around it. What they tell is how far values lie apart when the
    documents are others: their deviations from their own mean are put around the observed value. The graph of fewer
    tokens stands in for one of as many, so the width is a guide. Which features are live, and the frequencies on
    other tokens, stay those observed.

    Args:
        nodes: frequency, frequency_heldout, live; one row per feature, see `coact.graph.build.node_table`.
        edges: source < target, sorted: the pairs of features that any of the sets holds.
        sets: a set per token.
        documents: (tokens,) integers, the document of each set. Sets at special positions (-1) belong to no document
            and are in every sample, as they are in the observed graph.
        samples: number of samples of documents.
        confidence: coverage, in (0, 1).
        seed: seed of the samples.

    Returns:
        Scope (all, live) -> statistic (the keys of `RANGES`, defined as in `coact.graph.statistics.describe_scope`) ->
        low, high (the observed value plus quantiles of the deviations, within the statistic's possible range), sd
        (standard deviation of the samples) and samples (those in which the statistic is defined); or None where it is
        not defined in the observed graph or in more than half of the samples, and for all below two documents or two
        samples.
    """
    distinct, place = np.unique(documents[documents >= 0], return_inverse=True)
    if len(distinct) < LEAST_DOCUMENTS or samples < 2:
        return {scope: dict.fromkeys(RANGES) for scope in ("all", "live")}
    owner = np.full(len(documents), len(distinct), np.int64)  # special positions: one more, which every sample has
    owner[documents >= 0] = place
    graph = _Graph(nodes, edges)
    bounds, holders = _list_documents(graph, sets, owner, len(distinct) + 1)
    observed = graph.describe(np.ones(len(edges), bool))
    drawn = [graph.describe(_held(bounds, holders, sample)) for sample in _draw(len(distinct), samples, seed)]
    return {
        scope: {
            name: _interval(value, [found[scope][name] for found in drawn], RANGES[name], confidence)
            for name, value in observed[scope].items()
        }
        for scope in observed
    }


def _draw(n_documents: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """(documents + 1,) bool for each sample, the documents that it holds; the last one is in all."""
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        sample = np.zeros(n_documents + 1, bool)
        sample[generator.integers(0, n_documents, n_documents)] = True
        sample[-1] = True
        yield sample


def _interval(
    observed: float | None, drawn: list[float | None], limits: tuple[float, float], confidence: float
) -> dict[str, Any] | None:
    values = np.array([value for value in drawn if value is not None], np.float64)
    if observed is None or len(values) < 2 or 2 * len(values) < len(drawn):
        return None
    quantiles = np.quantile(values - values.mean(), [(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.clip(observed + quantiles, *limits)
    return {"low": float(low), "high": float(high), "sd": float(values.std(ddof=1)), "samples": len(values)}


class _Graph:
    """Nodes and edges, some of which are taken away."""

    def __init__(self, nodes: pd.DataFrame, edges: pd.DataFrame) -> None:
        self.source, self.target = (edges[end].to_numpy(np.int64) for end in ("source", "target"))
        self.live = nodes["live"].to_numpy(bool)
        self.inside = self.live[self.source] & self.live[self.target]
        self.place = np.cumsum(self.live) - 1
        self.frequencies = nodes["frequency"].to_numpy(), nodes["frequency_heldout"].to_numpy()

    def describe(self, edge: np.ndarray) -> Found:
        """Statistics of the graph with the edges for which `edge` (bool) is True, of all and of live features."""
        figures = _figures(self.source[edge], self.target[edge], len(self.live))
        chosen = edge & self.inside
        if self.inside.all():
            live_figures = figures[0][self.live], figures[1][self.live], figures[2]
        else:
            ends = self.place[self.source[chosen]], self.place[self.target[chosen]]
            live_figures = _figures(*ends, int(self.live.sum()))
        live_frequencies = (values[self.live] for values in self.frequencies)
        return {
            "all": _statistics(*figures, *self.frequencies),
            "live": _statistics(*live_figures, *live_frequencies),
        }


def _figures(source: np.ndarray, target: np.ndarray, n_nodes: int) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Degree and clustering of every node; assortativity."""
    return (
        degrees(source, target, n_nodes),
        local_clustering(source, target, n_nodes),
        assortativity(source, target, n_nodes),
    )


def _statistics(
    degree: np.ndarray, clustering: np.ndarray, mixing: float | None, frequency: np.ndarray, heldout: np.ndarray
) -> dict[str, float | None]:
    n, edges, fired = len(degree), int(degree.sum()) // 2, frequency > 0
    return {
        "edges": edges,
        "mean_degree": 2 * edges / n if n else None,
        "density": 2 * edges / (n * (n - 1)) if n > 1 else None,
        "average_clustering": float(clustering.mean()) if n else None,
        "assortativity": mixing,
        "pearson": correlation(degree, heldout, ranked=False),
        "spearman": correlation(degree, heldout, ranked=True),
        "pearson_log": correlation(np.log10(1 + degree[fired]), np.log10(frequency[fired]), ranked=False),
    }


def _list_documents(graph: _Graph, sets: TokenSets, owner: np.ndarray, n_owners: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct owners of sets that hold each edge: (edges + 1,) bounds and (incidences,) owners, int64."""
    starts = np.searchsorted(graph.source, np.arange(len(graph.live) + 1))
    indptr, indices = np.ascontiguousarray(sets.indptr, np.int64), np.ascontiguousarray(sets.indices, np.int32)
    sizes = np.diff(indptr)
    written = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    parts, first = [np.empty(0, np.int64)], 0
    while first < len(sizes):
        last = max(int(np.searchsorted(written, written[first] + PAIRS_AT_ONCE, side="right")) - 1, first + 1)
        codes = np.empty(written[last] - written[first], np.int64)
        used = _write_codes(indptr, indices, owner, first, last, starts, graph.target, n_owners, codes)
        parts.append(_distinct(codes[:used]))
        first = last
    found = _distinct(np.concatenate(parts))
    per_edge = np.bincount(found // n_owners, minlength=len(graph.source))
    return np.concatenate([[0], np.cumsum(per_edge)]), found % n_owners


def _distinct(codes: np.ndarray) -> np.ndarray:
    """Sorted, each once; several times as fast as `np.unique`, which hashes. Sorts in place."""
    codes.sort()
    return codes[np.concatenate([[True], codes[1:] != codes[:-1]])] if len(codes) else codes


@njit(cache=True)
def _write_codes(
    indptr: np.ndarray,
    indices: np.ndarray,
    owner: np.ndarray,
    first: int,
    last: int,
    starts: np.ndarray,
    target: np.ndarray,
    n_owners: int,
    codes: np.ndarray,
) -> int:
    """Fill `codes` with edge x owners + owner for every pair in the sets first..last-1; returns how many they are."""
    out = 0
    for token in range(first, last):
        for low in range(indptr[token], indptr[token + 1]):
            edge, end = starts[indices[low]], starts[indices[low] + 1]
            for high in range(low + 1, indptr[token + 1]):
                # The edges of a feature ascend as the members of a set do, so the search goes on where it ended.
                edge += np.searchsorted(target[edge:end], indices[high])
                if edge < end and target[edge] == indices[high]:
                    codes[out] = edge * n_owners + owner[token]
                    out += 1
    return out


@njit(cache=True)
def _held(bounds: np.ndarray, holders: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """(edges,) bool, whether the sample has an owner of a set that holds the edge."""
    held = np.zeros(len(bounds) - 1, np.bool_)
    for edge in range(len(held)):
        for entry in range(bounds[edge], bounds[edge + 1]):
            if sample[holders[entry]]:
                held[edge] = True
                break
    return held
