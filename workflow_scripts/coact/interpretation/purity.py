"""Whether the graph gathers contexts: purity of its communities, and the neighbours of chosen features.

In: the table of features by contexts, communities and edges of the graph. Out: the context of every feature, how well
communities and contexts agree beside two nulls, and who the neighbours of chosen features are.

The context of a feature is, of those that hold at least a given share of its active tokens, the one with the largest
lift: the most specific of those that it mostly fires on. A feature without one has none and does not count. Purity is
the share of features whose context is the most frequent one of their community (Manning, Raghavan and Schuetze 2008,
Introduction to Information Retrieval, section 16.3); normalised mutual information divides by the mean of the two
entropies. Both are high by chance where communities are many or contexts few, so each stands beside permutations of
contexts among features, at random and among features of like frequency.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from coact.errors import StudyError
from coact.interpretation.exchange import equal_bins, exchanged

NO_CONTEXT = -1
NULLS = ("features", "frequency")
SPLITS = {"train": ("train", "share_train", "lift_train"), "heldout": ("heldout", "share", "lift")}


def assign_contexts(
    table: pd.DataFrame, names: Sequence[str], n_features: int, *, split: str, least_share: float, least_tokens: int
) -> np.ndarray:
    """The context of every feature.

    Args:
        table: features by contexts (`measure_contexts`).
        names: contexts that count.
        n_features: D.
        split: "train" or "heldout", whose active tokens count.
        least_share: of a feature's active tokens that its context holds at least.
        least_tokens: active tokens in the context, at least.
    Returns:
        (D,) int32, place in `names`; -1 for none. Of contexts with equal lift the first.
    """
    tokens, share, lift = (table[name].to_numpy() for name in SPLITS[split])
    place = pd.Index(list(names)).get_indexer(table["context"].astype(str))
    fits = (place >= 0) & (tokens >= least_tokens) & (share >= least_share)
    feature, context = table["feature"].to_numpy()[fits], place[fits]
    order = np.lexsort((context, -lift[fits], feature))
    found, first = np.unique(feature[order], return_index=True)
    contexts = np.full(n_features, NO_CONTEXT, np.int32)
    contexts[found] = context[order][first]
    return contexts


def community_purity(
    communities: np.ndarray, contexts: np.ndarray, frequency: np.ndarray, *, permutations: int, bins: int, seed: int
) -> dict[str, Any]:
    """How far communities of features gather contexts, beside two nulls.

    Args:
        communities, contexts: (features,) integers; only features where both are at least 0 count.
        frequency: (features,) of activation, for bins of equally many features.
        permutations: of contexts among features, for each null.
        bins: of frequency, within which contexts are permuted in the null "frequency".
        seed: of the permutations.

    Returns:
        features, communities, contexts (numbers that count), and for purity and nmi: value, and for each null mean,
        deviation, z and p (one-sided, (1 + permutations at least as high) / (1 + permutations)). None where not
        defined: without features, nmi where all are of one community and one context, z where a null does not vary.
    """
    inside = (communities >= 0) & (contexts >= 0)
    _, one = np.unique(communities[inside], return_inverse=True)
    _, other = np.unique(contexts[inside], return_inverse=True)
    n, shape = len(one), (int(one.max(initial=-1)) + 1, int(other.max(initial=-1)) + 1)
    summary: dict[str, Any] = {"features": n, "communities": shape[0], "contexts": shape[1]}
    observed = _agreement(one, other, shape)
    drawn = {}
    bin_of = equal_bins(frequency[inside], bins)
    for place, null in enumerate(NULLS):
        generator = np.random.default_rng((seed, place))
        group = bin_of if null == "frequency" else np.zeros(n, np.int64)
        found = [_agreement(one, other[exchanged(group, generator)], shape) for _ in range(permutations if n else 0)]
        drawn[null] = np.array(found).reshape(-1, 2)
    for place, name in enumerate(("purity", "nmi")):
        nulls = {null: _beside(observed[place], drawn[null][:, place]) for null in NULLS}
        summary[name] = {"value": _or_none(observed[place]), **nulls}
    return summary


def neighbours_of(
    chosen: Mapping[str, int], edges: pd.DataFrame, nodes: pd.DataFrame, contexts: np.ndarray, names: Sequence[str]
) -> pd.DataFrame:
    """The live neighbours of chosen features in the graph, the heaviest first.

    Args:
        chosen: context -> its feature.
        edges: source, target, count, weight, q, significant.
        nodes: feature, live, all features in order.
        contexts, names: of `assign_contexts`.
    Returns:
        context (text), feature, neighbour (int32), weight (float64), count (int64), q (float64), significant (bool),
        neighbour_context (text, "" for none), same (bool).
    """
    parts = []
    for context, feature in chosen.items():
        for own, other in (("source", "target"), ("target", "source")):
            part = edges.loc[edges[own] == feature].rename(columns={other: "neighbour"})
            parts.append(part.assign(context=context, feature=feature))
    columns = ["context", "feature", "neighbour", "weight", "count", "q", "significant"]
    table = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
    table = table.astype({"feature": np.int32, "neighbour": np.int32, "context": str})
    table = table[nodes["live"].to_numpy()[table["neighbour"]]]
    spelled = np.array([*names, ""], dtype=object)
    table["neighbour_context"] = spelled[contexts[table["neighbour"]]].astype(str)
    table["same"] = table["neighbour_context"] == table["context"]
    order = pd.Categorical(table["context"], categories=list(chosen), ordered=True).codes
    return table.assign(order=order).sort_values(
        ["order", "weight", "neighbour"], ascending=[True, False, True], ignore_index=True
    ).drop(columns="order")  # fmt: skip


def neighbour_summary(
    chosen: Mapping[str, int], neighbours: pd.DataFrame, nodes: pd.DataFrame, contexts: np.ndarray, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Share of chosen features' neighbours that have the same context, beside what live features have.

    Args: those of `neighbours_of`, and its table; nodes: live, topk_count.
    Returns:
        Per chosen feature: context, feature, own (its own context by `assign_contexts`, None for none), live (other
        live features), same_live (those with the context), expected (their share), expected_by_count (the share among
        other live features' top-k sets, as neighbours drawn in proportion to these would have), and for all edges and
        the significant ones: neighbours, same, share, p (upper tail of the hypergeometric distribution). None where
        not defined.
    """
    live, counts = nodes["live"].to_numpy(bool), nodes["topk_count"].to_numpy(np.float64)
    records = []
    for context, feature in chosen.items():
        others = live & (np.arange(len(live)) != feature)
        same = others & (contexts == (list(names).index(context) if context in names else len(names)))
        n, marked, weight = int(others.sum()), int(same.sum()), counts[others].sum()
        record = {"context": context, "feature": int(feature), "live": n, "same_live": marked}
        record["own"] = names[contexts[feature]] if contexts[feature] >= 0 else None
        record["expected"] = marked / n if n else None
        record["expected_by_count"] = counts[same].sum() / weight if weight else None
        own = neighbours[neighbours["context"] == context]
        for name, part in (("all", own), ("significant", own[own["significant"].astype(bool)])):
            size, hits = len(part), int(part["same"].sum())
            p = float(hypergeom.sf(hits - 1, n, marked, size)) if size else None
            record[name] = {"neighbours": size, "same": hits, "share": hits / size if size else None, "p": p}
        records.append(record)
    return records


