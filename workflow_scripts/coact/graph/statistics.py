"""Every descriptive figure of a graph.

In: the table of nodes and a table of edges, observed or of the null model. Out: one dictionary of plain values, in
which None means "not defined".
"""

from typing import Any

import numpy as np
import pandas as pd

from coact.graph.association import correlate, ranks
from coact.graph.degree import degrees
from coact.graph.shape import dip_test, log_degree, log_frequency, mixture_test, spread
from coact.graph.structure import describe_structure


def describe_graph(
    nodes: pd.DataFrame, edges: pd.DataFrame, *, bootstrap: int, confidence: float, listed: int, seed: int
) -> dict[str, Any]:
    """Statistics of a graph for all features and for live ones.

    Degrees are counted from `edges`, so for a null model the same `nodes` (frequencies and live features are those
    observed) go with its edges.

    Args:
        nodes: feature (ascending), frequency, frequency_heldout, live; see `coact.graph.build.node_table`.
        edges: source < target, every edge once.
        bootstrap: bootstrap samples behind each interval.
        confidence: coverage of the intervals.
        listed: features listed in each odd quadrant.
        seed: seed of the bootstrap.

    Returns:
        all, live: the figures of the graph and of the subgraph that its live features induce; see `describe_scope`.
        quadrants: see `odd_quadrants`.
    """
    features = nodes["feature"].to_numpy()
    source = np.searchsorted(features, edges["source"].to_numpy())
    target = np.searchsorted(features, edges["target"].to_numpy())
    live = nodes["live"].to_numpy(bool)
    place = np.cumsum(live) - 1
    inside = live[source] & live[target]
    options = {"bootstrap": bootstrap, "confidence": confidence, "seed": seed}
    return {
        "all": describe_scope(nodes, source, target, **options),
        "live": describe_scope(nodes[live], place[source[inside]], place[target[inside]], **options),
        "quadrants": odd_quadrants(nodes, degrees(source, target, len(nodes)), listed),
    }


def describe_scope(
    nodes: pd.DataFrame, source: np.ndarray, target: np.ndarray, *, bootstrap: int, confidence: float, seed: int
) -> dict[str, Any]:
    """Statistics of one graph.

    Args:
        nodes: frequency and frequency_heldout, one row per node.
        source, target: (edges,) rows of `nodes`.
        bootstrap, confidence, seed: see `coact.graph.association.correlate`.

    Returns:
        The figures of `coact.graph.structure.describe_structure`, and

        - pearson, spearman: degree against frequency_heldout; pearson_graph, spearman_graph: against frequency, on
          the graph's own tokens; pearson_log: log10(1 + degree) against log10 of frequency, where that is above 0.
          Each value, low, high, n, or None: see `coact.graph.association.correlate`.
        - dip_degree, dip_log_degree, dip_log_frequency: statistic, p, n; mixture_log_degree, mixture_log_frequency:
          bic_one, bic_two, preferred, means, weights. Frequencies on the graph's own tokens, above 0. None where the
          values do not vary or are too few: see `coact.graph.shape`.
    """
    degree = degrees(source, target, len(nodes))
    frequency, heldout = nodes["frequency"].to_numpy(), nodes["frequency_heldout"].to_numpy()
    fired = frequency > 0
    options = {"bootstrap": bootstrap, "confidence": confidence, "seed": seed}
    found = describe_structure(source, target, len(nodes))
    for name, against in (("", heldout), ("_graph", frequency)):
        found[f"pearson{name}"] = correlate(degree, against, ranked=False, **options)
        found[f"spearman{name}"] = correlate(degree, against, ranked=True, **options)
    found["pearson_log"] = correlate(np.log10(1 + degree[fired]), np.log10(frequency[fired]), ranked=False, **options)
    log_degrees = log_degree(degree) if _varies(degree) else None
    log_frequencies = log_frequency(frequency) if _varies(frequency[fired]) else None
    found["dip_degree"] = dip_test(spread(degree, 1.0)) if _varies(degree) else None
    found["dip_log_degree"] = dip_test(log_degrees) if log_degrees is not None else None
    found["dip_log_frequency"] = dip_test(log_frequencies) if log_frequencies is not None else None
    found["mixture_log_degree"] = mixture_test(log_degrees) if log_degrees is not None else None
    found["mixture_log_frequency"] = mixture_test(log_frequencies) if log_frequencies is not None else None
    return found


def odd_quadrants(nodes: pd.DataFrame, degree: np.ndarray, listed: int) -> dict[str, list[dict[str, Any]]]:
    """Live features whose degree is out of proportion to their frequency.

    Ranks are percentiles among live features: (mean rank - 1/2) / number of them, in (0, 1). The features with the
    largest gap between the two ranks are listed, the largest first, the lower feature first among equal gaps.

    Args:
        nodes: feature, frequency_heldout, live.
        degree: (nodes,) degree in the whole graph.
        listed: largest length of each list.

    Returns:
        low_degree_high_frequency and high_degree_low_frequency: lists, which may be empty, of feature, degree,
        frequency_heldout, degree_rank, frequency_rank, rank_gap (frequency_rank - degree_rank in the first list, the
        converse in the second; above 0).
    """
    frequency = nodes["frequency_heldout"].to_numpy()
    chosen = np.flatnonzero(nodes["live"].to_numpy(bool) & np.isfinite(frequency))
    features, degree, frequency = nodes["feature"].to_numpy()[chosen], degree[chosen], frequency[chosen]
    degree_rank = (ranks(degree) - 0.5) / max(len(chosen), 1)
    frequency_rank = (ranks(frequency) - 0.5) / max(len(chosen), 1)
    lists = {}
    for name, gap in (
        ("low_degree_high_frequency", frequency_rank - degree_rank),
        ("high_degree_low_frequency", degree_rank - frequency_rank),
    ):
        order = np.lexsort((features, -gap))[:listed]
        lists[name] = [
            {
                "feature": int(features[item]),
                "degree": int(degree[item]),
                "frequency_heldout": float(frequency[item]),
                "degree_rank": float(degree_rank[item]),
                "frequency_rank": float(frequency_rank[item]),
                "rank_gap": float(gap[item]),
            }
            for item in order
            if gap[item] > 0
        ]
    return lists


def _varies(values: np.ndarray) -> bool:
    return len(values) > 0 and bool(values.min() < values.max())
