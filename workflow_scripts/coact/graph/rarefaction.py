"""Degrees at an equal number of tokens.

A feature that is in more sets meets more others, whatever they are to each other. Rarefaction, as ecology uses it for
numbers of species, asks how many neighbours a feature has in a sample of its tokens that is of one size for all.
"""

import numpy as np
from scipy.special import gammaln


def rarefied_degree(
    source: np.ndarray, target: np.ndarray, count: np.ndarray, topk_count: np.ndarray, tokens: int
) -> np.ndarray:
    """Expected number of distinct neighbours of a feature in a random sample of the tokens whose set holds it.

    With N such tokens, n_j of them shared with neighbour j, and a sample of m without replacement: the sum over j of
    1 - C(N - n_j, m) / C(N, m) (Hurlbert 1971, Ecology 52:577, equation 11; there for individuals of species).

    Args:
        source, target: (edges,) features, every edge once.
        count: (edges,) int64, tokens whose set holds both, at least 1.
        topk_count: (D,) int64, N of each feature.
        tokens: m, at least 1.

    Returns:
        (D,) float64, NaN for features with fewer than m tokens.
    """
    ends, shared = np.concatenate([source, target]), np.tile(count, 2).astype(np.float64)
    own = topk_count[ends].astype(np.float64)
    left = own - shared
    missed = np.exp(_log_choose(np.maximum(left, tokens), tokens) - _log_choose(np.maximum(own, tokens), tokens))
    met = 1 - np.where(left < tokens, 0.0, missed)
    found = np.bincount(ends, met, len(topk_count)).astype(np.float64)
    return np.where(topk_count >= tokens, found, np.nan)


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(n - k + 1)  # without k!, which is the same in every binomial coefficient here
