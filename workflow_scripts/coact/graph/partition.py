"""The communities of the graph's significant edges, and what speaks for them.

In: tested edges, top-k sets with their documents, held-out top-k sets, decoder rows. Out: a row per feature with its
community and centralities, and the agreement of the communities with those of other seeds, resolutions, documents and
of the decoder's directions.
"""

from typing import Any

import numpy as np
import pandas as pd

from coact.graph.centrality import centralities
from coact.graph.communities import BLOCKS, agreement, bootstrap_agreement, decoder_clusters, leiden, stability
from coact.graph.pairs import edges_of_sets
from coact.graph.sets import TokenSets


def partition_graph(
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    sets: TokenSets,
    documents: np.ndarray,
    heldout: TokenSets,
    decoder: np.ndarray,
    *,
    seed: int,
    resolution: float,
    resolutions: list[float],
    seeds: int,
    bootstrap: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Communities and centralities on the significant edges, weighted by their counts.

    Args:
        nodes: feature, live; one row per feature, ascending.
        edges: source < target, count, significant; sorted.
        sets, documents: the graph's top-k sets and the document of each.
        heldout: top-k sets of tokens that the graph does not use.
        decoder: (D, d_in).
        seed, resolution: of the communities.
        resolutions, seeds: further resolutions, and the number of seeds, that the communities are held against.
        bootstrap: bootstrap samples of documents.

    Returns:
        The table: feature int32, community int32 (-1 without a significant edge) and the columns of
        `coact.graph.centrality.centralities`. The summary: edges (significant ones), communities (of two or more
        features), stability, bootstrap (None with fewer documents than blocks), heldout and decoder; see
        `coact.graph.communities`.
    """
    chosen = edges.loc[edges["significant"], ["source", "target", "count"]].reset_index(drop=True)
    number = len(nodes)
    arrays = (chosen["source"].to_numpy(), chosen["target"].to_numpy(), chosen["count"].to_numpy(np.float64), number)
    labels = leiden(*arrays, resolution=resolution, seed=seed)
    central = centralities(*arrays, seed=seed)
    table = pd.concat([nodes[["feature"]].assign(community=labels), central], axis=1)
    groups = int((np.bincount(labels[labels >= 0]) > 1).sum())
    enough = len(np.unique(documents[documents >= 0])) >= BLOCKS
    resampled = {"samples": bootstrap, "resolution": resolution, "seed": seed, "pairs": chosen[["source", "target"]]}
    clusters = decoder_clusters(decoder, nodes["live"].to_numpy(bool), max(groups, 1), seed)
    return table, {
        "edges": len(chosen),
        "communities": groups,
        "betweenness": central.attrs["betweenness"],
        "stability": stability(
            *arrays, resolutions=resolutions, seeds=list(range(seed, seed + seeds)), base_resolution=resolution
        ),
        "bootstrap": bootstrap_agreement(sets, documents, number, **resampled) if enough else None,
        "heldout": agreement(labels, _heldout_labels(chosen, heldout, number, resolution, seed)),
        "decoder": agreement(labels, clusters),
    }


def _heldout_labels(
    chosen: pd.DataFrame, heldout: TokenSets, n_features: int, resolution: float, seed: int
) -> np.ndarray:
    """Communities of the same pairs with the counts of held-out tokens."""
    counted = edges_of_sets(heldout).merge(chosen[["source", "target"]], on=["source", "target"])
    return leiden(
        counted["source"].to_numpy(),
        counted["target"].to_numpy(),
        counted["count"].to_numpy(np.float64),
        n_features,
        resolution=resolution,
        seed=seed,
    )
