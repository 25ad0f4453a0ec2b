"""What the section on the meaning of features is written from; dictionaries beside controls in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from coact.artefacts import read_json, read_table
from coact.comparison.columns import Column
from coact.comparison.wording import MOST_NAMES, defined, listed, number, percent, plural, spread
from coact.study import Study

MOST_CONTEXTS = 6  # that a sentence lists


@dataclass(frozen=True)
class Meaning:
    """Tables and summaries of the interpretation of a study.

    Attributes:
        lens, effects, steering: lens.parquet, effects.parquet and steering.parquet of each column, in their order.
        effect_summaries: effects.json of each column.
        purity: purity.json of each column.
        explanations: explanations.json of each column.
        chain_summaries, chains: chains.json and chains.parquet of each column.
        neighbours: context_neighbours.parquet of each column.
        features: features.parquet of each column (feature and count are read).
        contexts, seeds: comparison/contexts.parquet and context_seeds.parquet.
        proxies: model -> its proxies.parquet.
        ordinary: labels that are the ordinary text of the corpus.
        gallery: gallery.json: column, and features, each with feature, reason, quantile and card.
        splitting: comparison/splitting.parquet, a row per pair of widths.
        absorption, absorption_summaries: absorption.parquet and absorption.json of each column.
        maps: map.json of each column.
        ultralow: comparison/ultralow.parquet, a row per column and group.
    """

    lens: Sequence[pd.DataFrame]
    effects: Sequence[pd.DataFrame]
    steering: Sequence[pd.DataFrame]
    effect_summaries: Sequence[dict[str, Any]]
    purity: Sequence[dict[str, Any]]
    explanations: Sequence[dict[str, Any]]
    chain_summaries: Sequence[dict[str, Any]]
    chains: Sequence[pd.DataFrame]
    neighbours: Sequence[pd.DataFrame]
    features: Sequence[pd.DataFrame]
    contexts: pd.DataFrame
    seeds: pd.DataFrame
    proxies: Mapping[str, pd.DataFrame]
    ordinary: Sequence[str]
    gallery: dict[str, Any]
    splitting: pd.DataFrame
    absorption: Sequence[pd.DataFrame]
    absorption_summaries: Sequence[dict[str, Any]]
    maps: Sequence[dict[str, Any]]
    ultralow: pd.DataFrame


def read_meaning(paths: Mapping[str, Any], study: Study) -> Meaning:
    """The tables and summaries from their files.

    Args:
        paths: name of an attribute -> its file or files, in the order of the columns, or of the models for the proxies.
        study: the checked configuration.
    """
    columns = ("lens", "effects", "steering", "neighbours", "features", "chains", "absorption")
    summaries = ("effect_summaries", "purity", "explanations", "chain_summaries", "maps", "absorption_summaries")
    return Meaning(
        **{name: [read_table(path) for path in paths[name]] for name in columns},
        **{name: [read_json(path) for path in paths[name]] for name in summaries},
        **{name: read_table(paths[name]) for name in ("contexts", "seeds", "splitting", "ultralow")},
        proxies={name: read_table(path) for name, path in zip(study.config["models"], paths["proxies"], strict=True)},
        ordinary=study.ordinary_labels(),
        gallery=read_json(paths["gallery"]),
    )


def beside_controls(columns: Sequence[Column], values: Sequence[float | None], form: Any = number) -> str:
    """Values of SAEs on trained models, then those of the controls: "0.4-0.7 for ... and 0.1 for main/neurons".

    Columns whose value is not defined are left out; empty where none is.
    """
    known = [(column, value) for column, value in zip(columns, values, strict=True) if defined(value)]
    parts = []
    for control, many in ((False, "SAEs on trained models"), (True, "controls")):
        group = [(column.name, value) for column, value in known if column.control == control]
        if len(group) == 1 or (control and len(group) <= MOST_NAMES):
            parts += [f"{form(value)} for {name}" for name, value in group]
        elif group:
            parts.append(f"{spread([value for _, value in group], form)} for {len(group)} {many}")
    return listed(parts)


def shares_beside_controls(columns: Sequence[Column], tallies: Sequence[tuple[int, int]]) -> str:
    """Shares, each a number of a total, of SAEs and controls; a column whose total is 0 is left out."""
    return beside_controls(columns, [part / total if total else None for part, total in tallies], percent)


def contexts_listed(names: Sequence[str]) -> str:
    """Contexts by name where they are few, else their number."""
    return listed(list(names)) if len(names) <= MOST_CONTEXTS else plural(len(names), "context")


def of_contexts(number_of: int, total: int) -> str:
    """How many of the contexts: "the one context", "all 4 contexts", "none of the 4 contexts", "2 of 4 contexts"."""
    if total == 1:
        return "the one context" if number_of else "no context"
    if number_of == total:
        return f"all {total} contexts"
    return f"{number_of} of {total} contexts" if number_of else f"none of the {total} contexts"
