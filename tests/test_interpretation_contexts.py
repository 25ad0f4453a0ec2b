"""Which features detect which contexts: counts, thresholds, measures, proxies, tables."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from coact.errors import StudyError
from coact.features.batches import SparseBatch
from coact.interpretation import activity
from coact.interpretation.activity import Tokens, count_contexts, gather_columns, narrow, search_thresholds
from coact.interpretation.contexts import log_likelihood_ratios, measure_contexts
from coact.interpretation.detection import area_under_curve, best_threshold, f1_intervals, rates
from coact.interpretation.memberships import Memberships

SETTINGS = {"keep": 2, "pseudocount": 1.0, "samples": 40, "seed": 0}


def sparse(dense, kept=None, documents=None):
    """A batch of (tokens, D) activations; rows that are not kept are emptied, as `read_shards` does."""
    dense = np.array(dense, np.float32)
    kept = np.ones(len(dense), bool) if kept is None else np.array(kept)
    dense = np.where(kept[:, None], dense, 0)
    rows, indices = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
    documents = np.zeros(len(dense), np.int32) if documents is None else np.array(documents, np.int32)
    values = dense[rows, indices]
    return SparseBatch(indptr, indices.astype(np.int32), values, dense.shape[1], kept, documents)


def split(dense, marks, ids=None, kept=None, documents=None, batches=1):
    """Tokens of a split whose contexts are c0, c1, ...; given in one batch or in several."""
    marks, dense = np.array(marks, bool), np.array(dense, np.float32)
    kept = np.ones(len(dense), bool) if kept is None else np.array(kept)
    documents = np.where(kept, 0, -1) if documents is None else np.array(documents)
    parts = np.array_split(np.arange(len(dense)), batches)
    names = [f"c{place}" for place in range(len(marks))]
    contexts = Memberships(names, ["label"] * len(names), marks, kept)
    ids = np.zeros(len(dense), np.int64) if ids is None else np.array(ids)
    return Tokens(lambda: (sparse(dense[part], kept[part], documents[part]) for part in parts), ids, contexts)


def draw(seed, tokens=60, features=4, contexts=3):
    """Random activations of few values, so that there are ties, and overlapping contexts."""
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((tokens, features)) < 0.4, rng.integers(1, 5, (tokens, features)), 0)
    return dense, rng.random((contexts, tokens)) < 0.3, rng.random(tokens) < 0.8


def test_active_tokens_are_counted_by_context_without_special_positions():
    dense = [[1, 0], [2, 3], [0, 1], [5, 5]]
    found = split(dense, [[1, 1, 0, 1], [0, 1, 1, 1]], kept=[True, True, True, False])
    counts = count_contexts(found.read(), found.contexts)
    assert counts.active.tolist() == [2, 2]
    assert counts.within.tolist() == [[2, 1], [1, 2]]
    assert counts.sizes.tolist() == [2, 2]
    assert counts.counted.tolist() == [True, True, True, False]


def test_a_special_position_does_not_count_where_the_shards_keep_it():
    batch = sparse([[1.0], [1.0]], documents=[-1, 0])
    contexts = Memberships(["c0"], ["label"], np.array([[False, True]]), np.array([False, True]))
    assert count_contexts([batch], contexts).active.tolist() == [1]


def test_features_and_contexts_of_other_tokens_are_refused():
    found = split([[1.0], [1.0]], [[1, 0]])
    for batches in ([sparse([[1.0]])], [sparse([[1.0]] * 3)], []):
        with pytest.raises(StudyError, match="expected 2, those with contexts"):
            count_contexts(batches, found.contexts)


def test_the_best_threshold_of_a_case_by_hand():
    # Descending: 9 in, 7 in, 5 out, 3 in. F1 of a context of 4: 2/5, 4/6, 4/7, 6/8.
    found = split([[3], [9], [5], [7], [0]], [[1, 1, 0, 1, 1]])
    counts = count_contexts(found.read(), found.contexts)
    f1, thresholds = search_thresholds(found, counts)
    assert f1.tolist() == [[pytest.approx(6 / 8)]]
    assert thresholds.tolist() == [[3.0]]


def test_of_equal_f1_the_highest_threshold_is_taken_and_tied_activations_go_together():
    # 9 in: 2/3. 9 in, 5 out, 4 in: 4/5 ... two in of two: at 4, F1 = 2 * 2 / (2 + 3). One in of one, at 9: 1.
    found = split([[9], [5], [4], [4]], [[1, 0, 1, 0], [1, 0, 0, 0]])
    f1, thresholds = search_thresholds(found, count_contexts(found.read(), found.contexts))
    assert f1[0].tolist() == [pytest.approx(2 / 3), 1.0]  # 4 is shared with one outside: 2 * 2 / (2 + 4) = 2/3 too
    assert thresholds[0].tolist() == [9.0, 9.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([1, 7, 1 << 24]))
def test_thresholds_agree_with_trying_every_one(seed, batches, most):
    dense, marks, kept = draw(seed)
    found = split(dense, marks, kept=kept, batches=batches)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity, "MOST_ENTRIES", most)
        f1, thresholds = search_thresholds(found, count_contexts(found.read(), found.contexts))
    for feature in range(dense.shape[1]):
        for context, mark in enumerate(marks):
            values = dense[kept, feature]
            inside = mark[kept]
            tried = {
                value: 2 * (inside & (values >= value)).sum() / (inside.sum() + (values >= value).sum())
                for value in set(values[values > 0])
            }
            most_found = max(tried.values(), default=0)
            assert f1[feature, context] == pytest.approx(most_found)
            if most_found:
                assert thresholds[feature, context] == max(
                    v for v, score in tried.items() if np.isclose(score, most_found)
                )
            else:
                assert np.isnan(thresholds[feature, context])


def test_columns_hold_the_activations_of_chosen_features_over_batches():
    found = split([[1, 0, 3], [0, 5, 6], [7, 8, 9]], [[1, 1, 1]], batches=2)
    columns = gather_columns(found.read(), np.array([0, 2]), np.array([True, True, False]))
    assert [part.tolist() for part in columns.of(0)] == [[0], [1.0]]
    assert [part.tolist() for part in columns.of(1)] == [[0, 1], [3.0, 6.0]]


def test_narrowed_batches_number_features_anew():
    part = narrow(sparse([[1, 2, 0], [0, 4, 5]]), np.array([1, 2]), np.array([False, True]))
    assert (part.indptr.tolist(), part.indices.tolist(), part.values.tolist()) == ([0, 0, 2], [0, 1], [4.0, 5.0])
    assert (part.n_features, part.kept.tolist()) == (2, [False, True])


def test_rates_of_a_case_by_hand():
    found = rates(hits=3, said=4, positives=5, total=15)
    assert found == {"precision": 0.75, "sensitivity": 0.6, "specificity": 0.9, "f1": pytest.approx(6 / 9)}
    assert all(np.isnan(value) for value in rates(0, 4, 0, 15).values())
    assert np.isnan(rates(0, 0, 5, 15)["precision"])
    assert rates(0, 0, 5, 15)["f1"] == 0
    assert np.isnan(rates(5, 5, 5, 5)["specificity"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_auc_and_best_threshold_agree_with_sklearn_and_plain_loops(seed):
    dense, marks, _ = draw(seed, tokens=25)
    values, mark = dense[:, 0].astype(float), marks[0]
    active = values > 0
    auc = area_under_curve(values[active], mark[active], int(mark.sum()), len(mark))
    if 0 < mark.sum() < len(mark):
        assert auc == pytest.approx(roc_auc_score(mark, values))
        tried = {value: f1_score(mark, values >= value) for value in set(values)}  # four or five of them
        threshold, f1 = best_threshold(values, mark)
        assert f1 == pytest.approx(max(tried.values()))
        assert threshold == max(value for value, score in tried.items() if np.isclose(score, f1))
    else:
        assert np.isnan(auc)


def test_no_positives_have_no_threshold():
    assert np.isnan(best_threshold(np.array([1.0, 2.0]), np.array([False, False]))[0])


def test_intervals_are_of_documents_and_need_five():
    hits = np.array([[4, 4, 4, 4, 4, 0], [4, 4, 4, 4, 0, 0]])
    positives = np.array([[5, 5, 5, 5, 5, 0], [5, 5, 5, 5, 0, 0]])
    low, high = f1_intervals(hits, hits, positives, samples=200, seed=0)
    assert low[0] == high[0] == pytest.approx(8 / 9)  # documents are alike, so that samples do not differ
    assert np.isnan(low[1])
    assert np.isnan(high[1])
    varied = np.array([[5, 0, 5, 0, 5, 5]])
    low, high = f1_intervals(varied, varied, np.full((1, 6), 5), samples=400, seed=1)
    assert low[0] < 2 * 20 / (20 + 30) < high[0]
    assert all(np.isnan(bound).all() for bound in f1_intervals(varied, varied, varied, samples=0, seed=1))


def test_log_likelihood_ratios_of_a_case_by_hand():
    # Tokens 0 0 1 2; the context has one 0 and the 2; P(0) = 3/8, P(1) = 2/8, P(2) = 2/8, P(3) = 1/8 with 1 added.
    part = split(np.ones((5, 1)), [[1, 0, 0, 1, 1], [0, 0, 0, 0, 1]], ids=[0, 0, 1, 2, 3], kept=[True] * 4 + [False])
    counted = np.array([True] * 4 + [False])
    ratios = log_likelihood_ratios(part, counted, vocabulary=4, pseudocount=2.0)
    expected = [(1 + 2 * 3 / 8) / 4 / (3 / 8), (2 * 2 / 8) / 4 / (2 / 8), (1 + 2 * 2 / 8) / 4 / (2 / 8), 0.5]
    assert ratios[0] == pytest.approx(np.log(expected))
    assert np.isnan(ratios[1]).all()


def run(train, heldout, **changes):
    best, features = measure_contexts(train, heldout, **{**SETTINGS, **changes})
    return best.set_index(["context", "rank"]), features.set_index(["feature", "context"])


def test_features_are_chosen_on_training_tokens_and_measured_on_held_out_ones():
    train = split([[2, 0], [3, 0], [0, 1], [1, 1]], [[1, 1, 0, 0]])
    heldout = split([[2, 9], [1, 9], [0, 0], [5, 0], [0, 0]], [[1, 1, 0, 0, 0]])  # feature 1 would be perfect here
    best, features = run(train, heldout)
    first = best.loc[("c0", 1)]
    assert (first["feature"], first["threshold"], first["f1_train"]) == (0, 2.0, 1.0)
    assert (first["tokens_train"], first["tokens"], first["documents"]) == (2, 2, 1)
    assert (first["precision"], first["sensitivity"], first["specificity"], first["f1"]) == (0.5, 0.5, 2 / 3, 0.5)
    assert (first["precision_at_zero"], first["sensitivity_at_zero"]) == (pytest.approx(2 / 3), 1.0)
    assert first["auc"] == pytest.approx(roc_auc_score([1, 1, 0, 0, 0], [2, 1, 0, 5, 0]))
    assert ("c0", 2) not in best.index  # feature 1 is never active in the context on training tokens
    assert features.loc[(0, "c0"), ["train", "heldout"]].tolist() == [2, 2]
    assert features.loc[(0, "c0"), "share"] == pytest.approx(2 / 3)
    assert features.loc[(0, "c0"), "lift"] == pytest.approx(2 / 3 / (2 / 5))
    assert features.loc[(0, "c0"), "log_odds"] == pytest.approx(np.log(2.5 * 2.5 / (1.5 * 0.5)))
    assert features.loc[(1, "c0"), ["train", "heldout"]].tolist() == [0, 2]
    assert np.isnan(features.loc[(1, "c0"), "threshold"])


def test_a_context_without_held_out_tokens_is_not_measured():
    train = split([[1], [0]], [[1, 0], [0, 1]])
    heldout = split([[1], [0]], [[0, 0], [1, 1]])
    best, features = run(train, heldout)
    first = best.loc[("c0", 1)]
    assert (first["feature"], first["f1_train"], first["tokens"], first["documents"]) == (0, 1.0, 0, 0)
    measured = ["precision", "f1", "f1_low", "auc", "f1_at_zero", "proxy_correlation", "proxy_mass"]
    assert first[measured].isna().all()
    assert np.isnan(features.loc[(0, "c0"), "lift"])
    assert np.isnan(features.loc[(0, "c0"), "log_odds"])


def test_a_context_without_training_tokens_has_no_feature():
    best, _ = run(split([[1], [1]], [[0, 0]]), split([[1], [0]], [[1, 0]]))
    assert best.index.tolist() == [("c0", 1)]
    assert best["feature"].tolist() == [-1]
    assert best["tokens"].tolist() == [1]
    assert best[["threshold", "f1_train", "f1", "auc"]].isna().all(axis=None)


def test_a_feature_that_follows_the_proxy_correlates_with_it():
    ids = np.array([0, 1, 2, 3] * 6)
    mark = (ids == 1) | (ids == 2)
    dense = np.where(mark, 2.0, 0.0)[:, None]
    best, _ = run(split(dense, [mark], ids), split(dense, [mark], ids))
    assert best.loc[("c0", 1), "proxy_correlation"] == pytest.approx(1.0)
    assert best.loc[("c0", 1), "proxy_mass"] == 1.0
    other, _ = run(split(dense, [mark], ids), split(dense[::-1].copy() + (ids == 0)[:, None], [mark], ids))
    active = dense[::-1, 0] + (ids == 0)
    clipped = np.maximum(log_likelihood_ratios(split(dense, [mark], ids), np.ones(24, bool), 4, 1.0)[0][ids], 0)
    assert other.loc[("c0", 1), "proxy_correlation"] == pytest.approx(np.corrcoef(active, clipped)[0, 1])
    assert other.loc[("c0", 1), "proxy_mass"] == pytest.approx(active[clipped > 0].sum() / active.sum())


def test_dead_features_and_silent_dictionaries_give_rows_without_a_feature():
    best, features = run(split(np.zeros((3, 2)), [[1, 0, 1]]), split(np.zeros((3, 2)), [[1, 0, 0]]))
    assert best["feature"].tolist() == [-1]
    assert best["f1"].isna().all()
    assert not len(features)


def test_nothing_depends_on_how_tokens_are_cut_into_batches():
    dense, marks, kept = draw(3)
    documents = np.where(kept, np.arange(60) // 7, -1)
    tables = []
    for batches in (1, 5):
        part = partial(split, dense, marks, np.arange(60) % 9, kept, documents, batches)
        tables.append(measure_contexts(part(), part(), **SETTINGS))
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_splits_with_other_contexts_are_refused():
    one, other = split([[1.0]], [[1]]), split([[1.0]], [[1], [0]])
    with pytest.raises(StudyError, match="contexts of the training and the held-out split differ"):
        measure_contexts(one, other, **SETTINGS)
