"""What any language model must beat: unigram and bigram models of the same training stream."""

import numpy as np

WEIGHTS = np.linspace(0.05, 0.95, 19)


def unigram_cross_entropy(train: np.ndarray, targets: np.ndarray, vocabulary: int) -> float:
    """Cross-entropy of a unigram model with add-one smoothing.

    Args:
        train: token ids, any shape.
        targets: token ids to predict.
        vocabulary: number of token ids.
    Returns:
        Nats per token.
    """
    return float(-np.log(_unigram(train, vocabulary)[targets]).mean())


def bigram_cross_entropy(
    train: np.ndarray, previous: np.ndarray, targets: np.ndarray, vocabulary: int, tune_share: float = 0.05
) -> float:
    """Cross-entropy of a bigram model interpolated with the unigram (Jelinek and Mercer 1980).

    The interpolation weight is chosen on the last `tune_share` of the training contexts, then both parts are
    counted on all of them.

    Args:
        train: (contexts, length) token ids.
        previous: token ids before the targets.
        targets: token ids to predict, same shape.
        vocabulary: number of token ids.
    Returns:
        Nats per token.
    """
    split = max(1, int(len(train) * (1 - tune_share)))
    tune = train[split:] if split < len(train) else train
    parts = _probabilities(train[:split], tune[:, :-1].ravel(), tune[:, 1:].ravel(), vocabulary)
    weight = WEIGHTS[np.argmin([_loss(weight, *parts) for weight in WEIGHTS])]
    return _loss(weight, *_probabilities(train, previous, targets, vocabulary))


def _unigram(train: np.ndarray, vocabulary: int) -> np.ndarray:
    count = np.bincount(train.ravel(), minlength=vocabulary) + 1.0
    return count / count.sum()


def _probabilities(
    train: np.ndarray, previous: np.ndarray, targets: np.ndarray, vocabulary: int
) -> tuple[np.ndarray, np.ndarray]:
    pairs = train[:, :-1].astype(np.int64) * vocabulary + train[:, 1:]
    key, count = np.unique(pairs, return_counts=True)
    before = np.bincount(train[:, :-1].ravel(), minlength=vocabulary)
    wanted = previous.astype(np.int64) * vocabulary + targets
    place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    seen = np.where(key[place] == wanted, count[place], 0)
    bigram = seen / np.maximum(before[previous], 1)
    return bigram, _unigram(train, vocabulary)[targets]


def _loss(weight: float, bigram: np.ndarray, unigram: np.ndarray) -> float:
    return float(-np.log(weight * bigram + (1 - weight) * unigram).mean())
