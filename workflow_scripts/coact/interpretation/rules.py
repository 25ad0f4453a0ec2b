"""Token and context rules: what a feature's activation is expected to be, from the text alone.

In: sparse features and the token stream. Out: for every feature a rule that predicts its activation on a token, and the
correlation of what it predicts with what is there.

Method: the mean activation after the token and the one before it (bigram) in text of the same label, backed off to that
of the token in text of the label, of the token in any text, of the label, and of all tokens. Each is shrunk towards the
next by a pseudo-count c: with sum S and number n of training tokens of a kind, its mean is (S + c m) / (n + c), where m
is the mean that it backs off to (MacKay and Bauman Peto 1995, Natural Language Engineering 1:289). The correlation of
predicted with true activations is the score of automated interpretability (Bills et al. 2023; Bricken et al. 2023); the
rule stands in for the language model, so it finds features of tokens and of kinds of text, and none that need more of
the context.

Memory: one shard of activations, and for the rule at most one entry of 12 bytes per kind of sum and activation of a
training token, fewer where tokens and bigrams repeat. There is no matrix of tokens by features: a prediction is the sum
of a sparse part, of rows of sums, and of a multiple of the label's mean, the same wherever the label is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit

from coact.corpus.tokens import TokenStream
from coact.errors import ConfigError
from coact.features.batches import SparseBatch
from coact.interpretation.sums import (
    KINDS,
    TOKEN_BITS,
    TOKEN_MASK,
    Sums,
    Text,
    join_sums,
    keep_largest,
    look_up,
    sum_batch,
    texts,
)

ALONE = ("label", "token", "bigram")  # from the coarsest to the finest
LEVELS = ("rule", *ALONE)
BACKED_OFF = ("bigram_in_label", "token_in_label", "token")
NO_SPREAD = 1e-10  # variance over mean square below which numbers are all the same but for rounding


@dataclass(frozen=True)
class Rule:
    """Rules of all features of a dictionary.

    Attributes:
        n_features: D.
        pseudo_count: c, in tokens.
        tokens: kept training tokens.
        means: (D,) float64 mean activation on all of them.
        active: (D,) int64 those on which the feature is active.
        sums: kind -> sums, for all `KINDS`.
    """

    n_features: int
    pseudo_count: float
    tokens: int
    means: np.ndarray
    active: np.ndarray
    sums: dict[str, Sums]

    def label_means(self) -> np.ndarray:
        """(labels + 1, D) float64 shrunk means by row of the labels' sums; the last one, for others, is the
        overall mean."""
        label = self.sums["label"]
        sums = np.zeros((len(label.keys) + 1, self.n_features))
        rows = np.repeat(np.arange(len(label.keys)), np.diff(label.indptr))
        sums[rows, label.features] = label.sums
        counts = np.append(label.tokens, 0)[:, None]
        return (sums + self.pseudo_count * self.means) / (counts + self.pseudo_count)

    def tables(self, level: str) -> list[Sums]:
        """The three sums, from the finest, that predictions of a level are put together from."""
        return [*(self.sums[kind] for kind in BACKED_OFF[:2]), self.sums["bigram" if level == "bigram" else "token"]]

    def weights(self, level: str, text: Text) -> tuple[np.ndarray, np.ndarray]:
        """How predictions are put together for some positions.

        Args:
            level: "rule", all of it; or the label, the token or the bigram alone, each over the overall mean.
            text: the positions.
        Returns:
            (positions, 4) int64 rows of the three `tables` (-1: none) and of `label_means`; (positions, 4) float64 what
            these are multiplied by. The prediction is the sum of the products.
        """
        kinds = BACKED_OFF if level == "rule" else (None, None, level if level != "label" else None)
        n, c = len(text.tokens), self.pseudo_count
        rows, factors, rest = np.full((n, 4), -1), np.zeros((n, 4)), np.ones(n)
        for place, kind in enumerate(kinds):
            if kind is not None:
                rows[:, place] = self.sums[kind].rows_of(text.keys(kind))
                total = self.sums[kind].counts_of(rows[:, place]) + c
                factors[:, place], rest = rest / total, rest * c / total
        label = self.sums["label"]
        if level in ("rule", "label"):
            rows[:, 3] = label.rows_of(text.keys("label"))
        # The last row is the overall mean, for labels not seen, and where labels are not used.
        rows[:, 3] = np.where(rows[:, 3] < 0, len(label.keys), rows[:, 3])
        factors[:, 3] = rest
        return rows, factors


def fit_rule(batches: Iterable[SparseBatch], stream: TokenStream, pseudo_count: float) -> Rule:
    """The rules of all features, from training tokens.

    Args:
        batches, stream: features and text, see `texts`.
        pseudo_count: c, above 0: as many tokens as the mean that a mean is shrunk towards counts for.

    Raises:
        ConfigError: the pseudo-count is not above 0, or there is no batch.
        StudyError: features and text do not belong together.
    """
    if not pseudo_count > 0:
        raise ConfigError(f"interpretation.pseudo_count is {pseudo_count}; expected a number above 0")
    parts: dict[str, list[Sums]] = {kind: [] for kind in KINDS}
    totals, active, tokens = np.zeros(0), np.zeros(0, np.int64), 0
    for batch, text, _ in texts(batches, stream):
        totals, active = (part if len(part) else np.zeros(batch.n_features, part.dtype) for part in (totals, active))
        totals += np.bincount(batch.indices, batch.values, minlength=batch.n_features)
        active += np.bincount(batch.indices, minlength=batch.n_features)
        tokens += int(batch.kept.sum())
        for kind in KINDS:
            parts[kind].append(sum_batch(batch, text.keys(kind)))
    if not len(totals):
        raise ConfigError("a rule is fitted to no features; expected at least one shard")
    sums = {kind: join_sums(found, len(totals)) for kind, found in parts.items()}
    return Rule(len(totals), float(pseudo_count), tokens, totals / max(tokens, 1), active, sums)


@dataclass
class Scores:
    """Running sums, from which correlations of predicted with true activations follow.

    Attributes:
        rule: what predicts.
        partners: (D,) int64 the feature whose prediction each feature is held against; its own, or another's as a
            control.
        levels: of `LEVELS`, those that are scored.
        tokens: kept tokens so far.
        active: (D,) int64 those on which each feature is active.
    """

    rule: Rule
    partners: np.ndarray
    levels: Sequence[str] = LEVELS

    def __post_init__(self) -> None:
        self.tokens, self.active = 0, np.zeros(self.rule.n_features, np.int64)
        self._true = np.zeros((2, self.rule.n_features))
        self._predicted = {level: np.zeros((3, self.rule.n_features)) for level in self.levels}
        self._base = self.rule.label_means()

    def add(self, batch: SparseBatch, text: Text) -> None:
        """Take in the kept tokens of a batch."""
        indptr, indices, values = batch.arrays()
        self.tokens += int(batch.kept.sum())
        self.active += np.bincount(indices, minlength=self.rule.n_features)
        for power in (1, 2):
            weights = values.astype(np.float64) ** power
            self._true[power - 1] += np.bincount(indices, weights, minlength=self.rule.n_features)
        order, bounds = _alike(text, np.flatnonzero(batch.kept))
        firsts = order[bounds[:-1]]
        kinds = Text(text.tokens[firsts], text.previous[firsts], text.labels[firsts])
        for level, totals in self._predicted.items():
            rows, factors = self.rule.weights(level, kinds)
            of_base = np.zeros((2, len(self._base)))
            tables = [(sums.indptr, sums.features, sums.sums) for sums in self.rule.tables(level)]
            _add_products(
                order,
                bounds,
                rows,
                factors,
                self._base,
                *tables,
                indptr,
                indices,
                values,
                self.partners,
                totals,
                of_base,
            )
            totals[0] += of_base[0] @ self._base
            totals[1] += of_base[1] @ self._base**2

    def correlations(self) -> dict[str, np.ndarray]:
        """Level -> (D,) float64 Pearson correlations over all kept tokens; NaN where one side does not vary."""
        found = {}
        for level, (linear, square, product) in self._predicted.items():
            sums = linear[self.partners], square[self.partners]
            found[level] = pearson(self.tokens, *self._true, *sums, product)
        return found


def pearson(
    n: np.ndarray | float, x: np.ndarray, xx: np.ndarray, y: np.ndarray, yy: np.ndarray, xy: np.ndarray
) -> np.ndarray:
    """Pearson's r from the number of pairs and the sums of x, x^2, y, y^2 and xy; NaN where one does not vary."""
    spreads = [n * square - linear**2 for linear, square in ((x, xx), (y, yy))]
    varies = (spreads[0] > NO_SPREAD * n * xx) & (spreads[1] > NO_SPREAD * n * yy)
    scale = np.sqrt(np.where(varies, spreads[0] * spreads[1], 1.0))
    return np.where(varies, np.clip((n * xy - x * y) / scale, -1, 1), np.nan)


