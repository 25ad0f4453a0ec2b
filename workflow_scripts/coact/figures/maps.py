"""Maps of the features of dictionaries, by community, frequency and context, and what of them is structure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from coact.comparison.columns import Column
from coact.comparison.wording import count, listed, percent, plural, sentence, spread
from coact.figures.layout import of_column, power_ticks, shorten
from coact.figures.save import Drawing, nothing, words
from coact.figures.style import FONT, HUES, INK, MUTED, PAGE_WIDTH, SMALL_POINTS, TEXT_POINTS, style
from coact.interpretation.memberships import shown_contexts

COMMUNITY_HUES = (*HUES, "#332288", "#44AA99")  # the ten largest
OTHERS = "#CFCFCF"
SHADES = "viridis_r"
MOST_ROWS = 4  # dictionaries that are drawn
WIDTH_SHARE = 0.72  # of a panel that features take at most, beside the names
NAME_GAP = 0.085  # between names of contexts, of a panel's height
LEAST_F1 = 0.5  # on training tokens, from which on the best feature of a context is ringed
ROW_INCHES, HEAD_INCHES = 2.0, 0.62
HALO = [patheffects.withStroke(linewidth=1.8, foreground="white")]
BEST = {"marker": "o", "markersize": 5.0, "markeredgecolor": INK, "markeredgewidth": 0.8, "linestyle": "", "zorder": 6}
COLUMNS = ["model", "sae", "feature", "x", "y", "community", "frequency", "context", "best_for"]


def feature_map(
    columns: Sequence[Column],
    maps: Sequence[pd.DataFrame],
    summaries: Sequence[dict[str, Any]],
    nodes: Sequence[pd.DataFrame],
    communities: Sequence[pd.DataFrame],
    assigned: Sequence[pd.DataFrame],
    contexts: pd.DataFrame,
    ordinary: Sequence[str],
) -> Drawing:
    """The live features of dictionaries in the plane, a row of panels each.

    Args:
        columns: of the study; the tables are in their order.
        maps, summaries: of `coact.interpretation.maps.map_features`.
        nodes: frequency, a row per feature.
        communities: community, a row per feature.
        assigned: feature, context_train.
        contexts: of `compare_contexts`: model, sae, context, kind, tokens_train, feature, f1_train.
        ordinary: labels that are the ordinary text of the corpus.
    """
    parts = list(zip(columns, maps, nodes, communities, assigned, strict=True))
    contexts = contexts[contexts["context"].isin(set(shown_contexts(contexts, ordinary)) - set(ordinary))]
    data = pd.concat([_points(*part, contexts) for part in parts], ignore_index=True)
    shown = _choose([column for column, found in zip(columns, summaries, strict=True) if found["features"]])
    if not shown:
        return _nothing(columns, summaries)
    named = _named(contexts, shown, data)
    with style():
        height = HEAD_INCHES + ROW_INCHES * len(shown)
        figure = Figure(figsize=(PAGE_WIDTH, height))
        edges = {"left": 0.012, "right": 0.988, "bottom": 0.012, "top": 1 - HEAD_INCHES / height, "wspace": 0.04}
        grid = figure.add_gridspec(len(shown), 3, hspace=0.17, **edges)
        known = np.log10(data.loc[data["frequency"] > 0, "frequency"])
        scale = Normalize(known.min(), max(known.max(), known.min() + 0.1))
        for row, column in enumerate(shown):
            mine = of_column(data, column)
            panels = [figure.add_subplot(grid[row, side]) for side in range(3)]
            found = next(entry for other, entry in zip(columns, summaries, strict=True) if other == column)
            _draw_row(panels, mine, scale, named)
            _header(panels[0], column, found)
        _legends(figure, grid, scale, named, height)
    return Drawing(figure, data, _caption(columns, summaries, shown, named, data))


def _points(
    column: Column,
    places: pd.DataFrame,
    nodes: pd.DataFrame,
    communities: pd.DataFrame,
    assigned: pd.DataFrame,
    contexts: pd.DataFrame,
) -> pd.DataFrame:
    """The mapped features of a dictionary, with what they are coloured by; columns of `COLUMNS`."""
    own = of_column(contexts, column)
    own = own[(own["feature"] >= 0) & (own["f1_train"] >= LEAST_F1)]
    best = own.sort_values("f1_train", ascending=False, kind="stable").drop_duplicates("feature")
    table = places.assign(
        model=column.model,
        sae=column.sae,
        community=communities["community"].to_numpy(),
        frequency=nodes["frequency"].to_numpy(),
        context=_of(places["feature"], assigned.set_index("feature")["context_train"]),
        best_for=_of(places["feature"], best.set_index("feature")["context"]),
    )
    return table.dropna(subset=["x", "y"])[COLUMNS]


def _of(features: pd.Series, names: pd.Series) -> np.ndarray:
    """The names of features, "" for those that have none."""
    return names.astype(str).reindex(features, fill_value="").to_numpy()


def _choose(mapped: Sequence[Column]) -> list[Column]:
    """The dictionaries that are drawn: no controls first, and one control where there is one."""
    trained = [column for column in mapped if not column.control]
    controls = [column for column in mapped if column.control]
    return [*trained[: MOST_ROWS - bool(controls)], *controls][:MOST_ROWS]


def _named(contexts: pd.DataFrame, shown: Sequence[Column], data: pd.DataFrame) -> dict[str, str]:
    """Contexts that have a colour -> it, those that a drawn dictionary detects best on training tokens first."""
    drawn = (contexts["model"] + "/" + contexts["sae"]).isin([column.name for column in shown])
    known = contexts[drawn & (contexts["feature"] >= 0)]
    firm = known.groupby("context")["f1_train"].max().sort_values(ascending=False, kind="stable").index
    there = set(data["context"]) | set(data["best_for"])
    return dict(zip([name for name in firm if name in there], HUES, strict=False))


def _draw_row(panels: Sequence[Axes], mine: pd.DataFrame, scale: Normalize, named: dict[str, str]) -> None:
    size = float(np.clip(2200 / len(mine), 1.2, 9.0))
    community = mine["community"].to_numpy()
    largest = (community >= 0) & (community < len(COMMUNITY_HUES))
    _scatter(panels[0], mine[~largest], OTHERS, size, 0.7)
    _scatter(panels[0], mine[largest], [COMMUNITY_HUES[number] for number in community[largest]], size, 0.9)
    _scatter(panels[1], mine, colormaps[SHADES](scale(np.log10(mine["frequency"]))), size, 0.9)
    special = mine["context"].isin(named)
    _scatter(panels[2], mine[~special], OTHERS, size, 0.7)
    _scatter(panels[2], mine[special], list(mine.loc[special, "context"].map(named)), 1.6 * size, 1.0)
    box = panels[0].get_window_extent()
    low, high = mine[["x", "y"]].min().to_numpy(), mine[["x", "y"]].max().to_numpy()
    across = (high[0] - low[0]) * box.height / box.width / WIDTH_SHARE
    half = 0.54 * max(across, high[1] - low[1], 0.1)
    middle = (low + high) / 2
    for panel in panels:
        panel.set_xlim(middle[0] - half * box.width / box.height, middle[0] + half * box.width / box.height)
        panel.set_ylim(middle[1] - half, middle[1] + half)
        panel.set_xticks([])
        panel.set_yticks([])
        for spine in panel.spines.values():
            spine.set(visible=True, color=OTHERS, linewidth=0.6)
    _name_best(panels[2], mine, named)


def _scatter(panel: Axes, points: pd.DataFrame, color: Any, size: float, alpha: float) -> None:
    if len(points):
        panel.scatter(points["x"], points["y"], s=size, c=color, alpha=alpha, linewidths=0, rasterized=True)


def _name_best(panel: Axes, mine: pd.DataFrame, named: dict[str, str]) -> None:
    """Rings around the best features of the contexts, joined by lines to their names at the sides of the panel."""
    best = mine[mine["best_for"].isin(named)]
    place = panel.transData + panel.transAxes.inverted()
    shares = place.transform(best[["x", "y"]].to_numpy(np.float64)).reshape(-1, 2)
    right = shares[:, 0] > np.median(shares[:, 0]) if len(best) else np.zeros(0, bool)
    for side, x, align in ((right, 0.99, "right"), (~right, 0.01, "left")):
        heights = _apart(shares[side, 1])
        for (_, point), height in zip(best[side].iterrows(), heights, strict=True):
            panel.plot(point["x"], point["y"], color=named[point["best_for"]], **BEST)
            line = {"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2.5}
            panel.annotate(
                point["best_for"],
                (point["x"], point["y"]),
                (x, height),
                textcoords="axes fraction",
                ha=align,
                va="center",
                fontsize=SMALL_POINTS,
                color=INK,
                path_effects=HALO,
                parse_math=False,
                arrowprops=line | {"relpos": (0 if align == "right" else 1, 0.5)},
                zorder=8,
            )


def _apart(heights: np.ndarray) -> np.ndarray:
    """Shares of a panel's height, moved so that names there do not lie over one another."""
    order, moved = np.argsort(heights, kind="stable"), np.array(heights, np.float64)
    for previous, own in pairwise(order):
        moved[own] = max(moved[own], moved[previous] + NAME_GAP)
    for own, following in reversed(list(pairwise([*order, -1]))):
        limit = 1 - NAME_GAP / 2 if following == -1 else moved[following] - NAME_GAP
        moved[own] = min(moved[own], limit)
    return moved


