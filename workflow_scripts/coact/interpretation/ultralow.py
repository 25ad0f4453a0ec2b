"""The features that hardly ever fire: how many, how alike their encoder directions, where they sit in the graph.

In: densities (how often each feature fires on held-out tokens), encoder columns, the graph. Out: a row per dictionary
and group of features.

Bricken et al. 2023 (Towards Monosemanticity) find two clusters in the histogram of log density: the features that are
used, and an ultralow-density cluster below one token in a million, whose encoder directions are much alike. How low a
density can be seen depends on the number of tokens, so there are three groups, of which the second is theirs once
there are enough tokens:

- silent: fires on no held-out token, whatever its density may be.
- rare: fires, but on less than a share of the tokens that is stated: one in a million, or where that would be less than
  some ten tokens, the share that these are.
- lower_mode: fires, and belongs to the lower of two modes of log density; without features where there are no two.

Encoder directions are held against random features of the same pool, the live ones and those of the group; the place in
the graph against exchanges among features of about equal top-k count, since a feature that is seldom in a top-k set has
few edges, whatever it stands for.
"""

from typing import Any

import numpy as np
import pandas as pd

from coact.errors import StudyError
from coact.graph.degree import degrees
from coact.graph.shape import log_frequency, mode_boundary
from coact.interpretation.exchange import Beside, beside, count_bins, exchanged
from coact.interpretation.similarity import unit_rows

GROUPS = ("silent", "rare", "lower_mode")
LEAST_FEATURES = 2  # of which there is a pair
DIP_LEVEL = 0.05  # as where the report claims two modes
DRAWS_AT_ONCE = 256
MEASURES = ("alike", "length", "degree", "isolated", "inside")
COLUMNS = {
    "group": str, "tokens": np.int64, "cutoff": np.float64, "features": np.int64, "in_sets": np.int64,
    "exchangeable": np.int64,
    **{f"{name}{part}": np.float64 for name in MEASURES for part in ("", "_mean", "_low", "_high", "_p")},
}  # fmt: skip


