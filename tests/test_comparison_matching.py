"""Matching of features: similarities against NumPy and by hand, assignments against all that there are."""

from dataclasses import replace
from itertools import permutations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coact.comparison.matching import activation_correlation, best_matches, cosine_similarity, match
from coact.errors import StudyError
from reference_graph import sparse_batch


def random_rows(seed: int, tokens: int, features: int, share: float = 0.3) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.where(generator.random((tokens, features)) < share, generator.exponential(1, (tokens, features)), 0)


def live(n: int, *without: int) -> np.ndarray:
    return ~np.isin(np.arange(n), without)


def rows_of(table) -> list[tuple]:
    return list(table.itertuples(index=False, name=None))


def test_cosines_by_hand():
    found = cosine_similarity(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [-6.0, -8.0], [0.0, 0.1]]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, -1, 0.8], [0, 0, 0]], rtol=1e-6)


def test_cosines_do_not_pass_one():
    rows = np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32)
    found = cosine_similarity(rows, -3 * rows)
    np.testing.assert_allclose(np.diag(found), -1, rtol=1e-6)
    assert found.min() >= -1
    assert found.max() <= 1


def test_cosines_of_two_spaces_are_refused():
    with pytest.raises(StudyError, match="have 3 and 4 dimensions"):
        cosine_similarity(np.ones((2, 3)), np.ones((2, 4)))


def test_correlation_as_numpy_over_kept_tokens():
    # Two dictionaries of other width, three batches, a quarter of the tokens left out.
    a, b = random_rows(0, 90, 12), random_rows(1, 90, 7)
    b[:, 0] = 2 * a[:, 3]
    kept = np.random.default_rng(2).random(90) < 0.75
    parts = [slice(0, 40), slice(40, 41), slice(41, 90)]
    found = activation_correlation(
        [sparse_batch(a[part], kept[part]) for part in parts], [sparse_batch(b[part], kept[part]) for part in parts]
    )
    expected = np.corrcoef(a[kept].astype(np.float32), b[kept].astype(np.float32), rowvar=False)[:12, 12:]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[3, 0] == pytest.approx(1, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    rows=hnp.arrays(
        np.float32, st.tuples(st.integers(2, 12), st.just(5)), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0])
    ),
    cut=st.integers(1, 11),
)
def test_correlation_of_few_tokens(rows, cut):
    parts = [rows[:cut], rows[cut:]]
    found = activation_correlation(
        (sparse_batch(part[:, :3]) for part in parts), (sparse_batch(part[:, 2:]) for part in parts)
    )
    constant = rows.min(axis=0) == rows.max(axis=0)
    lacking = constant[:3, None] | constant[None, 2:]
    np.testing.assert_array_equal(np.isnan(found), lacking)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.corrcoef(rows.astype(float), rowvar=False)[:3, 2:]
    np.testing.assert_allclose(found[~lacking], expected[~lacking], atol=1e-6)


def test_a_constant_that_is_no_binary_fraction_does_not_vary():
    # The sums of such values round, which leaves variances of 1e-17 that are no variation.
    constants = np.tile(np.array([0.1, 0.3, 0.7, 1 / 7, 3.3]), (1001, 1))
    found = activation_correlation([sparse_batch(constants)], [sparse_batch(random_rows(0, 1001, 4))])
    assert np.isnan(found).all()


def test_correlation_without_a_kept_token_is_not_defined():
    nothing = sparse_batch(random_rows(0, 5, 3), np.zeros(5, bool))
    assert np.isnan(activation_correlation([nothing], [nothing])).all()


def test_correlation_bytes_do_not_depend_on_threads():
    a, b = sparse_batch(random_rows(0, 2000, 60)), sparse_batch(random_rows(1, 2000, 50))
    before, found = numba.get_num_threads(), []
    for threads in (numba.config.NUMBA_NUM_THREADS, 1):
        numba.set_num_threads(threads)
        found.append(activation_correlation([a, a], [b, b]).tobytes())
    numba.set_num_threads(before)
    assert found[0] == found[1]


def test_batches_that_do_not_go_together_are_refused():
    rows = random_rows(0, 6, 4)
    whole, short, wide = sparse_batch(rows), sparse_batch(rows[:5]), sparse_batch(random_rows(0, 6, 5))
    hidden = sparse_batch(rows, live(6, 2, 4))
    elsewhere = replace(whole, documents=np.array([0, 0, 0, 0, 0, 1], np.int32))
    with pytest.raises(StudyError, match="batch 1: 6 tokens of the first dictionary and 5 of the second"):
        activation_correlation([whole, whole], [whole, short])
    with pytest.raises(StudyError, match=r"batch 0: `kept` .* differs at 2 tokens, the first of them token 2;"):
        activation_correlation([whole], [hidden])
    with pytest.raises(StudyError, match=r"batch 1: `documents` .* differs at 1 tokens, the first of them token 5;"):
        activation_correlation([whole, whole], [whole, elsewhere])
    with pytest.raises(StudyError, match="batch 1: the second dictionary has none"):
        activation_correlation([whole, whole], [whole])
    with pytest.raises(StudyError, match="batch 0: the first dictionary has none"):
        activation_correlation([], [whole])
    with pytest.raises(StudyError, match="batch 1 has 4 and 5 features; expected 4 and 4"):
        activation_correlation([whole, whole], [whole, wide])
    with pytest.raises(StudyError, match="no batch"):
        activation_correlation([], [])


