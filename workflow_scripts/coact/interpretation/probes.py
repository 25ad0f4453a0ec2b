"""What a linear probe can tell of a context: an upper bound for single features and neurons.

In: activations of the training and the held-out stream, and the contexts of their tokens. Out: per context, how well a
logistic regression on all dimensions detects it (Alain and Bengio 2016; for SAEs, Gurnee et al. 2023, Finding Neurons
in a Haystack).

One regression per context against all other tokens, L2-regularised, on standardised dimensions, fitted to a sample of
training tokens. Its threshold is the one with the largest F1 on all training tokens, those that it was not fitted to
among them; it is measured on held-out tokens, by the measures of `coact.interpretation.detection`.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from coact.activations.shards import Shard, gather_rows
from coact.artefacts import open_tensors, read_table, write_tensors
from coact.errors import StudyError
from coact.interpretation.detection import RATES, area_under_curve, best_threshold, by_document, f1_intervals, rates
from coact.interpretation.memberships import Memberships
from coact.progress import Progress

CHUNK_ROWS = 8192


class ProbeDirections(NamedTuple):
    """Fitted probes, in the order of the contexts.

    Attributes:
        weights: (width, contexts) float32, for activations as they are; 0 where there is no probe.
        biases: (contexts,) float32.
        thresholds, f1: (contexts,) float64, of the log odds, and on held-out tokens; NaN where there is none.
    """

    weights: np.ndarray
    biases: np.ndarray
    thresholds: np.ndarray
    f1: np.ndarray


def save_directions(weights: np.ndarray, biases: np.ndarray, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write the probes' weights and biases as safetensors."""
    write_tensors({"weights": weights, "biases": biases}, path, stamp)


def open_directions(path: str | Path, table: str | Path) -> ProbeDirections:
    """The probes from a file of `save_directions` and the table of `measure_probes`.

    Raises:
        ArtefactError: a file is missing or altered.
    """
    file, found = open_tensors(path), read_table(table, ["threshold", "f1"])
    return ProbeDirections(*(np.array(file[name]) for name in ("weights", "biases")), *found.to_numpy().T)


