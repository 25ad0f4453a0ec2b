"""The pass over sparse activations that every graph comes from.

In: batches of sparse feature activations. Out: by rule for sets, what was counted: `Counts`, which add up exactly, so
that shards can be passed over in separate jobs and merged in any order.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce

import numba
import numpy as np

from coact.errors import ConfigError, StudyError
from coact.features.batches import SparseBatch
from coact.graph.kernels import dot_pairs
from coact.graph.pairs import PairSums, PairTable, count_members, count_pairs, counted
from coact.graph.sets import SetRule, TokenSets, token_sets

UNIT = 1 << 30  # sums of cosines are integers in units of 1 / UNIT: adding integers does not depend on the order
MOST_COUNT = (1 << 63) // UNIT - 1
NO_BATCH = "graph.batches: there is no batch to build a graph from; expected at least one"


@dataclass(frozen=True)
class Counts:
    """What a pass counted for one rule.

    Attributes:
        n_features: number of features D.
        n_tokens: tokens that were kept.
        n_batches: batches that were read.
        pairs: pairs of features; sums are counts times the cosine of the two activation columns of the batch, in
            units of 1 / `UNIT`.
        members: (D,) int64, tokens whose set holds the feature.
        active: (D,) int64, tokens on which the feature is active.
    """

    n_features: int
    n_tokens: int
    n_batches: int
    pairs: PairTable
    members: np.ndarray
    active: np.ndarray


@dataclass(frozen=True)
class Pass:
    """The result of a pass: counts and sets by the name of the rule, and the document of each kept token (int32)."""

    counts: dict[str, Counts]
    sets: dict[str, list[TokenSets]]
    documents: np.ndarray


@dataclass(frozen=True)
class _Counted:
    """What is counted in one batch, rule by rule."""

    n_features: int
    tables: list[PairTable]
    sets: list[TokenSets]
    active: np.ndarray
    documents: np.ndarray


def count_batches(
    batches: Iterable[SparseBatch],
    rules: Sequence[SetRule],
    first_batch: int = 0,
    keep: Sequence[str] = (),
    weigh: bool = True,
) -> Pass:
    """Count the pairs of features that share a set, for all rules at once.

    A pair's sum is, over batches, its count in the batch times the cosine of the two columns of the batch's
    activations, all of them counted. Batches are counted side by side on as many threads as numba has; memory holds
    one batch for each, the pairs, and the sets that are to be kept.

    Args:
        batches: CSR activations, each (tokens, features), read once.
        rules: rules for the sets.
        first_batch: number of the first batch in its stream.
        keep: names of the rules whose sets are kept.
        weigh: whether the sums of cosines are wanted, which take most of the time.

    Raises:
        ConfigError: a rule asks for pairs of a set of one, or for more features than there are; there is no batch; or
            the batches disagree on the number of features.
        StudyError: a pair shares more sets than can be counted exactly.
    """
    _check_rules(rules)
    totals = [PairSums() for _ in rules]
    sets: dict[str, list[TokenSets]] = {name: [] for name in keep}
    documents, n_features, n_batches = [np.empty(0, np.int32)], -1, 0
    members: list[np.ndarray] = []
    active = np.zeros(0, np.int64)
    for found in _side_by_side(batches, rules, first_batch, weigh):
        if n_batches == 0:
            n_features = found.n_features
            _check_width(rules, n_features)
            members, active = [np.zeros(n_features, np.int64) for _ in rules], np.zeros(n_features, np.int64)
        if found.n_features != n_features:
            raise ConfigError(
                f"batch {first_batch + n_batches} has {found.n_features:,} features; expected {n_features:,} as in"
                " those before it"
            )
        for number, rule in enumerate(rules):
            totals[number].add(found.tables[number])
            members[number] += count_members(found.sets[number], n_features)
            if rule.name in sets:
                sets[rule.name].append(found.sets[number])
        active += found.active
        documents.append(found.documents)
        n_batches += 1
    if n_batches == 0:
        raise ConfigError(NO_BATCH)
    joined = np.concatenate(documents)
    counts = {
        rule.name: Counts(n_features, len(joined), n_batches, check_exact(total.total()), held, active)
        for rule, total, held in zip(rules, totals, members, strict=True)
    }
    return Pass(counts, sets, joined)


def merge_counts(parts: Iterable[Counts]) -> Counts:
    """The counts of all parts together; their order does not matter.

    Raises:
        ConfigError: there is no part, or the parts disagree on the number of features.
        StudyError: a pair shares more sets than can be counted exactly.
    """
    total, merged = PairSums(), None
    for part in parts:
        total.add(part.pairs)
        # The pairs of a part are not held beyond their merging.
        bare = replace(part, pairs=counted(np.empty(0, np.int64), np.empty(0, np.int64)))
        if merged is None:
            merged = bare
            continue
        if part.n_features != merged.n_features:
            raise ConfigError(f"a part has {part.n_features:,} features, another {merged.n_features:,}")
        merged = replace(
            merged,
            n_tokens=merged.n_tokens + part.n_tokens,
            n_batches=merged.n_batches + part.n_batches,
            members=merged.members + part.members,
            active=merged.active + part.active,
        )
    if merged is None:
        raise ConfigError(NO_BATCH)
    return replace(merged, pairs=check_exact(total.total()))


def _side_by_side(
    batches: Iterable[SparseBatch], rules: Sequence[SetRule], first_batch: int, weigh: bool
) -> Iterator[_Counted]:
    """What is counted in each batch, in order; a batch is read when a thread is free for it."""
    threads = numba.get_num_threads()
    waiting: deque[Future[_Counted]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for number, batch in enumerate(batches):
            waiting.append(pool.submit(_count_batch, batch, rules, first_batch + number, weigh))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _count_batch(batch: SparseBatch, rules: Sequence[SetRule], number: int, weigh: bool) -> _Counted:
    sets = token_sets(batch, rules)
    tables = [count_pairs(held, number) for held in sets]
    if weigh:
        tables = _add_cosines(batch, tables)
    active = np.bincount(batch.indices, minlength=batch.n_features)
    return _Counted(batch.n_features, tables, sets, active, batch.documents[batch.kept])


def _add_cosines(batch: SparseBatch, tables: list[PairTable]) -> list[PairTable]:
    """The tables of a batch with their sums: counts times the cosine of the two columns, in units of 1 / `UNIT`."""
    keys = reduce(np.union1d, (table.keys for table in tables))
    dots, norms = dot_pairs(keys, *batch.arrays(), batch.n_features)
    found = []
    for table in tables:
        own = dots if len(table.keys) == len(keys) else dots[np.searchsorted(keys, table.keys)]
        cosines = np.minimum(own / np.sqrt(norms[table.source] * norms[table.target]), 1.0)
        found.append(table._replace(sums=np.rint(table.counts * (cosines * UNIT)).astype(np.int64)))
    return found


def _check_rules(rules: Sequence[SetRule]) -> None:
    for rule in rules:
        if rule.k is not None and rule.k < 2:
            raise ConfigError(f"graph.k is {rule.k}; expected at least 2, since a pair takes two features")


def _check_width(rules: Sequence[SetRule], n_features: int) -> None:
    for rule in rules:
        if rule.k is not None and rule.k > n_features:
            raise ConfigError(f"graph.k is {rule.k}; expected at most the number of features, {n_features:,}")


def check_exact(pairs: PairTable) -> PairTable:
    """`pairs`, unless a sum could have overflowed.

    Raises:
        StudyError: a pair shares more sets than can be counted exactly.
    """
    most = int(pairs.counts.max(initial=0))
    if most > MOST_COUNT:
        raise StudyError(f"a pair of features shares {most:,} tokens; sums are exact up to {MOST_COUNT:,}")
    return pairs
