"""Which contexts single features detect, beside neurons, probes and the untrained model; features by contexts."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from coact.comparison.columns import Column
from coact.comparison.contexts import neurons_of, representative, untrained_of
from coact.comparison.wording import count, few, listed, number, percent, plural, spread
from coact.figures.layout import of_column
from coact.figures.save import Drawing, words
from coact.figures.style import INK, MUTED, NOT_LIVE, PAGE_WIDTH, SMALL_POINTS, Look, looks, style
from coact.interpretation.detection import LEAST_DOCUMENTS
from coact.interpretation.memberships import shown_contexts

FEATURE, OTHERS, NEURON, PROBE, UNTRAINED = "feature", "other SAE", "neuron", "probe", "untrained"
GOOD = 0.8
NEAR = 0.005  # two F1 that differ by no more are equal
ROW_INCHES, CELL_INCHES = 0.235, 0.19
SHADE = "#F7F7F7"
DOT = {
    "marker": "o",
    "linestyle": "",
    "markersize": 5.2,
    "markeredgecolor": "white",
    "markeredgewidth": 0.5,
    "zorder": 6,
}
OPEN = {"linestyle": "", "markersize": 4.4, "markerfacecolor": "white", "markeredgewidth": 1.0, "zorder": 5}
TICK = {"marker": "|", "linestyle": "", "markersize": 5.5, "markeredgewidth": 1.0, "color": MUTED, "zorder": 3}
BOUND = {"marker": "|", "linestyle": "", "markersize": 9.5, "markeredgewidth": 1.6, "color": INK, "zorder": 4}
INTERVAL = {"linewidth": 5.0, "alpha": 0.3, "solid_capstyle": "butt", "zorder": 2}
MARGIN_INCHES, LABEL_POINTS = 1.9, 5.6  # beside the cells, and of the features' numbers
LEAST_TOP = 4  # of the scale of lifts, in powers of two
MOST_LOST = 6  # contexts that a sentence lists


def contexts(columns: Sequence[Column], table: pd.DataFrame, ordinary: Sequence[str]) -> Drawing:
    """Held-out F1 of the best feature of every context beside its controls, and its precision and sensitivity.

    The dictionary shown is chosen on training tokens (`representative`); the others of its model are small ticks.

    Args:
        columns, table: the columns and the table of `compare_contexts`.
        ordinary: labels that are the ordinary text of the corpus.
    """
    place = representative(columns, table, ordinary)
    names = _order(table, columns, place, shown_contexts(table, ordinary))
    data = _rows(columns, table, place, names)
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 1.25 + ROW_INCHES * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.6, 1))
        marks = _marks(columns, place)
        for row, name in enumerate(names):
            mine = data[data["context"] == name].set_index("detector")
            for panel in (left, right):
                panel.axhspan(row - 0.5, row + 0.5, color=SHADE if row % 2 else "white", zorder=0, linewidth=0)
            _draw_row(left, right, row, mine, marks)
        _set_axes(left, right, data, names)
        _legend(figure, columns, place, marks, data)
    return Drawing(figure, data, _caption(columns, place, data, names))


def _order(table: pd.DataFrame, columns: Sequence[Column], place: int, shown: Sequence[str]) -> list[str]:
    """Contexts by held-out F1, the highest first; those that are not measured last, in their own order."""
    own = of_column(table, columns[place]).set_index("context").reindex(shown)
    return list(own.assign(f1=own["f1"].fillna(-1)).sort_values("f1", ascending=False, kind="stable").index)


def _rows(columns: Sequence[Column], table: pd.DataFrame, place: int, names: Sequence[str]) -> pd.DataFrame:
    """context, tokens, documents, detector, model, sae, feature, f1, f1_low, f1_high, precision, sensitivity."""
    own, control, neurons = columns[place], untrained_of(columns, place), neurons_of(columns, place)
    sources = [(FEATURE, own)]
    sources += [
        (OTHERS, column) for column in columns if column.model == own.model and not column.control and column != own
    ]
    sources += [(NEURON, columns[neurons])] if neurons is not None else []
    sources += [(UNTRAINED, columns[control])] if control is not None else []
    kept = ["context", "tokens", "documents", "feature", "f1", "f1_low", "f1_high", "precision", "sensitivity"]
    parts = [
        of_column(table, column)[kept].assign(detector=detector, model=column.model, sae=column.sae)
        for detector, column in sources
    ]
    probe = of_column(table, own)[["context", "tokens", "documents", "probe_f1"]].rename(columns={"probe_f1": "f1"})
    parts.append(probe.assign(detector=PROBE, model=own.model, sae="", feature=-1))
    joined = pd.concat(parts, ignore_index=True)
    joined = joined[joined["context"].isin(names)]
    order = joined["context"].map({name: row for row, name in enumerate(names)})
    columns_of = ["context", "tokens", "documents", "detector", "model", "sae", *kept[3:]]
    return joined.assign(order=order).sort_values("order", kind="stable", ignore_index=True)[columns_of]


def _marks(columns: Sequence[Column], place: int) -> dict[str, Look]:
    """Looks of the dictionary, the neurons and the untrained model's dictionary, where there are such."""
    found, neurons, control = looks(columns), neurons_of(columns, place), untrained_of(columns, place)
    places = {FEATURE: place, NEURON: neurons, UNTRAINED: control}
    return {name: found[columns[number_of].name] for name, number_of in places.items() if number_of is not None}