def predict(rule: Rule, level: str, text: Text, features: np.ndarray) -> np.ndarray:
    """(n,) float64 predictions for n positions and a feature at each of them.

    Args:
        rule: what predicts.
        level: one of `LEVELS`.
        text: (n,) positions.
        features: (n,) int64.
    """
    rows, factors = rule.weights(level, text)
    features = np.asarray(features, np.int64)
    found = factors[:, 3] * rule.label_means()[rows[:, 3], features]
    for place, sums in enumerate(rule.tables(level)):
        found += factors[:, place] * look_up(sums.indptr, sums.features, sums.sums, rows[:, place], features)
    return found


def describe_rule(rule: Rule, shown: int) -> pd.DataFrame:
    """The labels, tokens and bigrams on which each feature is expected to be most active, as numbers.

    They are ranked by the mean shrunk to the overall one, so that a token that was there once does not come first.

    Args:
        rule: the rules.
        shown: of each kind.
    Returns:
        By feature, kind and rank: feature int32, kind text (of `ALONE`), rank int32 from 0, label int32, token int32,
        previous int32 (-1 where there is none or the kind has none), tokens int64 (kept training tokens of the kind),
        mean float64 (mean activation on them), shrunk_mean float64. What never made a feature active is left out.
    """
    tables = []
    for kind in ALONE:
        sums, c = rule.sums[kind], rule.pseudo_count
        counts = np.repeat(sums.tokens, np.diff(sums.indptr))
        shrunk = (sums.sums + c * rule.means[sums.features]) / (counts + c)
        best, rows = np.zeros((rule.n_features, shown)), np.full((rule.n_features, shown), -1, np.int64)
        keep_largest(sums.indptr, sums.features, shrunk, best, rows)
        features, ranks = np.nonzero(rows >= 0)
        rows = rows[features, ranks]
        keys = sums.keys[rows]
        totals = look_up(sums.indptr, sums.features, sums.sums, rows, features)
        nothing = np.full(len(keys), -1)
        tables.append(
            pd.DataFrame(
                {
                    "feature": features.astype(np.int32),
                    "kind": kind,
                    "rank": ranks.astype(np.int32),
                    "label": ((keys >> 2 * TOKEN_BITS) - 1 if kind == "label" else nothing).astype(np.int32),
                    "token": (nothing if kind == "label" else keys & TOKEN_MASK).astype(np.int32),
                    "previous": ((keys >> TOKEN_BITS) - 1 if kind == "bigram" else nothing).astype(np.int32),
                    "tokens": sums.tokens[rows],
                    "mean": totals / sums.tokens[rows],
                    "shrunk_mean": best[features, ranks],
                }
            )
        )
    return pd.concat(tables, ignore_index=True).sort_values(["feature"], kind="stable", ignore_index=True)


