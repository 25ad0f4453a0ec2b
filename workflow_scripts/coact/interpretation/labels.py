"""Which labels text has: a token classifier, and the feature that follows a label best.

In: the labelled training stream and its sparse features. Out: log-likelihood ratios of tokens by label, labels of
texts, and for each label a feature. All is fitted on the training stream; `measure_classifier` measures on another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from coact.corpus.tokens import TokenStream
from coact.features.batches import SparseBatch

PRIOR_TOKENS = 100.0  # pseudo-tokens of the mixture of labels that are added to the counts of every label
NO_LABEL = -1


@dataclass(frozen=True)
class TokenClassifier:
    """Naive Bayes on tokens, without a prior over labels.

    Attributes:
        scores: (vocabulary, labels) float64, log P(token | label) / P(token), nats; 0 for tokens that no label has,
            and in the column of a label without tokens -infinity, so that it is never chosen.
        names: the labels.
    """

    scores: np.ndarray
    names: list[str]

    def judge(self, tokens: np.ndarray) -> np.ndarray:
        """The label of each text (texts, n) of token ids, by the largest sum of scores: (texts,) int64.

        `NO_LABEL` where no sum is above 0, that is where the mixture of all labels explains the text best.
        """
        sums = self.scores[tokens].sum(1)
        return np.where(sums.max(1) > 0, sums.argmax(1), NO_LABEL)


def fit_classifier(stream: TokenStream, vocabulary: int) -> TokenClassifier:
    """Scores of tokens from a labelled stream.

    Counts of a label are smoothed by `PRIOR_TOKENS` tokens in the proportions of all labels (a Dirichlet prior).
    """
    labelled = stream.labels >= 0
    n_labels = len(stream.label_names)
    cells = stream.tokens[labelled].astype(np.int64) * n_labels + stream.labels[labelled]
    count = np.bincount(cells, minlength=vocabulary * n_labels).reshape(vocabulary, n_labels).astype(np.float64)
    total, tokens = count.sum(1, keepdims=True), count.sum(0)
    share = total / max(total.sum(), 1.0)
    smoothed = (count + PRIOR_TOKENS * share) / (tokens + PRIOR_TOKENS)
    scores = np.log(np.divide(smoothed, share, out=np.ones_like(count), where=total > 0))
    scores[:, tokens == 0] = -np.inf
    return TokenClassifier(scores, list(stream.label_names))


def measure_classifier(classifier: TokenClassifier, stream: TokenStream, window: int) -> dict[str, dict[str, float]]:
    """How often texts of `window` tokens of one label are judged as that label, on held-out text.

    Windows are cut from contexts one after another; those that mix labels or hold special positions are left out.

    Returns:
        For every label: windows (their number), recall (share of them judged as the label) and false_positives (share
        of windows of other labels judged as it); NaN where there are no windows.
    """
    length = stream.tokens.shape[1] // window * window
    tokens, labels = (array[:, :length].reshape(-1, window) for array in (stream.tokens, stream.labels))
    pure = (labels[:, 0] >= 0) & (labels == labels[:, :1]).all(1)
    judged, true = classifier.judge(tokens[pure]) if pure.any() else np.zeros(0, np.int64), labels[pure, 0]
    found = {}
    for label, name in enumerate(classifier.names):
        own, other = judged[true == label], judged[true != label]
        found[name] = {
            "windows": len(own),
            "recall": float((own == label).mean()) if len(own) else float("nan"),
            "false_positives": float((other == label).mean()) if len(other) else float("nan"),
        }
    return found


def features_of_labels(batches: Iterable[SparseBatch], stream: TokenStream) -> dict[int, int]:
    """For each label the feature whose activations are most like the label's indicator (largest cosine).

    Args:
        batches: sparse features of the first tokens of the stream.
        stream: the training stream.
    Returns:
        Feature by label, ties to the lower feature; labels on whose tokens no feature fires are left out.
    """
    labels, n_labels = stream.labels.ravel(), len(stream.label_names)
    first, mass, squares = 0, np.zeros((1, n_labels)), np.zeros(1)
    for batch in batches:
        own = np.repeat(labels[first : first + len(batch.kept)], np.diff(batch.indptr)).astype(np.int64)
        first += len(batch.kept)
        cells = batch.indices.astype(np.int64) * n_labels + own
        there, size = own >= 0, batch.n_features * n_labels
        mass = mass + np.bincount(cells[there], batch.values[there], size).reshape(-1, n_labels)
        squares = squares + np.bincount(batch.indices, batch.values.astype(np.float64) ** 2, batch.n_features)
    cosine = mass / np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
    return {label: int(cosine[:, label].argmax()) for label in range(n_labels) if cosine[:, label].max() > 0}


def usual_label(stream: TokenStream) -> int:
    """The label with the most tokens: ordinary text, which the others stand out from."""
    return int(np.bincount(stream.labels[stream.labels >= 0], minlength=len(stream.label_names)).argmax())


def choose_features(best: Mapping[int, int], fired: np.ndarray, further: int, seed: int) -> list[int]:
    """The features of labels, and a random sample of the others, which speaks for features in general.

    Args:
        best: feature by label (`features_of_labels`).
        fired: (D,) bool, features that fire on the training stream.
        further: size of the sample; fewer where no more are left.
        seed: of the sample.
    """
    labelled = list(dict.fromkeys(best.values()))
    others = np.setdiff1d(np.flatnonzero(fired), labelled)
    drawn = np.random.default_rng(seed).permutation(others)[:further]
    return labelled + [int(feature) for feature in drawn]