def _draw_row(left: Axes, right: Axes, row: int, mine: pd.DataFrame, marks: dict[str, Look]) -> None:
    own = mine.loc[FEATURE]
    if np.isnan(own["f1"]):
        why = "no feature is active here in training text" if own["tokens"] else "not measured (0 tokens)"
        left.text(0.01, row, why, color=MUTED, fontsize=SMALL_POINTS, style="italic", va="center")
    color = marks[FEATURE].color
    left.plot([own["f1_low"], own["f1_high"]], [row, row], color=color, **INTERVAL)
    if OTHERS in mine.index:
        others = mine.loc[[OTHERS], "f1"]
        left.plot(others, np.full(len(others), row), **TICK)
    left.plot(mine.loc[PROBE, "f1"], row, **BOUND)
    for name, marker in ((NEURON, "D"), (UNTRAINED, "s")):
        if name in marks:
            left.plot(mine.loc[name, "f1"], row, marker, color=marks[name].color, **OPEN)
    left.plot(own["f1"], row, color=color, **DOT)
    right.plot([own["precision"], own["sensitivity"]], [row, row], color=color, linewidth=0.8, alpha=0.6, zorder=3)
    right.plot(own["precision"], row, color=color, **{**DOT, "markersize": 4.2})
    right.plot(own["sensitivity"], row, "o", color=color, **{**OPEN, "markersize": 4.0, "zorder": 7})


def _set_axes(left: Axes, right: Axes, data: pd.DataFrame, names: Sequence[str]) -> None:
    sizes = data.drop_duplicates("context").set_index("context")
    labels = [f"{name}  {sizes.loc[name, 'tokens']:,} / {sizes.loc[name, 'documents']:,}" for name in names]
    left.set_yticks(range(len(names)), labels)
    for label in left.get_yticklabels():
        label.set_parse_math(False)
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlabel("F1 on held-out tokens")
    right.set_xlabel("Precision, sensitivity")
    left.set_ylabel("Context, held-out tokens / documents")
    for panel in (left, right):
        panel.set_xlim(-0.02, 1.02)
        panel.set_xticks(np.linspace(0, 1, 6 if panel is left else 3))
        panel.grid(axis="y", visible=False)
        panel.tick_params(axis="y", length=0)


def _legend(figure: Figure, columns: Sequence[Column], place: int, marks: dict[str, Look], data: pd.DataFrame) -> None:
    color = marks[FEATURE].color
    handles = [(Line2D([], [], color=color, **INTERVAL), Line2D([], [], color=color, **DOT))]
    labels = [f"best feature of {columns[place].sae}, documents resampled"]
    if (data["detector"] == OTHERS).any():
        handles.append(Line2D([], [], **TICK))
        labels.append("of the model's other SAEs")
    for name, marker, label in ((NEURON, "D", "best neuron"), (UNTRAINED, "s", "best feature, untrained model")):
        if name in marks:
            handles.append(Line2D([], [], marker=marker, color=marks[name].color, **OPEN))
            labels.append(label)
    handles.append(Line2D([], [], **BOUND))
    labels.append("linear probe")
    handles += [
        Line2D([], [], color=color, **{**DOT, "markersize": 4.2}),
        Line2D([], [], marker="o", color=color, **{**OPEN, "markersize": 4.0}),
    ]
    labels += ["precision (right)", "sensitivity (right)"]
    figure.legend(handles, labels, loc="outside upper left", ncols=3, borderpad=0.2, columnspacing=1.6)


def _wins(data: pd.DataFrame, other: str) -> tuple[list[str], list[str]]:
    """Contexts where the feature's F1 is higher than the other's, and all where both are measured."""
    table = data[data["detector"].isin((FEATURE, other))].pivot(index="context", columns="detector", values="f1")
    table = table.reindex(columns=[FEATURE, other]).reindex(data["context"].drop_duplicates()).dropna()
    return list(table.index[table[FEATURE] > table[other] + NEAR]), list(table.index)


