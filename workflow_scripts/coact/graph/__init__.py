"""The co-activation graph, its communities and its statistics.

In: sparse feature activations in batches (`coact.features.batches.SparseBatch`).
Out: tables of edges and nodes, communities and centralities, a dictionary of statistics, GraphML and GEXF.

    build         activations -> graph; graph -> table of nodes
    pairs         pair counts and sums that merge exactly; top-k sets -> edges
    measures      edges and counts -> further measures of an edge
    partition     tested edges -> communities and centralities, and what speaks for them,
                  by communities (Leiden, agreement) and centrality
    statistics    tables of nodes and edges -> every descriptive figure of a graph,
                  by structure (components, clustering), association (correlations) and shape (bimodality)
    export        tables of nodes and edges -> NetworkX, GraphML, GEXF

Import what is needed from these modules: each brings only the libraries that it uses.
"""
