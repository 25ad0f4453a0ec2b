"""Best matches and what they are without relation, by hand and on dictionaries whose relation is known."""

import numpy as np
import pytest

from coact.comparison.matching import activation_correlation
from coact.comparison.universality import best_figures, best_similarities, shift_tokens, shuffle_rows
from reference_graph import dense_rows, sparse_batch


def random_rows(seed, tokens, features, share=0.2):
    generator = np.random.default_rng(seed)
    return np.where(generator.random((tokens, features)) < share, generator.exponential(1, (tokens, features)), 0)


def test_kept_tokens_are_turned_as_a_ring():
    rows, kept = random_rows(0, 90, 7), np.random.default_rng(1).random(90) < 0.7
    batch = sparse_batch(rows, kept)
    (shifted,) = shift_tokens([batch], 3)
    found, inside = dense_rows(shifted), np.flatnonzero(kept)
    assert not found[~kept].any()
    whole = dense_rows(batch)[inside]
    distances = [
        distance for distance in range(len(inside)) if (np.roll(whole, -distance, axis=0) == found[inside]).all()
    ]
    assert len(distances) == 1
    assert len(inside) / 4 <= distances[0] <= 3 * len(inside) / 4
    np.testing.assert_array_equal(shifted.kept, batch.kept)
    np.testing.assert_array_equal(shifted.documents, batch.documents)


def test_each_batch_has_a_distance_of_its_own_and_a_seed_its_own():
    batch = sparse_batch(random_rows(0, 400, 5))
    one, other = shift_tokens([batch, batch], 0)
    assert (dense_rows(one) != dense_rows(other)).any()
    (again,) = shift_tokens([batch], 0)
    np.testing.assert_array_equal(dense_rows(one), dense_rows(again))
    (elsewhere,) = shift_tokens([batch], 1)
    assert (dense_rows(one) != dense_rows(elsewhere)).any()


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_few_tokens_can_be_shifted(kept):
    batch = sparse_batch(random_rows(0, 3, 4, share=0.9), np.arange(3) < kept)
    (shifted,) = shift_tokens([batch], 0)
    np.testing.assert_array_equal(np.sort(dense_rows(shifted), axis=0), np.sort(dense_rows(batch), axis=0))


def test_rows_keep_their_entries():
    rows = np.random.default_rng(0).normal(size=(600, 9)).astype(np.float32)
    found = shuffle_rows(rows, 0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(rows, axis=1))
    assert (found != rows).mean() > 0.8
    orders = [np.argsort(rows[row])[np.argsort(np.argsort(found[row]))] for row in range(2)]
    assert (orders[0] != orders[1]).any()


def test_best_similarities_by_hand():
    nan = np.nan
    similarity = np.array([[0.5, 0.25, 1.0], [nan, nan, nan], [0.75, nan, 1.0]], np.float32)
    there, back = best_similarities(similarity, np.ones(3, bool), np.array([True, True, False]))
    assert there.tolist() == [0.5, 0.75]
    assert back.tolist() == [0.75, 0.25]


def test_figures_by_hand():
    found = best_figures(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([0.0, 0.5]))
    assert (found["features"], found["mean"], found["median"], found["q25"], found["q75"]) == (5, 0.5, 0.5, 0.25, 0.75)
    assert (found["null_mean"], found["null_median"]) == (0.25, 0.25)
    assert found["null_q95"] == pytest.approx(0.475)
    assert found["above_null"] == 0.6
    empty = best_figures(np.empty(0), np.array([0.5]))
    assert empty["features"] == 0
    assert np.isnan([empty["mean"], empty["median"], empty["above_null"]]).all()


def test_related_dictionaries_exceed_the_null_and_unrelated_ones_do_not():
    rows = random_rows(0, 4000, 40, share=0.05)
    related, unrelated = np.roll(rows, 3, axis=1) + 0.1 * random_rows(1, 4000, 40), random_rows(2, 4000, 40, share=0.05)
    live = np.ones(40, bool)
    for other, least, most in ((related, 1.0, 1.0), (unrelated, 0.0, 0.2)):
        similarities = [
            activation_correlation([sparse_batch(rows)], batches)
            for batches in ([sparse_batch(other)], shift_tokens([sparse_batch(other)], 0))
        ]
        best = [best_similarities(similarity, live, live)[0] for similarity in similarities]
        assert least <= best_figures(*best)["above_null"] <= most
