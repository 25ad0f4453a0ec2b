"""How well features are explained by rules of the text, beside controls.

In: feature shards and token streams of both splits, activation shards for the control. Out: a table of all features,
one of random directions, and their summary.

A rule (`coact.interpretation.rules`) is fitted on training tokens and scored by Pearson's correlation of predicted with
true activations on held-out tokens: on all of them, and on a sample such as the papers', the text around the largest
activations and as many tokens drawn uniformly (Bills et al. 2023, top and random; Bricken et al. 2023, excerpts of nine
tokens). The sample is chosen by what is to be predicted, so its correlation flatters; all tokens do not.

Controls: the rule of another feature of about the same frequency (shuffled), and random directions of the same
frequency as the median feature (`coact.interpretation.directions`). Neurons are a dictionary of their own.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from coact.activations.shards import Shard
from coact.corpus.tokens import TokenStream
from coact.features.batches import SparseBatch
from coact.interpretation.directions import Directions, direction_batches, draw_directions
from coact.interpretation.examples import NO_ROW, ExampleScan
from coact.interpretation.rules import ALONE, Rule, Scores, fit_rule, pearson, predict
from coact.interpretation.sums import Text, look_up, texts

Read = Callable[[], Iterable[SparseBatch]]
NEARBY = 5  # ranks by frequency within which a feature's partner is drawn
CARRIES = 0.9  # of the rule's correlation, what a level alone has to reach to carry it
COLUMNS = {
    **dict.fromkeys(("feature", "partner"), np.int32),
    **dict.fromkeys(("active_train", "active_heldout", "tokens"), np.int64),
    **dict.fromkeys(("correlation", *(f"correlation_{level}" for level in (*ALONE, "shuffled"))), np.float64),
    "sample_tokens": np.int32,
    **dict.fromkeys(("sample_correlation", "sample_correlation_shuffled"), np.float64),
    "carried_by": object,
}
MEASURES = tuple(name for name in COLUMNS if "correlation" in name)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def score_features(rule: Rule, read: Read, stream: TokenStream, examples: int, reach: int, seed: int) -> pd.DataFrame:
    """Correlations of predicted with true activations of all features, on held-out tokens.

    Args:
        rule: of training tokens.
        read: gives the held-out batches anew each time it is called.
        stream: the held-out stream.
        examples: largest activations of a feature, one per context, that its sample is made of.
        reach: tokens of the sample on either side of each, within the context.
        seed: of partners and of the uniformly drawn tokens.
    Returns:
        feature int32; partner int32, whose rule is the shuffled control, -1 where there is none; active_train,
        active_heldout int64, tokens on which it is active; tokens int64, kept held-out tokens; correlation float64;
        correlation_label, _token, _bigram float64, of that level alone over the overall mean; correlation_shuffled
        float64; sample_tokens int32, sample_correlation and sample_correlation_shuffled float64 on the sample;
        carried_by text, the first of label, token and bigram that alone reaches `CARRIES` of the correlation,
        "none" where none does. NaN and None where not defined: the feature is active on no training token, or on no
        held-out one, or on all of them alike.
    """
    rng = np.random.default_rng(seed)
    partners = draw_partners(rule.active, rng)
    own = Scores(rule, np.arange(rule.n_features))
    other = Scores(rule, np.maximum(partners, 0), ("rule",))
    scan, kept = ExampleScan(rule.n_features, stream.tokens.shape[1], examples, seed), []
    for batch, text, _ in texts(read(), stream):
        own.add(batch, text)
        other.add(batch, text)
        scan.add(batch)
        kept.append(batch.kept)
    found = own.correlations()
    shuffled = np.where(partners >= 0, other.correlations()["rule"], np.nan)
    table = pd.DataFrame(
        {
            "feature": np.arange(rule.n_features, dtype=np.int32),
            "partner": partners.astype(np.int32),
            "active_train": rule.active,
            "active_heldout": own.active,
            "tokens": own.tokens,
            "correlation": found["rule"],
            **{f"correlation_{level}": found[level] for level in ALONE},
            "correlation_shuffled": shuffled,
        }
    )
    features, positions = _sample(scan.tops().rows, np.concatenate(kept), stream.tokens.shape[1], reach, rng)
    sampled = _score_sample(rule, read, stream, features, positions, partners)
    return pd.concat([table, sampled, carried_by(found).rename("carried_by")], axis=1).astype(COLUMNS)


def score_directions(
    rule: Rule,
    shards: Sequence[Sequence[Shard]],
    reads: Sequence[Read],
    streams: Sequence[TokenStream],
    number: int,
    examples: int,
    reach: int,
    seed: int,
) -> pd.DataFrame:
    """The table of `score_features` for random directions, as often active as the median feature.

    Args:
        rule: of the features.
        shards, reads, streams: of training and of held-out tokens each: activations, features, text.
        number: of directions.
        examples, reach, seed: see `score_features`.
    Returns:
        The table; without rows where the median feature is active on no token, or on all.
    """
    share = typical_share(rule)
    if share is None or share >= 1:
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    directions = draw_directions(shards[0], reads[0](), number, share, seed)
    read_train, read_heldout = (
        partial(_read_directions, directions, *split) for split in zip(shards, reads, strict=True)
    )
    fitted = fit_rule(read_train(), streams[0], rule.pseudo_count)
    return score_features(fitted, read_heldout, streams[1], examples, reach, seed)


def _read_directions(directions: Directions, shards: Sequence[Shard], read: Read) -> Iterable[SparseBatch]:
    """Activations of directions on the tokens of the batches that `read` gives."""
    return direction_batches(directions, shards, read())


def draw_partners(active: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(D,) int64 another feature for each, at most `NEARBY` ranks away by how often they are active.

    Features that are never active, and one that is alone, have none: -1.

    Args:
        active: (D,) int64 tokens on which each is active.
    """
    live = np.flatnonzero(active > 0)
    partners = np.full(len(active), -1, np.int64)
    n = len(live)
    if n > 1:
        ordered = live[np.argsort(active[live], kind="stable")]
        ranks = np.arange(n)
        steps = rng.integers(1, min(NEARBY, n - 1) + 1, n) * rng.choice([-1, 1], n)
        inside = (ranks + steps >= 0) & (ranks + steps < n)
        places = ranks + np.where(inside, steps, -steps)
        places = np.where((places >= 0) & (places < n), places, np.where(ranks + 1 < n, ranks + 1, ranks - 1))
        partners[ordered] = ordered[places]
    return partners


