"""Which features stand for which contexts.

In: sparse features of the training and the held-out stream, and the contexts of their tokens (`memberships`). Out: the
best features of every context with their measures, and a table of features by contexts.

A feature together with a threshold detects a context: it says yes on tokens where its activation is at least the
threshold. For every feature and context the threshold with the largest F1 on training tokens is found, over all
thresholds, and the features with the largest F1 are measured on held-out tokens. The log-likelihood proxy of a token is
log P(token | context) / P(token), estimated from training tokens (Bricken et al. 2023, Towards Monosemanticity), with
Dirichlet smoothing towards P(token) (MacKay and Peto 1995, Natural Language Engineering 1:289).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from coact.errors import StudyError
from coact.interpretation.activity import Counts, Tokens, count_contexts, gather_columns, search_thresholds
from coact.interpretation.detection import RATES, area_under_curve, by_document, f1_intervals, rates
from coact.interpretation.memberships import Memberships
from coact.interpretation.similarity import variance

NONE = -1  # feature of a context that no feature detects


class ContextTables(NamedTuple):
    """What `measure_contexts` finds: see there."""

    best: pd.DataFrame
    features: pd.DataFrame


def measure_contexts(
    train: Tokens, heldout: Tokens, *, keep: int, pseudocount: float, samples: int, seed: int
) -> ContextTables:
    """The best features of every context, chosen on training tokens and measured on held-out ones.

    Special positions never count. Memory: one shard, `MOST_ENTRIES` activations, and features x contexts.

    Args:
        train, heldout: the two splits; their contexts have the same names.
        keep: features kept per context.
        pseudocount: tokens that the smoothing of the proxy is worth.
        samples: bootstrap samples of documents.
        seed: of these.

    Returns:
        best, a row per context and rank (one with feature -1 where no feature is active in the context on training
        tokens): context, kind (text), rank (int32 from 1), feature (int32), tokens_train, tokens, documents (int64
        tokens of the context, and held-out documents with such tokens), threshold and f1_train (float64), and on
        held-out tokens, float64, NaN where not defined (all where the context has no held-out tokens):

        - precision, sensitivity, specificity, f1 at the threshold, with f1_low and f1_high (95%, from `LEAST_DOCUMENTS`
          documents on); the four with the ending _at_zero, of all tokens where the feature is active;
        - auc, area under the ROC curve, inactive tokens tied at 0;
        - proxy_correlation, Pearson's, of the activation with the proxy where that is above 0, else 0; and proxy_mass,
          the share of the sum of activations on tokens whose proxy is above 0.

        features, a row per feature and context in which it is active on either split, ascending: feature (int32),
        context (categorical), train, heldout (int32 active tokens in the context); and float32: share_train, share (of
        the feature's active tokens), lift_train, lift (share over the context's own share of the tokens), log_odds
        (held-out, natural, 0.5 added to the four cells: Haldane 1956), f1_train, threshold (NaN without training
        tokens).

    Raises:
        StudyError: contexts of the splits differ, or a split has other tokens than its features.
    """
    if train.contexts.names != heldout.contexts.names:
        raise StudyError("contexts of the training and the held-out split differ; expected the same list")
    chosen_on, measured_on = (count_contexts(part.read(), part.contexts) for part in (train, heldout))
    f1, thresholds = search_thresholds(train, chosen_on)
    best = _choose(train.contexts, f1, thresholds, chosen_on.sizes, keep)
    ratios = log_likelihood_ratios(train, chosen_on.counted, int(heldout.ids.max(initial=0)) + 1, pseudocount)
    best = measure_detectors(best, heldout, measured_on.counted, measured_on.documents, samples, seed, ratios)
    return ContextTables(best, _tabulate(train.contexts.names, chosen_on, measured_on, f1, thresholds))


def log_likelihood_ratios(part: Tokens, counted: np.ndarray, vocabulary: int, pseudocount: float) -> np.ndarray:
    """log P(token | context) / P(token), (contexts, at least `vocabulary`) float32, from the counted tokens of a split.

    P(token) has 1 added to every count; a context's counts have `pseudocount` x P(token) added. NaN for a context
    without tokens.
    """
    size = max(vocabulary, int(part.ids.max(initial=0)) + 1)
    overall = np.bincount(part.ids[counted], minlength=size) + 1.0
    overall /= overall.sum()
    ratios = np.full((len(part.contexts.names), size), np.nan, np.float32)
    for context, mark in enumerate(part.contexts.marks):
        own = np.bincount(part.ids[mark & counted], minlength=size)
        if own.sum():
            ratios[context] = np.log((own + pseudocount * overall) / (own.sum() + pseudocount) / overall)
    return ratios


def _choose(
    contexts: Memberships, f1: np.ndarray, thresholds: np.ndarray, sizes: np.ndarray, keep: int
) -> pd.DataFrame:
    """context, kind, rank, feature, tokens_train, threshold, f1_train: the features with the largest F1."""
    parts = []
    for place, (name, kind) in enumerate(zip(contexts.names, contexts.kinds, strict=True)):
        best = np.argsort(-f1[:, place], kind="stable")[:keep]
        best = best[f1[best, place] > 0]
        found = {"feature": best, "threshold": thresholds[best, place], "f1_train": f1[best, place]}
        if not len(best):
            found = {"feature": [NONE], "threshold": [np.nan], "f1_train": [np.nan]}
        rank = np.arange(1, len(found["feature"]) + 1)
        parts.append(pd.DataFrame({"context": name, "kind": kind, "rank": rank, "tokens_train": sizes[place], **found}))
    order = ["context", "kind", "rank", "feature", "tokens_train", "threshold", "f1_train"]
    return pd.concat(parts, ignore_index=True)[order].astype(
        {"rank": np.int32, "feature": np.int32, "threshold": np.float64, "f1_train": np.float64}
    )


def measure_detectors(
    detectors: pd.DataFrame,
    part: Tokens,
    counted: np.ndarray,
    documents: np.ndarray,
    samples: int,
    seed: int,
    ratios: np.ndarray | None = None,
) -> pd.DataFrame:
    """Features with thresholds, measured as detectors of contexts.

    Args:
        detectors: context, feature (-1 for none), threshold.
        part: the tokens to measure on.
        counted, documents: as in `Counts`.
        ratios: (contexts, vocabulary) log-likelihood ratios; None leaves the two measures of the proxy out.
    Returns:
        `detectors` with the measures of `measure_contexts`, tokens and documents among them.
    """
    features = np.unique(detectors["feature"])
    features = features[features >= 0]
    columns = gather_columns(part.read(), features, counted)
    number = np.zeros(len(counted), np.int64)
    _, number[counted] = np.unique(documents[counted], return_inverse=True)
    n_documents = int(number.max()) + 1 if counted.any() else 0
    places = {name: place for place, name in enumerate(part.contexts.names)}
    records, tallies = [], []
    for context, feature, threshold in detectors[["context", "feature", "threshold"]].itertuples(index=False):
        mark = part.contexts.marks[places[context]] & counted
        own = by_document(number, np.flatnonzero(mark), n_documents)
        record, tally = {"tokens": int(own.sum()), "documents": int((own > 0).sum())}, np.zeros((3, n_documents))
        if feature >= 0:
            tokens, values = columns.of(int(np.searchsorted(features, feature)))
            record |= _detect(tokens, values, mark, threshold, int(counted.sum()))
            if ratios is not None:
                record |= _follow(tokens, values, ratios[places[context]][part.ids], counted, record["tokens"])
            said = tokens[values >= threshold]
            tally = np.stack([by_document(number, group, n_documents) for group in (said[mark[said]], said)] + [own])
        records.append(record)
        tallies.append(tally)
    names = ["tokens", "documents", *RATES, "auc", *(f"{rate}_at_zero" for rate in RATES)]
    names += ["proxy_correlation", "proxy_mass"] if ratios is not None else []
    table = pd.DataFrame(records, columns=names).astype(dict.fromkeys(names[2:], np.float64))
    low, high = f1_intervals(*np.stack(tallies, axis=1), samples, seed)
    table.insert(table.columns.get_loc("f1") + 1, "f1_low", low)
    table.insert(table.columns.get_loc("f1") + 2, "f1_high", high)
    return pd.concat([detectors.reset_index(drop=True), table], axis=1)


def _detect(tokens: np.ndarray, values: np.ndarray, mark: np.ndarray, threshold: float, total: int) -> dict[str, float]:
    inside, said, positives = mark[tokens], values >= threshold, int(mark.sum())
    at_zero = rates(int(inside.sum()), len(inside), positives, total)
    return {
        **rates(int((inside & said).sum()), int(said.sum()), positives, total),
        "auc": area_under_curve(values, inside, positives, total),
        **{f"{name}_at_zero": value for name, value in at_zero.items()},
    }


def _follow(
    tokens: np.ndarray, values: np.ndarray, proxy: np.ndarray, counted: np.ndarray, positives: int
) -> dict[str, float]:
    """How a feature follows the log-likelihood proxy of a context over all counted tokens."""
    if not positives or not counted.any() or np.isnan(proxy[counted][0]):
        return {}
    n, clipped = int(counted.sum()), np.maximum(proxy, 0).astype(np.float64)
    a, at = values.astype(np.float64), clipped[tokens]
    all_of_it = clipped[counted]
    covariance = a @ at / n - a.sum() / n * all_of_it.mean()
    spread = [variance(a @ a / n, a.sum() / n), variance(all_of_it @ all_of_it / n, all_of_it.mean())]
    return {
        "proxy_correlation": float(np.clip(covariance / np.sqrt(spread[0] * spread[1]), -1, 1)),
        "proxy_mass": float(a[at > 0].sum() / a.sum()) if len(a) else np.nan,
    }


def _tabulate(names: list[str], train: Counts, heldout: Counts, f1: np.ndarray, thresholds: np.ndarray) -> pd.DataFrame:
    """The table of features by contexts, without the cells where a feature is active in neither split."""
    feature, context = np.nonzero((train.within > 0) | (heldout.within > 0))
    shares, lifts = zip(*(_shares(counts) for counts in (train, heldout)), strict=True)
    cells = {"share_train": shares[0], "share": shares[1], "lift_train": lifts[0], "lift": lifts[1]}
    cells |= {
        "log_odds": _log_odds(heldout),
        "f1_train": np.where(train.within > 0, f1, np.nan),
        "threshold": thresholds,
    }
    return pd.DataFrame(
        {
            "feature": feature.astype(np.int32),
            "context": pd.Categorical.from_codes(context, names),
            "train": train.within[feature, context].astype(np.int32),
            "heldout": heldout.within[feature, context].astype(np.int32),
            **{name: values[feature, context].astype(np.float32) for name, values in cells.items()},
        }
    )


def _shares(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Share of each feature's active tokens in every context, and its lift; NaN where not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts.within / counts.active[:, None]
        return share, share / (counts.sizes / counts.counted.sum())


def _log_odds(counts: Counts) -> np.ndarray:
    """Log odds ratio of being active and being in the context; NaN for contexts without tokens."""
    active, sizes = counts.active[:, None], counts.sizes[None, :]
    both = counts.within
    cells = both, active - both, sizes - both, counts.counted.sum() - active - sizes + both
    a, b, c, d = (cell + 0.5 for cell in cells)
    return np.where(sizes > 0, np.log(a * d / (b * c)), np.nan)