def _header(panel: Axes, column: Column, found: dict[str, Any]) -> None:
    """The dictionary's name, and how much of its neighbourhoods the map keeps."""
    kept = (
        f"; {percent(found['preserved'], 2)} of nearest decoder rows are nearest here, of random directions"
        f" {percent(found['preserved_random'], 2)}"
        if found["preserved"] is not None
        else ""
    )
    name = shorten(column.sae, 150, TEXT_POINTS, "bold")
    width = TextPath((0, 0), name, size=TEXT_POINTS, prop=FontProperties(family=FONT, weight="bold")).get_extents().x1
    about = f"on {column.model}, {plural(found['features'], 'live feature')}{kept}"
    for text, indent, options in (
        (name, 0, {"fontsize": TEXT_POINTS, "fontweight": "bold"}),
        (about, width + 6, {"fontsize": SMALL_POINTS, "color": MUTED}),
    ):
        panel.annotate(text, (0, 1), (indent, 4), xycoords="axes fraction", textcoords="offset points",
                       parse_math=False, **options)  # fmt: skip


def _legends(figure: Figure, grid: GridSpec, scale: Normalize, named: dict[str, str], height: float) -> None:
    """Above each column of panels what its colours mean."""
    boxes = [grid[0, side].get_position(figure) for side in range(3)]
    point = {"linestyle": "", "marker": "o", "markersize": 4.0, "markeredgewidth": 0}
    options = {"handletextpad": 0.05, "columnspacing": 0.55, "borderpad": 0, "borderaxespad": 0, "handlelength": 1.1}
    titles = (
        "Community, the largest first",
        "Frequency on the graph's tokens",
        "Context; ringed: its best feature",
    )
    for box, title in zip(boxes, titles, strict=True):
        figure.text(box.x0, 1 - 0.03 / height, title, va="top", fontsize=TEXT_POINTS, fontweight="bold")
    dots = [Line2D([], [], color=color, **point) for color in COMMUNITY_HUES]
    labels = [str(number) for number in range(1, len(dots) + 1)]
    across = len(dots) // 2
    order = [place + half for place in range(across) for half in (0, across)]  # legends fill column by column
    other = Line2D([], [], color=OTHERS, **point)
    top = 1 - 0.175 / height
    numbered, numbers = [dots[place] for place in order], [labels[place] for place in order]
    figure.legend([*numbered, other], [*numbers, "other, none"], loc="upper left", bbox_to_anchor=(boxes[0].x0, top),
                  ncols=across + 1, fontsize=SMALL_POINTS, **options)  # fmt: skip
    handles = [Line2D([], [], color=color, **point) for color in named.values()]
    if named:
        figure.legend(handles, list(named), loc="upper left", bbox_to_anchor=(boxes[2].x0, top), ncols=4,
                      fontsize=SMALL_POINTS, **options)  # fmt: skip
    bar = figure.add_axes((boxes[1].x0 + 0.01, 1 - 0.27 / height, 0.86 * boxes[1].width, 0.08 / height))
    figure.colorbar(ScalarMappable(scale, SHADES), cax=bar, orientation="horizontal").outline.set_visible(False)
    power_ticks(bar, scale.vmin, scale.vmax)
    bar.tick_params(length=2, pad=1)


