"""Degree at an equal number of tokens against frequency, with the null sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from coact.comparison.columns import Column
from coact.comparison.rarefaction import Rarefied, rarefied, rarefied_conclusion, rarefied_sentence, with_tokens
from coact.comparison.wording import NOT_DEFINED, count, coverage, estimate, number, plural, spread
from coact.figures.layout import header, panels
from coact.figures.save import Drawing, words
from coact.figures.scatter import NULL, OBSERVED, draw_points, limit_frequency, scatter_legend, with_medians
from coact.figures.style import looks, style

SHOWN = ["model", "sae", "series", "feature", "frequency_heldout", "degree", "rarefied_degree"]


def rarefied_degree(
    columns: Sequence[Column],
    tables: Sequence[pd.DataFrame],
    tokens: int,
    intervals: Mapping[str, Any],
) -> Drawing:
    """Scatter of rarefied degree against frequency of live features, one panel per column.

    Args:
        columns, tables: the columns and, in the same order, rarefaction.parquet of each.
        tokens: size of the sample of a feature's tokens.
        intervals: bootstrap, confidence and seed of the correlations' intervals over features.
    """
    found = [rarefied(table, **intervals) for table in tables]
    points = [_points(*entry) for entry in zip(columns, tables, strict=True)]
    data = pd.concat(points, ignore_index=True)
    with style():
        used = looks(columns)
        figure, axes = panels(columns, header_lines=5, height=1.4)
        for column, panel, table, entry in zip(columns, axes, points, found, strict=True):
            draw_points(panel, table, "rarefied_degree", used[column.name])
            header(panel, column, _lines(entry), used[column.name])
        _scale(axes, data)
        figure.supxlabel("Frequency on tokens outside the graph (logarithmic)")
        figure.supylabel(f"Neighbours expected in {plural(tokens, 'token')}")
        scatter_legend(figure, [used[column.name] for column in columns])
    return Drawing(figure, data[SHOWN], _caption(columns, found, points, tokens, intervals["confidence"]))


def _points(column: Column, table: pd.DataFrame) -> pd.DataFrame:
    """Points and binned medians: what is `SHOWN`, and log_frequency; degree is empty for medians."""
    known = with_tokens(table)
    known = known[known["frequency_heldout"] > 0]
    observed, null = (known[f"rarefied_degree{suffix}"].to_numpy() for suffix in ("", "_null"))
    found = with_medians(known[["feature", "frequency_heldout"]], "rarefied_degree", observed, null)
    degree = known.set_index("feature")[["degree", "degree_null"]]
    plain = found["feature"].map(degree["degree"]).where(found["series"] == OBSERVED)
    plain = plain.fillna(found["feature"].map(degree["degree_null"]).where(found["series"] == NULL))
    return found.assign(model=column.model, sae=column.sae, degree=plain.astype("Int64"))


def _scale(axes: Sequence[Axes], points: pd.DataFrame) -> None:
    limit_frequency(axes[0], points)
    top = float(points["rarefied_degree"].max()) if len(points) else 1.0
    axes[0].set_ylim(-0.03 * max(top, 1), 1.05 * max(top, 1))
    axes[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _lines(entry: Rarefied) -> list[str]:
    r = entry.pearson
    return [
        f"r {estimate(r['rarefied_degree'], 2)}",
        f"null r {_short(r['rarefied_degree_null'])}, n {count(entry.features)}",
        f"plain r {_short(r['degree'])}, null {_short(r['degree_null'])}",
    ]


def _short(found: dict[str, Any] | None) -> str:
    return number(found["value"], 2) if found else NOT_DEFINED


def _caption(
    columns: Sequence[Column],
    found: Sequence[Rarefied],
    points: Sequence[pd.DataFrame],
    tokens: int,
    confidence: float,
) -> dict[str, str]:
    drawn = [int((table["series"] == OBSERVED).sum()) for table in points]
    unseen = [entry.features - number_of for entry, number_of in zip(found, drawn, strict=True)]
    numbers = rarefied_sentence(columns, found)
    details = (
        f"Number of distinct neighbours expected in a random sample of {plural(tokens, 'token')} of those whose set"
        " holds the feature (Hurlbert 1971), against frequency on tokens that the graph does not use. A point is a live"
        f" feature with at least so many tokens (n = {spread((entry.features for entry in found), count)} of"
        f" {spread((entry.live for entry in found), count)}), lines are medians in bins of frequency. {numbers} Plain r"
        f" is that of the number of all neighbours of the same features; brackets are {coverage(confidence)} bootstrap"
        " intervals over features. The null is one sample that keeps every feature's top-k count and every token's set"
        f" size. {spread(unseen, count)} features a panel did not fire on the tokens of the axis and have no place on"
        " it; r includes them."
    )
    alt = (
        f"Scatter plots of rarefied degree against frequency, {plural(len(columns), 'panel')}, observed and null."
        f" {numbers}"
    )
    return words(rarefied_conclusion(found, tokens), details, alt)