def carried_by(correlations: dict[str, np.ndarray]) -> pd.Series:
    """The coarsest level that alone reaches `CARRIES` of the rule's correlation, "none", or None where not defined.

    Args:
        correlations: level -> (D,) float64, all of `LEVELS`.
    """
    whole = correlations["rule"]
    found = np.where(np.nan_to_num(whole) > 0, "none", None).astype(object)
    for level in reversed(ALONE):
        with np.errstate(invalid="ignore"):
            found[(whole > 0) & (correlations[level] >= CARRIES * whole)] = level
    return pd.Series(found, dtype=object)


def _sample(
    tops: np.ndarray, kept: np.ndarray, length: int, reach: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a feature and a position: the text around its tops, and as many positions, drawn once for all."""
    feature, rank = np.nonzero(tops != NO_ROW)
    rows = tops[feature, rank]
    around = rows[:, None] + np.arange(-reach, reach + 1)
    inside = (around // length == rows[:, None] // length) & (around >= 0) & (around < len(kept))
    inside[inside] = kept[around[inside]]
    drawn = np.flatnonzero(kept)
    drawn = rng.choice(drawn, min(len(drawn), tops.shape[1] * (2 * reach + 1)), replace=False)
    live = np.unique(feature)
    features = np.concatenate([np.repeat(feature, inside.sum(1)), np.repeat(live, len(drawn))])
    positions = np.concatenate([around[inside], np.tile(drawn, len(live))])
    pairs = np.unique(features * len(kept) + positions)  # a position that is there by both ways counts once
    return pairs // len(kept), pairs % len(kept)


def _score_sample(
    rule: Rule, read: Read, stream: TokenStream, features: np.ndarray, positions: np.ndarray, partners: np.ndarray
) -> pd.DataFrame:
    """sample_tokens, sample_correlation and sample_correlation_shuffled of all features."""
    true, own, other = (np.zeros(len(features)) for _ in range(3))
    for batch, text, first in texts(read(), stream):
        inside = np.flatnonzero((positions >= first) & (positions < first + len(batch.kept)))
        rows, columns = positions[inside] - first, features[inside]
        there = Text(text.tokens[rows], text.previous[rows], text.labels[rows])
        true[inside] = look_up(*batch.arrays(), rows, columns)
        own[inside] = predict(rule, "rule", there, columns)
        other[inside] = predict(rule, "rule", there, np.maximum(partners[columns], 0))
    sums = [np.bincount(features, weights, minlength=rule.n_features) for weights in (true, true**2)]
    tokens = np.bincount(features, minlength=rule.n_features)
    found = [
        pearson(
            tokens, *sums, *(np.bincount(features, part, minlength=rule.n_features) for part in (y, y**2, true * y))
        )
        for y in (own, other)
    ]
    return pd.DataFrame(
        {
            "sample_tokens": tokens.astype(np.int32),
            "sample_correlation": found[0],
            "sample_correlation_shuffled": np.where(partners >= 0, found[1], np.nan),
        }
    )


def typical_share(rule: Rule) -> float | None:
    """Median share of training tokens on which a feature is active, among those that ever are; None without any."""
    active = rule.active[rule.active > 0]
    return float(np.median(active) / rule.tokens) if len(active) else None


def summarize_explanations(features: pd.DataFrame, directions: pd.DataFrame) -> dict[str, Any]:
    """The tables of `score_features` in numbers.

    Args:
        features, directions: of the features and of the random directions; the latter may be empty.
    Returns:
        features, directions -> n of them, silent_train and silent_heldout (active on no token there), measured (with a
        correlation), tokens, measures -> quantiles q05 to q95 and mean (None where there is none), and carried_by ->
        number of features.
    """
    return {"features": _summarize(features), "directions": _summarize(directions)}


def _summarize(table: pd.DataFrame) -> dict[str, Any]:
    levels = table["carried_by"].value_counts()
    return {
        "n": len(table),
        "silent_train": int((table["active_train"] == 0).sum()),
        "silent_heldout": int((table["active_heldout"] == 0).sum()),
        "measured": int(table["correlation"].notna().sum()),
        "tokens": int(table["tokens"].max()) if len(table) else 0,
        "measures": {name: _spread(table[name].dropna()) for name in MEASURES},
        "carried_by": {level: int(levels.get(level, 0)) for level in (*ALONE, "none")},
    }


def _spread(values: pd.Series) -> dict[str, float | None]:
    names = [f"q{round(100 * level):02d}" for level in QUANTILES]
    if not len(values):
        return dict.fromkeys([*names, "mean"])
    return {**dict(zip(names, np.quantile(values, QUANTILES).tolist(), strict=True)), "mean": float(values.mean())}
