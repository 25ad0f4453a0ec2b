"""Known directions that SAEs find, by how often they fire and by their kind."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import ndtri

from coact.comparison.columns import Column
from coact.comparison.wording import count, coverage, listed, number, percent, plural, spread
from coact.figures.layout import names_across, plain_log_ticks
from coact.figures.save import Drawing, words
from coact.figures.style import INK, MUTED, PAGE_WIDTH, SMALL_POINTS, Look, looks, style
from coact.sae.truth.settings import CHILD, KINDS, RANDOM, TRAINED

BINS = 8
CONFIDENCE = 0.95
PANELS = {"found_share": "Share found", "f1": "F1 of firing"}
FREQUENCY, KIND = "frequency", "kind"
RANDOM_LOOK = Look(MUTED, (1, 1), "")


def ground_truth(tables: Mapping[str, pd.DataFrame], found_cosine: float) -> Drawing:
    """Share found and mean F1 against the firing probability, and share found by kind of feature; a line per SAE.

    SAEs that differ in the seed alone are one line. Children of a hierarchy are rare by construction; the former two
    leave them out, or they would show kinds in place of frequencies.

    Args:
        tables: SAE -> truths.parquet, at least one; all of one set of true features.
        found_cosine: cosine above which a true feature is found.
    """
    labels = list(dict.fromkeys(map(_label, tables)))
    joined = _join(tables)
    rows = [_summarize(joined, label, panel) for panel in (FREQUENCY, KIND) for label in [*labels, RANDOM]]
    data = pd.concat(rows, ignore_index=True)
    with style():
        found = {column.sae: look for column, look in _looks(labels).items()}
        figure = Figure(figsize=(PAGE_WIDTH, 2.4 + 0.17 * math.ceil((len(labels) + 1) / 3)), layout="constrained")
        *by_frequency, by_kind = figure.subplots(1, 3)
        for panel, measure in zip(by_frequency, PANELS, strict=True):
            _draw_frequency(panel, data[data["panel"] == FREQUENCY], measure, found)
        _draw_kinds(by_kind, data[data["panel"] == KIND], found)
        _legend(figure, labels, found)
    return Drawing(figure, data, _caption(tables, data, labels, found_cosine))


def _label(sae: str) -> str:
    """An SAE's name without its seed."""
    return sae.rpartition("-s")[0] or sae


def _looks(labels: Sequence[str]) -> dict[Column, Look]:
    columns = [Column("planted", label) for label in labels]
    found = looks(columns)
    return {column: found[column.name] for column in columns}