def _conclusion(columns: Sequence[Column], place: int, data: pd.DataFrame) -> str:
    own = data[data["detector"] == FEATURE].dropna(subset="f1")
    if own.empty:
        return "No context has held-out tokens, so nothing can be said of how features detect contexts."
    good = list(own.loc[own["f1"] >= GOOD, "context"])
    told = (
        f"A single feature of {columns[place].sae} detects {len(good)} of {plural(len(own), 'context')} with a held-out"
        f" F1 of {GOOD} or more{few(good)}"
    )
    better = []
    for other, name in ((NEURON, "the best neuron"), (PROBE, "a linear probe")):
        wins, compared = _wins(data, other)
        if compared:
            lost = [context for context in compared if context not in wins]
            names = f" (not {listed(lost)})" if wins and 0 < len(lost) <= MOST_LOST else ""
            better.append(f"than {name} in {len(wins)} of {len(compared)}{names}")
    return f"{told}; the best feature is better {listed(better)}." if better else f"{told}."


def _caption(columns: Sequence[Column], place: int, data: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    first = data.drop_duplicates("context")
    own = data[data["detector"] == FEATURE].set_index("context")
    few_documents = list(own.index[(own["documents"] < LEAST_DOCUMENTS) & (own["tokens"] > 0)])
    absent = list(own.index[own["tokens"] == 0])
    control = data[data["detector"] == UNTRAINED]["f1"]
    details = (
        f"Rows: contexts, with held-out tokens and documents (n = {spread(first['tokens'], count)} tokens). For each,"
        " the feature and the threshold with the largest F1 on training tokens, measured on held-out ones;"
        f" {columns[place].sae} is the SAE with the highest mean F1 on training tokens. Light bars: 95% intervals under"
        f" resampling of documents, where a context has {LEAST_DOCUMENTS} or more;"
        f" {plural(len(few_documents), 'context')} {'has' if len(few_documents) == 1 else 'have'} fewer, and no"
        " interval. Right: precision and sensitivity of that feature. The probe is a logistic regression on all"
        " dimensions of the activations."
    )
    if control.notna().any():
        details += f" Best features of the untrained model's SAE: F1 {spread(control)}."
    if absent:
        details += f" {plural(len(absent), 'context')} not measured (0 held-out tokens): {listed(absent)}."
    alt = (
        f"Dot plot of {plural(len(names), 'context')}: held-out F1 of the best feature ({spread(own['f1'])}), beside"
        " those of the best neuron, a linear probe and the untrained model; precision and sensitivity beside it."
    )
    return words(_conclusion(columns, place, data), details, alt)


def context_heatmap(
    columns: Sequence[Column],
    table: pd.DataFrame,
    best: Sequence[pd.DataFrame],
    features: Sequence[pd.DataFrame],
    ordinary: Sequence[str],
) -> Drawing:
    """How much more often the best features of every context are active in each context than elsewhere (lift).

    Args:
        columns, table: as in `contexts`.
        best, features: of every column, in the same order, the tables of `measure_contexts`.
        ordinary: as in `contexts`.
    """
    place = representative(columns, table, ordinary)
    names = _order(table, columns, place, shown_contexts(table, ordinary))
    chosen = best[place]
    chosen = chosen[chosen["context"].isin(names) & (chosen["feature"] >= 0)]
    chosen = chosen.assign(order=chosen["context"].map({name: row for row, name in enumerate(names)}))
    chosen = chosen.sort_values(["order", "rank"], ignore_index=True)
    data = _cells(chosen, features[place], table, names)
    with style():
        width = min(PAGE_WIDTH, MARGIN_INCHES + max(0.105 * len(chosen), 1.2))
        figure = Figure(figsize=(width, 1.15 + CELL_INCHES * len(names)), layout="constrained")
        _draw_cells(figure, data, chosen, names)
    return Drawing(figure, data, _heatmap_caption(columns[place], data, chosen, names))


def _cells(chosen: pd.DataFrame, features: pd.DataFrame, table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """best_for, rank, feature, context, heldout, share, lift: a row per chosen feature and context.

    A feature that is never active in a measured context has lift 0 there; NaN in contexts without held-out tokens, and
    for features that are silent on held-out tokens.
    """
    pairs = chosen[["context", "rank", "feature"]].rename(columns={"context": "best_for"})
    pairs = pairs.merge(pd.DataFrame({"context": list(names)}), how="cross")
    known = features[["feature", "context", "heldout", "share", "lift"]].astype({"context": str})
    data = pairs.merge(known, "left", ["feature", "context"])
    tokens = data["context"].map(table.drop_duplicates("context").set_index("context")["tokens"])
    active = data["feature"].map(features.groupby("feature")["heldout"].sum()) > 0
    silent = data["lift"].isna() & (tokens > 0) & active
    data.loc[silent, ["heldout", "share", "lift"]] = 0
    return data


def _draw_cells(figure: Figure, data: pd.DataFrame, chosen: pd.DataFrame, names: Sequence[str]) -> None:
    panel = figure.subplots()
    lifts = data["lift"].to_numpy().reshape(len(chosen), len(names)).T
    shades = mpl.colormaps["Blues"].with_extremes(under="white", bad=NOT_LIVE)
    with np.errstate(divide="ignore"):
        shown = np.ma.masked_invalid(np.where(lifts == 0, -1.0, np.log2(lifts)))
    top = max(LEAST_TOP, int(np.ceil(shown.max())) if shown.count() else 0)
    image = panel.pcolormesh(shown, cmap=shades, vmin=0, vmax=top, linewidth=0, rasterized=True)
    groups = chosen.groupby("order", sort=True).size()
    ends = groups.cumsum()
    for order, end in ends.items():
        panel.axvline(end, color="white", linewidth=1.6)
        box = (end - groups[order], order), groups[order], 1
        panel.add_patch(mpl.patches.Rectangle(*box, fill=False, edgecolor=INK, linewidth=0.7, zorder=4))
    panel.set_yticks(np.arange(len(names)) + 0.5, names)
    if 72 * (figure.get_figwidth() - MARGIN_INCHES) >= LABEL_POINTS * len(chosen):
        panel.set_xticks(np.arange(len(chosen)) + 0.5, chosen["feature"], rotation=90, fontsize=LABEL_POINTS)
    else:  # the figure's table has their numbers
        panel.set_xticks([])
    for label in panel.get_yticklabels():
        label.set_parse_math(False)
    panel.set_ylim(len(names), 0)
    panel.set_xlim(0, len(chosen))
    panel.set_xlabel("Features: the best of each context on training tokens, in the order of the rows")
    panel.tick_params(length=0)
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=panel, extend="min", fraction=0.03, pad=0.01, aspect=25)
    ticks = range(0, top + 1, 2)
    bar.set_ticks(list(ticks), labels=[f"{2**tick:,}" for tick in ticks])
    bar.set_label("Lift on held-out tokens")
    bar.outline.set_visible(False)
    if np.ma.getmaskarray(shown).any():
        handle = Patch(
            facecolor=NOT_LIVE, label="not measured: no held-out tokens, or a feature that is silent on them"
        )
        figure.legend(handles=[handle], loc="outside upper left", borderpad=0.2)


def _heatmap_caption(column: Column, data: pd.DataFrame, chosen: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    measured = data.dropna(subset="lift")
    firm = measured.loc[measured.groupby(["best_for", "rank"])["lift"].idxmax()] if len(measured) else measured
    known = firm[firm["best_for"].isin(measured["context"])]
    own = int((known["best_for"] == known["context"]).sum())
    conclusion = (
        f"{own} of {plural(len(known), 'best feature')} of {column.name} ({percent(own / len(known))}) have their"
        " largest held-out lift in the context that they were chosen for."
        if len(known)
        else "No context has held-out tokens, so nothing can be said of where its features fire."
    )
    wrong = known[known["best_for"] != known["context"]]
    pairs = wrong.groupby(["best_for", "context"]).size().sort_values(ascending=False, kind="stable")
    mixed = [f"{one} \N{RIGHTWARDS ARROW} {other} ({times})" for (one, other), times in pairs.head(3).items()]
    details = (
        f"Columns: for each of {plural(len(names), 'context')}, in the order of the rows, the features with the largest"
        f" F1 on training tokens (n = {plural(len(chosen), 'column')}; a feature may be there twice). Shade: the"
        " share of a feature's active held-out tokens that lies in the context, over the context's share of all tokens"
        " (lift); white up to 1, logarithmic above. Boxes: the context that a feature was chosen for."
    )
    details += f" Most frequent confusions: {listed(mixed)}." if mixed else ""
    alt = (
        f"Heatmap of {plural(len(chosen), 'feature')} by {plural(len(names), 'context')}; lift in the features' own"
        f" context {spread(known.loc[known['best_for'] == known['context'], 'lift'], number)}."
    )
    return words(conclusion, details, alt)
