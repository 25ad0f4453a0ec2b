"""Linear probes of contexts."""

import numpy as np
import pandas as pd
import pytest

from coact.activations.shards import Shard
from coact.errors import ArtefactError, StudyError
from coact.interpretation.memberships import Memberships
from coact.interpretation.probes import measure_probes

SETTINGS = {"tokens": 10_000, "penalty": 1.0, "iterations": 50, "samples": 20, "seed": 0}


def make(seed, tokens=400, width=5, shards=2, shift=3.0):
    """A context that one plane divides from the rest, one of chance, and one without tokens."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(tokens, width)).astype(np.float32)
    divided = values @ np.arange(1, width + 1) > shift
    marks = np.stack([divided, rng.random(tokens) < 0.3, np.zeros(tokens, bool)])
    documents = np.arange(tokens, dtype=np.int32) // 20
    counted = np.arange(tokens) % 20 != 0
    documents[~counted] = -1
    values[:, 0] = values[:, 0] * 1000 + 5000  # scales differ, as those of neurons do
    parts = np.array_split(np.arange(tokens), shards)
    files = [Shard(f"s{number}", values[part], documents[part], "float32") for number, part in enumerate(parts)]
    return files, Memberships(["divided", "chance", "none"], ["label"] * 3, marks & counted, counted)


def test_a_divided_context_is_found_and_one_of_chance_is_not():
    train, heldout = make(0, 1200), make(1)
    table = measure_probes(train[0], heldout[0], train[1], heldout[1], **SETTINGS)[0].set_index("context")
    assert table.loc["divided", "f1"] > 0.95
    assert table.loc["divided", "auc"] > 0.99
    assert table.loc["divided", ["precision", "sensitivity", "specificity"]].min() > 0.9
    assert 0.4 < table.loc["chance", "auc"] < 0.6
    assert table.loc["divided", "documents"] == 20
    assert table.loc["divided", "f1_low"] <= table.loc["divided", "f1"] <= table.loc["divided", "f1_high"]


def test_measures_are_those_of_a_regression_on_standardised_activations():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, heldout = make(2), make(3)
    table = measure_probes(train[0], heldout[0], train[1], heldout[1], **SETTINGS)[0].set_index("context")
    x, x_heldout = (np.concatenate([shard.values for shard in part[0]]) for part in (train, heldout))
    keep, keep_heldout = train[1].counted, heldout[1].counted
    for place, name in enumerate(["divided", "chance"]):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0)).fit(x[keep], train[1].marks[place][keep])
        scores = probe.decision_function(x_heldout[keep_heldout])
        inside = heldout[1].marks[place][keep_heldout]
        assert table.loc[name, "auc"] == pytest.approx(roc_auc_score(inside, scores), abs=1e-3)
        said = scores >= table.loc[name, "threshold"]
        assert table.loc[name, "precision"] == pytest.approx(inside[said].mean(), abs=0.02)
        assert table.loc[name, "sensitivity"] == pytest.approx(said[inside].mean(), abs=0.02)


def test_a_context_lacking_in_training_text_has_no_probe_and_one_lacking_in_held_out_text_no_measures():
    train, heldout = make(4), make(5)
    heldout[1].marks[0] = False
    heldout[1].marks[2, 1] = True
    table = measure_probes(train[0], heldout[0], train[1], heldout[1], **SETTINGS)[0].set_index("context")
    assert table.loc["none", ["tokens_train", "tokens", "fitted"]].tolist() == [0, 1, 0]
    assert table.loc["none", ["threshold", "f1_train", "f1", "f1_low", "auc"]].isna().all()
    assert table.loc["divided", ["tokens", "documents"]].tolist() == [0, 0]
    assert table.loc["divided", "f1_train"] > 0.9
    assert table.loc["divided", ["precision", "f1", "f1_low", "auc"]].isna().all()


def test_a_sample_is_drawn_by_its_seed_and_the_same_bytes_come_of_it():
    train, heldout = make(6), make(7)
    tables = [
        measure_probes(train[0], heldout[0], train[1], heldout[1], **SETTINGS | {"tokens": 60, "seed": seed})[0]
        for seed in (0, 0, 1)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert tables[0]["threshold"].tolist() != tables[2]["threshold"].tolist()
    assert tables[0].loc[0, "fitted"] < tables[0].loc[0, "tokens_train"]


def test_shards_may_be_longer_than_the_contexts_and_not_shorter():
    train, heldout = make(8), make(9)
    short = Memberships(heldout[1].names, heldout[1].kinds, heldout[1].marks[:, :150], heldout[1].counted[:150])
    table, _, _ = measure_probes(train[0], heldout[0], train[1], short, **SETTINGS)
    assert table.loc[0, "tokens"] == short.marks[0].sum()
    with pytest.raises(StudyError, match="activations of 200 tokens found; expected at least 400"):
        measure_probes(train[0][:1], heldout[0], train[1], heldout[1], **SETTINGS)
    with pytest.raises(StudyError, match="activations of 200 tokens found; expected at least 400"):
        measure_probes(train[0], heldout[0][:1], train[1], heldout[1], **SETTINGS)


def test_a_constant_dimension_is_no_division_by_zero_and_a_bad_value_is_named():
    train, heldout = make(10), make(11)
    for shard in (*train[0], *heldout[0]):
        shard.values[:, 4] = 2.0
    table, _, _ = measure_probes(train[0], heldout[0], train[1], heldout[1], **SETTINGS)
    assert np.isfinite(table.loc[:1, "threshold"]).all()
    heldout[0][1].values[3, 0] = np.nan
    with pytest.raises(ArtefactError, match="s1: activation of token 3 is not finite"):
        measure_probes(train[0], heldout[0], train[1], heldout[1], **SETTINGS)


def test_splits_with_other_contexts_are_refused():
    train, heldout = make(12), make(13)
    with pytest.raises(StudyError, match="contexts of the training and the held-out split differ"):
        measure_probes(train[0], heldout[0], train[1].without(["none"]), heldout[1], **SETTINGS)
