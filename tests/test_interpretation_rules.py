"""Token and context rules, their scores and their controls."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coact.corpus.tokens import TokenStream
from coact.errors import ConfigError, StudyError
from coact.features.batches import SparseBatch
from coact.interpretation.directions import direction_batches, draw_directions
from coact.interpretation.explanations import (
    carried_by,
    draw_partners,
    score_directions,
    score_features,
    summarize_explanations,
)
from coact.interpretation.rules import LEVELS, Scores, describe_rule, fit_rule, predict
from coact.interpretation.sums import texts

LENGTH = 8
LABELS = ["prose", "code", "dna"]


def make_stream(tokens, labels=None, documents=None):
    """A stream of contexts of `LENGTH` tokens; by default of one label and one document, without special positions."""
    tokens = np.asarray(tokens, np.int32).reshape(-1, LENGTH)
    labels = np.zeros(tokens.shape, np.int16) if labels is None else np.asarray(labels, np.int16).reshape(tokens.shape)
    documents = np.where(labels >= 0, 0, -1) if documents is None else np.asarray(documents).reshape(tokens.shape)
    return TokenStream(tokens, documents.astype(np.int32), labels, LABELS)


def make_batches(dense, stream, shards=1):
    """Sparse batches of a dense (tokens, features) matrix; special positions are not kept."""
    documents = stream.documents.reshape(-1)
    kept = documents >= 0
    dense = np.where(kept[:, None], dense, 0)
    batches = []
    for rows in np.array_split(np.arange(len(dense)), shards):
        row, column = np.nonzero(dense[rows])
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(rows)))])
        values = dense[rows][row, column].astype(np.float32)
        batches.append(
            SparseBatch(indptr, column.astype(np.int32), values, dense.shape[1], kept[rows], documents[rows])
        )
    return batches


def make_random(seed, contexts, features=6, vocabulary=5):
    """A stream with special positions and labels, and activations of which some depend on the token."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, 3, contexts), LENGTH)
    labels[::LENGTH] = -1
    tokens = rng.integers(0, vocabulary, contexts * LENGTH)
    means = rng.random((vocabulary, features)) * (rng.random((vocabulary, features)) < 0.5)
    dense = means[tokens] * rng.random((len(tokens), features)) + (rng.random((len(tokens), features)) < 0.1)
    return make_stream(tokens, labels), dense.astype(np.float32)


def plain_predictions(train, dense, heldout, c, level):
    """The rule by dictionaries and loops: (held-out positions, features)."""

    def keys(stream):
        for context, row in zip(stream.tokens, stream.labels, strict=True):
            for place, (token, label) in enumerate(zip(context, row, strict=True)):
                bigram = (context[place - 1] if place else -1, token)
                found = {"label": label, "token": token, "bigram": bigram}
                yield found | {"token_in_label": (label, token), "bigram_in_label": (label, *bigram)}

    kept = train.documents.reshape(-1) >= 0
    overall = dense[kept].astype(float).mean(0)
    sums, counts = {}, {}
    for position, found in enumerate(keys(train)):
        if kept[position]:
            for kind, key in found.items():
                sums[kind, key] = sums.get((kind, key), 0) + dense[position].astype(float)
                counts[kind, key] = counts.get((kind, key), 0) + 1
    predictions = []
    for found in keys(heldout):
        mean = overall
        for kind in ("label", "token", "token_in_label", "bigram_in_label") if level == "rule" else (level,):
            key = kind, found[kind]
            mean = (sums.get(key, 0) + c * mean) / (counts.get(key, 0) + c)
        predictions.append(mean)
    return np.array(predictions)


def plain_correlations(predicted, true):
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(predicted.T, true.T, strict=True)])
    # A prediction that is one number but for rounding has no correlation.
    return np.where(np.ptp(predicted, axis=0) > 1e-12 * np.abs(predicted).max(axis=0), found, np.nan)


def scores_of(rule, batches, stream, partners=None):
    scores = Scores(rule, np.arange(rule.n_features) if partners is None else partners)
    for batch, text, _ in texts(batches, stream):
        scores.add(batch, text)
    return scores.correlations()


