"""Similar features, nearest neurons and diverse choices."""

import numpy as np
import pytest

from coact.features.batches import read_shards
from coact.interpretation.similarity import choose_diverse, nearest_neurons, similar_features
from synthetic_features import kept_of, make_text, write_shards
from test_sae import make_shard

ROWS = np.array([[2, 0], [0, 1], [1, 1], [0, 0], [-1, 0]], np.float32)


def test_similar_features_come_from_the_largest_cosine_on():
    others, cosines = similar_features(ROWS, 2)
    assert others[0].tolist() == [2, 1]
    np.testing.assert_allclose(cosines[0], [np.sqrt(0.5), 0], atol=1e-7)
    assert others[2].tolist() == [0, 1]
    assert cosines[3].tolist() == [0, 0]  # no direction


def test_chunks_of_rows_change_nothing(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    whole = similar_features(rows, 3)
    monkeypatch.setattr("coact.interpretation.similarity.ROWS_AT_ONCE", 7)
    for a, b in zip(whole, similar_features(rows, 3), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_one_feature_alone_has_no_similar_one():
    others, cosines = similar_features(ROWS[:1], 5)
    assert others.shape == cosines.shape == (1, 0)


@pytest.mark.parametrize("chunk", [5, 4096])
def test_the_nearest_neuron_has_the_largest_correlation_over_kept_tokens(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("coact.interpretation.similarity.TOKENS_AT_ONCE", chunk)
    text = make_text(2)
    values = np.random.default_rng(1).normal(size=(len(text.dense), 4))
    values[:, 3] = -text.dense[:, 1] + 0.01 * values[:, 3]
    paths = write_shards(text, tmp_path / "f", [12])
    shard = make_shard(tmp_path / "a", values, text.stream.documents.ravel())
    neurons, correlations = nearest_neurons(read_shards(paths), [shard])
    kept = kept_of(text)
    stored = np.asarray(shard.values, np.float64)[kept]
    for feature in range(text.dense.shape[1] - 1):
        expected = [np.corrcoef(text.dense[kept, feature], stored[:, neuron])[0, 1] for neuron in range(4)]
        assert neurons[feature] == np.abs(expected).argmax()
        assert correlations[feature] == pytest.approx(expected[neurons[feature]], abs=1e-6)
    assert neurons[1] == 3
    assert correlations[1] < -0.99
    assert neurons[-1] == -1
    assert np.isnan(correlations[-1])


def test_a_diverse_choice_leaves_out_what_is_too_like_an_earlier_one():
    order = np.array([0, 2, 1, 4])
    assert choose_diverse(order, ROWS, 4, 0.6).tolist() == [0, 1, 4]
    assert choose_diverse(order, ROWS, 4, 0.8).tolist() == [0, 2, 1, 4]
    assert choose_diverse(order, ROWS, 1, 0.6).tolist() == [0]
    assert choose_diverse(order[:0], ROWS, 3, 0.6).tolist() == []