def _join(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All tables as one, with the columns label and frequency: for features but children, one of `BINS` bins of equally
    many, by probability.
    """
    first = next(iter(tables.values()))
    shown = first[(first["dictionary"] == TRAINED) & (first["kind"] != CHILD)]
    ordered = shown.sort_values("probability", kind="stable")["feature"].to_numpy()
    parts = np.array_split(ordered, max(1, min(BINS, len(ordered))))
    bins = {feature: place for place, part in enumerate(parts) for feature in part}
    joined = pd.concat([table.assign(label=_label(sae)) for sae, table in tables.items()], ignore_index=True)
    joined["label"] = joined["label"].where(joined["dictionary"] == TRAINED, RANDOM)
    return joined.assign(frequency=joined["feature"].map(bins))


def _summarize(joined: pd.DataFrame, label: str, panel: str) -> pd.DataFrame:
    """A row per bin of frequency or per kind, see docs/artefacts.md."""
    rows = []
    for group, part in joined[joined["label"] == label].groupby(panel):
        features = part["feature"].nunique()
        # Seeds of one kind of SAE share their true features, which are what is sampled.
        low, high = wilson_interval(part["found"].mean(), features, CONFIDENCE)
        rows.append(
            {
                "panel": panel,
                "label": label,
                "group": str(group) if panel == KIND else str(int(group)),
                "probability": float(np.exp(np.log(part["probability"]).mean())),
                "features": features,
                "found_share": part["found"].mean(),
                "found_low": low,
                "found_high": high,
                "max_cosine": part["max_cosine"].mean(),
                "f1": part["f1"].mean(),
            }
        )
    return pd.DataFrame(rows)


def wilson_interval(share: float, trials: int, confidence: float) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927); at least one trial."""
    z = float(ndtri((1 + confidence) / 2))
    spare = z * z / trials
    middle = (share + spare / 2) / (1 + spare)
    half = math.sqrt(share * (1 - share) * spare + spare * spare / 4) / (1 + spare)
    return max(0.0, middle - half), min(1.0, middle + half)


def _draw_frequency(panel: Axes, data: pd.DataFrame, measure: str, found: dict[str, Look]) -> None:
    for label, part in data.groupby("label", sort=False):
        look = found.get(label, RANDOM_LOOK)
        panel.plot(part["probability"], part[measure], linestyle=_line(look), **_mark(look))
        if measure == "found_share" and label != RANDOM:
            panel.fill_between(
                part["probability"], part["found_low"], part["found_high"], color=look.color, alpha=0.08, linewidth=0
            )
    panel.set_xscale("log")
    plain_log_ticks(panel.xaxis, data["probability"])
    panel.set(ylim=(-0.03, 1.03), xlabel="Firing probability")
    panel.set_title(PANELS[measure], loc="left")
    panel.set_title("children left out", loc="right", color=MUTED, fontsize=SMALL_POINTS)


def _draw_kinds(panel: Axes, data: pd.DataFrame, found: dict[str, Look]) -> None:
    kinds = [kind for kind in KINDS if (data["group"] == kind).any()]
    labels = list(dict.fromkeys(data["label"]))
    for turn, label in enumerate(labels):
        part, look = data[data["label"] == label].set_index("group").loc[kinds], found.get(label, RANDOM_LOOK)
        places = np.arange(len(kinds)) + 0.7 * ((turn + 0.5) / len(labels) - 0.5)
        panel.vlines(places, part["found_low"], part["found_high"], color=look.color, linewidth=0.8, alpha=0.6)
        marked = _mark(look) if look.marker else _mark(look) | {"marker": "_"}
        panel.plot(places, part["found_share"], linestyle="none", **marked)
    panel.set_xticks(range(len(kinds)), kinds)
    panel.set(ylim=(-0.03, 1.03), xlabel="Kind of true feature")
    panel.grid(False, axis="x")
    panel.set_title("Share found by kind", loc="left")


def _mark(look: Look) -> dict[str, Any]:
    edge = "white" if look.marker else look.color
    return {
        "color": look.color, "marker": look.marker, "markersize": 3.8, "markeredgecolor": edge, "markeredgewidth": 0.4
    }  # fmt: skip


def _line(look: Look) -> Any:
    return (0, look.dashes) if look.dashes else "-"


def _legend(figure: Figure, labels: Sequence[str], found: dict[str, Look]) -> None:
    names = [*labels, "random dictionaries"]
    handles = [
        Line2D(
            [], [], color=look.color, linestyle=_line(look), marker=look.marker, markersize=4, markeredgecolor="white"
        )
        for look in (found.get(label, RANDOM_LOOK) for label in names)
    ]
    figure.legend(handles, names, loc="outside upper left", ncols=names_across(names), labelcolor=INK, handlelength=2.4)


def _caption(
    tables: Mapping[str, pd.DataFrame], data: pd.DataFrame, labels: Sequence[str], found_cosine: float
) -> dict[str, str]:
    shares = {label: _found(data, label) for label in labels}
    most = max(shares.values())
    best = listed([label for label in labels if shares[label] == most])
    truths = int((next(iter(tables.values()))["dictionary"] == TRAINED).sum())
    by_kind = [
        f"{kind} {spread(part['found_share'], percent)}"
        for kind, part in data[(data["panel"] == KIND) & (data["label"] != RANDOM)].groupby("group")
    ]
    bins = data.loc[data["panel"] == FREQUENCY, "group"].nunique()
    conclusion = (
        f"SAEs find {spread(shares.values(), percent)} of {count(truths)} known directions, {best} the most; random"
        f" dictionaries find {percent(_found(data, RANDOM))}."
    )
    details = (
        f"A true feature is found where an SAE feature of its own has a cosine above {number(found_cosine, 2)} to it."
        f" Left: share found, with {coverage(CONFIDENCE)} Wilson intervals over features; middle: mean F1 of firing of"
        f" the matched SAE feature on held-out tokens; a point is one of {plural(bins, 'bin')} of equally many true"
        " features, by their probability to fire on a token, without the children of hierarchies. Right: share found by"
        f" kind (in a correlated group, single, root of a hierarchy, child): {listed(by_kind)}."
        f" n = {plural(len(tables), 'SAE')}, seeds together."
        " Random dictionaries have as many features, and about as many active ones per token."
    )
    alt = (
        f"Lines of share found and of F1 against firing probability, and share found by kind, for {listed(labels)} and"
        f" random dictionaries. Found in all: {spread(shares.values(), percent)}."
    )
    return words(conclusion, details, alt)


def _found(data: pd.DataFrame, label: str) -> float:
    """Share of all true features that are found."""
    part = data[(data["label"] == label) & (data["panel"] == KIND)]
    return float((part["found_share"] * part["features"]).sum() / part["features"].sum())
