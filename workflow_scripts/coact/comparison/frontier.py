"""Sparsity against reconstruction: SAEs in series that differ in sparsity alone, and what the numbers say.

In: the columns and evaluation.json of each. Out: one table of all dictionaries (`frontier_table`), seeds taken together
(`mean_points`), sentences, and rows for the terminal. An FVU says little beside another L0, so architectures are
held against each other at equal L0, at equal width and tokens of training, as Gao et al. (2024) and Rajamanoharan et
al. (2024) do: FVU is interpolated along each series, linearly in log L0.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.findings import quality_conclusion
from coact.comparison.wording import defined, few, listed, number, percent, plural, spread
from coact.provenance import canonical_json

SPARSITY = ("k", "l1", "l0")  # settings that make an SAE sparser or denser
UNRELATED = ("kind", "architecture")  # settings that name no variant
MEASURES = (
    "l0",
    "fvu",
    "loss_recovered_zero",
    "loss_recovered_mean",
    "kl_divergence",
    "cosine",
    "norm_ratio",
    "reconstruction_bias",
    "encoder_decoder_cosine",
    "dead_share",
    "ultralow_share",
)
QUANTILES = ("q05", "q50", "q95")
DRAWN = ("l0", "fvu", "loss_recovered_mean")
HEADINGS = (
    "model/dictionary",
    "front",
    "L0",
    "L0, 5-95%",
    "FVU",
    "cosine",
    "norm\nratio",
    "bias",
    "KL",
    "recovered\nmean",
    "dead",
    "<1e-6",
)
LEGEND = (
    "front: no other SAE of this model and width is better in L0 or FVU and no worse in the other. norm ratio: length\n"
    "of the reconstruction over that of the input. bias: relative reconstruction bias, 1 is none. KL: of clean\n"
    "and spliced predictions, nats. <1e-6: features that fire on fewer than one in a million tokens."
)


def frontier_table(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row per column of the study, in its order.

    Args:
        columns, evaluations: the columns and, in the same order, evaluation.json of each.
    Returns:
        model, sae, series (a name for all columns that differ in sparsity and seed only), sparsity (the setting, as
        text), architecture, d_sae, training_tokens, control, frontier (see `on_frontier`), l0_q05, l0_q50, l0_q95 and
        `MEASURES`. NaN is "not defined", or tokens that are not known.
    """
    rows = []
    for column, series, entry in zip(columns, _series(columns, evaluations), evaluations, strict=True):
        settings = _settings(column)
        row: dict[str, Any] = {"model": column.model, "sae": column.sae, "series": series}
        row["sparsity"] = ", ".join(f"{key} = {settings[key]:g}" for key in SPARSITY if key in settings)
        row |= {key: entry[key] for key in ("architecture", "d_sae")}
        row |= {"training_tokens": settings.get("tokens"), "control": column.control, "frontier": False}
        row |= {f"l0_{key}": entry["l0_distribution"][key] for key in QUANTILES}
        rows.append(row | {key: entry[key] for key in MEASURES})
    table = pd.DataFrame(rows)
    numbers = ["training_tokens", *(f"l0_{key}" for key in QUANTILES), *MEASURES]
    table[numbers] = table[numbers].astype(float)  # what is not defined is None in a summary
    return table.assign(frontier=on_frontier(table))


def _settings(column: Column) -> dict[str, Any]:
    """What a column's recipe sets; one that is no JSON stands for itself."""
    return json.loads(column.recipe) if column.recipe.startswith("{") else {"recipe": column.recipe}