def measure_purity(
    table: pd.DataFrame,
    best: pd.DataFrame,
    nodes: pd.DataFrame,
    communities: np.ndarray,
    edges: pd.DataFrame,
    *,
    names: Sequence[str],
    ordinary: Sequence[str],
    least_share: float,
    least_tokens: int,
    permutations: int,
    bins: int,
    seed: int,
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Purity of communities, by contexts of training and of held-out tokens, and the neighbours of the best features.

    Args:
        table, best: of `measure_contexts`.
        nodes: feature, live, frequency, topk_count.
        communities: (D,) -1 for none.
        edges: of the graph.
        names: contexts that count.
        ordinary: those of them that are the ordinary text of the corpus; purity is also given without the features that
            have one of these.
        least_share, least_tokens: as in `assign_contexts`.
        permutations, bins, seed: as in `community_purity`.
    Returns:
        purity, a summary: least_share, least_tokens, permutations, bins, seed; for each split live features with and
        without a context, and `community_purity` with and without ordinary contexts; and neighbours, of
        `neighbour_summary`, contexts by training tokens. Contexts of live features: feature (int32), context_train and
        context (text, "" for none, by training and by held-out tokens). The table of `neighbours_of`.
    Raises:
        StudyError: nodes and communities are of different features.
    """
    if len(nodes) != len(communities):
        raise StudyError(
            f"communities of {len(communities):,} features found; expected {len(nodes):,}, as in the nodes"
        )
    live, frequency = nodes["live"].to_numpy(bool), nodes["frequency"].to_numpy(np.float64)
    kinds = {"least_share": least_share, "least_tokens": least_tokens}
    drawn = {"permutations": permutations, "bins": bins, "seed": seed}
    summary: dict[str, Any] = {**kinds, **drawn}
    spelled, found = np.array([*names, ""], dtype=object), {}
    usual = np.isin(list(names), list(ordinary))
    for split in SPLITS:
        contexts = np.where(live, assign_contexts(table, names, len(nodes), split=split, **kinds), NO_CONTEXT)
        special = np.where(np.append(usual, False)[contexts], NO_CONTEXT, contexts)
        found[split] = contexts
        summary[split] = {
            "with_context": int((contexts >= 0).sum()),
            "without_context": int((live & (contexts < 0)).sum()),
            "all_contexts": community_purity(communities, contexts, frequency, **drawn),
            "without_ordinary": community_purity(communities, special, frequency, **drawn),
        }
    first = best[(best["rank"] == 1) & (best["feature"] >= 0) & best["context"].isin(names)]
    chosen = {context: feature for context, feature in zip(first["context"], first["feature"], strict=True)
              if context not in ordinary}  # fmt: skip
    neighbours = neighbours_of(chosen, edges, nodes, found["train"], names)
    summary["neighbours"] = neighbour_summary(chosen, neighbours, nodes, found["train"], names)
    features = pd.DataFrame(
        {
            "feature": np.flatnonzero(live).astype(np.int32),
            "context_train": spelled[found["train"][live]].astype(str),
            "context": spelled[found["heldout"][live]].astype(str),
        }
    )
    return summary, features, neighbours


def _agreement(one: np.ndarray, other: np.ndarray, shape: tuple[int, int]) -> tuple[float, float]:
    """Purity and normalised mutual information of labels from 0; NaN where not defined."""
    n = len(one)
    if not n:
        return np.nan, np.nan
    cells = np.bincount(one * shape[1] + other, minlength=shape[0] * shape[1]).reshape(shape)
    entropies = [_entropy(sizes) for sizes in (cells.sum(axis=1), cells.sum(axis=0), cells.ravel())]
    mean = (entropies[0] + entropies[1]) / 2
    shared = max(entropies[0] + entropies[1] - entropies[2], 0.0)
    return cells.max(axis=1).sum() / n, shared / mean if mean > 0 else np.nan


def _entropy(sizes: np.ndarray) -> float:
    share = sizes[sizes > 0] / sizes.sum()
    return float(-(share * np.log(share)).sum())


def _beside(value: float, drawn: np.ndarray) -> dict[str, float | None]:
    if np.isnan(value) or not len(drawn):
        return dict.fromkeys(("mean", "deviation", "z", "p"))
    mean, deviation = float(drawn.mean()), float(drawn.std())
    above = int((drawn >= value - 1e-12).sum())
    z = (value - mean) / deviation if deviation > 1e-12 else None
    return {"mean": mean, "deviation": deviation, "z": z, "p": (1 + above) / (1 + len(drawn))}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
