"""Comparison of the study's columns, the pairs (model, dictionary).

In: evaluation.json and statistics.json of every column. Out: the summary table (one row per column), metrics.json,
the table that is printed on the terminal, and the sentences that figures and report conclude with.

    columns    the study's columns
    summary    summary table, metrics, print
    findings   what the numbers say, as sentences
    wording    numbers as text

Import what is needed from these modules: each brings only the libraries that it uses.
"""
