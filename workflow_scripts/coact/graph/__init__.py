"""The co-activation graph, its null model and its statistics.

In: sparse feature activations in batches (`coact.features.batches.SparseBatch`).
Out: tables of edges and nodes, resampled top-k sets and their edges, a dictionary of statistics, GraphML.

    build         activations -> graph; graph -> table of nodes
    pairs         pair counts and sums that merge exactly; top-k sets -> edges
    null          top-k sets -> resampled top-k sets with the same marginals
    statistics    tables of nodes and edges -> every descriptive figure of a graph,
                  by structure (components, clustering), association (correlations) and shape (bimodality)
    export        tables of nodes and edges -> NetworkX, GraphML

Import what is needed from these modules: each brings only the libraries that it uses.
"""
