"""The strongest chains of features, and how many directed edges there are beside their nulls."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import NullLocator

from coact.comparison.columns import Column
from coact.comparison.wording import count, defined, number, plural, spread
from coact.figures.layout import shorten
from coact.figures.save import Drawing, words
from coact.figures.style import FONT, INK, MUTED, PAGE_WIDTH, SMALL_POINTS, TEXT_POINTS, looks, style

CHAINS_SHOWN = 8
BOX, GAP, ROW = 0.8, 0.47, 0.56  # inches: width of a feature, of the arrow after it, height of a chain
TITLE, WALKS = 0.42, 1.1  # inches: height of the words above the chains, width of those beside them
KINDS = {
    "beyond_independence": "beyond\nindependence",
    "beyond_shifts": "beyond\nshifts",
    "beyond_shifts_asymmetric": "beyond shifts,\nasymmetric",
    "handovers": "hand-overs",
    "chains": "chains",
    "positional_chains": "positional\nchains",
}
ISOLATES = dict.fromkeys(map(ord, "\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"))
ARROW = {"arrowstyle": "-|>", "mutation_scale": 7, "color": INK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
POINT = {"linestyle": "", "markersize": 4.4, "markeredgecolor": "white", "markeredgewidth": 0.4}


def chains(
    columns: Sequence[Column],
    summaries: Sequence[dict[str, Any]],
    tables: Sequence[pd.DataFrame],
    steps: Sequence[pd.DataFrame],
    shown_tokens: Sequence[Mapping[int, str]],
) -> Drawing:
    """Diagrams of the strongest chains of one dictionary, and numbers of edges of all, observed and shifted.

    The dictionary is the first one that is no control and has a chain of three features or more, or any chain; of
    chains with the same tokens the strongest is drawn.

    Args:
        columns, summaries: the columns and, in the same order, chains.json of each.
        tables, steps: chains.parquet and chain_steps.parquet of each.
        shown_tokens: for each, token id -> its text made safe to show (`show_token`), of all tokens in `steps`.
    """
    place = _choose(columns, tables)
    data = pd.concat([_numbers(*entry) for entry in zip(columns, summaries, strict=True)], ignore_index=True)
    chosen = _distinct(tables[place], steps[place]) if place is not None else pd.DataFrame()
    rows = max(len(chosen), 1)
    with style():
        found = looks(columns)
        below = 2.3 + 0.17 * math.ceil(len(columns) / 2)
        figure = Figure(figsize=(PAGE_WIDTH, ROW * rows + TITLE + below), layout="constrained")
        above, beneath = figure.subfigures(2, 1, height_ratios=[ROW * rows + TITLE, below])
        panel = above.add_axes((0.01, 0.0, 0.98, 1.0))
        _diagram(panel, chosen, steps[place] if place is not None else None,
                 shown_tokens[place] if place is not None else {}, rows)  # fmt: skip
        title = "No chains" if place is None else f"Strongest chains of {columns[place].name}"
        panel.text(0, -0.22, title, fontsize=TEXT_POINTS, va="center", parse_math=False)
        _draw_numbers(beneath, columns, data, found)
    return Drawing(figure, data, _caption(columns, summaries, place, chosen))


def _choose(columns: Sequence[Column], tables: Sequence[pd.DataFrame]) -> int | None:
    for least in (3, 2):
        for place, (column, table) in enumerate(zip(columns, tables, strict=True)):
            if not column.control and ((table["length"] >= least) & ~table["positional"]).any():
                return place
    return None


def _distinct(table: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """The first chains of those that have other tokens than any before them."""
    tokens = steps.sort_values("step").groupby("chain")["token"].agg(tuple)
    return table[~table["chain"].map(tokens).duplicated() & ~table["positional"]].head(CHAINS_SHOWN)


def _numbers(column: Column, summary: dict[str, Any]) -> pd.DataFrame:
    """model, sae, kind, observed, shifted."""
    return pd.DataFrame(
        [
            (column.model, column.sae, kind, summary["observed"][kind], summary["shifted"][kind])
            for kind in ("edges", *KINDS)
        ],
        columns=["model", "sae", "kind", "observed", "shifted"],
    )


def _diagram(
    panel: Axes, chosen: pd.DataFrame, steps: pd.DataFrame | None, tokens: Mapping[int, str], rows: int
) -> None:
    """A row of boxes and arrows for each chain, in inches."""
    panel.set_axis_off()
    panel.set_xlim(0, 0.98 * PAGE_WIDTH)
    panel.set_ylim(rows * ROW, -TITLE)
    if steps is None or not len(chosen):
        return
    most = chosen["length"].max()
    scale = min(1.0, (0.98 * PAGE_WIDTH - WALKS) / (most * (BOX + GAP) - GAP))
    box, gap = scale * BOX, scale * GAP
    for row, chain in enumerate(chosen.itertuples()):
        mine, y = steps[steps["chain"] == chain.chain], ROW * (row + 0.3)
        for place, step in enumerate(mine.itertuples()):
            x = place * (box + gap)
            _box(panel, x, y, box, step, tokens)
            if place + 1 < len(mine):
                _arrow(panel, x + box, y, gap, step)
        end = len(mine) * (box + gap) - gap
        if chain.closed:
            _return(panel, box / 2, end - box / 2, y)
        walks = f"{count(chain.count)} of {count(chain.starts)}"
        heldout = f"held out {count(chain.count_heldout)} of {count(chain.starts_heldout)}"
        panel.text(end + 0.1, y, f"{walks}\n{heldout}", fontsize=SMALL_POINTS - 0.8, color=MUTED, va="center")


def _box(panel: Axes, x: float, y: float, width: float, step: Any, tokens: Mapping[int, str]) -> None:
    corner, shape = (x + 0.03, y - 0.15), "round,pad=0,rounding_size=0.06"
    panel.add_patch(
        FancyBboxPatch(corner, width - 0.06, 0.3, shape, facecolor="#F2F5F8", edgecolor=MUTED, linewidth=0.7)
    )
    text = shorten(drawable(tokens[step.token]), 72 * (width - 0.12), TEXT_POINTS)
    centre = {"ha": "center", "va": "center", "parse_math": False}
    panel.text(x + width / 2, y - 0.068, text, fontsize=TEXT_POINTS, **centre)
    panel.text(x + width / 2, y + 0.078, f"feature {step.feature}", fontsize=SMALL_POINTS - 1.2, color=MUTED, **centre)


def _arrow(panel: Axes, x: float, y: float, width: float, step: Any) -> None:
    panel.add_patch(FancyArrowPatch((x, y), (x + width, y), **ARROW))
    held = f"{step.probability_heldout:.2f}" if defined(step.probability_heldout) else "\N{EN DASH}"
    text = f"{step.probability:.2f}|{held}"
    panel.text(x + width / 2, y - 0.03, text, fontsize=SMALL_POINTS - 1.2, ha="center", va="bottom")


def _return(panel: Axes, start: float, end: float, y: float) -> None:
    """An arrow from the last feature of a cycle back to its first."""
    low = y + 0.23
    panel.plot([end, end, start], [y + 0.15, low, low], color=INK, linewidth=0.9, solid_joinstyle="round")
    panel.add_patch(FancyArrowPatch((start, low), (start, y + 0.15), **ARROW))


def drawable(text: str) -> str:
    """Text that is safe to show, without marks of direction, its characters that the figures' font lacks escaped."""
    return "".join(sign if ord(sign) in _signs() else ascii(sign).strip("'") for sign in str(text).translate(ISOLATES))


