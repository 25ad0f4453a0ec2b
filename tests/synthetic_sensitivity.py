"""Plausible tables of rule measure_sensitivity, for tests of comparison, figures and report."""

import numpy as np
import pandas as pd

SIZES = {2: 0.4, 4: 1.0, 8: 2.2}  # k -> edges, relative to those of the study's own rule
TYPES = {"k": np.int32, "batches": np.int32, "edges": np.int64}


def make_sensitivity(
    nodes: pd.DataFrame,
    null_nodes: pd.DataFrame,
    *,
    batches: int = 50,
    points: int = 8,
    thresholds: tuple[float, ...] = (2.0,),
    special: tuple[bool, ...] = (False, True),
) -> pd.DataFrame:
    """sensitivity.parquet: edges grow as powers of the number of batches up to those of the degrees given.

    Args:
        nodes, null_nodes: of one column, as `synthetic_artefacts` makes them.
        batches, points: largest number of batches, numbers of batches.
        thresholds, special: rules beside `SIZES`, and choices of special positions.
    """
    live = nodes["live"].to_numpy(bool)
    n, frequency = int(live.sum()), nodes["frequency_heldout"].to_numpy()[live]
    rules = [(f"k{k}", k, np.nan, share) for k, share in SIZES.items()]
    rules += [(f"above{threshold:g}", 0, threshold, 1.3) for threshold in thresholds]
    rows = []
    for rule, k, threshold, share in rules:
        for kept in special:
            for graph, table, power in (("observed", nodes, 0.45), ("null", null_nodes, 0.25)):
                degree = table["degree"].to_numpy()[live]
                r, most = _pearson(degree, frequency), share * degree.sum() / 2 * (1.01 if kept else 1)
                for upto in np.unique(np.rint(np.geomspace(1, batches, points)).astype(int)):
                    edges = round(most * (upto / batches) ** power)
                    row = {"rule": rule, "k": k, "threshold": threshold, "include_special": kept, "graph": graph,
                           "batches": upto, "edges": edges, "mean_degree": 2 * edges / n if n else np.nan,
                           "density": 2 * edges / (n * (n - 1)) if n > 1 else np.nan,
                           "pearson": r * (1 - 0.02 * np.log(upto) * (graph == "null")) if edges else np.nan,
                           "spearman": r if edges else np.nan,
                           "average_clustering": np.nan}  # fmt: skip
                    if upto == batches:
                        row["average_clustering"] = (0.2 if graph == "observed" else 0.35) * share / 2
                    rows.append(row)
    return pd.DataFrame(rows).astype(TYPES)


def make_rarefaction(nodes: pd.DataFrame, null_nodes: pd.DataFrame, tokens: int = 100, seed: int = 0) -> pd.DataFrame:
    """rarefaction.parquet: rarefied degrees that rise with frequency, in the null only by noise."""
    live = nodes["live"].to_numpy(bool)
    table = nodes.loc[live, ["feature", "frequency_heldout", "topk_count", "degree"]].reset_index(drop=True)
    table["degree_null"] = null_nodes["degree"].to_numpy()[live]
    rng, enough = np.random.default_rng(seed), table["topk_count"] >= tokens
    noise = rng.normal(1, 0.2, (2, len(table)))
    observed = 12 * (table["frequency_heldout"] / 0.001 + 0.1) ** 0.3 * noise[0]
    table["rarefied_degree"] = observed.where(enough)
    table["rarefied_degree_null"] = (180 + 5 * noise[1]) * np.where(enough, 1.0, np.nan)
    return table.astype({"feature": np.int32})


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 3 or x.min() == x.max() or y.min() == y.max():
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
