"""A map of the features of a dictionary: where its decoder rows lie, and what of that a plane can show.

In: decoder rows, the graph, communities and contexts. Out: a place in the plane for every feature that is mapped, and
how much of the map is structure.

Places are by UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426) of the decoder rows of live features, from exact
nearest neighbours by cosine. UMAP draws clusters whatever it is given, so a map is a claim that needs a measure: the
share of a feature's nearest decoder rows that are among its nearest in the map, beside the same for as many random
directions; and whether neighbours share a community, an edge or a context, beside features exchanged for others of
about equal top-k count.

Decoder rows of which no two are nearer than any other two, such as those of neurons, have no neighbours and no map.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from umap import UMAP
from umap.umap_ import compute_membership_strengths, smooth_knn_dist

from coact.errors import StudyError
from coact.interpretation.exchange import Beside, beside, count_bins, exchanged
from coact.interpretation.similarity import similar_features, unit_rows

LEAST_FEATURES = 4  # UMAP has nothing to lay out of fewer
LEAST_SPREAD = 1e-6  # of the cosines of nearest and of farthest rows, below which rows are all equally alike
TRAITS = ("community", "edge", "context")
NONE = -1

# Compiling takes UMAP longer than a map of a thousand features; what is compiled is kept beside it.
for compiled in (smooth_knn_dist, compute_membership_strengths):
    compiled.enable_caching()


def map_features(
    decoder: np.ndarray,
    nodes: pd.DataFrame,
    communities: np.ndarray,
    contexts: np.ndarray,
    edges: pd.DataFrame,
    *,
    neighbours: int,
    minimum_distance: float,
    permutations: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Lay out the live features of a dictionary and measure what the map shows.

    Args:
        decoder: (D, d) float32 rows.
        nodes: live, topk_count, a row per feature.
        communities: (D,) label of each feature, -1 for none.
        contexts: (D,) number of each feature's context, -1 for none and for ordinary text.
        edges: source, target.
        neighbours: nearest features that places are found from, and that are compared.
        minimum_distance: of points in the map, in UMAP's unit.
        permutations: of features, for each null.
        seed: of UMAP, of the random directions and of the permutations.
    Returns:
        feature (int32, all), x and y (float32, NaN for features that are not mapped: not live, without a direction, or
        all where there is no map). A summary: live, features (mapped), dimensions, neighbours, minimum_distance,
        permutations, reason (why there is no map, else ""), preserved, preserved_random, preserved_chance (see
        `preserved_share`; None without a map, and where every other feature is a neighbour), and for each trait
        features (that have it) and, for map and decoder, `Beside` as a dictionary: of pairs of these features and their
        neighbours, the share that has the same community, is joined by an edge, has the same context.
    Raises:
        StudyError: the tables are of different features.
    """
    for name, part in (("nodes", nodes), ("communities", communities), ("contexts", contexts)):
        if len(part) != len(decoder):
            raise StudyError(f"{name} of {len(part):,} features found; expected {len(decoder):,}, as many as rows")
    live = nodes["live"].to_numpy(bool)
    features = np.flatnonzero(live & decoder.any(axis=1))
    unit = unit_rows(decoder[features])
    reason = why_no_map(unit)
    summary: dict[str, Any] = {"live": int(live.sum()), "features": 0 if reason else len(features)}
    summary |= {"dimensions": decoder.shape[1], "neighbours": neighbours, "minimum_distance": minimum_distance}
    summary |= {"permutations": permutations, "reason": reason}
    places, near = np.full((len(decoder), 2), np.nan, np.float32), {}
    if not reason:
        settings = {"neighbours": neighbours, "minimum_distance": minimum_distance, "seed": seed}
        places[features] = lay_out(unit, **settings)
        near = {"map": nearest_places(places[features], neighbours), "decoder": similar_features(unit, neighbours)[0]}
        summary |= _preserved(near["decoder"], near["map"], unit.shape, settings)
    else:
        summary |= dict.fromkeys(("preserved", "preserved_random", "preserved_chance"))
    counts = nodes["topk_count"].to_numpy()[features]
    labels = {"community": communities[features], "context": contexts[features]}
    known = edge_keys(edges, features, len(decoder))
    summary |= _traits(near, labels, known, count_bins(counts), permutations, seed)
    table = {"feature": np.arange(len(decoder), dtype=np.int32), "x": places[:, 0], "y": places[:, 1]}
    return pd.DataFrame(table), summary


def context_numbers(assigned: pd.DataFrame, ordinary: Sequence[str], size: int) -> np.ndarray:
    """Number of each feature's context by training tokens, (D,) int64; -1 for none and for ordinary text.

    Args:
        assigned: feature, context_train ("" for none), of `coact.interpretation.purity.measure_purity`.
        ordinary: labels that are the ordinary text of the corpus.
        size: D.
    """
    named = assigned[~assigned["context_train"].isin(["", *ordinary])]
    numbers = np.full(size, NONE, np.int64)
    numbers[named["feature"].to_numpy()] = pd.factorize(named["context_train"])[0]
    return numbers


def why_no_map(unit: np.ndarray) -> str:
    """Why these directions (n, d) have no map; empty where they have one."""
    if len(unit) < LEAST_FEATURES:
        return f"fewer than {LEAST_FEATURES} live features with a direction"
    cosine = unit @ unit.T if len(unit) <= 1024 else unit[:1024] @ unit.T
    np.fill_diagonal(cosine, cosine[0, 1])
    if np.ptp(cosine) < LEAST_SPREAD:
        return "all pairs of decoder rows have the same cosine"
    return ""