@cache
def _signs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())


def _draw_numbers(part: Any, columns: Sequence[Column], data: pd.DataFrame, found: Mapping[str, Any]) -> None:
    """Marks for what is observed, bars for shifted text, for each kind and column; 0 has a place below 1."""
    panel = part.subplots()
    names, step = data["model"] + "/" + data["sae"], 0.8 / max(len(columns), 1)
    for number_of, column in enumerate(columns):
        mine = data[names == column.name].set_index("kind")
        look = found[column.name]
        for place, kind in enumerate(KINDS):
            x, row = place - 0.4 + step * (number_of + 0.5), mine.loc[kind]
            panel.plot([x, x], [row["shifted"], row["observed"]], color=look.color, linewidth=0.6, alpha=0.6, zorder=2)
            panel.plot(x, row["shifted"], "_", color=INK, markersize=5, markeredgewidth=0.9, zorder=5)
            panel.plot(x, row["observed"], look.marker, color=look.color, zorder=4, **POINT)
    panel.set_yscale("symlog", linthresh=1, linscale=0.4)
    panel.set_ylim(-0.3, 2 * max(data["observed"].max(), 1))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.set_xticks(range(len(KINDS)), list(KINDS.values()))
    panel.set_xlim(-0.5, len(KINDS) - 0.5)
    panel.grid(axis="x", visible=False)
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("Number (logarithmic above 1)")
    handles = [Line2D([], [], marker=found[c.name].marker, color=found[c.name].color, **POINT) for c in columns]
    handles.append(Line2D([], [], linestyle="", marker="_", color=INK, markersize=5, markeredgewidth=0.9))
    part.legend(handles, [*(column.name for column in columns), "shifted text"], loc="outside upper left", ncols=3,
                handlelength=1.4, columnspacing=1.6, borderpad=0.2)  # fmt: skip


