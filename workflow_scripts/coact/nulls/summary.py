"""How a graph stands against its null models.

In: observed statistics and those of replicates; tested edges. Out: plain numbers, None where not defined.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit


def compare_with_nulls(
    observed: pd.DataFrame,
    replicates: list[pd.DataFrame],
    confidence: float,
    intervals: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Every observed statistic beside its null models.

    Args:
        observed: scope, statistic, value; see `coact.nulls.replicates.plain_statistics`.
        replicates: the tables of all jobs, with null and replicate besides.
        confidence: coverage of the intervals.
        intervals: scope -> statistic -> interval of the observed value, where there is one; see
            `coact.graph.resampling.document_intervals`.

    Returns:
        scope -> statistic -> observed, observed_interval (None where there is none) and, by the name of the null model,
        what `prediction_interval` gives.
    """
    table = pd.concat(replicates, ignore_index=True)
    drawn = {key: group["value"].to_numpy() for key, group in table.groupby(["null", "scope", "statistic"], sort=False)}
    found: dict[str, Any] = {}
    for scope, statistic, value in observed[["scope", "statistic", "value"]].itertuples(index=False):
        beside = {
            null: prediction_interval(drawn[null, scope, statistic], confidence) for null in table["null"].unique()
        }
        own = (intervals or {}).get(scope, {}).get(statistic)
        found.setdefault(scope, {})[statistic] = {"observed": value, "observed_interval": own, **beside}
    return found


def prediction_interval(values: np.ndarray, confidence: float) -> dict[str, float | int | None]:
    """The interval for one further replicate, as if replicates were normal.

    Args:
        values: (replicates,) of a statistic; NaN where it was not defined, which are left out.
        confidence: coverage.

    Returns:
        mean, sd, low, high, replicates. low to high is mean -+ t sd sqrt(1 + 1 / R), with Student's t for R - 1
        degrees of freedom. None where not defined; sd and the interval need two replicates.
    """
    values = values[np.isfinite(values)]
    number = len(values)
    found: dict[str, float | int | None] = {"mean": None, "sd": None, "low": None, "high": None, "replicates": number}
    if number:
        found["mean"] = float(values.mean())
    if number > 1:
        sd = float(values.std(ddof=1))
        reach = interval_reach(number, confidence) * sd
        found |= {"sd": sd, "low": found["mean"] - reach, "high": found["mean"] + reach}
    return found


def interval_reach(replicates: int, confidence: float) -> float:
    """Standard deviations from the mean to either end of a `prediction_interval`; NaN below two replicates."""
    if replicates < 2:
        return math.nan
    return float(stdtrit(replicates - 1, (1 + confidence) / 2)) * math.sqrt(1 + 1 / replicates)


def count_tested(edges: pd.DataFrame, repelled: pd.DataFrame, fdr: float) -> dict[str, Any]:
    """How many edges are more than chance, by null model.

    Args:
        edges: significant and significant_documents, bool.
        repelled: null, one row per pair that shares fewer tokens than by chance.
        fdr: false discovery rate of both.

    Returns:
        edges, fdr, and by the name of the null model significant (edges), significant_share (None without an edge) and
        repelled (pairs, those that share no token included).
    """
    found: dict[str, Any] = {"edges": len(edges), "fdr": fdr}
    for null, column in {"tokens": "significant", "documents": "significant_documents"}.items():
        significant = int(edges[column].sum())
        found[null] = {
            "significant": significant,
            "significant_share": significant / len(edges) if len(edges) else None,
            "repelled": int((repelled["null"] == null).sum()),
        }
    return found