def measure_probes(
    train: Sequence[Shard],
    heldout: Sequence[Shard],
    train_contexts: Memberships,
    heldout_contexts: Memberships,
    *,
    tokens: int,
    penalty: float,
    iterations: int,
    samples: int,
    seed: int,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Fit a probe to every context and measure it on held-out tokens.

    Special positions are left out. Memory: the sample, `tokens` x width float32, and scores of all tokens.

    Args:
        train, heldout: activation shards; their first tokens, as many as the contexts have, are read.
        train_contexts, heldout_contexts: contexts of those tokens, of the same names.
        tokens: most training tokens that probes are fitted to, drawn without replacement.
        penalty: inverse of the strength of the L2 penalty (scikit-learn's C).
        iterations: most steps of the solver (L-BFGS).
        samples: bootstrap samples of held-out documents.
        seed: of the drawn tokens and of the samples.

    Returns:
        Weights and biases as `ProbeDirections` has them, after a table with a row per context: context, kind (text),
        tokens_train, tokens, documents (int64, of the context), fitted (int64 tokens of the context in the sample; 0
        where there is no probe, since the sample has none, or nothing else), threshold (of the log odds), f1_train,
        precision, sensitivity, specificity, f1, f1_low, f1_high and auc, float64, NaN where there is no probe, and the
        last seven where the context has no held-out tokens.

    Raises:
        StudyError: the contexts of the splits differ, or the shards have fewer tokens than the contexts.
        ArtefactError: an activation is not finite.
    """
    if train_contexts.names != heldout_contexts.names:
        raise StudyError("contexts of the training and the held-out split differ; expected the same list")
    drawn = _draw(train_contexts.counted, tokens, seed)
    x = gather_rows(train, drawn, len(train_contexts.counted))
    marks = train_contexts.marks[:, drawn]
    with threadpool_limits(limits=1):  # sums over threads are added up in the order in which these finish
        weights, biases, fitted = _fit(x, marks, penalty, iterations)
        scores_train = _score(train, weights, biases, len(train_contexts.counted))
        scores = _score(heldout, weights, biases, len(heldout_contexts.counted))
    table = _measure(scores_train, scores, train_contexts, heldout_contexts, fitted)
    low, high = _intervals(scores, table, heldout, heldout_contexts, samples, seed)
    table.insert(table.columns.get_loc("f1") + 1, "f1_low", low)
    table.insert(table.columns.get_loc("f1") + 2, "f1_high", high)
    return table, weights, biases


def _draw(counted: np.ndarray, tokens: int, seed: int) -> np.ndarray:
    """Ascending numbers of the tokens that probes are fitted to."""
    rows = np.flatnonzero(counted)
    if len(rows) > tokens:
        rows = np.sort(np.random.default_rng(seed).choice(rows, tokens, replace=False))
    return rows


def _fit(
    x: np.ndarray, marks: np.ndarray, penalty: float, iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (width, contexts) and biases (contexts,) float32 for activations as they are, 0 where there is no probe.

    And (contexts,) int64, the tokens of each context in the sample, 0 where there is no probe.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    x -= mean.astype(np.float32)
    x *= scale.astype(np.float32)
    weights, biases = np.zeros((x.shape[1], len(marks))), np.zeros(len(marks))
    positives = marks.sum(axis=1)
    fitted = np.where(positives < len(x), positives, 0)
    progress = Progress(len(marks), "fit probes", "contexts")
    for context in np.flatnonzero(fitted):
        probe = LogisticRegression(C=penalty, max_iter=iterations)
        with warnings.catch_warnings():
            # Contexts that a plane divides have no best weights but for the penalty: the limit of steps ends those.
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(x, marks[context])
        weights[:, context] = probe.coef_[0] * scale
        biases[context] = probe.intercept_[0] - mean @ weights[:, context]
        progress.update(1)
    progress.close()
    return weights.astype(np.float32), biases.astype(np.float32), fitted


def _score(shards: Sequence[Shard], weights: np.ndarray, biases: np.ndarray, n_tokens: int) -> np.ndarray:
    """Log odds of the first tokens, (contexts, tokens) float32."""
    scores = np.empty((len(biases), n_tokens), np.float32)
    place = 0
    for shard, rows in _chunks(shards, n_tokens):
        scores[:, place : place + len(rows)] = (shard.array(rows) @ weights + biases).T
        place += len(rows)
    if place < n_tokens:
        raise StudyError(f"activations of {place:,} tokens found; expected at least {n_tokens:,}, those with contexts")
    return scores


def _chunks(shards: Sequence[Shard], n_tokens: int) -> Iterator[tuple[Shard, np.ndarray]]:
    """Rows of shards in turn, up to `n_tokens` in all."""
    left = n_tokens
    for shard in shards:
        size = min(left, len(shard.documents))
        for start in range(0, size, CHUNK_ROWS):
            yield shard, np.arange(start, min(start + CHUNK_ROWS, size))
        left -= size


def _measure(
    scores_train: np.ndarray,
    scores: np.ndarray,
    train: Memberships,
    heldout: Memberships,
    fitted: np.ndarray,
) -> pd.DataFrame:
    records = []
    total = int(heldout.counted.sum())
    for place, name in enumerate(train.names):
        mark, own = train.marks[place][train.counted], heldout.marks[place][heldout.counted]
        record = {"context": name, "kind": train.kinds[place], "tokens_train": int(mark.sum())}
        record |= {"tokens": int(own.sum()), "documents": 0, "fitted": int(fitted[place])}
        if fitted[place]:
            threshold, f1_train = best_threshold(scores_train[place][train.counted], mark)
            values = scores[place][heldout.counted]
            said = values >= threshold
            record |= {"threshold": threshold, "f1_train": f1_train}
            record |= rates(int((said & own).sum()), int(said.sum()), record["tokens"], total)
            record |= {"auc": area_under_curve(values, own, record["tokens"], total)}
        records.append(record)
    names = ["context", "kind", "tokens_train", "tokens", "documents", "fitted", "threshold", "f1_train", *RATES, "auc"]
    return pd.DataFrame(records, columns=names).astype(dict.fromkeys(names[6:], np.float64))


def _intervals(
    scores: np.ndarray,
    table: pd.DataFrame,
    shards: Sequence[Shard],
    contexts: Memberships,
    samples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of F1; counts the documents of every context into `table` on the way."""
    documents = np.concatenate([shard.documents for shard in shards])[: len(contexts.counted)]
    _, numbers = np.unique(documents[contexts.counted], return_inverse=True)
    n_documents = int(numbers.max(initial=-1)) + 1
    tallies = np.zeros((3, len(table), n_documents))
    for place in range(len(table)):
        own = contexts.marks[place][contexts.counted]
        said = scores[place][contexts.counted] >= table.loc[place, "threshold"]
        for tally, group in zip(tallies, (said & own, said, own), strict=True):
            tally[place] = by_document(numbers, np.flatnonzero(group), n_documents)
    table["documents"] = (tallies[2] > 0).sum(axis=1)
    low, high = f1_intervals(*tallies, samples, seed)
    known = table["f1"].notna()
    return np.where(known, low, np.nan), np.where(known, high, np.nan)
