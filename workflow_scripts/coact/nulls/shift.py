"""The null model that keeps how a feature follows itself: circular shifts within documents.

In: the top-k sets of all tokens, and their documents. Out: sets in which the tokens of every feature are moved along
each document by a distance of the feature's own, the end of the document joining its beginning. Every feature keeps its
count in every document and the gaps between its tokens, so what a graph has in common with this null comes from topics
and from runs of a feature along the text; the sizes of the sets are not kept. For time series this is the circular
shift of Theiler et al. (1992, Physica D 58:77) and of surrogates of spike trains (Louis et al. 2010, Frontiers in
Computational Neuroscience 4:127).
"""

import numpy as np

from coact.graph.sets import TokenSets
from coact.nulls.kernels import shift_all


def shift_sets(sets: TokenSets, documents: np.ndarray, seed: int | list[int]) -> TokenSets:
    """Top-k sets with every feature shifted along every document.

    Args:
        sets: the observed sets, features ascending within a set.
        documents: (tokens,) integers, the document of each token; tokens of a document in their order. Special
            positions (-1) count as one document.
        seed: seed of the random numbers; nothing depends on the number of threads.

    Returns:
        Sets of the same tokens, features ascending within a set; their sizes differ from those observed.
    """
    order = np.argsort(documents, kind="stable")
    _, first = np.unique(documents[order], return_index=True)
    bounds = np.append(first, len(order)).astype(np.int64)
    words = np.random.default_rng(seed).integers(0, 2**64, max(len(bounds) - 1, 0), np.uint64)
    moved = np.empty(len(sets.indices), np.int64)
    shift_all(np.ascontiguousarray(sets.indptr, np.int64), sets.indices, order, bounds, words, moved)
    keys = np.sort(moved << 32 | sets.indices)
    counts = np.bincount(keys >> 32, minlength=len(order))
    return TokenSets(np.concatenate([[0], np.cumsum(counts)]), (keys & 0xFFFFFFFF).astype(np.int32))
