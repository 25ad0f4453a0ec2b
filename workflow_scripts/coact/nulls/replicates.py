"""Replicates of the null models, and the statistics of each.

In: the top-k sets of all tokens with their documents, and the nodes. Out: the plain statistics of every replicate.

Null models, by name:
    tokens      every feature keeps its number of top-k sets, every token the size of its set
    documents   the same within every document: topics stay
    shift       every feature is shifted along every document: topics and runs stay, sizes of sets do not
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coact.graph.association import correlation
from coact.graph.communities import leiden, modularity
from coact.graph.degree import degrees
from coact.graph.sets import TokenSets
from coact.graph.shape import dip_test, log_degree, mixture_test, skewness, spread
from coact.graph.structure import describe_structure
from coact.nulls.curveball import Curveball, null_edges
from coact.nulls.shift import shift_sets
from coact.progress import tracked
from coact.study import NULLS

SCOPES = ("all", "live")
STRUCTURE = (
    "edges",
    "mean_degree",
    "max_degree",
    "density",
    "components",
    "largest_component",
    "isolated",
    "average_clustering",
    "assortativity",
)


@dataclass(frozen=True)
class Replicates:
    """Replicates of a null model.

    Attributes:
        statistics: null, replicate (int32, from 0), scope, statistic, value; see `plain_statistics`.
        mixing: for every replicate the records of `Curveball.sweep` that led to it; none for circular shifts.
        edges: source, target, count of the first replicate.
        nodes: feature, null and, int64, degree (in the first replicate), degree_sum and degree_squares (sums of the
            degree and of its square over the replicates), replicates (their number). Integers: parts add up exactly.
    """

    statistics: pd.DataFrame
    mixing: list[list[dict[str, float | int | None]]]
    edges: pd.DataFrame
    nodes: pd.DataFrame


def sample_null(
    null: str,
    sets: TokenSets,
    documents: np.ndarray,
    nodes: pd.DataFrame,
    *,
    replicates: int,
    chain: dict[str, int],
    communities: dict[str, Any],
    part: int,
) -> Replicates:
    """Replicates of a null model and their statistics.

    Args:
        null: name of the null model.
        sets, documents: the observed sets, and the document of each token, -1 at special positions.
        nodes: see `coact.graph.build.node_table`.
        replicates: how many, at least 1.
        chain: seed; sweeps before the first replicate; sweeps_between, from one replicate to the next (tokens and
            documents). An entry stays through a sweep with a probability of about one half, so five leave little of
            the replicate before.
        communities: resolution and seed, see `plain_statistics`.
        part: tells apart jobs that draw replicates of the same null model.
    """
    seed = [chain["seed"], NULLS.index(null), part]
    curveball = (
        None if null == "shift" else Curveball(sets, len(nodes), seed, documents if null == "documents" else None)
    )
    tables, mixing, found_degrees, first = [], [], [], None
    for number in tracked(range(replicates), replicates, f"null model '{null}'", "replicates"):
        if null == "shift":
            mixing.append([])
            drawn = shift_sets(sets, documents, [*seed, number])
        else:
            mixing.append(curveball.sweep(chain["sweeps_between"] if number else chain["sweeps"]))
            drawn = curveball.sets()
        edges = null_edges(drawn, len(nodes))
        first = edges if first is None else first
        found_degrees.append(degrees(edges["source"].to_numpy(), edges["target"].to_numpy(), len(nodes)))
        table = plain_statistics(nodes, edges, **communities)
        tables.append(table.assign(null=null, replicate=np.int32(number)))
    drawn_degrees = np.stack(found_degrees)
    summed = nodes[["feature"]].assign(
        null=null,
        degree=drawn_degrees[0],
        degree_sum=drawn_degrees.sum(axis=0),
        degree_squares=(drawn_degrees**2).sum(axis=0),
        replicates=np.int64(replicates),
    )
    return Replicates(pd.concat(tables, ignore_index=True), mixing, first, summed)


def plain_statistics(nodes: pd.DataFrame, edges: pd.DataFrame, resolution: float, seed: int) -> pd.DataFrame:
    """The statistics that are compared with their null, of all features and of live ones.

    Args:
        nodes: feature (ascending), frequency, frequency_heldout, live; see `coact.graph.build.node_table`.
        edges: source < target, count.
        resolution, seed: of the communities, see `coact.graph.communities.leiden`.

    Returns:
        scope, statistic, value (float64, NaN where not defined): the figures of `describe_structure`, the Pearson
        and Spearman correlation of degree with held-out frequency (pearson, spearman), Pearson's of log10(1 + degree)
        with log10 frequency (pearson_log), mean, standard deviation and skewness of log10(1 + degree), the dip of
        degree and log degree, the BIC of one normal component minus that of two for log degree (bic_gain_log_degree,
        above 0 where two fit better; see `coact.graph.shape.mixture_test`), the modularity of the communities and
        their number, one-member ones not counted.
    """
    features = nodes["feature"].to_numpy()
    source = np.searchsorted(features, edges["source"].to_numpy())
    target = np.searchsorted(features, edges["target"].to_numpy())
    weight = edges["count"].to_numpy(np.float64)
    live = nodes["live"].to_numpy(bool)
    place, inside = np.cumsum(live) - 1, live[source] & live[target]
    options = {"resolution": resolution, "seed": seed}
    ends, live_ends = (source, target), (place[source[inside]], place[target[inside]])
    labels = leiden(*ends, weight, len(nodes), **options)
    # Nodes without an edge have no part in communities: where all edges join live features they are the same.
    live_labels = labels[live] if inside.all() else leiden(*live_ends, weight[inside], int(live.sum()), **options)
    found = {
        "all": _scope_statistics(nodes, *ends, weight, labels),
        "live": _scope_statistics(nodes[live], *live_ends, weight[inside], live_labels),
    }
    rows = [(scope, name, value) for scope in SCOPES for name, value in found[scope].items()]
    table = pd.DataFrame(rows, columns=["scope", "statistic", "value"])
    return table.astype({"value": np.float64})


def _scope_statistics(
    nodes: pd.DataFrame, source: np.ndarray, target: np.ndarray, weight: np.ndarray, labels: np.ndarray
) -> dict[str, float | None]:
    degree = degrees(source, target, len(nodes))
    structure = describe_structure(source, target, len(nodes))
    found: dict[str, Any] = {name: structure[name] for name in STRUCTURE}
    frequency, heldout = nodes["frequency"].to_numpy(), nodes["frequency_heldout"].to_numpy()
    fired = frequency > 0
    found["pearson"] = correlation(degree, heldout, ranked=False)
    logs = np.log10(1 + degree)
    found["pearson_log"] = correlation(logs[fired], np.log10(frequency[fired]), ranked=False)
    found["spearman"] = correlation(degree, heldout, ranked=True)
    varies = len(degree) > 0 and degree.min() < degree.max()
    found["log_degree_mean"] = float(logs.mean()) if len(logs) else None
    found["log_degree_sd"] = float(logs.std()) if len(logs) else None
    found["log_degree_skewness"] = skewness(logs) if varies else None
    dips = [dip_test(values(degree)) if varies else None for values in (lambda d: spread(d, 1.0), log_degree)]
    found["dip_degree"], found["dip_log_degree"] = (dip and dip["statistic"] for dip in dips)
    mixture = mixture_test(log_degree(degree)) if varies else None
    found["bic_gain_log_degree"] = mixture["bic_one"] - mixture["bic_two"] if mixture else None
    found["modularity"] = modularity(source, target, weight, labels, len(nodes))
    found["communities"] = int((np.bincount(labels[labels >= 0]) > 1).sum())
    return found