def _series(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> list[str]:
    """Name of each column's series: architecture and expansion, and the settings in which its likes differ."""
    several = len({column.model for column in columns}) > 1
    known = []
    for column, entry in zip(columns, evaluations, strict=True):
        name = column.sae if column.expansion is None else f"{entry['architecture']} x{column.expansion:g}"
        rest = {key: value for key, value in _settings(column).items() if key not in (*SPARSITY, *UNRELATED)}
        known.append((f"{name} on {column.model}" if several else name, rest))
    names = []
    for name, rest in known:
        likes = [other for like, other in known if like == name]
        differ = [key for key in rest if any(other.get(key) != rest[key] for other in likes)]
        names.append(", ".join([name, *(f"{key.replace('_', ' ')} {_plain(rest[key])}" for key in differ)]))
    return names


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def on_frontier(table: pd.DataFrame) -> pd.Series:
    """Whether no other SAE of the same model and width is at least as good in L0 and FVU and better in one of them.

    Args:
        table: with model, d_sae, architecture, l0, fvu.
    Returns:
        bool, by the table's index; False for neurons and where a number is not defined.
    """
    best = pd.Series(False, index=table.index)
    known = table[table["architecture"] != "identity"].dropna(subset=["l0", "fvu"])
    for _, group in known.groupby(["model", "d_sae"]):
        l0, fvu = group["l0"].to_numpy(), group["fvu"].to_numpy()
        no_worse = (l0 <= l0[:, None]) & (fvu <= fvu[:, None])
        better = (l0 < l0[:, None]) | (fvu < fvu[:, None])
        best[group.index] = ~(no_worse & better).any(1)
    return best


def mean_points(table: pd.DataFrame) -> pd.DataFrame:
    """Seeds taken together: one row per series and sparsity, series in order, their points by ascending L0.

    Args:
        table: of `frontier_table`.
    Returns:
        series, sparsity, model, architecture, d_sae, training_tokens, control, seeds (their number), and for l0, fvu
        and loss_recovered_mean the mean over seeds, and with _low and _high the smallest and the largest.
    """
    same = ["series", "sparsity", "model", "architecture", "d_sae", "training_tokens", "control"]
    groups = table.groupby(same, sort=False, dropna=False)
    found = [groups.size().rename("seeds")]
    for key in DRAWN:
        found += [groups[key].mean(), groups[key].min().rename(f"{key}_low"), groups[key].max().rename(f"{key}_high")]
    points = pd.concat(found, axis=1).reset_index()
    places = points["series"].map({name: place for place, name in enumerate(table["series"].unique())})
    return points.assign(place=places).sort_values(["place", "l0"], ignore_index=True).drop(columns="place")


@dataclass(frozen=True)
class AtEqualL0:
    """Series of one model, width and number of tokens, held against each other at equal L0.

    Attributes:
        names: the series.
        levels: (levels,) L0: the ends of the range that all series cover, and its geometric mean.
        fvu: (levels, series), interpolated.
    """

    names: tuple[str, ...]
    levels: np.ndarray
    fvu: np.ndarray

    @property
    def best(self) -> list[str]:
        """The series with the least FVU at each level."""
        return [self.names[place] for place in self.fvu.argmin(1)]


def at_equal_l0(points: pd.DataFrame) -> AtEqualL0 | None:
    """Compare the series of SAEs on trained models where most of them can be compared.

    Args:
        points: of `mean_points`.
    Returns:
        None where no two series of one model, width and number of tokens have an interval of L0 in common.
    """
    known = points[~points["control"] & (points["l0"] > 0)].dropna(subset=["l0", "fvu"])
    best = None
    for _, group in known.groupby(["model", "d_sae", "training_tokens"], sort=False, dropna=False):
        lines = {name: part for name, part in group.groupby("series", sort=False) if part["l0"].nunique() > 1}
        low = max((line["l0"].min() for line in lines.values()), default=np.inf)
        high = min((line["l0"].max() for line in lines.values()), default=0.0)
        if len(lines) < 2 or low >= high or (best and len(lines) <= len(best.names)):
            continue
        levels = np.array([low, np.sqrt(low * high), high])
        fvu = [np.interp(np.log(levels), np.log(line["l0"]), line["fvu"]) for line in lines.values()]
        best = AtEqualL0(tuple(lines), levels, np.stack(fvu, axis=1))
    return best


def frontier_conclusion(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> str:
    """Which series leaves the least of the variance unexplained at equal L0; else which SAEs no other beats."""
    table = frontier_table(columns, evaluations)
    points = mean_points(table)
    if at_equal_l0(points) is not None:
        return equal_l0_sentence(points)
    return pareto_sentence(table) if len(_contested(table)) else quality_conclusion(columns, evaluations)


def equal_l0_sentence(points: pd.DataFrame) -> str:
    """Which series leaves the least of the variance unexplained at equal L0, width and tokens of training."""
    found = at_equal_l0(points)
    if found is None:
        return "No two series of SAEs of one width have a range of L0 in common, so none are compared at equal L0."
    low, middle, high = (number(level, 2) for level in found.levels)
    if len(set(found.best)) > 1:
        held = [f"{name} at {level}" for name, level in zip(found.best, (low, middle, high), strict=True)]
        return f"No series of SAEs leaves the least variance unexplained at every L0: it is {listed(held)}."
    best = found.fvu[1].min()
    others = spread(np.delete(found.fvu[1], found.fvu[1].argmin()), percent)
    return (
        f"At equal L0 {found.best[0]} leaves the least of the held-out variance unexplained, from an L0 of {low} to one"
        f" of {high}: {percent(best)} at an L0 of {middle}, the others {others}."
    )


def _contested(table: pd.DataFrame) -> pd.DataFrame:
    """SAEs on trained models that have another of their model and width beside them, with both numbers defined."""
    known = table[~table["control"] & (table["architecture"] != "identity")].dropna(subset=["l0", "fvu"])
    return known[known.groupby(["model", "d_sae"])["sae"].transform("size") > 1]


def pareto_sentence(table: pd.DataFrame) -> str:
    """How many SAEs on trained models are on the frontier of their width."""
    known = _contested(table)
    if known.empty:
        return "No two SAEs on one trained model have the same width, so there is no frontier between them."
    best = known[known["frontier"]]
    return (
        f"Of {plural(len(known), 'SAE')} that share their model and width with another, {len(best)}"
        f" {'is' if len(best) == 1 else 'are'} on the frontier{few(list(best['model'] + '/' + best['sae']))}: no other"
        " is better in L0 or FVU and no worse in the other."
    )


def seed_sentence(points: pd.DataFrame) -> str:
    """How far seeds move the FVU of SAEs on trained models."""
    known = points[~points["control"]].dropna(subset=["fvu"])
    several = known[known["seeds"] > 1]
    if several.empty:
        return "Each point is one seed, so how far seeds alone would move it is not known."
    relative = (several["fvu_high"] - several["fvu_low"]) / several["fvu"]
    return (
        f"{len(several)} of {plural(len(known), 'point')} {'has' if len(several) == 1 else 'have'} more than one seed;"
        f" between seeds FVU differs by {spread(relative, percent)} of its mean."
    )


def shrinkage_sentence(table: pd.DataFrame) -> str:
    """How long reconstructions are beside their inputs, for SAEs on trained models."""
    known = table[~table["control"] & (table["architecture"] != "identity")]
    most = known.dropna(subset=["reconstruction_bias"]).sort_values("reconstruction_bias").head(1)
    text = (
        f"Reconstructions have {spread(known['norm_ratio'])} of the length of their inputs, and their relative bias is"
        f" {spread(known['reconstruction_bias'])}, where 1 is none and less is shrinkage"
    )
    if len(known) < 2 or most.empty:
        return f"{text}."
    return f"{text}; it is least for {most['model'].iloc[0]}/{most['sae'].iloc[0]}."


def terminal_rows(table: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """The SAEs' quality for the terminal: name and cells of each, by model, width, architecture and L0.

    Args:
        table: of `coact.comparison.summary.summarize`.
    """
    ordered = table.assign(frontier=on_frontier(table)).sort_values(["model", "d_sae", "architecture", "l0"])
    for row in ordered.to_dict("records"):
        yield f"{row['model']}/{row['sae']}", _cells(row)


def _cells(row: dict[str, Any]) -> list[str]:
    def short(key: str, form: Any = number, digits: int = 3) -> str:
        """A value of the row as text, "-" where it is not defined."""
        return form(row[key], digits) if defined(row[key]) else "-"

    interval = f"{row['l0_q05']:.0f}-{row['l0_q95']:.0f}" if defined(row["l0_q05"]) else "-"
    return [
        "*" if row["frontier"] else "",
        short("l0"),
        interval,
        *(short(key) for key in ("fvu", "cosine", "norm_ratio", "reconstruction_bias", "kl_divergence")),
        short("loss_recovered_mean", digits=2),
        short("dead_share", percent, 2),
        short("ultralow_share", percent, 2),
    ]
