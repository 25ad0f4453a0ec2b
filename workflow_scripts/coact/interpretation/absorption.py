"""Absorption: tokens of a context on which its main features are silent, and another feature has taken over their part.

In: held-out activations and features, contexts, the directions of linear probes, the main features of each context, and
the decoder. Out: per context the share of tokens that are absorbed, beside what exchanged decoder rows give.

Where a feature always comes with a narrower one, a sparse dictionary saves an active feature by writing the general
direction into the decoder row of the narrow one; the general feature is then silent where its name says that it should
fire (Chanin et al. 2024, A is for Absorption). The measure is theirs as SAEBench (Karvonen et al. 2025) has it, its
limits included, with probes of contexts in place of probes of a word's first letter, and held-out text in place of
prompts:

- Tokens: those of the context that the probe finds. With p the unit probe direction, x the activation, b the decoder
  bias, the part that feature i contributes is a_i (d_i . p), and what there is to explain is (x - b) . p.
- A token is *absorbed* where no main feature is active, and the feature that contributes most has a decoder row with a
  cosine to p of at least `LEAST_COSINE`, and contributes at least `LEAST_SHARE` of what there is to explain.
- *Absorbed fraction*, partial absorption included: of main features' contribution m and the contribution r of at most
  `MOST_ABSORBERS` others that have a cosine to p of at least `PARTIAL_COSINE`, r / (r + m), r being no more than what m
  leaves to explain; 0 where r is less than `LEAST_SHARE` of what there is, 1 where m is not positive.

Null: decoder rows other than those of main features are exchanged among features that fire about equally often, so that
all features fire as they do and point elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from coact.activations.shards import Shard, gather_rows
from coact.errors import StudyError
from coact.features.batches import SparseBatch
from coact.interpretation.exchange import beside, count_bins, exchanged
from coact.interpretation.memberships import Memberships
from coact.interpretation.probes import ProbeDirections
from coact.interpretation.sparse_probes import SparseProbe
from coact.progress import tracked

LEAST_COSINE = 0.025
PARTIAL_COSINE = 0.1
LEAST_SHARE = 0.4
MOST_ABSORBERS = 3
NONE = -1
COLUMNS = {
    "context": str, "kind": str, "probe_f1": np.float64, "tokens": np.int64, "main": object, "main_f1": np.float64,
    "silent": np.float64, "absorbed": np.float64, "absorbed_null": np.float64, "fraction": np.float64,
    "fraction_null": np.float64, "absorber": np.int32, "absorber_share": np.float64,
}  # fmt: skip


class Dictionary(NamedTuple):
    """What of a dictionary absorption is measured with.

    Attributes:
        decoder: (D, d_in) float32 decoder rows.
        bias: (d_in,) float32 decoder bias.
        counts: (D,) int64 held-out tokens on which each feature fires.
    """

    decoder: np.ndarray
    bias: np.ndarray
    counts: np.ndarray


class _Found(NamedTuple):
    """Means over the tokens of a context; absorber: the feature that absorbs most often, and its share of that."""

    silent: float
    absorbed: float
    fraction: float
    absorber: int
    absorber_share: float


def measure_absorption(
    activations: Sequence[Shard],
    batches: Iterable[SparseBatch],
    contexts: Memberships,
    probes: ProbeDirections,
    main: Mapping[str, SparseProbe],
    dictionary: Dictionary,
    *,
    least_f1: float,
    most_tokens: int,
    permutations: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """How much of each context is absorbed.

    Memory: entries and activations of the tokens measured, at most `most_tokens` per context.

    Args:
        activations, batches: held-out activations and features, as many tokens as the contexts have.
        contexts: of these tokens.
        probes: directions, thresholds and held-out F1, in the order of the contexts.
        main: context -> main features; of these contexts absorption is measured.
        least_f1: held-out F1 of a probe from which on its direction counts as that of the context.
        most_tokens: of a context; of more, so many are drawn.
        permutations: exchanges of decoder rows.
        seed: of the drawn tokens and the exchanges.

    Returns:
        Table, a row per context of `main`: context, kind, probe_f1; tokens (int64, measured, 0 where the probe is too
        weak or finds none); main (list of features) and main_f1 (of them together, on training tokens); over these
        tokens, NaN without any, silent, absorbed and fraction (shares and mean), absorbed_null and fraction_null (means
        over the exchanges); absorber (int32, the feature that absorbs most tokens, -1 for none), absorber_share (of the
        absorbed tokens).
        Summary: contexts and measured (numbers), main_features (median), silent, and of absorbed and fraction the
        means over contexts as `exchange.Beside` gives them: value, mean, low, high, p.

    Raises:
        StudyError: shards have fewer tokens than the contexts.
    """
    names = list(main)
    places = [contexts.names.index(name) for name in names]
    chosen = [_choose(activations, contexts, probes, place, least_f1, most_tokens, seed) for place in places]
    taken = _take(activations, batches, np.unique(np.concatenate([np.zeros(0, np.int64), *chosen])))
    rows, drawn = [], np.zeros((len(names), permutations, 2))
    for row, (name, place, tokens) in enumerate(
        tracked(list(zip(names, places, chosen, strict=True)), len(names), "measure absorption", "contexts")
    ):
        direction = probes.weights[:, place].astype(np.float64)
        direction /= max(np.linalg.norm(direction), 1e-30)
        found, drawn[row] = _measure(taken, tokens, direction, main[name].features, dictionary, permutations, seed)
        null = drawn[row].mean(axis=0) if len(tokens) else (np.nan, np.nan)
        about = {"context": name, "kind": contexts.kinds[place], "probe_f1": probes.f1[place], "tokens": len(tokens)}
        of_main = {"main": main[name].features.tolist(), "main_f1": main[name].f1[-1]}
        nulls = {"absorbed_null": null[0], "fraction_null": null[1]}
        rows.append({**about, **of_main, **found._asdict(), **nulls})
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return table, _summarize(table, drawn)


def _choose(
    activations: Sequence[Shard],
    contexts: Memberships,
    probes: ProbeDirections,
    place: int,
    least_f1: float,
    most_tokens: int,
    seed: int,
) -> np.ndarray:
    """Ascending numbers of the tokens of a context that its probe finds, at most so many."""
    if not probes.f1[place] >= least_f1:
        return np.zeros(0, np.int64)
    own = np.flatnonzero(contexts.marks[place] & contexts.counted)
    scores = gather_rows(activations, own, len(contexts.counted)) @ probes.weights[:, place] + probes.biases[place]
    own = own[scores >= probes.thresholds[place]]
    if len(own) > most_tokens:
        own = np.sort(np.random.default_rng((seed, place)).choice(own, most_tokens, replace=False))
    return own


class _Taken(NamedTuple):
    """Activations and active features of some tokens: their numbers, x, and compressed sparse rows."""

    tokens: np.ndarray
    x: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray


def _take(activations: Sequence[Shard], batches: Iterable[SparseBatch], tokens: np.ndarray) -> _Taken:
    sizes, indices, values, offset = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)], 0
    for batch in batches:
        first, stop = np.searchsorted(tokens, [offset, offset + len(batch.kept)])
        rows = tokens[first:stop] - offset
        size = batch.indptr[rows + 1] - batch.indptr[rows]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        entries = np.repeat(batch.indptr[rows], size) + within
        sizes.append(size)
        indices.append(batch.indices[entries])
        values.append(batch.values[entries])
        offset += len(batch.kept)
    if len(tokens) and offset <= tokens[-1]:
        raise StudyError(f"features of {offset:,} tokens found; expected more than {tokens[-1]:,}, as contexts have")
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    x = gather_rows(activations, tokens)
    return _Taken(tokens, x, indptr, np.concatenate(indices), np.concatenate(values))


def _measure(
    taken: _Taken,
    tokens: np.ndarray,
    direction: np.ndarray,
    main: np.ndarray,
    dictionary: Dictionary,
    permutations: int,
    seed: int,
) -> tuple[_Found, np.ndarray]:
    """One context: what is found, and (permutations, 2) float64 absorbed and fraction with exchanged rows."""
    drawn = np.full((permutations, 2), np.nan)
    if not len(tokens):
        return _Found(np.nan, np.nan, np.nan, NONE, np.nan), drawn
    rows = np.searchsorted(taken.tokens, tokens)
    parts = dictionary.decoder @ direction
    norms = np.linalg.norm(dictionary.decoder.astype(np.float64), axis=1)
    cosines = np.divide(parts, norms, out=np.zeros_like(parts), where=norms > 0)
    is_main = np.zeros(len(parts), bool)
    is_main[main] = True
    explained = (taken.x[rows] - dictionary.bias) @ direction
    entries = (taken.indptr, taken.indices, taken.values, rows, explained, is_main)
    silent, absorbers, fractions = _scan(*entries, parts, cosines)
    groups = np.where(is_main, NONE, count_bins(dictionary.counts))
    generator = np.random.default_rng(seed)
    for draw in range(permutations):
        order = np.where(is_main, np.arange(len(parts)), exchanged(groups, generator))
        _, others, shares = _scan(*entries, parts[order], cosines[order])
        drawn[draw] = (others != NONE).mean(), shares.mean()
    absorbed = absorbers[absorbers != NONE]
    top = int(np.bincount(absorbed).argmax()) if len(absorbed) else NONE
    share = float((absorbed == top).mean()) if len(absorbed) else np.nan
    return _Found(silent.mean(), len(absorbed) / len(tokens), fractions.mean(), top, share), drawn


@njit(cache=True)
def _scan(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    explained: np.ndarray,
    is_main: np.ndarray,
    parts: np.ndarray,
    cosines: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every token: whether main features are silent, the feature that absorbs it (-1: none), absorbed fraction."""
    silent, absorbers = np.ones(len(rows), np.bool_), np.full(len(rows), -1, np.int64)
    fractions, largest = np.zeros(len(rows)), np.zeros(MOST_ABSORBERS)
    for place in range(len(rows)):
        main, best, top = 0.0, 0.0, -1
        largest[:] = 0
        for entry in range(indptr[rows[place]], indptr[rows[place] + 1]):
            feature = indices[entry]
            part = values[entry] * parts[feature]
            if is_main[feature]:
                silent[place] = False
                main += part
            elif cosines[feature] >= PARTIAL_COSINE and part > largest[-1]:
                slot = MOST_ABSORBERS - 1
                while slot > 0 and part > largest[slot - 1]:
                    largest[slot] = largest[slot - 1]
                    slot -= 1
                largest[slot] = part
            if part > best:
                best, top = part, feature
        total = explained[place]
        if total <= 0:
            continue
        if silent[place] and top >= 0 and cosines[top] >= LEAST_COSINE and best >= LEAST_SHARE * total:
            absorbers[place] = top
        others = largest.sum()
        if main < total and others >= LEAST_SHARE * total:
            rest = min(others, total - main)
            fractions[place] = 1.0 if main <= 0 else rest / (rest + main)
    return silent, absorbers, fractions


def _summarize(table: pd.DataFrame, drawn: np.ndarray) -> dict[str, Any]:
    """Means over the contexts that are measured; drawn: (contexts, permutations, 2)."""
    known = table["tokens"].to_numpy() > 0
    own = table[known]
    summary = {"contexts": len(table), "measured": len(own)}
    summary["main_features"] = float(own["main"].map(len).median()) if len(own) else None
    summary["silent"] = float(own["silent"].mean()) if len(own) else None
    for place, name in enumerate(("absorbed", "fraction")):
        value = own[name].mean() if len(own) else np.nan
        null = drawn[known, :, place].mean(axis=0) if len(own) else np.zeros(0)
        summary[name] = beside(value, null)._asdict()
    return summary