def test_too_many_pairs_are_refused_before_memory_is_taken():
    huge = replace(sparse_batch(random_rows(0, 2, 3)), n_features=1 << 20)
    with pytest.raises(StudyError, match=r"1,048,576 with 1,048,576 features.*expected at most 268,435,456"):
        activation_correlation([huge], [huge])


def test_match_by_hand():
    # Each feature's best first would take 0.9 and be left with 0.1; together 0.8 + 0.7 is more.
    similarity = np.array([[0.9, 0.8], [0.7, 0.1]], np.float32)
    found = match(similarity, live(2), live(2))
    assert rows_of(found) == [(0, 1, pytest.approx(0.8)), (1, 0, pytest.approx(0.7))]
    assert [str(dtype) for dtype in found.dtypes] == ["int32", "int32", "float32"]
    assert rows_of(best_matches(similarity, live(2), live(2))) == [
        (0, 0, pytest.approx(0.9)),
        (1, 0, pytest.approx(0.7)),
    ]


def test_only_live_features_are_matched():
    similarity = np.array([[1.0, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9], [0.1, 0.1, 0.1]], np.float32)
    found = match(similarity, live(4, 0), live(3, 2))
    assert rows_of(found) == [(1, 0, pytest.approx(0.4)), (2, 1, pytest.approx(0.8))]
    found = best_matches(similarity, live(4, 0), live(3, 2))
    assert rows_of(found) == [(1, 1, pytest.approx(0.5)), (2, 1, pytest.approx(0.8)), (3, 0, pytest.approx(0.1))]


@settings(max_examples=80, deadline=None)
@given(
    similarity=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(4, 5)),
        elements=st.one_of(st.just(np.float32(np.nan)), st.floats(-1, 1, width=32)),
    )
)
def test_match_is_the_best_of_all(similarity):
    """As many pairs as possible, and of these matchings the largest total."""
    n, width = similarity.shape
    every = []
    for columns in permutations(range(width), n):
        values = similarity[np.arange(n), columns].astype(float)
        every.append((int((~np.isnan(values)).sum()), float(np.nansum(values))))
    expected = max(every)
    for table, swap in ((similarity, False), (similarity.T, True)):
        found = match(table, live(table.shape[0]), live(table.shape[1]))
        assert len(found) == expected[0]
        assert found["similarity"].astype(float).sum() == pytest.approx(expected[1], abs=1e-6)
        assert found["feature_a"].is_monotonic_increasing
        assert found["feature_a"].is_unique
        assert found["feature_b"].is_unique
        one, other = ("feature_b", "feature_a") if swap else ("feature_a", "feature_b")
        np.testing.assert_array_equal(found["similarity"], similarity[found[one], found[other]])


def test_matching_finds_the_same_features_in_another_order():
    generator = np.random.default_rng(0)
    rows, order = random_rows(0, 3000, 80, share=0.05), generator.permutation(80)
    noisy = np.where(generator.random(rows.shape) < 0.9, rows, 0)[:, order]  # a tenth of the activations is lost
    similarity = activation_correlation([sparse_batch(rows)], [sparse_batch(noisy)])
    for found in (match(similarity, live(80), live(80)), best_matches(similarity, live(80), live(80))):
        np.testing.assert_array_equal(order[found["feature_b"]], found["feature_a"])
        assert found["similarity"].median() > 0.8


def test_best_matches_as_a_loop():
    similarity = np.random.default_rng(0).integers(0, 4, (1100, 30)).astype(np.float32)  # many ties, several pieces
    found = best_matches(similarity, live(1100), live(30))
    for feature_a, feature_b, value in rows_of(found):
        row = similarity[feature_a].tolist()
        assert (feature_b, value) == (row.index(max(row)), max(row))


def test_a_feature_without_similarity_has_no_partner():
    nan = np.nan
    similarity = np.array([[nan, nan, nan], [nan, -0.9, -0.75]], np.float32)
    assert rows_of(match(similarity, live(2), live(3))) == [(1, 2, -0.75)]
    (first, second) = rows_of(best_matches(similarity, live(2), live(3)))
    assert first[:2] == (0, -1)
    assert np.isnan(first[2])
    assert second == (1, 2, -0.75)


@pytest.mark.parametrize(("live_a", "live_b"), [((), ()), ((1,), ()), ((), (0, 2))])
def test_no_live_feature(live_a, live_b):
    similarity = np.ones((2, 3), np.float32)
    alive = np.isin(np.arange(2), live_a), np.isin(np.arange(3), live_b)
    found = match(similarity, *alive)
    assert len(found) == 0
    assert [str(dtype) for dtype in found.dtypes] == ["int32", "int32", "float32"]
    assert best_matches(similarity, *alive)["feature_b"].tolist() == [-1] * len(live_a)
