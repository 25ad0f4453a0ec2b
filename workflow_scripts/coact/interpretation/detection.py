"""How well scores tell the tokens of a context from others.

In: activations, or scores of a probe, which tokens belong to the context, and a threshold. Out: precision, sensitivity,
specificity, F1 and the area under the ROC curve (Fawcett 2006, Pattern Recognition Letters 27:861); intervals of F1
from documents drawn again (cluster bootstrap: Davison and Hinkley 1997, section 3.8), since tokens of a document are
alike.
"""

import warnings

import numpy as np

from coact.graph.association import ranks

RATES = ("precision", "sensitivity", "specificity", "f1")
LEAST_DOCUMENTS = 5  # with tokens of the context, for an interval
SAMPLES_AT_ONCE = 50
COVERAGE = (0.025, 0.975)


def rates(hits: int, said: int, positives: int, total: int) -> dict[str, float]:
    """precision, sensitivity, specificity and f1; NaN where not defined, and all where there are no positives.

    Args:
        hits: tokens of the context that are said to belong to it.
        said: tokens that are said to belong to it.
        positives, total: tokens of the context, and in all.
    """
    if not positives:
        return dict.fromkeys(RATES, np.nan)
    negatives = total - positives
    return {
        "precision": hits / said if said else np.nan,
        "sensitivity": hits / positives,
        "specificity": (negatives - (said - hits)) / negatives if negatives else np.nan,
        "f1": 2 * hits / (positives + said),
    }


def area_under_curve(values: np.ndarray, inside: np.ndarray, positives: int, total: int) -> float:
    """Area under the ROC curve; NaN without positives or without negatives.

    Args:
        values: (active,) activations or scores; all other tokens are tied below the lowest of them.
        inside: (active,) bool, whether these tokens belong to the context.
        positives, total: tokens of the context, and in all.
    """
    negatives, hits = total - positives, int(inside.sum())
    if not (positives and negatives):
        return np.nan
    silent_inside, silent_outside = positives - hits, negatives - (len(values) - hits)
    # Pairs of a token inside and one outside that are in the right order, and half of those that are tied.
    active = ranks(values)[inside].sum() - hits * (hits + 1) / 2
    return float((active + hits * silent_outside + silent_inside * silent_outside / 2) / (positives * negatives))


def best_threshold(scores: np.ndarray, inside: np.ndarray, positives: int | None = None) -> tuple[float, float]:
    """The threshold with the largest F1, the highest among equal ones, and that F1; NaN and 0 without positives.

    Args:
        scores: (tokens,).
        inside: (tokens,) bool.
        positives: tokens of the context, those without a score too, which are below every threshold; None: those
            inside.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(inside[order])
    if not len(hits) or not hits[-1]:
        return np.nan, 0.0
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of tokens with equal scores
    f1 = 2 * hits[last] / ((hits[-1] if positives is None else positives) + last + 1)
    place = int(np.argmax(f1))
    return float(ordered[last[place]]), float(f1[place])


def by_document(documents: np.ndarray, tokens: np.ndarray, n_documents: int) -> np.ndarray:
    """(n_documents,) int64, how many of some tokens each document has.

    Args:
        documents: (all tokens,) number of the document, from 0.
        tokens: numbers of the tokens.
    """
    return np.bincount(documents[tokens], minlength=n_documents)


def f1_intervals(
    hits: np.ndarray, said: np.ndarray, positives: np.ndarray, samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of F1, 95% percentile intervals over samples of documents, drawn with replacement.

    Samples without a token of the context are left out. NaN where fewer than `LEAST_DOCUMENTS` documents have one.

    Args:
        hits, said, positives: (detectors, documents) counts of tokens, as in `rates`.
        samples: number of samples.
        seed: of the samples.
    """
    counts = np.stack([hits, said, positives]).astype(np.float64)
    documents = counts.shape[2]
    generator, found = np.random.default_rng(seed), []
    for first in range(0, samples if documents else 0, SAMPLES_AT_ONCE):
        size = min(SAMPLES_AT_ONCE, samples - first)
        times = generator.multinomial(documents, np.full(documents, 1 / documents), size)
        own, others, true = counts @ times.T
        found.append(np.divide(2 * own, true + others, out=np.full_like(own, np.nan), where=true > 0))
    if not found:
        return np.full(len(hits), np.nan), np.full(len(hits), np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(np.concatenate(found, axis=1), COVERAGE, axis=1)
    few = (counts[2] > 0).sum(axis=1) < LEAST_DOCUMENTS
    return np.where(few, np.nan, low), np.where(few, np.nan, high)