def _caption(
    columns: Sequence[Column],
    summaries: Sequence[dict[str, Any]],
    shown: Sequence[Column],
    named: dict[str, str],
    data: pd.DataFrame,
) -> dict[str, str]:
    pairs = list(zip(columns, summaries, strict=True))
    drawn = [found for column, found in pairs if column in shown]
    trained = [found for column, found in pairs if found["features"] and not column.control] or drawn
    number_of = drawn[0]["neighbours"]
    details = (
        f"UMAP of the decoder rows of live features (n = {spread([found['features'] for found in drawn], count)}), from"
        f" the {number_of} nearest of each by cosine; axes have no unit, and distances between groups mean little."
        " A row per dictionary, coloured by community of the graph (the ten largest of each, whose numbers mean nothing"
        " across dictionaries), by frequency and by the context of a feature on training tokens"
    )
    details += (
        f"; rings are the best features of contexts, where their F1 there is {LEAST_F1} or more."
        if named
        else ", of which there is none beside ordinary text."
    )
    community = [found["community"]["map"] for found in trained]
    if any(found["value"] is not None for found in community):
        details += (
            f" Of the {number_of} nearest in the map, {spread([found['value'] for found in community], percent)} are of"
            " the same community, with features exchanged among those of about equal top-k count"
            f" {spread([found['mean'] for found in community], percent)}; among the nearest decoder rows themselves"
            f" {spread([found['community']['decoder']['value'] for found in trained], percent)}."
        )
    details += _left_out(pairs, shown)
    alt = (
        f"Scatter plots of features in the plane, {plural(len(shown), 'row')} of three panels;"
        f" {plural(len(data), 'feature')} in all dictionaries."
    )
    return words(_conclusion(trained), details, alt)


