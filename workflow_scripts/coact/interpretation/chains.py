"""Chains of features that hand over to one another along text: parts of finite-state automata.

In: top-k sets, and directed edges with their significance. Out: the strongest chains.

Bricken et al. (2023) describe features that act as states of a finite-state automaton: one makes tokens likely on which
the next one fires. The rule here is plain. A *hand-over* is an edge i -> j whose count, lift and probability P(j|i) are
large enough, significant under shifts, at least half of it exchanges (j is new and i has gone), and asymmetric. A chain
begins with a hand-over and is extended from its last feature by the one with the largest lift such that the whole chain
is walked `minimum_count` times or more; if that leads back to its first feature, it is a cycle. Two features that
hand over both ways are a cycle of two; these alone need no asymmetry. Chains of three or more features come first, then
pairs, each by the geometric mean of the transition probabilities along the whole walk; one that shares an edge with a
higher one is left out, and one that is walked in fewer than `LEAST_DOCUMENTS` documents.

Features of the place in the context hand over at every token, whatever the text. A chain of which at least half the
walks begin at one place is *positional*; these come last, and are counted apart.

What is found is a regularity of the text as features see it. It does not say that the model uses it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coact.columns import locate_columns
from coact.corpus.tokens import TokenStream
from coact.errors import ConfigError
from coact.features.batches import SparseBatch
from coact.graph.sets import SetRule, join_sets, token_sets
from coact.interpretation.succession import PAIR_SHIFT, Succession, hold, join_tokens, look_up_keys
from coact.interpretation.sums import texts

MOST_STARTS = 2000  # hand-overs, those with the largest lift, that chains are begun with
LEAST_DOCUMENTS = 3  # that a chain is walked in, or else it tells of a text more than of the features
POSITIONAL = 0.5  # share of the walks at one place in the context from which on a chain is positional
FORWARD, CYCLE_OF_TWO = "forward", "cycle_of_two"


@dataclass(frozen=True)
class ChainSettings:
    """How chains are found.

    Attributes:
        replicates: of the shifts, at least 2.
        fdr: false discovery rate of edges and of asymmetries.
        minimum_count: tokens from which a whole chain is walked.
        minimum_probability: P(j | i) of every hand-over.
        minimum_lift: count of every hand-over over what is expected under shifts, at least 1.
        longest: features of a chain, at least 2.
        shown: chains that are kept.
        seed: of the shifts.

    Raises:
        ConfigError: a setting is out of range.
    """

    replicates: int = 10
    fdr: float = 0.05
    minimum_count: int = 20
    minimum_probability: float = 0.2
    minimum_lift: float = 2.0
    longest: int = 5
    shown: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"replicates": 2, "minimum_count": 1, "minimum_lift": 1, "longest": 2, "shown": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"interpretation.chains.{name} is {getattr(self, name)}; expected at least {value}")
        for name in ("fdr", "minimum_probability"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"interpretation.chains.{name} is {getattr(self, name)}; expected between 0 and 1")


@dataclass(frozen=True)
class Chain:
    """Features in their order; `closed`: from the last one back to the first."""

    features: tuple[int, ...]
    closed: bool

    @property
    def walk(self) -> tuple[int, ...]:
        """The features passed, the first one again at the end of a cycle."""
        return self.features + self.features[: int(self.closed)]

    @property
    def edges(self) -> set[tuple[int, int]]:
        """Its hand-overs."""
        return set(zip(self.walk[:-1], self.walk[1:], strict=True))


def read_succession(batches: Iterable[SparseBatch], stream: TokenStream, k: int) -> Succession:
    """Top-k sets of kept tokens, and which follows which.

    Args:
        batches, stream: features of the first tokens of a stream, and the stream.
        k: size of a set.
    """
    sets, columns, n_features = [], [], 0
    for batch, text, first in texts(batches, stream):
        kept = np.flatnonzero(batch.kept)
        sets += token_sets(batch, [SetRule(k)])
        columns.append((first + kept, text.tokens[kept], batch.documents[kept], text.labels[kept]))
        n_features = batch.n_features
    if not sets:
        raise ConfigError("chains are looked for in no features; expected at least one shard")
    joined = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return join_tokens(join_sets(sets), *joined, stream.tokens.shape[1], n_features)


def handovers(edges: pd.DataFrame, settings: ChainSettings) -> pd.DataFrame:
    """Which edges may be part of a chain, (edges,) bool: `FORWARD`, and both ways of `CYCLE_OF_TWO`.

    Args:
        edges: of `test_edges`.
        settings: how.
    """
    strong = (
        (edges["q"] <= settings.fdr)
        & (edges["count"] >= settings.minimum_count)
        & (edges["probability"] >= settings.minimum_probability)
        & (edges["lift"] >= settings.minimum_lift)
        & (2 * edges["exchanges"] >= edges["count"])
    ).to_numpy()
    source, target = (edges[name].to_numpy(np.int64) for name in ("source", "target"))
    keys = source << PAIR_SHIFT | target
    back = look_up_keys(keys, strong.astype(np.int64), target << PAIR_SHIFT | source) > 0
    forward = strong & (edges["asymmetry"] > 0).to_numpy() & (edges["q_asymmetry"] <= settings.fdr).to_numpy()
    return pd.DataFrame({FORWARD: forward, CYCLE_OF_TWO: strong & back}, index=edges.index)


def find_chains(
    succession: Succession,
    following: np.ndarray,
    edges: pd.DataFrame,
    kinds: pd.DataFrame,
    settings: ChainSettings,
) -> list[Chain]:
    """Chains by the rule that the module tells, the strongest first, no two with an edge in common.

    Args:
        succession: the tokens.
        following: (n,) int64 what follows each.
        edges, kinds: of `test_edges` and `handovers`.
        settings: how.
    """
    walks = Walks(succession, following)
    ranked = edges[kinds[FORWARD]].sort_values("lift", ascending=False, kind="stable")
    after = {int(source): part["target"].tolist() for source, part in ranked.groupby("source", sort=False)}
    starts = ranked[["source", "target"]].head(MOST_STARTS).itertuples(index=False)
    found = {extend((int(i), int(j)), after, walks, settings) for i, j in starts}
    twos = edges[kinds[CYCLE_OF_TWO] & (edges["source"] < edges["target"])]
    for i, j in twos[["source", "target"]].itertuples(index=False):
        both = [Chain(pair, True) for pair in ((int(i), int(j)), (int(j), int(i)))]
        found.add(max(both, key=lambda chain: walks.count(chain.walk)[0]))
    scored = []
    for chain in found:
        places, starts_of = walks.begin(chain.walk)
        count, documents = len(places), len(np.unique(succession.documents[places]))
        if count >= settings.minimum_count and documents >= LEAST_DOCUMENTS:
            mean = (count / starts_of) ** (1 / (len(chain.walk) - 1))
            positional = is_positional(succession, places)
            scored.append((positional, len(chain.features) < 3, -mean, -count, chain.features, chain))
    kept, used = [], set()
    for *_, chain in sorted(scored, key=lambda entry: entry[:-1]):
        if not chain.edges & used:
            kept.append(chain)
            used |= chain.edges
    return kept


def is_positional(succession: Succession, places: np.ndarray) -> bool:
    """Whether at least `POSITIONAL` of the tokens, by their numbers, are at one place of their contexts."""
    return len(places) > 0 and bool(np.bincount(succession.offsets[places]).max() >= POSITIONAL * len(places))


def extend(start: tuple[int, int], after: dict[int, list[int]], walks: "Walks", settings: ChainSettings) -> Chain:
    """The chain that a hand-over begins.

    Args:
        start: its two features.
        after: feature -> features that it hands over to, the largest lift first.
        walks: where chains are walked.
        settings: how.
    """
    features = start
    while True:
        for feature in after.get(features[-1], ()):
            closes = feature == features[0]
            if (feature in features and not closes) or (not closes and len(features) == settings.longest):
                continue
            if walks.count((*features, feature))[0] >= settings.minimum_count:
                break
        else:
            return Chain(features, False)
        if closes:
            return _turned(features)
        features = (*features, feature)


def _turned(features: tuple[int, ...]) -> Chain:
    """A cycle that begins with its lowest feature, so that it is found once."""
    place = features.index(min(features))
    return Chain(features[place:] + features[:place], True)


class Walks:
    """Where sequences of features are walked, one token after another.

    Args:
        succession: the tokens.
        following: (n,) int64 what follows each.
    """

    def __init__(self, succession: Succession, following: np.ndarray) -> None:
        self._indptr, self._indices = succession.sets.indptr.astype(np.int64), succession.sets.indices.astype(np.int32)
        self._bounds, _, self._rows = locate_columns(self._indptr, self._indices, succession.n_features)
        self.succession, self._following = succession, following

    def begin(self, features: Sequence[int]) -> tuple[np.ndarray, int]:
        """Kept tokens, ascending, from which the features are walked; and the number of those with the first one that
        have enough followers."""
        first = self._rows[self._bounds[features[0]] : self._bounds[features[0] + 1]].astype(np.int64)
        tokens, walked = first, np.ones(len(first), bool)
        for feature in features[1:]:
            tokens = np.where(tokens >= 0, self._following[tokens], -1)
            walked &= hold(self._indptr, self._indices, tokens, feature)
        return first[walked], int((tokens >= 0).sum())

    def count(self, features: Sequence[int]) -> tuple[int, int]:
        """Number of both."""
        tokens, starts = self.begin(features)
        return len(tokens), starts
