"""Comparison of the study's columns, the pairs (model, dictionary).

In: evaluation.json and statistics.json of every column. Out: the summary table (one row per column), metrics.json,
the table that is printed on the terminal, and the sentences that figures and report conclude with.

    columns       the study's columns
    summary       summary table, metrics, print
    findings      what the numbers say, as sentences
    frontier      sparsity against reconstruction of the SAEs
    sensitivity   how the graph depends on choices; saturation: on the amount of text
    rarefaction   degree and frequency at an equal number of tokens
    wording       numbers as text

Import what is needed from these modules: each brings only the libraries that it uses.
"""
