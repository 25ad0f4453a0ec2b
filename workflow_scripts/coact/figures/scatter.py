"""Features by frequency, observed over null, with medians in bins: drawn the same way whatever is on the y axis."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from coact.figures.layout import legend, power_ticks
from coact.figures.style import INK, Look

TREND_BINS = 12
TREND_LEAST = 5
OBSERVED, NULL, TREND, NULL_TREND = "observed", "null", "observed, median", "null, median"
NULL_POINTS = "#B4B4B4"


def with_medians(features: pd.DataFrame, y: str, observed: np.ndarray, null: np.ndarray) -> pd.DataFrame:
    """Points and binned medians of a quantity, observed and in the null.

    Args:
        features: feature, frequency_heldout (above 0), and what else belongs to a point.
        y: name of the quantity.
        observed, null: (n,) its values.

    Returns:
        The columns of `features`, series, y, log_frequency; feature is missing for medians.
    """
    parts = []
    for series, trend, values in ((NULL, NULL_TREND, null), (OBSERVED, TREND, observed)):
        points = features.assign(series=series, **{y: values})
        points["log_frequency"] = np.log10(points["frequency_heldout"])
        parts += [points, _medians(points, y, trend)]
    return pd.concat(parts, ignore_index=True).astype({"feature": "Int64"})


def _medians(points: pd.DataFrame, y: str, series: str) -> pd.DataFrame:
    """Medians in bins of equal width of log frequency that hold at least `TREND_LEAST` features."""
    if points.empty:
        return points.assign(series=series)
    bins = pd.cut(points["log_frequency"], TREND_BINS, labels=False)
    grouped = points.groupby(bins)[["log_frequency", y]]
    medians = grouped.median()[grouped.size() >= TREND_LEAST]
    return medians.assign(series=series, frequency_heldout=10 ** medians["log_frequency"], feature=pd.NA)


def draw_points(panel: Axes, table: pd.DataFrame, y: str, look: Look) -> None:
    """Draw what `with_medians` gives: null below observed, lines above points."""
    for series, color, alpha in ((NULL, NULL_POINTS, 0.35), (OBSERVED, look.color, 0.45)):
        sns.scatterplot(
            table[table["series"] == series],
            x="log_frequency",
            y=y,
            color=color,
            alpha=alpha,
            s=4,
            linewidth=0,
            rasterized=True,  # thousands of points a panel: a picture within the SVG keeps it small
            legend=False,
            ax=panel,
        )
    for series, color, dashes in ((NULL_TREND, INK, (3, 1.5)), (TREND, "white", ()), (TREND, look.color, ())):
        sns.lineplot(
            table[table["series"] == series],
            x="log_frequency",
            y=y,
            color=color,
            linewidth=2.6 if color == "white" else 1.4,
            dashes=False,
            linestyle=(0, dashes) if dashes else "-",
            errorbar=None,
            estimator=None,
            legend=False,
            ax=panel,
        )
    panel.set(xlabel="", ylabel="")


def limit_frequency(panel: Axes, points: pd.DataFrame) -> None:
    """Limits and ticks of the x axis, log10 of the frequency, for all panels that share it."""
    known = points["log_frequency"].dropna()
    low, high = (float(known.min()), float(known.max())) if len(known) else (-5.0, 0.0)
    margin = 0.04 * max(high - low, 0.1)
    panel.set_xlim(low - margin, high + margin)
    power_ticks(panel, low - margin, high + margin)


def scatter_legend(figure: Figure, used: Sequence[Look]) -> None:
    """The legend of such figures."""
    colors = list(dict.fromkeys(look.color for look in used))[:3]
    points = {"marker": "o", "linestyle": "", "markersize": 3}
    legend(
        figure,
        [
            (tuple(Line2D([], [], color=color, **points) for color in colors), "live features"),
            (tuple(Line2D([], [], color=color, linewidth=1.4) for color in colors), "their median"),
            (Line2D([], [], color=NULL_POINTS, **points), "the same features in the null sample"),
            (Line2D([], [], color=INK, linewidth=1.4, linestyle=(0, (3, 1.5))), "their median there"),
        ],
    )