def measure_ultralow(
    density: pd.DataFrame,
    encoder: np.ndarray,
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    *,
    tokens: int,
    most_density: float,
    least_tokens: int,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Number, encoder directions and place in the graph of the features that hardly ever fire.

    Args:
        density: count (held-out tokens on which each feature fires), a row per feature.
        encoder: (D, d) float32, encoder columns as rows.
        nodes: live, topk_count, a row per feature.
        edges: source, target of the whole graph.
        tokens: kept held-out tokens.
        most_density: share of the tokens below which a feature is rare, if they can tell.
        least_tokens: tokens that such a share must be of all; else it is the share that they are.
        permutations: random draws behind each null.
        seed: of these.
    Returns:
        A row per group of `GROUPS`, columns of `COLUMNS`: cutoff (density below which features belong to it; 0 for the
        silent ones, NaN where there are no two modes), features, in_sets (those in some top-k set), exchangeable (those
        of whose bin of top-k count other features are too); and, each with mean, low, high and p of `Beside`: alike
        (mean cosine of two encoder directions), length (of the mean of the unit vectors), degree (mean), isolated
        (share), inside (of the neighbours of its features, the share that belong to it). NaN where not defined: all of
        them below two features, alike and length where less than two have a direction, inside without an edge.
    Raises:
        StudyError: the tables are of different features.
    """
    size = len(density)
    for name, part in (("encoder", encoder), ("nodes", nodes)):
        if len(part) != size:
            raise StudyError(f"{name} of {len(part):,} features found; expected {size:,}, as in the densities")
    count, live = density["count"].to_numpy(), nodes["live"].to_numpy(bool)
    topk = nodes["topk_count"].to_numpy()
    cutoffs = cutoffs_of(count, tokens, most_density, least_tokens)
    rows = []
    for place, (group, cutoff) in enumerate(cutoffs.items()):
        member = count == 0 if group == "silent" else (count > 0) & (count < np.nan_to_num(cutoff) * tokens)
        bins = count_bins(topk)
        mixed = np.isin(bins, bins[member]) & np.isin(bins, bins[~member])
        row: dict[str, Any] = {"group": group, "tokens": tokens, "cutoff": cutoff, "features": int(member.sum())}
        row |= {"in_sets": int((member & (topk > 0)).sum()), "exchangeable": int((member & mixed).sum())}
        found = dict.fromkeys(MEASURES, Beside())
        if member.sum() >= LEAST_FEATURES:
            generator = np.random.default_rng((seed, place))
            found |= directions(encoder, member, live | member, permutations, generator)
            found |= position(member, edges, bins, permutations, generator)
        for name, value in found.items():
            mine = (name, f"{name}_mean", f"{name}_low", f"{name}_high", f"{name}_p")
            row |= dict(zip(mine, value, strict=True))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def cutoffs_of(count: np.ndarray, tokens: int, most_density: float, least_tokens: int) -> dict[str, float]:
    """Group -> the density below which features belong to it.

    Args: as of `measure_ultralow`; count: (D,) tokens on which each feature fires.
    """
    boundary = mode_boundary(log_frequency(count / tokens), DIP_LEVEL) if tokens else None
    return {
        "silent": 0.0,
        "rare": max(most_density, least_tokens / max(tokens, 1)),
        "lower_mode": np.nan if boundary is None else float(10**boundary),
    }


def directions(
    encoder: np.ndarray, member: np.ndarray, pool: np.ndarray, draws: int, generator: np.random.Generator
) -> dict[str, Beside]:
    """How alike the directions of some features are, beside as many random ones of a pool.

    Args:
        encoder: (D, d), a row per feature; a row of zeros has no direction and is left out.
        member: (D,) bool, the features.
        pool: (D,) bool, those that random ones are drawn from, without replacement; members among them.
        draws: number of draws.
    Returns:
        alike: mean cosine of two of them; length: of the mean of their unit vectors, which says the same on another
        scale: 1 where all are one direction.
    """
    pool = pool & encoder.any(axis=1)
    unit, inside = unit_rows(encoder[pool]).astype(np.float64), member[pool]
    many = int(inside.sum())
    if many < LEAST_FEATURES:
        return {}
    squares = [np.square(inside @ unit).sum()]
    for start in range(0, draws, DRAWS_AT_ONCE):
        shape = (min(DRAWS_AT_ONCE, draws - start), len(unit))
        taken = np.argpartition(generator.random(shape), many - 1, axis=1)[:, :many]
        chosen = np.zeros(shape)
        np.put_along_axis(chosen, taken, 1.0, axis=1)
        squares.extend(np.square(chosen @ unit).sum(axis=1))
    found = np.array(squares)
    alike, length = (found - many) / (many * (many - 1)), np.sqrt(found) / many
    return {"alike": beside(alike[0], alike[1:]), "length": beside(length[0], length[1:])}


def position(
    member: np.ndarray, edges: pd.DataFrame, bins: np.ndarray, draws: int, generator: np.random.Generator
) -> dict[str, Beside]:
    """Where some features sit in the graph, beside exchanges with others of their bin.

    Args:
        member: (D,) bool, the features.
        edges: source, target.
        bins: (D,) of features that are exchanged.
        draws: number of exchanges.
    Returns:
        degree (mean), isolated (share without an edge), inside (of their neighbours, the share among them).
    """
    source, target = edges["source"].to_numpy(), edges["target"].to_numpy()
    degree = degrees(source, target, len(member))

    def measured(chosen: np.ndarray) -> tuple[float, float, float]:
        ends = degree[chosen]
        within = 2 * int((chosen[source] & chosen[target]).sum())
        return ends.mean(), (ends == 0).mean(), within / ends.sum() if ends.any() else np.nan

    drawn = np.array([measured(member[exchanged(bins, generator)]) for _ in range(draws)]).reshape(-1, 3)
    return {
        name: beside(value, drawn[:, place])
        for place, (name, value) in enumerate(zip(("degree", "isolated", "inside"), measured(member), strict=True))
    }
