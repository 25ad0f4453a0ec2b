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

from coact.errors import ConfigError
from coact.graph.pairs import edges_of_sets
from coact.graph.sets import TokenSets
from coact.nulls.kernels import count_shared, trade_all


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
            trade_all(self._indptr, self._indices, matching, words)
            self._swept += 1
            shared = count_shared(self._indptr, self._observed, self._indices)
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