def test_a_mean_is_shrunk_towards_the_one_it_backs_off_to():
    stream = make_stream([1, 2, 1, 2, 1, 2, 1, 3])
    dense = np.array([[0, 4, 0, 2, 0, 0, 0, 8]], np.float32).T
    rule = fit_rule(make_batches(dense, stream), stream, pseudo_count=2)
    ((_, text, _),) = texts(make_batches(dense, stream), stream)
    label = (14 + 2 * 1.75) / 10  # 14 on 8 tokens, overall mean 14 / 8
    token = (6 + 2 * label) / 5  # 6 on the three tokens 2
    assert predict(rule, "label", text, np.zeros(8, int))[1] == pytest.approx(label)
    assert predict(rule, "token", text, np.zeros(8, int))[1] == pytest.approx((6 + 2 * 1.75) / 5)
    # There is one label: the token in text of the label, and the bigram 1 2 in it, are these three tokens again.
    in_label = (6 + 2 * token) / 5
    assert predict(rule, "rule", text, np.zeros(8, int))[1] == pytest.approx((6 + 2 * in_label) / 5)


def test_what_training_text_does_not_hold_falls_back_to_the_overall_mean():
    train = make_stream([1, 2] * 4, labels=[0] * 8)
    dense = np.full((8, 1), 3, np.float32)
    rule = fit_rule(make_batches(dense, train), train, pseudo_count=1)
    other = make_stream([4] * 8, labels=[2] * 8)
    ((_, text, _),) = texts(make_batches(dense, other), other)
    np.testing.assert_allclose(predict(rule, "rule", text, np.zeros(8, int)), 3)


@settings(max_examples=25, deadline=None)
@example(300, 0.5, 1)  # of which one prediction is the same everywhere, but for rounding
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 7.0]), st.integers(1, 3))
def test_correlations_are_those_of_dense_predictions(seed, c, shards):
    (train, dense), (heldout, true) = make_random(seed, 12), make_random(seed + 1, 9)
    rule = fit_rule(make_batches(dense, train, shards), train, c)
    partners = np.random.default_rng(seed).permutation(true.shape[1])
    own, other = (scores_of(rule, make_batches(true, heldout, shards), heldout, p) for p in (None, partners))
    kept = heldout.documents.reshape(-1) >= 0
    for level in LEVELS:
        predicted = plain_predictions(train, dense, heldout, c, level)[kept]
        np.testing.assert_allclose(own[level], plain_correlations(predicted, true[kept]), atol=1e-7)
        np.testing.assert_allclose(other[level], plain_correlations(predicted[:, partners], true[kept]), atol=1e-7)


def test_predictions_of_pairs_are_those_of_dense_predictions():
    (train, dense), (heldout, true) = make_random(1, 12), make_random(2, 9)
    rule = fit_rule(make_batches(dense, train), train, 2.0)
    ((_, text, _),) = texts(make_batches(true, heldout), heldout)
    for level in LEVELS:
        expected = plain_predictions(train, dense, heldout, 2.0, level)
        for feature in range(true.shape[1]):
            found = predict(rule, level, text, np.full(len(expected), feature))
            np.testing.assert_allclose(found, expected[:, feature], rtol=1e-6)


def test_the_coarsest_level_that_is_enough_carries_a_feature():
    def draw(seed):
        rng = np.random.default_rng(seed)
        labels = np.repeat(rng.integers(0, 3, 300), LENGTH)
        tokens = rng.integers(0, 6, len(labels))
        before = np.where(np.arange(len(tokens)) % LENGTH, np.roll(tokens, 1), -1)
        kinds = [labels == 1, tokens == 2, (tokens == 3) & (before == 4), rng.random(len(tokens)) < 0.3]
        return make_stream(tokens, labels), np.stack(kinds, axis=1).astype(np.float32)

    (train, dense), (heldout, true) = draw(0), draw(1)
    rule = fit_rule(make_batches(dense, train), train, 1.0)
    table = score_features(rule, lambda: make_batches(true, heldout), heldout, examples=5, reach=2, seed=0)
    assert table["carried_by"][:3].tolist() == ["label", "token", "bigram"]
    assert (table["correlation"][:3] > 0.95).all()
    assert abs(table["correlation"][3]) < 0.1
    assert (table["correlation_shuffled"].abs() < 0.5).all()


def test_a_level_carries_nothing_without_a_positive_correlation():
    found = {level: np.array([0.5, -0.2, np.nan, 0.8]) for level in LEVELS}
    found["label"], found["token"] = np.array([0.1, 0, np.nan, 0.75]), np.array([0.44, 0, np.nan, 0.8])
    found["bigram"] = np.array([0.3, 0, np.nan, 0.8])
    assert carried_by(found).tolist() == ["none", None, None, "label"]


