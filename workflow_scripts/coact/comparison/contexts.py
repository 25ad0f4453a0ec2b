"""Contexts across dictionaries: the best feature of each beside neurons, probes, another seed and the untrained model.

In: per column the tables of `coact.interpretation.contexts`, decoder rows and held-out features; per model the table of
`coact.interpretation.probes`. Out: a row per column and context, and a row per column, context and other seed.

Two tests of Bricken et al. 2023 (Towards Monosemanticity). Not a neuron: the largest correlation of the feature's
held-out activation with a neuron's, the F1 of the best neuron, and how far the decoder row is along one axis. Same in
another seed: the feature of a dictionary that differs in the seed only whose held-out activation correlates most with
it, and how well that one detects the context. Everything is of the feature that was chosen on training tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from coact.comparison.columns import INITIAL, Column, comparable
from coact.comparison.matching import activation_correlation
from coact.features.batches import SparseBatch, read_shards
from coact.interpretation.activity import Tokens, narrow
from coact.interpretation.contexts import NONE, measure_detectors
from coact.interpretation.memberships import Memberships, shown_contexts

SEED_TABLE = {
    "model": str, "sae": str, "context": str, "feature": np.int32, "other": str, "match": np.int32,
    "correlation": np.float64, "threshold": np.float64, "f1": np.float64,
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one column has.

    Attributes:
        best, features: the tables of `measure_contexts`.
        decoder: (D, d) decoder rows.
        heldout: shards of its held-out features.
    """

    best: pd.DataFrame
    features: pd.DataFrame
    decoder: np.ndarray
    heldout: Sequence[str | Path]


class ContextComparison(NamedTuple):
    """What `compare_contexts` finds: see there."""

    table: pd.DataFrame
    seeds: pd.DataFrame


def compare_contexts(
    columns: Sequence[Column],
    found: Sequence[Found],
    probes: Mapping[str, pd.DataFrame],
    contexts: Mapping[str, Memberships],
) -> ContextComparison:
    """The best feature of every context in every column, with its tests and controls.

    The tests are not made for contexts without held-out tokens.

    Args:
        columns, found: the columns and, in the same order, what they have.
        probes: by model, where there are probes.
        contexts: by model, contexts of its held-out tokens, those of the tables.

    Returns:
        table, a row per column and context: model, sae (text), control (bool), the columns of the table of best
        features without rank, and, NaN or -1 or "" where not defined:

        - decoder_peak, the largest magnitude in the feature's decoder row over the row's norm (float64);
        - for dictionaries that are no controls: neuron (int32) and neuron_correlation (float64, signed), the neuron
          whose held-out activation correlates most in magnitude; seed_sae, seed_feature (int32), seed_correlation,
          seed_f1 (float64), the best match in the dictionary of another seed, of several the one least like it;
        - all held out: best_neuron (int32) and best_neuron_f1; probe_f1 and probe_auc; untrained_sae and untrained_f1,
          of the best feature of the dictionary on an untrained model, of the same recipe and width if there is one.

        seeds, a row per column, context and other seed: model, sae, context, feature (int32), other (the other's sae),
        match (int32, -1 for none), correlation, threshold (the match's own, infinite where it was never active in the
        context on training tokens) and f1 (float64).

    Raises:
        StudyError: features of two columns are not of the same tokens, or contexts are of others.
    """
    seeds = pd.concat([_seeds_of(place, columns, found, contexts) for place in range(len(columns))], ignore_index=True)
    parts = []
    for place, column in enumerate(columns):
        rows = found[place].best.query("rank == 1").drop(columns="rank").reset_index(drop=True)
        rows.insert(0, "control", column.control)
        rows.insert(0, "sae", column.sae)
        rows.insert(0, "model", column.model)
        rows["decoder_peak"] = _decoder_peaks(rows["feature"], found[place].decoder)
        neurons = neurons_of(columns, place)
        tested = neurons is not None and not column.control
        measured = rows["feature"].where(rows["tokens"] > 0, NONE)
        nearest = _nearest_neurons(measured, found[place], found[neurons], contexts[column.model]) if tested else {}
        rows["neuron"] = np.asarray(nearest.get("neuron", np.full(len(rows), NONE)), np.int32)
        rows["neuron_correlation"] = nearest.get("neuron_correlation", np.nan)
        _add_least_alike(rows, seeds)
        _add_other(
            rows,
            found[neurons].best if neurons is not None else None,
            {"feature": "best_neuron", "f1": "best_neuron_f1"},
        )
        _add_other(rows, probes.get(column.model), {"f1": "probe_f1", "auc": "probe_auc"})
        control = untrained_of(columns, place)
        rows["untrained_sae"] = columns[control].sae if control is not None else ""
        _add_other(rows, found[control].best if control is not None else None, {"f1": "untrained_f1"})
        parts.append(rows)
    return ContextComparison(pd.concat(parts, ignore_index=True), seeds)


