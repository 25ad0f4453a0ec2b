"""How much of the correlation of degree and frequency is left when every feature gets the same number of tokens.

In: rarefaction.parquet of every column. Out: correlations and ratios of plain and rarefied degrees on the same
features, observed and in one replicate of the null model `tokens`, and sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.findings import tally_intervals, versus
from coact.comparison.wording import NOT_DEFINED, count, dictionaries, few, number, spread
from coact.graph.association import correlate

DEGREES = ("degree", "degree_null", "rarefied_degree", "rarefied_degree_null")
LEAST_IN_QUARTER = 3


@dataclass(frozen=True)
class Rarefied:
    """Degrees and frequency of the features of one column that have enough tokens.

    Attributes:
        features, live: features with a rarefied degree, of so many live ones.
        pearson: each of `DEGREES` -> Pearson's r with held-out frequency over these features: value, low, high, n, or
            None where it is not defined.
        ratios: each of `DEGREES` -> its median in the most frequent quarter of these features over that in the rarest;
            None where a quarter is too small or the latter is 0.
    """

    features: int
    live: int
    pearson: dict[str, dict[str, Any] | None]
    ratios: dict[str, float | None]


def rarefied(table: pd.DataFrame, *, bootstrap: int, confidence: float, seed: int) -> Rarefied:
    """Correlations over the features of rarefaction.parquet that have enough tokens.

    Args:
        bootstrap, confidence, seed: see `coact.graph.association.correlate`.
    """
    known = with_tokens(table)
    frequency = known["frequency_heldout"].to_numpy()
    settings = {"ranked": False, "bootstrap": bootstrap, "confidence": confidence, "seed": seed}
    return Rarefied(
        len(known),
        len(table),
        {key: correlate(frequency, known[key].to_numpy(float), **settings) for key in DEGREES},
        {key: _ratio(frequency, known[key].to_numpy(float)) for key in DEGREES},
    )


def with_tokens(table: pd.DataFrame) -> pd.DataFrame:
    """The features that have enough tokens for a rarefied degree."""
    return table[table["rarefied_degree"].notna()]


def _ratio(frequency: np.ndarray, degree: np.ndarray) -> float | None:
    if len(frequency) < 4 * LEAST_IN_QUARTER:
        return None
    low, high = np.quantile(frequency, [0.25, 0.75])
    rare = float(np.median(degree[frequency <= low]))
    return float(np.median(degree[frequency >= high])) / rare if rare else None


def rarefied_conclusion(found: Sequence[Rarefied], tokens: int) -> str:
    """How much of the correlation is left, observed and in the null.

    Args:
        tokens: size of the samples of a feature's tokens.
    """
    if not any(entry.pearson["rarefied_degree"] for entry in found):
        return f"What an equal number of tokens leaves of the correlation of degree and frequency is {NOT_DEFINED}."
    r = {key: spread(_values(found, key), _two) for key in DEGREES}
    return (
        f"Of a correlation of degree and frequency of {r['degree']}, {r['rarefied_degree']} is left when every feature"
        f" gets {count(tokens)} tokens; in the null it is {r['rarefied_degree_null']} of {r['degree_null']}."
    )


def rarefied_sentence(columns: Sequence[Column], found: Sequence[Rarefied]) -> str:
    """On which side of the null the correlations of rarefied degrees are, and how large the differences in degree."""
    names = [column.name for column in columns]
    r = [entry.pearson["rarefied_degree"] for entry in found]
    place = tally_intervals(names, r, _values(found, "rarefied_degree_null"))
    signs = tally_intervals(names, r, [0.0] * len(names))
    if not signs.total:
        return f"Correlations of rarefied degrees are {NOT_DEFINED}: too few features have enough tokens."
    falls = f" and falls in {len(signs.below)}{few(signs.below)}" if signs.below else ""
    times = {key: spread((entry.ratios[key] for entry in found), _two) for key in DEGREES}
    return (
        f"Rarefied degree rises with frequency in {dictionaries(len(signs.above), signs.total, signs.above)}{falls};"
        f" its r is {versus(place, 'above the null', 'below it', 'compatible with it')}. From the rarest to the most"
        f" frequent quarter of these features the median rarefied degree changes by a factor of"
        f" {times['rarefied_degree']} (plain degree {times['degree']}), in the null by"
        f" {times['rarefied_degree_null']} ({times['degree_null']})."
    )


def _values(found: Sequence[Rarefied], key: str) -> list[float | None]:
    return [entry.pearson[key]["value"] if entry.pearson[key] else None for entry in found]


def _two(value: float) -> str:
    return number(value, 2)
