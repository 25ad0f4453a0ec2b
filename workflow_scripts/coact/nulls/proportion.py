"""Features whose degree is out of proportion, once the margins have had their say.

In: nodes, the degrees of features in the replicates of null models, and the odd quadrants of the graph. Out: a table
of every feature's degree beside its null, the features farthest from their null, and which odd features remain odd.

A feature that is often active may still be in few top-k sets, and then its degree cannot be high; a null model knows
that, since it keeps in how many sets each feature is. So the degree is held against the null's mean degree of the same
feature.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from coact.graph.association import ranks
from coact.nulls.summary import interval_reach

FARTHEST = 0.25  # share of the ranked features, on either side, among which an odd feature has to be to remain
LOW, HIGH = "low_degree_high_frequency", "high_degree_low_frequency"
COLUMNS = ("mean", "sd", "score", "rank")


def degree_table(nodes: pd.DataFrame, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The degree of every feature beside what null models give it.

    The score is ln(degree + 1) - ln(mean + 1): a ratio, so that frequent and rare features are on one scale, which
    the difference (large where degrees are large) and the difference in standard deviations (estimated from a handful
    of replicates, and tiny for rare features) are not; 1 is added since degrees may be 0.

    Args:
        nodes: feature, degree (int64), live; see `coact.graph.build.node_table`.
        parts: null, and per feature degree_sum, degree_squares and replicates, of every job of every null model to
            compare with; see `coact.nulls.replicates.Replicates.nodes`.

    Returns:
        feature, degree and, by null model, float64: mean_<null> and sd_<null> (over replicates; the latter NaN below
        two), score_<null>, and rank_<null>, the percentile (mean rank - 1/2) / n of the score among the n live
        features whose degree differs between replicates; NaN for the others. What the margins settle, such as the
        degree of a feature that is in no set, is neither in nor out of proportion.
        `.attrs["replicates"]`: by null model, how many.
    """
    table = nodes[["feature", "degree"]].reset_index(drop=True)
    live, degree = nodes["live"].to_numpy(bool), nodes["degree"].to_numpy()
    together = pd.concat(parts, ignore_index=True)
    table.attrs["replicates"] = {}
    for null in together["null"].unique():
        mine = together[together["null"] == null].groupby("feature")
        sums, squares, replicates = (
            mine[name].sum().loc[table["feature"]].to_numpy() for name in ("degree_sum", "degree_squares", "replicates")
        )
        mean = sums / replicates
        spread = replicates * squares - sums**2  # integers: 0 exactly where all replicates agree
        several = replicates > 1
        variance = np.where(several, spread / np.maximum(replicates * (replicates - 1), 1), np.nan)
        score = np.log(degree + 1) - np.log(mean + 1)
        ranked = np.flatnonzero(live & several & (spread > 0))
        rank = np.full(len(table), np.nan)
        rank[ranked] = (ranks(score[ranked]) - 0.5) / max(len(ranked), 1)
        for name, values in zip(COLUMNS, (mean, np.sqrt(variance), score, rank), strict=True):
            table[f"{name}_{null}"] = values
        table.attrs["replicates"][null] = int(replicates.max(initial=0))
    return table


def correct_quadrants(
    table: pd.DataFrame, quadrants: dict[str, list[dict[str, Any]]], listed: int, confidence: float
) -> dict[str, Any]:
    """The odd quadrants, corrected for null models.

    A feature is *below* (or *above*) a null model where its degree is outside the interval for one further replicate
    (see `coact.nulls.summary.prediction_interval`) on that side. An odd feature of low degree remains where it is below
    and its score is in the lowest quarter of those ranked; one of high degree where it is above and its score in the
    highest quarter.

    Args:
        table: of `degree_table`.
        quadrants: of `coact.graph.statistics.odd_quadrants`.
        listed: largest length of each list.
        confidence: coverage of the intervals.

    Returns:
        By null model: ranked (features), n_below, n_above (of the ranked ones), below and above (the ranked features
        with the lowest and the highest score among those below and above, lists of feature, degree, mean, sd, score,
        rank), and, for each list in `quadrants`, listed (its length), settled (features whose degree is the same in
        all replicates), remain (features that remain) and features (each with its record, and remains).
    """
    found: dict[str, Any] = {}
    for null, replicates in table.attrs["replicates"].items():
        mine = table[["feature", "degree"]].assign(**{name: table[f"{name}_{null}"] for name in COLUMNS})
        reach = interval_reach(replicates, confidence) * mine["sd"]
        ranked = mine["rank"].notna()
        below = ranked & (mine["degree"] < mine["mean"] - reach)
        above = ranked & (mine["degree"] > mine["mean"] + reach)
        lowest, highest = mine["rank"] <= FARTHEST, mine["rank"] >= 1 - FARTHEST
        found[null] = {
            "ranked": int(ranked.sum()),
            "n_below": int(below.sum()),
            "n_above": int(above.sum()),
            "below": _records(mine[below].sort_values(["score", "feature"])[:listed]),
            "above": _records(mine[above].sort_values(["score", "feature"], ascending=[False, True])[:listed]),
            LOW: _remaining(mine, quadrants[LOW], below & lowest),
            HIGH: _remaining(mine, quadrants[HIGH], above & highest),
        }
    return found


def _remaining(table: pd.DataFrame, odd: list[dict[str, Any]], remains: pd.Series) -> dict[str, Any]:
    place = table.reset_index().set_index("feature")["index"].loc[[entry["feature"] for entry in odd]].to_numpy()
    chosen, stay = table.iloc[place], remains.iloc[place]
    return {
        "listed": len(chosen),
        "settled": int((chosen["sd"] == 0).sum()),
        "remain": int(stay.sum()),
        "features": [{**record, "remains": bool(stays)} for record, stays in zip(_records(chosen), stay, strict=True)],
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    whole = {"feature": int, "degree": int}
    return [{name: whole.get(name, float)(value) for name, value in row.items()} for row in table.to_dict("records")]


def listed_features(quadrants: dict[str, list[dict[str, Any]]], corrected: dict[str, Any]) -> list[int]:
    """Every feature in any list, raw or corrected, once, ascending."""
    lists = [*quadrants.values(), *(entry[side] for entry in corrected.values() for side in ("below", "above"))]
    return sorted({record["feature"] for records in lists for record in records})
