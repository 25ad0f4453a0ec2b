"""Comparison of the study's columns, the pairs (model, dictionary).

Comes in: evaluation.json and statistics.json of every column.
Goes out: the summary table (one row per column), metrics.json, the table that is printed on the terminal, and the
sentences that figures and report conclude with, composed from the numbers.
"""

from coact.comparison.columns import Column, columns_of
from coact.comparison.summary import metrics, print_summary, summarize

__all__ = ["Column", "columns_of", "metrics", "print_summary", "summarize"]
