"""Which features follow one another from a token to the next, more often than chance.

In: top-k sets of kept tokens, with their places, documents and labels. Out: a table of directed edges with their
significance under two nulls and their asymmetry.

c(i, j) is the number of kept tokens t, followed in the same document and context by a kept token t + 1, with i in the
top-k set of t and j in that of t + 1 (Bricken et al. 2023 look for finite-state automata among such pairs). Nulls:

- Independence within labels: given a label, i at t and j at t + 1 are independent. The count is a sum of hypergeometric
  ones (`coact.nulls.tails`).
- Shifts within documents: the followers of stretches of `STRETCH` tokens are dealt to other stretches of the same
  document, each turned by a random distance; what is left over, and documents too short to be cut, are turned in
  themselves. Every token gets a follower 2 or more tokens away from where that belongs, and every feature keeps its
  counts in the document (cf. `coact.nulls.shift`). What documents are about stays, and runs of a feature do; the order
  of neighbours goes. Stretches, since one distance for a whole document lines up the templates that documents repeat.
  A handful of replicates gives mean and variance; the count is taken as negative binomial, its variance no smaller than
  that of a Poisson count of uncertain mean. In the mean, the count expected under independence weighs as one more
  replicate, so that no edge is significant only because a handful of replicates happened to miss it.

Many edges are there because two features are on along a stretch, in either order; so c(i, j) is held against c(j, i),
by the binomial test. Tokens of a stretch are no independent trials, and its p-values are then too small.

Memory: 4 bytes per entry of a set and about 200 per edge, of which there are at most D^2, and k^2 per token; replicates
come one at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from scipy.stats import binom, nbinom

from coact.columns import locate_columns
from coact.graph.sets import TokenSets
from coact.nulls.tails import benjamini_hochberg, tail_probabilities

SHORTEST = 4  # followed tokens of a document that can be turned
STRETCH = 64  # followed tokens of a stretch
PAIR_SHIFT = 32
LEAST_ROOM = 1024


@dataclass(frozen=True)
class Succession:
    """Kept tokens with their top-k sets, and which token follows which.

    Attributes:
        sets: the sets of n kept tokens.
        next: (n,) int64 the token that follows each, -1 where none does.
        positions, offsets: (n,) int64 place in the stream, and in the context.
        tokens: (n,) int64 ids.
        documents, labels: (n,) int64.
        n_features: D.
    """

    sets: TokenSets
    next: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    tokens: np.ndarray
    documents: np.ndarray
    labels: np.ndarray
    n_features: int


class Counts(NamedTuple):
    """Directed pairs of features on successive tokens.

    Attributes:
        keys: (edges,) int64 ascending, i << 32 | j, i != j.
        counts: (edges,) int64 c(i, j).
        exchanges: (edges,) int64 those of them at which j is not yet in the set of t, and i no more in that of t + 1.
        loops: (D,) int64 c(i, i).
    """

    keys: np.ndarray
    counts: np.ndarray
    exchanges: np.ndarray
    loops: np.ndarray


def join_tokens(
    sets: TokenSets,
    positions: np.ndarray,
    tokens: np.ndarray,
    documents: np.ndarray,
    labels: np.ndarray,
    length: int,
    n_features: int,
) -> Succession:
    """Find which kept token follows which.

    Args:
        sets: top-k sets of the n kept tokens.
        positions: (n,) int64 their places in the stream, ascending.
        tokens, documents, labels: (n,) of each.
        length: tokens of a context.
        n_features: D.
    """
    following = np.full(len(positions), -1, np.int64)
    ahead = np.flatnonzero(
        (np.diff(positions) == 1)
        & (documents[1:] == documents[:-1])
        & (positions[1:] // length == positions[:-1] // length)
    )
    _, group, sizes = np.unique(documents[ahead], return_inverse=True, return_counts=True)
    ahead = ahead[sizes[group] >= SHORTEST]
    following[ahead] = ahead + 1
    columns = (positions, positions % length, tokens, documents, labels)
    return Succession(sets, following, *(column.astype(np.int64) for column in columns), n_features)


def shift_next(succession: Succession, seed: int | list[int]) -> np.ndarray:
    """(n,) int64 what follows each token when followers are shifted within documents, -1 where nothing does.

    Args:
        succession: the tokens.
        seed: of the distances.
    """
    rng, ahead = np.random.default_rng(seed), np.flatnonzero(succession.next >= 0)
    ordered = ahead[np.argsort(succession.documents[ahead], kind="stable")]
    _, sizes = np.unique(succession.documents[ordered], return_counts=True)
    shifted, first = np.full(len(succession.next), -1, np.int64), 0
    for size in sizes.tolist():
        tokens = ordered[first : first + size]
        shifted[tokens] = succession.next[tokens[_deal(size, rng)]]
        first += size
    return shifted


def _deal(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) int64 permutation of the places of a document: whose follower each gets, n >= `SHORTEST`.

    Stretches go round in one random cycle, so that none stays where it is (Sattolo 1986). Turned by 0 to size - 3 and
    dealt to another stretch, or turned by 1 to size - 3 in itself, no place comes to itself or to the two before it.
    """
    places, stretches = np.arange(n), max(n // STRETCH - 1, 0)
    if stretches < 2:
        return (places + rng.integers(1, n - 2)) % n
    start = int(rng.integers(n))  # where the first stretch begins, the document as a ring
    cut, cycle = stretches * STRETCH, rng.permutation(stretches)
    giver = np.empty(stretches, np.int64)
    giver[cycle] = np.roll(cycle, 1)
    turned = (np.arange(STRETCH) + rng.integers(0, STRETCH - 2, stretches)[:, None]) % STRETCH
    rest = n - cut
    last = cut + (np.arange(rest) + rng.integers(1, rest - 2)) % rest
    own = np.concatenate([(giver[:, None] * STRETCH + turned).ravel(), last])
    dealt = np.empty(n, np.int64)
    dealt[(places + start) % n] = (own + start) % n
    return dealt


def count_next(succession: Succession, following: np.ndarray, *, exchanges: bool = True) -> Counts:
    """Count the directed pairs.

    Args:
        succession: the tokens.
        following: (n,) int64 what follows each, -1 for nothing.
        exchanges: whether these are counted, else they are 0.
    """
    indptr, indices = succession.sets.indptr.astype(np.int64), succession.sets.indices.astype(np.int32)
    bounds, _, rows = locate_columns(indptr, indices, succession.n_features)
    return Counts(*_count_next(indptr, indices, bounds, rows, following, exchanges))


def margins(succession: Succession) -> tuple[np.ndarray, np.ndarray]:
    """(D,) int64 followed tokens with each feature in their sets, and followers with it in theirs."""
    ahead = np.flatnonzero(succession.next >= 0)
    sides = (ahead, succession.next[ahead])
    return tuple(_occurrences(succession, side, np.zeros_like(side), 1)[0] for side in sides)


def test_edges(
    succession: Succession, followings: Sequence[np.ndarray], replicates: int, seed: int
) -> list[pd.DataFrame]:
    """All directed edges with their significance.

    Args:
        succession: the tokens.
        followings: what is tested, each (n,) int64: `succession.next`, or shifted ones as a control.
        replicates: of the shifts, at least 2.
        seed: of the shifts.
    Returns:
        For each, by source and target: source, target int32; count, exchanges, reverse (c(j, i)) int64; probability
        float64, count over followed tokens with the source; expected_independent, q_independent float64 (upper tail);
        expected float64 (mean under shifts), lift float64 (count / expected), z, p, q float64 (upper tail); asymmetry
        float64, (count - reverse) / (count + reverse), q_asymmetry float64 of so large a share. Tests are all ordered
        pairs of features that occur (q: Benjamini and Hochberg 1995).
    """
    found = [count_next(succession, following) for following in followings]
    pairs = [(counts.keys >> PAIR_SHIFT, counts.keys & 0xFFFFFFFF) for counts in found]
    moments = [independent_moments(succession, *pair) for pair in pairs]
    independent = [moment[0] for moment in moments]
    shifted = shifted_moments(succession, [counts.keys for counts in found], independent, replicates, seed)
    out, into = margins(succession)
    tests = int(np.count_nonzero(out)) * int(np.count_nonzero(into)) - int(np.count_nonzero((out > 0) & (into > 0)))
    return [_edge_table(*parts, out, tests) for parts in zip(found, pairs, moments, shifted, strict=True)]


def _edge_table(
    found: Counts,
    pair: tuple[np.ndarray, np.ndarray],
    independent: tuple[np.ndarray, ...],
    shifted: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    tests: int,
) -> pd.DataFrame:
    (source, target), (expected, variance) = pair, shifted
    count, reverse = found.counts, look_up_keys(found.keys, found.counts, pair[1] << PAIR_SHIFT | pair[0])
    p = nbinom.sf(count - 1, expected**2 / (variance - expected), expected / variance)
    return pd.DataFrame(
        {
            "source": source.astype(np.int32),
            "target": target.astype(np.int32),
            "count": count,
            "exchanges": found.exchanges,
            "reverse": reverse,
            "probability": count / out[source],
            "expected_independent": independent[0],
            "q_independent": benjamini_hochberg(tail_probabilities(count, *independent)[0], tests),
            "expected": expected,
            "lift": count / expected,
            "z": (count - expected) / np.sqrt(variance),
            "p": p,
            "q": benjamini_hochberg(p, tests),
            "asymmetry": (count - reverse) / (count + reverse),
            "q_asymmetry": benjamini_hochberg(binom.sf(count - 1, count + reverse, 0.5), tests),
        }
    )


def shifted_moments(
    succession: Succession, keys: Sequence[np.ndarray], independent: Sequence[np.ndarray], replicates: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and variance that a further count would have under shifts, for several lists of edges.

    Args:
        succession: the tokens.
        keys: for each list, (edges,) int64.
        independent: for each, (edges,) float64 counts expected under independence, above 0; one more replicate.
        replicates, seed: of the shifts.
    """
    sums = [np.zeros((2, len(wanted))) for wanted in keys]
    for number in range(replicates):
        shifted = count_next(succession, shift_next(succession, [seed, number + 1]), exchanges=False)
        for wanted, total in zip(keys, sums, strict=True):
            counts = look_up_keys(shifted.keys, shifted.counts, wanted).astype(np.float64)
            total += counts, counts**2
    moments = []
    for (total, square), prior in zip(sums, independent, strict=True):
        mean = (total + prior) / (replicates + 1)
        spread = (square - total**2 / replicates) / (replicates - 1)
        moments.append((mean, np.maximum(mean, spread) * (1 + 1 / (replicates + 1)) + 1e-9 * mean))
    return moments


def look_up_keys(keys: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(wanted,) int64 counts of wanted keys among ascending ones, 0 for those that are not there."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, counts[place], 0)


def _occurrences(succession: Succession, tokens: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """(n_groups, D) int64 of the tokens given, those of each group with each feature in their sets."""
    of_token = np.full(len(succession.next), -1, np.int64)
    of_token[tokens] = groups
    of_entry = np.repeat(of_token, np.diff(succession.sets.indptr))
    inside = of_entry >= 0
    keys = of_entry[inside] * succession.n_features + succession.sets.indices[inside]
    return np.bincount(keys, minlength=n_groups * succession.n_features).reshape(n_groups, -1)


def independent_moments(succession: Succession, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, ...]:
    """(edges,) mean, variance, least and largest count where followers are shuffled within labels."""
    ahead = np.flatnonzero(succession.next >= 0)
    labels, groups, sizes = np.unique(succession.labels[ahead], return_inverse=True, return_counts=True)
    out = _occurrences(succession, ahead, groups, len(labels))
    into = _occurrences(succession, succession.next[ahead], groups, len(labels))
    mean, variance = np.zeros(len(source)), np.zeros(len(source))
    least, most = np.zeros(len(source), np.int64), np.zeros(len(source), np.int64)
    for group, n in enumerate(sizes.tolist()):
        a, b = out[group, source], into[group, target]
        mean += a * b / n
        variance += a * b / n * ((n - a) / n) * ((n - b) / max(n - 1, 1))
        least += np.maximum(a + b - n, 0)
        most += np.minimum(a, b)
    return mean, variance, least, most


@njit(cache=True, nogil=True)
def _holds(indptr: np.ndarray, indices: np.ndarray, token: int, feature: int) -> bool:
    for entry in range(indptr[token], indptr[token + 1]):  # noqa: SIM110 (a generator is slow to compile)
        if indices[entry] == feature:
            return True
    return False


@njit(cache=True, nogil=True)
def hold(indptr: np.ndarray, indices: np.ndarray, tokens: np.ndarray, feature: int) -> np.ndarray:
    """(n,) bool whether the set of each token holds a feature; False for token -1."""
    found = np.zeros(len(tokens), np.bool_)
    for item in range(len(tokens)):
        found[item] = tokens[item] >= 0 and _holds(indptr, indices, tokens[item], feature)
    return found


@njit(cache=True, nogil=True)
def _count_next(
    indptr: np.ndarray, indices: np.ndarray, bounds: np.ndarray, rows: np.ndarray, following: np.ndarray, ask: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """See `Counts`; bounds and rows are of the columns, as `locate_columns` gives them."""
    n_features, size = len(bounds) - 1, 0
    keys, table = np.empty(LEAST_ROOM, np.int64), np.empty((2, LEAST_ROOM), np.int64)
    counts, exchanges = np.zeros(n_features, np.int64), np.zeros(n_features, np.int64)
    loops, met = np.zeros(n_features, np.int64), np.empty(n_features, np.int32)
    for source in range(n_features):
        number = 0
        for item in range(bounds[source], bounds[source + 1]):
            token = np.int64(rows[item])
            after = following[token]
            if after < 0:
                continue
            leaves = ask and not _holds(indptr, indices, after, source)
            for entry in range(indptr[after], indptr[after + 1]):
                target = indices[entry]
                if counts[target] == 0:
                    met[number] = target
                    number += 1
                counts[target] += 1
                if leaves and not _holds(indptr, indices, token, target):
                    exchanges[target] += 1
        if size + number > len(keys):
            room = 2 * (size + number)
            larger, larger_table = np.empty(room, np.int64), np.empty((2, room), np.int64)
            larger[:size], larger_table[:, :size] = keys[:size], table[:, :size]
            keys, table = larger, larger_table
        for target in np.sort(met[:number]):
            if target == source:
                loops[source] = counts[target]
            else:
                keys[size] = np.int64(source) << PAIR_SHIFT | np.int64(target)
                table[0, size], table[1, size] = counts[target], exchanges[target]
                size += 1
            counts[target], exchanges[target] = 0, 0
    return keys[:size].copy(), table[0, :size].copy(), table[1, :size].copy(), loops
