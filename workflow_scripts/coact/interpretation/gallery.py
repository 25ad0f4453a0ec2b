"""Which features are shown: chosen by rule, not by hand.

In: the table of features and their decoder rows. Out: feature numbers, each with the reason that it is shown for.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from coact.interpretation.similarity import choose_diverse


def choose_gallery(
    features: pd.DataFrame, rows: np.ndarray, named: Mapping[str, int], number: int, most_cosine: float, least: int
) -> pd.DataFrame:
    """Features that others chose, and others at evenly spaced quantiles of frequency.

    Features with at least `least` active tokens are cut into `number` equal parts by frequency. Of each part the one
    nearest to its middle is taken whose decoder row has a cosine of at most `most_cosine` with all that are taken
    before; a part may give none.

    Args:
        features: of rule describe_features.
        rows: (D, d) decoder rows.
        named: reason -> feature, shown first; a feature with two reasons is shown once.
        number: further features.
        most_cosine: largest cosine of two decoder rows shown.
        least: fewest active tokens.
    Returns:
        feature int64, reason text, quantile float64 (share of these features that are less frequent; NaN for the
        named ones).
    """
    taken: dict[int, str] = {}
    for reason, feature in named.items():
        taken[feature] = f"{taken[feature]}, {reason}" if feature in taken else reason
    order = features[features["count"] >= least].sort_values(["count", "feature"])["feature"].to_numpy()
    quantiles = {}
    for part in np.array_split(np.arange(len(order)), number):
        wanted = part[np.argsort(np.abs(part - part.mean()), kind="stable")] if len(part) else part
        candidates = np.array([feature for feature in order[wanted] if feature not in taken], np.int64)
        for feature in choose_diverse(candidates, rows, 1, most_cosine, list(taken)).tolist():
            taken[feature] = "frequency"
            quantiles[feature] = float(np.flatnonzero(order == feature)[0]) / len(order)
    return pd.DataFrame(
        {
            "feature": np.array(list(taken), np.int64),
            "reason": list(taken.values()),
            "quantile": [quantiles.get(feature, np.nan) for feature in taken],
        }
    )