def _conclusion(trained: Sequence[dict[str, Any]]) -> str:
    known = [found for found in trained if found["preserved"] is not None]
    if not known:
        return "There are too few features to say what their map keeps of the directions that they have."
    kept = spread([found["preserved"] for found in known], percent)
    random = spread([found["preserved_random"] for found in known], percent)
    return (
        f"In a plane a feature keeps {kept} of its {known[0]['neighbours']} nearest decoder rows as neighbours, where"
        f" random directions keep {random}."
    )


def _left_out(pairs: Sequence[tuple[Column, dict[str, Any]]], shown: Sequence[Column]) -> str:
    """Dictionaries that have no map, with the reason, and those that are in the data alone."""
    text = ""
    for reason in dict.fromkeys(found["reason"] for _, found in pairs if found["reason"]):
        names = [column.name for column, found in pairs if found["reason"] == reason]
        text += f" No map of {listed(names)}: {reason}."
    more = sum(1 for column, found in pairs if found["features"] and column not in shown)
    if more:
        text += f" {plural(more, 'more dictionary is', 'more dictionaries are')} in the data alone."
    return text


def _nothing(columns: Sequence[Column], summaries: Sequence[dict[str, Any]]) -> Drawing:
    """A figure that says that there is no map."""
    details = sentence(_left_out(list(zip(columns, summaries, strict=True)), []).strip())
    return nothing("no dictionary has a map", COLUMNS, "No dictionary has a map.", details)