def neurons_of(columns: Sequence[Column], place: int) -> int | None:
    """The column of the neurons of a column's model; None where there is none or it is that column itself."""
    model = columns[place].model
    return next(
        (
            other
            for other, column in enumerate(columns)
            if column.model == model and column.control and column.expansion is None and other != place
        ),
        None,
    )


def untrained_of(columns: Sequence[Column], place: int) -> int | None:
    """A dictionary on an untrained model that reads the same tokens, most like the column's; None for controls."""
    own = columns[place]
    others = [
        other
        for other, column in enumerate(columns)
        if column.untrained and column.expansion is not None and column.tokenizer == own.tokenizer
    ]
    if own.control or not others:
        return None
    return max(others, key=lambda other: _likeness(columns[other], own))


def _likeness(column: Column, own: Column) -> tuple[bool, bool, bool]:
    return column.recipe == own.recipe, column.expansion == own.expansion, column.weights == INITIAL


def _decoder_peaks(features: pd.Series, decoder: np.ndarray) -> np.ndarray:
    """Largest magnitude over norm of the features' decoder rows; NaN for none and for rows of zeros."""
    peaks, norms = np.abs(decoder).max(axis=1).astype(np.float64), np.linalg.norm(decoder.astype(np.float64), axis=1)
    shares = np.divide(peaks, norms, out=np.full(len(peaks), np.nan), where=norms > 0)
    return np.where(features >= 0, shares[features.to_numpy()], np.nan)


def _batches(
    paths: Sequence[str | Path], counted: np.ndarray, features: np.ndarray | None = None
) -> Iterator[SparseBatch]:
    """Held-out batches without special positions, of some features or all."""
    offset = 0
    for batch in read_shards(paths):
        part = counted[offset : offset + len(batch.kept)]
        yield narrow(batch, np.arange(batch.n_features) if features is None else features, part)
        offset += len(batch.kept)


def _correlations(features: np.ndarray, one: Found, other: Found, contexts: Memberships) -> np.ndarray:
    """(features, D of the other) float32 correlations of held-out activations, NaN where not defined."""
    return activation_correlation(
        _batches(one.heldout, contexts.counted, features), _batches(other.heldout, contexts.counted)
    )


def _nearest_neurons(features: pd.Series, own: Found, neurons: Found, contexts: Memberships) -> dict[str, Any]:
    chosen = np.unique(features[features >= 0])
    if not len(chosen):
        return {}
    nearest, correlation = _strongest(_correlations(chosen, own, neurons, contexts), np.abs)
    return _spread(features, chosen, {"neuron": (nearest, NONE), "neuron_correlation": (correlation, np.nan)})


