"""Features that hardly ever fire: how many, how alike their directions, and their place in the graph."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from coact.comparison.columns import Column
from coact.comparison.wording import count, defined, dictionaries, number, plural, spread
from coact.figures.layout import legend, of_column
from coact.figures.rows import dictionary_rows, not_measured, null_bar, null_bar_handle
from coact.figures.save import Drawing, words
from coact.figures.style import SMALL_POINTS, looks, style

PANELS = {"features": "Features", "alike": "Mean cosine of encoders", "degree": "Mean degree"}
GROUPS = {"silent": "o", "rare": "D", "lower_mode": "^"}
TITLES = {"silent": "silent", "rare": "rare", "lower_mode": "lower mode of density"}
NULLS = tuple(f"{name}_{part}" for name in ("alike", "degree") for part in ("mean", "low", "high", "p"))
DATA = ["model", "sae", "group", "tokens", "cutoff", *PANELS, *NULLS]
LEVEL = 0.05
ONE_DIRECTION = 0.9  # mean cosine from which on directions are nearly one
OFFSET = 0.27  # between the groups of a row
MARKER = {"linestyle": "", "markersize": 4.4, "markeredgewidth": 0, "zorder": 4}


def rare_features(columns: Sequence[Column], table: pd.DataFrame) -> Drawing:
    """Number, likeness of encoder directions and degree of groups of features, beside random draws.

    Args:
        columns: the columns.
        table: comparison/ultralow.parquet, of these columns.
    """
    data = table[DATA].reset_index(drop=True)
    with style():
        found = looks(columns)
        figure, axes = dictionary_rows(columns, list(PANELS.values()))
        for panel, measure in zip(axes, PANELS, strict=True):
            for place, column in enumerate(columns):
                own = of_column(data, column)
                _draw(panel, place, own, measure, found[column.name].color)
            panel.xaxis.get_major_locator().set_params(nbins=5)
            panel.use_sticky_edges = False
            panel.margins(x=0.08)
        axes[0].set_xscale("symlog", linthresh=1, linscale=0.4)
        axes[0].set_xlim(-0.3, 3 * max(1, data["features"].max()))
        axes[0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        legend(
            figure,
            [
                *((Line2D([], [], color="#777777", marker=marker, **MARKER), TITLES[group])
                  for group, marker in GROUPS.items()),
                (null_bar_handle(), "random features, 95%"),
            ],
        )  # fmt: skip
    return Drawing(figure, data, _caption(columns, data))


def _draw(panel: Axes, place: int, rows: pd.DataFrame, measure: str, color: str) -> None:
    if measure != "features" and not rows[measure].notna().any():
        not_measured(panel, place)
        return
    for turn, (group, marker) in enumerate(GROUPS.items()):
        row, y = rows[rows["group"] == group].iloc[0], place + OFFSET * (turn - 1)
        if measure == "features":
            panel.annotate(count(row[measure]), (row[measure], y), (5, 0), textcoords="offset points",
                           fontsize=SMALL_POINTS - 1.5, va="center")  # fmt: skip
        else:
            null_bar(panel, y, row[f"{measure}_low"], row[f"{measure}_high"], height=0.2)
        if defined(row[measure]):
            panel.plot(row[measure], y, color=color, marker=marker, **MARKER)


def _caption(columns: Sequence[Column], data: pd.DataFrame) -> dict[str, str]:
    rare, modes = (data[data["group"] == group] for group in ("rare", "lower_mode"))
    details = (
        f"n = {spread(data['tokens'], count)} held-out tokens. Silent features fire on none of them, rare ones on less"
        f" than {spread(rare['cutoff'])} of them; a lower mode of log density is found in"
        f" {dictionaries(int(modes['cutoff'].notna().sum()), len(columns))}. Likeness is compared with as many random"
        " features, degree with features exchanged for others of about equal top-k count, which for silent features is"
        " none. A group of fewer than two features has no measures."
    )
    alt = (
        f"For {plural(len(columns), 'dictionary', 'dictionaries')} and three groups of features, their number, how"
        " alike their encoder columns are and their mean degree, the latter two beside random features."
    )
    return words(_conclusion(columns, data), details, alt)


def _conclusion(columns: Sequence[Column], data: pd.DataFrame) -> str:
    """How many rare and silent features there are, and whether they are more alike than others."""
    controls = {column.name for column in columns if column.control}
    trained = data[~(data["model"] + "/" + data["sae"]).isin(controls)]
    own = trained if len(trained) else data
    kind = "trained dictionaries" if len(trained) else "these dictionaries"
    numbers = {group: own.loc[own["group"] == group, "features"] for group in GROUPS}
    text = (
        f"In {kind}, {spread(numbers['silent'], count)} features are silent on held-out text and"
        f" {spread(numbers['rare'], count)} are rare"
    )
    tested = own[own["group"].isin(["silent", "rare"]) & own["alike_p"].notna()]
    if not len(tested):
        return f"{text}, too few to compare their directions."
    above = int((tested["alike_p"] < LEVEL).sum())
    most = tested["alike"].max()
    nearly_one = f"are nearly one (mean cosine up to {number(most, 2)})"
    return (
        f"{text}; their encoder directions are more alike than those of random features (p < {number(LEVEL, 1)}) in"
        f" {above} of {plural(len(tested), 'group')}, and"
        f" {nearly_one if most >= ONE_DIRECTION else f'not one direction (mean cosine at most {number(most, 2)})'}."
    )