def test_dead_features_have_no_correlation():
    (train, dense), (heldout, true) = make_random(3, 12), make_random(4, 9)
    dense[:, 0], true[:, 1] = 0, 0
    rule = fit_rule(make_batches(dense, train), train, 1.0)
    table = score_features(rule, lambda: make_batches(true, heldout), heldout, examples=3, reach=1, seed=0)
    assert table["correlation"].isna().tolist()[:3] == [True, True, False]
    assert table["active_train"][0] == 0
    assert table["active_heldout"][1] == 0
    assert table["partner"][0] == -1
    assert np.isnan(table["correlation_shuffled"][0])
    assert table["sample_tokens"][1] == 0
    assert np.isnan(table["sample_correlation"][1])
    summary = summarize_explanations(table, table.iloc[:0])
    assert summary["features"]["silent_train"] == 1
    assert summary["features"]["silent_heldout"] == 1
    assert summary["directions"]["measures"]["correlation"]["q50"] is None


def test_one_feature_alone_has_no_shuffled_rule():
    (train, dense), (heldout, true) = make_random(3, 12), make_random(4, 9)
    rule = fit_rule(make_batches(dense[:, :1], train), train, 1.0)
    table = score_features(rule, lambda: make_batches(true[:, :1], heldout), heldout, examples=3, reach=1, seed=0)
    assert table["partner"].tolist() == [-1]
    assert np.isfinite(table["correlation"][0])
    assert np.isnan(table["correlation_shuffled"][0])


def test_the_sample_is_the_text_around_the_largest_activations_and_uniform_tokens():
    (train, dense), (heldout, true) = make_random(5, 40), make_random(6, 30)
    rule = fit_rule(make_batches(dense, train), train, 1.0)
    table = score_features(rule, lambda: make_batches(true, heldout, 3), heldout, examples=4, reach=1, seed=7)
    kept = heldout.documents.reshape(-1) >= 0
    true = np.where(kept[:, None], true, 0)
    rng = np.random.default_rng(7)
    draw_partners(rule.active, rng)  # the same stream of random numbers
    drawn = rng.choice(np.flatnonzero(kept), 12, replace=False)
    predicted = plain_predictions(train, dense, heldout, 1.0, "rule")
    for feature in range(true.shape[1]):
        peaks = true[:, feature].reshape(-1, LENGTH).max(1)
        chosen = set(drawn.tolist())
        for context in np.argsort(-peaks, kind="stable")[:4]:
            row = context * LENGTH + int(np.argmax(true[:, feature].reshape(-1, LENGTH)[context]))
            chosen |= {at for at in (row - 1, row, row + 1) if at // LENGTH == context and kept[at]}
        rows = sorted(chosen)
        assert table["sample_tokens"][feature] == len(rows)
        expected = np.corrcoef(predicted[rows, feature], true[rows, feature])[0, 1]
        assert table["sample_correlation"][feature] == pytest.approx(expected)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 100))
def test_partners_are_other_live_features_of_similar_frequency(active, seed):
    active = np.array(active)
    partners = draw_partners(active, np.random.default_rng(seed))
    live = np.flatnonzero(active > 0)
    assert (partners[active == 0] == -1).all()
    if len(live) > 1:
        assert (partners[live] != live).all()
        assert (active[partners[live]] > 0).all()
        ranks = np.empty(len(active), int)
        ranks[live[np.argsort(active[live], kind="stable")]] = np.arange(len(live))
        assert (abs(ranks[partners[live]] - ranks[live]) <= 5).all()
    else:
        assert (partners == -1).all()


def test_a_description_ranks_by_the_shrunk_mean_and_gives_the_plain_one():
    stream = make_stream([1, 2, 1, 2, 1, 2, 5, 3])
    dense = np.array([[0, 4, 0, 4, 0, 4, 5, 0]], np.float32).T
    table = describe_rule(fit_rule(make_batches(dense, stream), stream, 4.0), shown=2)
    tokens = table[table["kind"] == "token"]
    # Token 5 was there once with 5, token 2 three times with 4: seen more often, 2 comes first.
    assert tokens["token"].tolist() == [2, 5]
    assert tokens["mean"].tolist() == [4, 5]
    assert tokens["tokens"].tolist() == [3, 1]
    overall = 17 / 8
    np.testing.assert_allclose(tokens["shrunk_mean"], [(12 + 4 * overall) / 7, (5 + 4 * overall) / 5])
    bigrams = table[table["kind"] == "bigram"]
    assert list(zip(bigrams["previous"], bigrams["token"], strict=True)) == [(1, 2), (2, 5)]
    assert table[table["kind"] == "label"][["label", "token", "previous"]].values.tolist() == [[0, -1, -1]]