def _strongest(correlations: np.ndarray, order: Any = np.asarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every row, the place of the largest by `order` and its value; -1 and NaN where all are NaN."""
    ranked = np.where(np.isnan(correlations), -np.inf, order(correlations))
    places = ranked.argmax(axis=1)
    values = correlations[np.arange(len(places)), places].astype(np.float64)
    return np.where(np.isnan(values), NONE, places), values


def _spread(
    features: pd.Series, chosen: np.ndarray, values: dict[str, tuple[np.ndarray, Any]]
) -> dict[str, np.ndarray]:
    """Values of chosen features, ascending, for a series of features; the second of each pair for feature -1."""
    place = np.minimum(np.searchsorted(chosen, features), len(chosen) - 1)
    return {name: np.where(features >= 0, known[place], missing) for name, (known, missing) in values.items()}


def _seeds_of(
    place: int, columns: Sequence[Column], found: Sequence[Found], contexts: Mapping[str, Memberships]
) -> pd.DataFrame:
    """The table of seeds for one column, empty for controls."""
    own, column = found[place], columns[place]
    best = own.best.query("rank == 1 and feature >= 0 and tokens > 0")
    others = [
        pair.b if pair.a == place else pair.a
        for pair in comparable(columns)
        if pair.differ == "seed" and place in (pair.a, pair.b)
    ]
    chosen, parts = np.unique(best["feature"]), []
    for other in others if not column.control and len(chosen) else ():
        match, correlation = _strongest(_correlations(chosen, own, found[other], contexts[column.model]))
        rows = best[["context", "feature"]].reset_index(drop=True)
        rows = rows.assign(model=column.model, sae=column.sae, other=columns[other].sae)
        rows = rows.assign(
            **_spread(rows["feature"], chosen, {"match": (match, NONE), "correlation": (correlation, np.nan)})
        )
        parts.append(_measure_matches(rows, found[other], contexts[column.model]))
    joined = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SEED_TABLE))
    return joined[list(SEED_TABLE)].astype(SEED_TABLE)


def _measure_matches(rows: pd.DataFrame, other: Found, contexts: Memberships) -> pd.DataFrame:
    """`rows` with the threshold and the held-out F1 of every match for the row's context."""
    known = other.features[["feature", "context", "threshold"]].dropna().rename(columns={"feature": "match"})
    rows = rows.merge(known.astype({"context": str, "threshold": np.float64}), "left", ["match", "context"])
    rows["threshold"] = rows["threshold"].fillna(np.inf)
    detectors = rows[["context", "threshold"]].assign(feature=rows["match"])
    read = partial(read_shards, other.heldout)
    documents = np.where(contexts.counted, 0, -1)  # no intervals are asked for
    part = Tokens(read, np.zeros(len(documents), np.int32), contexts)
    rows["f1"] = measure_detectors(detectors, part, contexts.counted, documents, samples=0, seed=0)["f1"]
    return rows


def _add_least_alike(rows: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """Add the match of the other seed where the correlation is least, for every context."""
    own = seeds[(seeds["model"] == rows["model"].iloc[0]) & (seeds["sae"] == rows["sae"].iloc[0])]
    least = own.sort_values("correlation", kind="stable", na_position="first").drop_duplicates("context")
    least = least.set_index("context").reindex(rows["context"])
    rows["seed_sae"] = least["other"].fillna("").to_numpy()
    rows["seed_feature"] = least["match"].fillna(NONE).to_numpy(np.int32)
    rows["seed_correlation"] = least["correlation"].to_numpy(np.float64)
    rows["seed_f1"] = least["f1"].to_numpy(np.float64)


def _add_other(rows: pd.DataFrame, table: pd.DataFrame | None, names: dict[str, str]) -> None:
    """Add measures of the same contexts from another table, under new names; feature -1 or NaN where there is none."""
    if table is not None and "rank" in table:
        table = table.query("rank == 1")
    for source, name in names.items():
        if table is None:
            values = pd.Series(np.nan, index=rows.index)
        else:
            values = table.set_index("context")[source].reindex(rows["context"]).reset_index(drop=True)
        rows[name] = values.fillna(NONE).astype(np.int32) if source == "feature" else values.astype(np.float64)


def representative(columns: Sequence[Column], table: pd.DataFrame, ordinary: Sequence[str]) -> int:
    """The column shown for all: of the dictionaries that are no controls, the one with the highest mean training F1.

    Over `shown_contexts` without ordinary ones; the first among equals. Any column where all are controls.
    """
    names = [name for name in shown_contexts(table, ordinary) if name not in ordinary]
    means = table[table["context"].isin(names)].fillna({"f1_train": 0}).groupby(["model", "sae"])["f1_train"].mean()
    return max(
        range(len(columns)),
        key=lambda place: (
            not columns[place].control,
            means.get((columns[place].model, columns[place].sae), 0.0),
            -place,
        ),
    )
