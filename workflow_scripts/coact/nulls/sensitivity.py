"""How a graph depends on choices: the rule for sets, special positions, the number of batches.

In: batches of sparse activations, and the nodes of the study's graph. Out: a table with one row for every combination,
observed and of the null model, and the rarefied degrees of the study's own rule. Width and seed of the SAE are columns
of the study.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coact.features.batches import SparseBatch
from coact.graph.association import correlation
from coact.graph.counting import count_batches
from coact.graph.degree import degrees
from coact.graph.pairs import PairSums, PairTable, count_pairs
from coact.graph.rarefaction import rarefied_degree
from coact.graph.sets import SetRule, TokenSets, join_sets, slice_sets
from coact.graph.structure import describe_structure
from coact.nulls.curveball import resample_sets
from coact.progress import tracked


@dataclass(frozen=True)
class Sensitivity:
    """What `measure_sensitivity` finds.

    Attributes:
        grid: rule, k int32 (0 where the rule is a threshold), threshold float64 (NaN where it is not), include_special
            bool, graph ("observed" or "null"), batches int32, edges int64, mean_degree, density, pearson, spearman
            and average_clustering float64, NaN where not defined. All among live features; pearson and spearman of
            degree with held-out frequency; average_clustering at the largest number of batches only.
        rarefaction: per live feature feature int32, frequency_heldout, topk_count int64, degree and degree_null int64,
            rarefied_degree and rarefied_degree_null float64 (see `coact.graph.rarefaction`), of the study's own rule.
    """

    grid: pd.DataFrame
    rarefaction: pd.DataFrame


def measure_sensitivity(
    read: Callable[[bool], Iterable[SparseBatch]],
    nodes: pd.DataFrame,
    rules: Sequence[SetRule],
    special: Sequence[bool],
    *,
    points: int,
    rarefaction_tokens: int,
    seed: int,
    sweeps: int,
) -> Sensitivity:
    """Graphs by every rule, with and without special positions, of the first batches and of all.

    Args:
        read: the batches, special positions kept or not.
        nodes: feature (ascending), live, frequency_heldout, topk_count: those of the study's own graph.
        rules: the first one is the study's own.
        special: whether special positions are kept; the first one is the study's own choice.
        points: numbers of batches to look at, from 1 to all, spread evenly over their logarithm.
        rarefaction_tokens: size of the samples of rarefied degrees.
        seed, sweeps: of the null model, which draws one replicate over all batches for each rule; a curve of the null
            is that of the replicate's first batches.
    """
    rows: list[dict[str, Any]] = []
    rarefaction = None
    for number, include_special in enumerate(special):
        found = count_batches(read(include_special), rules, keep=[rule.name for rule in rules], weigh=False)
        for place, rule in tracked(enumerate(rules), len(rules), "graphs and their null", "rules"):
            parts = found.sets[rule.name]
            null = null_pairs(parts, len(nodes), sweeps, [seed, number, place])
            tables = {"observed": found.counts[rule.name].pairs, "null": null}
            for graph, pairs in tables.items():
                what = {
                    "rule": rule.name,
                    "k": rule.k or 0,
                    "threshold": np.nan if rule.k else rule.threshold,
                    "include_special": include_special,
                    "graph": graph,
                }
                rows += [what | point for point in curve(pairs, nodes, len(parts), points)]
            if rarefaction is None:
                rarefaction = rarefy(tables["observed"], null, nodes, rarefaction_tokens)
    grid = pd.DataFrame(rows).astype({"k": np.int32, "batches": np.int32, "edges": np.int64})
    return Sensitivity(grid, rarefaction)


def null_pairs(parts: Sequence[TokenSets], n_features: int, sweeps: int, seed: list[int]) -> PairTable:
    """The pairs of one replicate of the degree-preserving null model, with the first batch that has each.

    Args:
        parts: the sets of each batch.
        n_features: number of features D.
        sweeps, seed: see `coact.nulls.curveball.resample_sets`.
    """
    drawn, _ = resample_sets(join_sets(parts), n_features, sweeps, seed)
    total, start = PairSums(), 0
    for batch, part in enumerate(parts):
        stop = start + len(part.indptr) - 1
        total.add(count_pairs(slice_sets(drawn, start, stop), batch))
        start = stop
    return total.total()


def curve(pairs: PairTable, nodes: pd.DataFrame, batches: int, points: int) -> list[dict[str, Any]]:
    """Statistics of the graph of the first batches, for up to `points` numbers of batches from 1 to all."""
    live = nodes["live"].to_numpy(bool)
    inside = live[pairs.source] & live[pairs.target]
    place = np.cumsum(live) - 1
    source, target, first = place[pairs.source[inside]], place[pairs.target[inside]], pairs.first[inside]
    heldout, n_live = nodes["frequency_heldout"].to_numpy()[live], int(live.sum())
    found = []
    for upto in np.unique([*np.rint(np.geomspace(1, batches, points)).astype(int), batches]):
        there = first < upto
        degree = degrees(source[there], target[there], n_live)
        edges, possible = int(there.sum()), n_live * (n_live - 1) // 2
        clustering = None
        if upto == batches:
            clustering = describe_structure(source, target, n_live)["average_clustering"]
        found.append(
            {
                "batches": upto,
                "edges": edges,
                "mean_degree": _number(2 * edges / n_live if n_live else None),
                "density": _number(edges / possible if possible else None),
                "pearson": _number(correlation(degree, heldout, ranked=False)),
                "spearman": _number(correlation(degree, heldout, ranked=True)),
                "average_clustering": _number(clustering),
            }
        )
    return found


def rarefy(observed: PairTable, null: PairTable, nodes: pd.DataFrame, tokens: int) -> pd.DataFrame:
    """Degrees and rarefied degrees of live features, observed and in the null model; see `Sensitivity`."""
    live, topk_count = nodes["live"].to_numpy(bool), nodes["topk_count"].to_numpy()
    table = nodes[["feature", "frequency_heldout", "topk_count"]].copy()
    for suffix, pairs in (("", observed), ("_null", null)):
        table[f"degree{suffix}"] = degrees(pairs.source, pairs.target, len(nodes)).astype(np.int64)
        table[f"rarefied_degree{suffix}"] = rarefied_degree(
            pairs.source, pairs.target, pairs.counts, topk_count, tokens
        )
    order = ["feature", "frequency_heldout", "topk_count", "degree", "degree_null"]
    return table.loc[live, [*order, "rarefied_degree", "rarefied_degree_null"]].reset_index(drop=True)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