def _alike(text: Text, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions sorted so that those with one bigram and one label are together, and the bounds of these groups."""
    keys = text.keys("bigram_in_label")[positions]
    order = np.argsort(keys, kind="stable")
    _, first = np.unique(keys[order], return_index=True)
    return positions[order], np.append(first, len(order)).astype(np.int64)


@njit(cache=True, nogil=True)
def _spread(dense: np.ndarray, table: tuple[np.ndarray, np.ndarray, np.ndarray], row: int, factor: float) -> None:
    """Add a row of sums, times a factor, to a dense vector; nothing where the row is -1."""
    if row >= 0:
        for entry in range(table[0][row], table[0][row + 1]):
            dense[table[1][entry]] += factor * table[2][entry]


@njit(cache=True, nogil=True)
def _add_products(
    order: np.ndarray,
    bounds: np.ndarray,
    rows: np.ndarray,
    factors: np.ndarray,
    base: np.ndarray,
    fine: tuple[np.ndarray, np.ndarray, np.ndarray],
    middle: tuple[np.ndarray, np.ndarray, np.ndarray],
    coarse: tuple[np.ndarray, np.ndarray, np.ndarray],
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    partners: np.ndarray,
    totals: np.ndarray,
    of_base: np.ndarray,
) -> None:
    """Add, per feature, the sums of predictions, of their squares, and of their products with true activations.

    A prediction is p + g b: p from the rows of three tables of sums (bounds, features and sums), g b a multiple of the
    base. The sums of g b and of (g b)^2 are left to the caller, who multiplies the base by `of_base`, the sums of g and
    g^2 by its row. Features of a row of a finer table are among those of the coarsest, which so has every p that is
    not 0.
    """
    dense = np.zeros(base.shape[1])
    for group in range(len(bounds) - 1):
        positions, label, by_base = bounds[group + 1] - bounds[group], rows[group, 3], factors[group, 3]
        of_base[0, label] += positions * by_base
        of_base[1, label] += positions * by_base * by_base
        _spread(dense, fine, rows[group, 0], factors[group, 0])
        _spread(dense, middle, rows[group, 1], factors[group, 1])
        _spread(dense, coarse, rows[group, 2], factors[group, 2])
        first, last = 0, 0
        if rows[group, 2] >= 0:
            first, last = coarse[0][rows[group, 2]], coarse[0][rows[group, 2] + 1]
        for feature in coarse[1][first:last]:
            part = dense[feature]
            totals[0, feature] += positions * part
            totals[1, feature] += positions * part * (part + 2 * by_base * base[label, feature])
        for item in range(bounds[group], bounds[group + 1]):
            for entry in range(indptr[order[item]], indptr[order[item] + 1]):
                partner = partners[indices[entry]]
                predicted = dense[partner] + by_base * base[label, partner]
                totals[2, indices[entry]] += values[entry] * predicted
        for feature in coarse[1][first:last]:
            dense[feature] = 0.0