def lay_out(unit: np.ndarray, *, neighbours: int, minimum_distance: float, seed: int) -> np.ndarray:
    """Places of directions in the plane by UMAP, on one thread.

    Args:
        unit: (n, d) float32 rows of unit norm, n at least `LEAST_FEATURES`.
        neighbours: nearest other rows, by cosine, that places are found from; where there are fewer, all but one.
        minimum_distance: of neighbouring points, 0 to 1.
        seed: of UMAP.
    Returns:
        (n, 2) float32. The axes have no unit, and the directions of the axes mean nothing.
    """
    number = min(neighbours, len(unit) - 2)
    others, cosines = similar_features(unit, number)
    own = np.arange(len(unit), dtype=np.int32)[:, None]
    distances = np.maximum(1 - np.c_[np.ones_like(own), cosines], 0).astype(np.float32)
    reducer = UMAP(
        n_neighbors=number + 1,  # UMAP counts a point as its own first neighbour
        min_dist=minimum_distance,
        metric="cosine",
        init="spectral" if len(unit) > 4 * LEAST_FEATURES else "random",  # a few points have no spectrum to speak of
        random_state=seed,
        n_jobs=1,
        precomputed_knn=(np.c_[own, others].astype(np.int32), np.ascontiguousarray(distances), None),
        force_approximation_algorithm=True,  # else neighbours are looked for anew among few rows
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)  # new points cannot be placed, nor are any
        return reducer.fit_transform(unit)


def nearest_places(places: np.ndarray, number: int) -> np.ndarray:
    """(n, number) int64 nearest other points of each, nearest first; at most n - 1."""
    number = min(number, len(places) - 1)
    found = cKDTree(places).query(places, number + 1)[1]
    own = found == np.arange(len(places))[:, None]
    own[~own.any(axis=1), -1] = True  # of coinciding points any may come first
    return found[~own].reshape(len(places), number)


def preserved_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the neighbours `before` (n, k) of each point that are among its neighbours `after` (n, k), the mean."""
    size = len(before)
    keys = [np.arange(size)[:, None] * size + near for near in (before, after)]
    return float(np.isin(keys[0], keys[1]).mean())


def _preserved(
    before: np.ndarray, after: np.ndarray, shape: tuple[int, int], settings: dict[str, Any]
) -> dict[str, float | None]:
    """preserved, the same of as many random directions, and what places at random would keep."""
    size, number = before.shape
    if size - 1 <= number:  # every other feature is a neighbour
        return dict.fromkeys(("preserved", "preserved_random", "preserved_chance"))
    random = unit_rows(np.random.default_rng((settings["seed"], 0)).normal(size=shape))
    laid = nearest_places(lay_out(random, **settings), number)
    return {
        "preserved": preserved_share(before, after),
        "preserved_random": preserved_share(similar_features(random, number)[0], laid),
        "preserved_chance": number / (size - 1),
    }


def edge_keys(edges: pd.DataFrame, features: np.ndarray, size: int) -> np.ndarray:
    """The edges among some features, ascending: lower place times number of features plus higher place, int64.

    Args:
        edges: source, target.
        features: whose places are meant; edges of others are left out.
        size: all features.
    """
    place = np.full(size, NONE, np.int64)
    place[features] = np.arange(len(features))
    ends = place[edges[["source", "target"]].to_numpy()]
    ends = ends[(ends != NONE).all(axis=1)]
    return np.unique(ends.min(axis=1) * len(features) + ends.max(axis=1))


def _traits(
    near: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    known: np.ndarray,
    group: np.ndarray,
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    """For each trait its features, and the share of neighbours that have it in common, beside exchanged features."""
    shares: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "edge": partial(_linked, known),
        **{trait: partial(_alike, label) for trait, label in labels.items()},
    }
    summary: dict[str, Any] = {}
    for place, trait in enumerate(TRAITS):
        share, counted = shares[trait], (labels[trait] != NONE).sum() if trait in labels else len(group)
        summary[trait] = {"features": int(counted) if near else 0}
        for which in ("map", "decoder"):
            found = Beside()
            if which in near and counted:
                generator = np.random.default_rng((seed, 1, place))
                orders = (exchanged(group, generator) for _ in range(permutations))
                drawn = np.array([share(near[which], order) for order in orders])
                found = beside(share(near[which], np.arange(len(group))), drawn)
            summary[trait][which] = found._asdict()
    return summary


def _alike(labels: np.ndarray, near: np.ndarray, order: np.ndarray) -> float:
    """Of features with a label, the share of neighbours that have the same; features in the places of others."""
    moved = labels[order]
    return float((moved[near] == moved[:, None])[moved != NONE].mean())


def _linked(known: np.ndarray, near: np.ndarray, order: np.ndarray) -> float:
    """The share of neighbours that are joined by one of the edges `known`; features in the places of others."""
    if not len(known):
        return 0.0
    one, other = np.repeat(order, near.shape[1]), order[near].ravel()
    keys = np.minimum(one, other) * len(order) + np.maximum(one, other)
    return float((known[np.searchsorted(known[:-1], keys)] == keys).mean())