def _caption(
    columns: Sequence[Column], summaries: Sequence[dict[str, Any]], place: int | None, chosen: pd.DataFrame
) -> dict[str, str]:
    observed = spread((summary["observed"]["beyond_shifts"] for summary in summaries), count)
    shifted = spread((summary["shifted"]["beyond_shifts"] for summary in summaries), count)
    found = spread((summary["observed"]["chains"] for summary in summaries), count)
    spurious = spread((summary["shifted"]["chains"] for summary in summaries), count)
    numbers = (
        f"Directed edges beyond shifts: {observed}, in shifted text {shifted}. Chains that are not positional: {found},"
        f" in shifted text {spurious}."
    )
    details = (
        f"{_diagrams_sentence(columns, place, chosen)} Below, edges from the top-k sets of a token to those of the next"
        f" (n = {spread((summary['tokens'] for summary in summaries), count)} training tokens, of"
        f" {plural(len(columns), 'dictionary', 'dictionaries')}): significant beyond independence within labels; beyond"
        " shifts within documents; of these more frequent than the reverse; frequent and probable enough for a chain;"
        " chains, and those of which half the walks begin at one place of the context. Bars are the same of shifted"
        f" text. {numbers} Chains are chosen on training tokens."
    )
    alt = f"Rows of boxes joined by arrows, and numbers of edges, observed and in shifted text. {numbers}"
    return words(_conclusion(columns, summaries), details, alt)


def _diagrams_sentence(columns: Sequence[Column], place: int | None, chosen: pd.DataFrame) -> str:
    if place is None:
        return "There is no chain to show."
    heldout = chosen["probability_heldout"].dropna()
    return (
        f"Above, {plural(len(chosen), 'chain')} of {columns[place].name}: boxes are features with the token that is the"
        " most frequent where the chain is walked; arrows go from a token to the next, with the probability of the step"
        " on training | held-out tokens; beside them, how often the whole chain is walked, of the tokens with its"
        f" first feature. {plural(len(heldout), 'chain')} can be measured on held-out tokens, with a median probability"
        f" of {number(heldout.median(), 2)}."
    )


def _conclusion(columns: Sequence[Column], summaries: Sequence[dict[str, Any]]) -> str:
    """How many more edges there are than in shifted text, in trained dictionaries and in controls."""
    sides = []
    for control, name in ((False, "trained dictionaries"), (True, "controls")):
        numbers = [
            summary["observed"]["beyond_shifts"] - summary["shifted"]["beyond_shifts"]
            for column, summary in zip(columns, summaries, strict=True)
            if column.control == control
        ]
        if numbers:
            sides.append(f"{spread(numbers, count)} in {name}")
    return f"Features follow one another by more directed edges than in shifted text: {' and '.join(sides)}."
