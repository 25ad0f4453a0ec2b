"""Null models: what the graph would look like by chance, in every figure of it and in every edge.

In: the top-k sets of all tokens with their documents, nodes, edges. Out: replicates of every statistic under each null
model, and what of an edge's count is more, or less, than chance.

    curveball, shift    top-k sets -> sets drawn from a null model
    replicates          the same -> statistics of every replicate
    summary             observed and replicated statistics, tested edges -> what the report says
    significance        top-k sets and edges -> expected count, z, p and q of every pair,
                        by inclusion (the maximum-entropy model) and tails (p, false discovery rate)
"""
