"""Feature splitting: cosines of features with those of a narrower dictionary, numbers of descendants, lineages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from coact.comparison.columns import Column
from coact.comparison.splitting import CHILDREN, SEED
from coact.comparison.wording import count, defined, p_value, percent, plural, spread
from coact.figures.ground_truth import wilson_interval
from coact.figures.layout import LINE_POINTS, percent_ticks, shorten
from coact.figures.lineages import Lineages, branch_width, draw_lineages
from coact.figures.save import Drawing, nothing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, SMALL_POINTS, Look, looks, style

MOST_PAIRS = 6  # that have room; the data have all
BINS = 32
CONFIDENCE = 0.95
ROW_INCHES, LEAF_INCHES, LEAST_INCHES = 0.98, 0.185, 1.6
TITLE_POINTS = 215  # width of the words above a row
SHOWN = ("panel", "a", "b", "differ", "low", "share", "parent", "feature", "cosine")
DIFFER = {"width": "other width", "width and seed": "other width, other seed", "seed": "same width, other seed"}
NO_PAIRS = "No two dictionaries differ in their width alone or in width and seed, so nothing is known of splitting."
REFERENCE_WORDS = (
    " Dashes are the mean of pairs that differ in the seed alone, where there is nothing to split; a pair of widths"
    " counts as more where the 95% intervals of the shares (Wilson 1927) are apart."
)
NULL = {"color": INK, "linewidth": 0.9}
LIMIT = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (3, 2))}
REFERENCE = {"linestyle": "", "marker": "_", "color": INK, "markersize": 9, "markeredgewidth": 1.3, "zorder": 5}
DOT = {"linestyle": "", "marker": "o", "markersize": 4.4, "color": MUTED}


def splitting(
    columns: Sequence[Column],
    descendants: pd.DataFrame,
    table: pd.DataFrame,
    least_cosine: float,
    contexts: pd.DataFrame | None = None,
    named: Sequence[str] = (),
) -> Drawing:
    """Per pair of dictionaries the best cosines and the numbers of descendants, and some features with theirs.

    Args:
        columns: of the study.
        descendants, table: of `coact.comparison.splitting.split_columns`.
        least_cosine: from which on a feature descends.
        contexts: model, sae, context, feature (-1 for none): the best feature of each context. Without it, or where
            it has none of the contexts `named` for the narrowest dictionary, those with most descendants are drawn.
    """
    if not len(table):
        return _nothing()
    shown = _choose(columns, table)
    lineages = Lineages.of(columns, descendants, table, contexts, named)
    rows = pd.concat([_numbers(row, descendants) for row in table.itertuples()] + [lineages.branches()])
    with style():
        found = looks(columns)
        tall = max(LEAST_INCHES, ROW_INCHES * len(shown), LEAF_INCHES * (lineages.leaves() + 3))
        figure = Figure(figsize=(PAGE_WIDTH, tall + 0.75), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.05, h_pad=0.04, wspace=0.03, hspace=0.0)
        grid = figure.add_gridspec(len(shown), 3, width_ratios=(1.15, 0.8, 2.15))
        panels = np.array([[figure.add_subplot(grid[row, side]) for side in (0, 1)] for row in range(len(shown))])
        _draw_pairs(panels, shown, rows, least_cosine, found)
        draw_lineages(figure.add_subplot(grid[:, 2]), lineages, found, least_cosine)
        _legend(figure, least_cosine, (table["differ"] == SEED).any())
    controls = {column.name for column in columns if column.control}
    trained = table[~table["narrow_name"].isin(controls)]
    caption = _caption(trained if len(trained) else table, len(shown), len(table), lineages, least_cosine)
    return Drawing(figure, rows.reset_index(drop=True).reindex(columns=list(SHOWN)), caption)


def _choose(columns: Sequence[Column], table: pd.DataFrame) -> pd.DataFrame:
    """The pairs that are drawn: the first of every kind of difference, controls last."""
    control = {column.name: column.control for column in columns}
    order = table.assign(control=table["narrow_name"].map(control), place=table.groupby("differ").cumcount())
    first = order.sort_values(["control", "place"], kind="stable").index[:MOST_PAIRS]
    return table.loc[sorted(first)]


def _numbers(row: Any, descendants: pd.DataFrame) -> pd.DataFrame:
    """Shares of features by their cosine (low: of the bin) and by their number of descendants."""
    mine = descendants[(descendants["a"] == row.narrow_name) & (descendants["b"] == row.wide_name)]
    known = mine[["cosine", "null_cosine"]].dropna()
    low = min(0.0, np.floor(10 * known.min().min()) / 10) if len(known) else 0.0
    bins, parts = np.linspace(low, 1, BINS + 1), []
    for panel in known:
        share = np.histogram(known[panel], bins)[0] / max(len(known), 1)
        parts.append(pd.DataFrame({"panel": panel, "low": bins[:-1], "share": share}))
    shares = np.asarray(row.children) / max(row.narrow, 1)
    parts.append(pd.DataFrame({"panel": "children", "low": np.asarray(CHILDREN, float), "share": shares}))
    return pd.concat(parts).assign(a=row.narrow_name, b=row.wide_name, differ=row.differ)


def _draw_pairs(
    panels: np.ndarray, shown: pd.DataFrame, rows: pd.DataFrame, least_cosine: float, found: dict[str, Look]
) -> None:
    """A row of two panels per pair."""
    reference = rows[(rows["panel"] == "children") & (rows["differ"] == SEED)]
    for (left, right), row in zip(panels, shown.itertuples(), strict=True):
        mine = rows[(rows["a"] == row.narrow_name) & (rows["b"] == row.wide_name)]
        color = found[row.wide_name].color
        parts = dict(iter(mine.groupby("panel")))
        edges = np.append(parts["cosine"]["low"], 1.0)
        left.stairs(_scaled(parts["cosine"]), edges, fill=True, color=color, alpha=0.75, zorder=2)
        left.stairs(_scaled(parts["null_cosine"]), edges, zorder=3, **NULL)
        left.axvline(least_cosine, zorder=4, **LIMIT)
        text = f"{percent(row.descending, 2)}, null {percent(row.null_descending, 2)}"
        left.text(0.99, 1.0, text, transform=left.transAxes, fontsize=SMALL_POINTS, ha="right", va="top")
        shares = parts["children"]["share"]
        right.bar(range(len(shares)), shares, width=0.72, color=found[row.narrow_name].color, zorder=2)
        beside = reference[reference["a"].str.startswith(f"{row.narrow_name.partition('/')[0]}/")]
        if len(beside) and row.differ != SEED:
            means = beside.groupby("low")["share"].mean()
            right.plot(range(len(means)), means, **REFERENCE)
        _title(left, row)
    _set_axes(panels, rows)


def _scaled(part: pd.DataFrame) -> pd.Series:
    """Shares over the largest of them: the null is so narrow that nothing else could be seen on one scale."""
    return part["share"] / max(part["share"].max(), 1e-9)


def _title(panel: Axes, row: Any) -> None:
    model, _, narrow = row.narrow_name.partition("/")
    names = f"{narrow} \N{RIGHTWARDS ARROW} {row.wide_name.partition('/')[2]}"
    about = f"{DIFFER[row.differ]}, on {model}"
    lines = [
        (shorten(names, TITLE_POINTS, SMALL_POINTS, "bold"), "bold", INK),
        (shorten(about, TITLE_POINTS, SMALL_POINTS), "normal", MUTED),
    ]
    for place, (text, weight, color) in enumerate(lines):
        panel.annotate(text, (0, 1), (0, 3 + (1 - place) * LINE_POINTS), xycoords="axes fraction",
                       textcoords="offset points", fontsize=SMALL_POINTS, fontweight=weight, color=color,
                       parse_math=False)  # fmt: skip


def _set_axes(panels: np.ndarray, rows: pd.DataFrame) -> None:
    last = len(panels) - 1
    top = rows.loc[rows["panel"] == "children", "share"].max()
    low = rows.loc[rows["panel"] == "cosine", "low"].min()
    for place, (left, right) in enumerate(panels):
        left.set_xlim(low, 1)
        left.set_ylim(0, 1.4)  # room for the words above
        left.set_yticks([])
        right.set_ylim(0, 1.12 * max(top, 0.01))
        right.set_xlim(-0.6, len(CHILDREN) - 0.4)
        right.set_xticks(range(len(CHILDREN)), [*map(str, CHILDREN[:-1]), f"{CHILDREN[-1]}+"])
        right.grid(axis="x", visible=False)
        right.yaxis.set_major_locator(MaxNLocator(3))
        percent_ticks(right)
        for panel in (left, right):
            panel.tick_params(labelbottom=place == last)
    panels[last, 0].set_xlabel("Best cosine with a\nfeature of the first")
    panels[last, 1].set_xlabel("Descendants\nof a feature")


def _legend(figure: Figure, least_cosine: float, reference: bool) -> None:
    entries = [
        (Patch(facecolor=MUTED, alpha=0.75), "features of the second dictionary"),
        (Line2D([], [], **NULL), "null: entries of rows shuffled"),
        (Line2D([], [], **LIMIT), f"a feature descends: cosine {least_cosine:g} or more"),
    ]
    if reference:
        entries.append((Line2D([], [], **REFERENCE), "reference: two seeds of one width"))
    entries += [
        (Line2D([], [], color=MUTED, linewidth=branch_width(cosine, least_cosine)), f"branch: cosine {cosine:.2g}")
        for cosine in (least_cosine, (1 + least_cosine) / 2)
    ]
    entries.append((Line2D([], [], **DOT | {"markerfacecolor": "white"}), "has its parent's number"))
    handles, labels = zip(*entries, strict=True)
    figure.legend(handles, labels, loc="outside upper left", ncols=3, handlelength=2.0, columnspacing=1.6,
                  borderaxespad=0.2, borderpad=0.2)  # fmt: skip


def _split(row: Any) -> float:
    """Share of the live features of the narrower dictionary with two descendants or more."""
    return sum(row.children[2:]) / row.narrow if row.narrow else np.nan


def _bounds(row: Any) -> tuple[float, float]:
    """Interval of `_split`; NaN without features."""
    return wilson_interval(_split(row), row.narrow, CONFIDENCE) if row.narrow else (np.nan, np.nan)


def _conclusion(table: pd.DataFrame) -> str:
    wider, seeds = table[table["differ"] != SEED], table[table["differ"] == SEED]
    shares = [_split(row) for row in wider.itertuples()]
    if not any(map(defined, shares)):
        return "No narrower dictionary has live features, so whether features split with width is not defined."
    several = "two descendants or more"
    if len(seeds):
        most = max((_bounds(row)[1] for row in seeds.itertuples()), default=np.nan)
        beyond = sum(_bounds(row)[0] > most for row in wider.itertuples())
        text = (
            f"In {beyond} of {plural(len(wider), 'pair')} of widths more features have {several}"
            f" ({spread(shares, percent)}) than between two seeds of one width"
            f" ({spread((_split(row) for row in seeds.itertuples()), percent)})"
        )
    else:
        text = f"{spread(shares, percent)} of features have {several} in the next wider dictionary"
    if wider["linked"].notna().any():
        text += (
            f"; {spread(wider['linked'], percent)} of pairs of siblings are linked in the graph, by chance"
            f" {spread(wider['null_linked'], percent)}"
        )
    return f"{text}."


def _caption(table: pd.DataFrame, shown: int, pairs: int, lineages: Lineages, least_cosine: float) -> dict[str, str]:
    """Words on the pairs of `table`, which are those of trained models where there are such."""
    wider = table[table["differ"] != SEED]
    alike = table[table["differ"] == "width"]
    siblings = wider[wider["siblings"] > 0]
    details = (
        f"Left, the largest cosine of each live feature of the second dictionary with one of the first (n ="
        f" {spread(table['wide'], count)} features), beside rows with their entries shuffled; either is scaled to its"
        f" highest bin. A feature descends where it is at least {least_cosine:g}:"
        f" {spread(wider['descending'], percent)} do, of shuffled ones {spread(wider['null_descending'], percent)}."
        " Middle, live features of the first dictionary by their number of descendants (n ="
        f" {spread(table['narrow'], count)})."
        f"{REFERENCE_WORDS if (table['differ'] == SEED).any() else ''} Right, {lineages.sentence()} On tokens that the"
        f" graph does not use, a descendant's parent is active on {spread(wider['coverage'], percent)} of its tokens"
        f" (medians; if independent, {spread(wider['expected_coverage'], percent)})."
    )
    if len(siblings):
        details += (
            f" Siblings: {spread(siblings['siblings'], count)} pairs, largest p {p_value(siblings['linked_p'].max())}."
        )
    if alike["same_place"].notna().any():
        details += (
            f" Of descendants {spread(alike['same_place'], percent)} have their parent's number, as would be many where"
            " dictionaries began with the same rows."
        )
    if len(table) < pairs:
        details += " Numbers here are of dictionaries that are no controls."
    if shown < pairs:
        details += f" {plural(pairs - shown, 'more pair is', 'more pairs are')} in the data alone."
    alt = (
        f"Histograms and bars for {plural(shown, 'pair')} of dictionaries, and descendants of features in"
        f" {plural(len(lineages.names), 'dictionary', 'dictionaries')}. {plural(len(lineages.roots), 'tree')}."
    )
    return words(_conclusion(table), details, alt)


def _nothing() -> Drawing:
    """A figure that says that there are no two widths."""
    details = "Splitting is measured between dictionaries of one family whose `expansion` differs."
    return nothing("no two widths: saes.<family>.expansion lists one alone", SHOWN, NO_PAIRS, details)
