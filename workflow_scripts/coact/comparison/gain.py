"""How much more strongly features are read out than random directions of their norm.

A random direction may be read out less strongly than decoder rows are. The gain of features is therefore given beside
their effects: the median standard deviation of their logits over that of random directions. To second order, a
Kullback-Leibler divergence grows with the square of it.
"""

import math
from typing import Any

import pandas as pd

from coact.comparison.wording import defined


def ablated_gain(lens: pd.DataFrame, effects: pd.DataFrame, summary: dict[str, Any]) -> float:
    """The gain of the ablated features; NaN where it is not defined.

    Args:
        lens, effects: lens.parquet and effects.parquet of a dictionary.
        summary: `lens` of its effects.json.
    """
    if not summary["defined"]:
        return math.nan
    ablated = effects.loc[effects["tokens"] > 0, "feature"]
    return ratio(lens.loc[lens["feature"].isin(ablated), "std"].median(), summary["quantiles"]["std"]["random"]["q50"])


def ratio(value: float | None, other: float | None) -> float:
    """`value` over `other`; NaN where it is not defined."""
    return value / other if defined(value) and defined(other) and other else math.nan  # type: ignore[operator]
