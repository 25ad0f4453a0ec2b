"""Degree-preserving null models of the graph.

In: the top-k sets of all tokens. Out: sets drawn at random among all that keep every token's set size and every
feature's number of sets, in the whole or, where tokens are grouped, within every group (a document, say). With the
sets as a tokens x features incidence matrix these are its row and column sums.

Method: the curveball algorithm (Strona et al. 2014, Nature Communications 5:4114). In a trade two tokens put the
features that only one of them holds into a pool and draw from it as many as each had put in. Trades of tokens that
are paired at random are a Markov chain whose limit is uniform (Carstens 2015, Physical Review E 91:042812), also
when all tokens are paired at once (global trades: Carstens et al. 2018, 26th European Symposium on Algorithms 11:1).
A set never holds a feature twice, unlike in a shuffle of the entries. Where tokens trade within their group only,
every group is a chain of its own.
"""

import numpy as np
import pandas as pd
from numba import njit, prange

from coact.errors import ConfigError
from coact.graph.pairs import edges_of_sets
from coact.graph.sets import TokenSets

TRADES_AT_ONCE = 4096
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
LOW_WORD = np.uint64(0xFFFFFFFF)


class Curveball:
    """A chain of resampled top-k sets, each step of it a sweep: tokens are paired at random and every pair trades.

    Args:
        sets: the observed sets, features ascending within a set.
        n_features: number of features D.
        seed: seed of the random numbers (an integer or a list of integers); nothing depends on the number of threads.
        groups: (tokens,) integers; a token trades with tokens of its own group only. None: with any.

    Raises:
        ConfigError: a set holds a feature that is not below `n_features`.
    """

    def __init__(
        self, sets: TokenSets, n_features: int, seed: int | list[int], groups: np.ndarray | None = None
    ) -> None:
        if len(sets.indices) and int(sets.indices.max()) >= n_features:
            raise ConfigError(
                f"a top-k set holds feature {int(sets.indices.max()):,}; expected features below {n_features:,}"
            )
        self._generator = np.random.default_rng(seed)
        self._indptr, self._observed = np.ascontiguousarray(sets.indptr, np.int64), sets.indices
        self._indices = sets.indices.astype(np.int32)
        # Tokens with an empty set have nothing to trade.
        self._tokens = np.flatnonzero(np.diff(self._indptr))
        self._groups = None if groups is None else np.unique(groups[self._tokens], return_inverse=True)[1]
        self._swept = 0

    def sweep(self, sweeps: int) -> list[dict[str, float | int | None]]:
        """Go on by some sweeps; of an odd number of tokens (of a group) one, drawn anew each time, sits out.

        Returns:
            One record per sweep: sweep (from 1), unchanged (share of the entries that are in the same token's set as
            at the start; None without entries). When `unchanged` has stopped falling, further sweeps no longer change
            it: that is the diagnosis of mixing.
        """
        records = []
        for _ in range(sweeps):
            matching = self._match()
            words = self._generator.integers(0, 2**64, len(matching) // 2, np.uint64)
            _trade_all(self._indptr, self._indices, matching, words)
            self._swept += 1
            shared = _count_shared(self._indptr, self._observed, self._indices)
            share = shared / len(self._indices) if len(self._indices) else None
            records.append({"sweep": self._swept, "unchanged": share})
        return records

    def sets(self) -> TokenSets:
        """The sets as they are now, a copy."""
        return TokenSets(self._indptr, self._indices.copy())

    def _match(self) -> np.ndarray:
        """Tokens such that the pairs at places 2 p and 2 p + 1 trade, int64."""
        order = self._generator.permutation(len(self._tokens))
        if self._groups is not None:
            order = order[np.argsort(self._groups[order], kind="stable")]
            group = self._groups[order]
            first = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])) if len(group) else group
            sizes = np.diff(first, append=len(group))
            odd = sizes % 2 == 1
            order = np.delete(order, first[odd] + sizes[odd] - 1)
        return self._tokens[order[: len(order) // 2 * 2]]


def resample_sets(
    sets: TokenSets, n_features: int, sweeps: int, seed: int | list[int], groups: np.ndarray | None = None
) -> tuple[TokenSets, list[dict[str, float | int | None]]]:
    """Top-k sets drawn from the null model, after `sweeps` sweeps of a `Curveball`, and the record of its mixing.

    Raises:
        ConfigError: `sweeps` is below 1, or a set holds a feature that is not below `n_features`.
    """
    if sweeps < 1:
        raise ConfigError(f"nulls.sweeps is {sweeps}; expected at least 1")
    chain = Curveball(sets, n_features, seed, groups)
    records = chain.sweep(sweeps)
    return chain.sets(), records


def null_edges(sets: TokenSets, n_features: int) -> pd.DataFrame:
    """Edges of the graph of (resampled) top-k sets: source < target (int32), count (int64), sorted.

    Raises:
        ConfigError: a set holds a feature that is not below `n_features`.
    """
    edges = edges_of_sets(sets)
    if len(edges) and int(edges["target"].max()) >= n_features:
        raise ConfigError(
            f"a top-k set holds feature {int(edges['target'].max()):,}; expected features below {n_features:,}"
        )
    return edges


@njit(cache=True, parallel=True)
def _trade_all(indptr: np.ndarray, indices: np.ndarray, matching: np.ndarray, words: np.ndarray) -> None:
    """One trade between the tokens matching[2 p] and matching[2 p + 1] for every p, from the random word of p."""
    n_trades = len(words)
    largest = 0
    for token in matching:
        largest = max(largest, indptr[token + 1] - indptr[token])
    for chunk in prange((n_trades + TRADES_AT_ONCE - 1) // TRADES_AT_ONCE):
        pool = np.empty(2 * largest, np.int32)
        common = np.empty(2 * largest, np.bool_)
        for trade in range(chunk * TRADES_AT_ONCE, min(n_trades, (chunk + 1) * TRADES_AT_ONCE)):
            one, other = matching[2 * trade], matching[2 * trade + 1]
            _trade(
                indices[indptr[one] : indptr[one + 1]],
                indices[indptr[other] : indptr[other + 1]],
                words[trade],
                pool,
                common,
            )


@njit(cache=True)
def _trade(one: np.ndarray, other: np.ndarray, word: np.uint64, pool: np.ndarray, common: np.ndarray) -> None:
    """Divide what only one of two ascending sets holds at random between them, in place; `pool`, `common`: scratch."""
    size = a = b = 0
    n_common = 0
    while a < len(one) or b < len(other):
        in_one = b == len(other) or (a < len(one) and one[a] <= other[b])
        in_other = a == len(one) or (b < len(other) and other[b] <= one[a])
        pool[size] = one[a] if in_one else other[b]
        common[size] = in_one and in_other
        n_common += common[size]
        a += in_one
        b += in_other
        size += 1
    left, wanted = size - n_common, len(one) - n_common
    if wanted == 0 or wanted == left:
        return
    # Selection sampling in ascending order (Knuth, The Art of Computer Programming 2, algorithm 3.4.2 S).
    a = b = 0
    for item in range(size):
        to_one = to_other = common[item]
        if not common[item]:
            word, drawn = draw_below(word, left)
            to_one = drawn < wanted
            to_other = not to_one
            wanted -= to_one
            left -= 1
        if to_one:
            one[a] = pool[item]
            a += 1
        if to_other:
            other[b] = pool[item]
            b += 1


@njit(cache=True)
def draw_below(word: np.uint64, bound: int) -> tuple[np.uint64, int]:
    """The next state of the generator, and a uniform integer in 0..bound-1 (bound < 2^32).

    SplitMix64 (Steele, Lea and Flood 2014, OOPSLA); bounded without bias after Lemire (2019, ACM TOMACS 29:3).
    """
    limit = np.uint64(bound)
    least = ((LOW_WORD - limit) + np.uint64(1)) % limit  # 2^32 modulo the bound
    while True:
        word += GAMMA
        mixed = (word ^ (word >> S30)) * MIX_A
        mixed = (mixed ^ (mixed >> S27)) * MIX_B
        product = ((mixed ^ (mixed >> S31)) >> S32) * limit
        if (product & LOW_WORD) >= least:
            return word, np.int64(product >> S32)


@njit(cache=True, parallel=True)
def _count_shared(indptr: np.ndarray, before: np.ndarray, after: np.ndarray) -> int:
    """Entries that are in the same ascending set in both."""
    shared = 0
    for token in prange(len(indptr) - 1):
        a, b, last = indptr[token], indptr[token], indptr[token + 1]
        found = 0
        while a < last and b < last:
            found += before[a] == after[b]
            step_a, step_b = before[a] <= after[b], before[a] >= after[b]
            a += step_a
            b += step_b
        shared += found
    return shared