def test_the_first_token_of_a_context_has_no_token_before_it():
    stream = make_stream([1, 2, 3, 4, 5, 6, 7, 1, 9, 2, 3, 4, 5, 6, 7, 1])
    ((_, text, _),) = texts(make_batches(np.zeros((16, 1)), stream), stream)
    assert text.previous.tolist() == [-1, 1, 2, 3, 4, 5, 6, 7, -1, 9, 2, 3, 4, 5, 6, 7]


def test_features_of_other_text_are_refused():
    stream, dense = make_random(0, 4)
    other = make_stream(stream.tokens, documents=np.full(stream.tokens.size, 3))
    with pytest.raises(StudyError, match=r"features of the positions 0 to 32 are not of the token stream"):
        fit_rule(make_batches(dense, stream), other, 1.0)
    with pytest.raises(StudyError, match="of 16 positions"):
        fit_rule(make_batches(dense, stream), TokenStream(*(part[:2] for part in (stream.tokens, stream.documents,
                                                            stream.labels)), LABELS), 1.0)  # fmt: skip


def test_a_rule_needs_a_pseudo_count_and_features():
    stream, dense = make_random(0, 4)
    with pytest.raises(ConfigError, match=r"interpretation\.pseudo_count is 0; expected a number above 0"):
        fit_rule(make_batches(dense, stream), stream, 0)
    with pytest.raises(ConfigError, match="no features"):
        fit_rule([], stream, 1.0)


def make_shard(values):
    """What an activation shard gives, from an array."""
    return SimpleNamespace(width=values.shape[1], array=lambda rows: values[rows])


def test_random_directions_are_as_often_active_as_asked():
    stream, dense = make_random(0, 400)
    values = np.random.default_rng(1).standard_normal((len(dense), 5)).astype(np.float32)
    batches = make_batches(dense, stream, 2)
    shards = [make_shard(part) for part in np.array_split(values, 2)]
    directions = draw_directions(shards, batches, 7, 0.1, seed=0)
    np.testing.assert_allclose(np.linalg.norm(directions.units, axis=0), 1, rtol=1e-5)
    found = list(direction_batches(directions, shards, batches))
    kept = stream.documents.reshape(-1) >= 0
    active = sum(np.bincount(batch.indices, minlength=7) for batch in found)
    np.testing.assert_allclose(active / kept.sum(), 0.1, atol=1 / kept.sum() + 1e-9)
    expected = np.where(kept[:, None], np.maximum(values @ directions.units - directions.thresholds, 0), 0)
    rebuilt = np.zeros_like(expected)
    rows = np.repeat(np.arange(len(expected)), np.concatenate([np.diff(batch.indptr) for batch in found]))
    rebuilt[rows, np.concatenate([batch.indices for batch in found])] = np.concatenate([b.values for b in found])
    np.testing.assert_allclose(rebuilt, expected, atol=1e-5)


def test_random_directions_of_words_are_explained_by_words():
    def draw(seed):
        stream, dense = make_random(seed, 200)
        vectors = np.random.default_rng(9).standard_normal((5, 16))
        return stream, dense, make_shard(vectors[stream.tokens.reshape(-1)].astype(np.float32))

    (train, dense, shard), (heldout, true, other) = draw(0), draw(1)
    rule = fit_rule(make_batches(dense, train), train, 1.0)
    reads = [lambda: make_batches(dense, train), lambda: make_batches(true, heldout)]
    table = score_directions(rule, [[shard], [other]], reads, [train, heldout], 8, examples=3, reach=1, seed=0)
    assert len(table) == 8
    assert (table["correlation"].dropna() > 0.99).all()
    assert table["correlation"].notna().any()
    silent = fit_rule(make_batches(np.zeros_like(dense), train), train, 1.0)
    empty = score_directions(silent, [[shard], [other]], reads, [train, heldout], 8, examples=3, reach=1, seed=0)
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
    pd.testing.assert_series_equal(empty.dtypes, table.dtypes)


def test_the_same_input_gives_the_same_table():
    (train, dense), (heldout, true) = make_random(5, 40), make_random(6, 30)
    tables = [
        score_features(
            fit_rule(make_batches(dense, train), train, 1.0),
            lambda: make_batches(true, heldout),
            heldout,
            examples=4,
            reach=1,
            seed=7,
        )
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
