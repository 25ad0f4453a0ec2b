"""What other features absorb of contexts: main features, and every measure against a plain loop."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from coact.activations.shards import Shard
from coact.errors import StudyError
from coact.features.batches import SparseBatch
from coact.interpretation.absorption import COLUMNS, Dictionary, measure_absorption
from coact.interpretation.memberships import Memberships
from coact.interpretation.probes import ProbeDirections, open_directions, save_directions
from coact.interpretation.sparse_probes import SparseProbe, choose_candidates, grow_probes

SETTINGS = {"least_f1": 0.6, "most_tokens": 1000, "permutations": 20, "seed": 0}


def sparse(dense, kept=None):
    """A batch of dense activations."""
    rows = csr_array(np.asarray(dense, np.float32))
    rows.sort_indices()
    kept = np.ones(len(dense), bool) if kept is None else kept
    documents = np.where(kept, 0, -1).astype(np.int32)
    return SparseBatch(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data, dense.shape[1], kept, documents
    )


def contexts_of(marks, names=None, counted=None):
    names = names or [f"c{place}" for place in range(len(marks))]
    return Memberships(names, ["label"] * len(marks), np.asarray(marks, bool),
                       np.ones(marks.shape[1], bool) if counted is None else counted)  # fmt: skip


# --- main features


def grow(dense, marks, candidates, least_gain=0.03, most=10, counted=None):
    batches = [sparse(part) for part in np.array_split(dense, 3)]
    return grow_probes(batches, contexts_of(marks, counted=counted), candidates, least_gain=least_gain, most=most)


def test_features_that_split_a_context_are_all_main_and_others_are_not():
    rng = np.random.default_rng(0)
    part = rng.integers(0, 3, 900)  # the context's three kinds of token
    inside = np.arange(900) < 300
    dense = np.zeros((900, 6))
    for kind in range(3):
        dense[inside & (part == kind), kind] = 1 + rng.random((inside & (part == kind)).sum())
    dense[:, 3] = 0.1 * rng.random(900)  # everywhere
    dense[inside & (part == 0), 4] = 0.5  # a copy of the first
    found = grow(dense, inside[None], {"c0": [0, 4, 3, 2, 1]})["c0"]
    assert found.features[0] == 0
    assert sorted(found.features.tolist()) == [0, 1, 2]
    assert found.f1[-1] == 1
    assert (np.diff(found.f1) > 0.03).all()
    assert len(grow(dense, inside[None], {"c0": [0, 1, 2]}, most=2)["c0"].features) == 2
    assert grow(dense, inside[None], {"c0": [0, 1, 2]}, least_gain=0.9)["c0"].features.tolist() == [0]


def test_tokens_that_are_not_counted_do_not_matter():
    rng = np.random.default_rng(1)
    dense = rng.random((300, 4)) * (rng.random((300, 4)) < 0.5)
    marks, counted = (rng.random(300) < 0.3)[None], rng.random(300) < 0.8
    found = grow(dense, marks & counted, {"c0": [2, 0, 1]}, 0.0, counted=counted)["c0"]
    kept = grow(dense[counted], marks[:, counted], {"c0": [2, 0, 1]}, 0.0)["c0"]
    assert found.features.tolist() == kept.features.tolist()
    np.testing.assert_allclose(found.f1, kept.f1)


def test_features_that_are_always_on_tell_nothing_and_break_nothing():
    dense, marks = np.ones((60, 3)), (np.arange(60) < 20)[None]
    found = grow(dense, marks, {"c0": [1, 0, 2]}, least_gain=0.0)["c0"]
    assert found.features.tolist() == [1]
    assert found.f1.tolist() == [0.5]  # of saying that everything belongs to it


def test_a_context_without_tokens_or_candidates_has_no_main_features():
    dense = np.ones((30, 2))
    marks = np.stack([np.zeros(30, bool), np.ones(30, bool)])
    assert grow(dense, marks, {"c0": [0], "c1": []}) == {}
    assert grow(dense, marks, {}) == {}


def test_candidates_are_the_best_feature_then_those_of_largest_f1():
    best = pd.DataFrame({"context": ["a", "a", "b"], "rank": [1, 2, 1], "feature": [5, 3, -1]})
    features = pd.DataFrame(
        {"context": ["a"] * 4 + ["b"], "feature": [9, 3, 5, 2, 1], "f1_train": [0.2, 0.4, 0.3, 0.2, 0.9]}
    )
    assert choose_candidates(best, features, ["b", "a", "nowhere"], 3) == {"a": [5, 3, 2]}


# --- absorption


def plain(x, dense, rows, direction, main, dictionary):
    """Silent, absorbing feature (-1 for none) and absorbed fraction of each token, one feature after another."""
    direction = direction / np.linalg.norm(direction)
    found = []
    for row in rows:
        total = float((x[row] - dictionary.bias) @ direction)
        contributions = {}
        for feature in np.flatnonzero(dense[row]):
            own = dictionary.decoder[feature]
            norm = np.linalg.norm(own)
            contributions[feature] = (dense[row, feature] * (own @ direction), own @ direction / norm if norm else 0.0)
        own = sum(value for feature, (value, _) in contributions.items() if feature in main)
        silent = not any(feature in main for feature in contributions)
        top = max(contributions, key=lambda feature: contributions[feature][0], default=None)
        absorbed = -1
        if silent and top is not None and total > 0 and contributions[top][0] > 0:
            value, cosine = contributions[top]
            if cosine >= 0.025 and value / total >= 0.4:
                absorbed = top
        others = sorted(
            (value for feature, (value, cosine) in contributions.items()
             if feature not in main and cosine >= 0.1 and value > 0), reverse=True
        )[:3]  # fmt: skip
        fraction = 0.0
        if total > 0 and own < total and sum(others) / total >= 0.4:
            rest = min(sum(others), total - own)
            fraction = 1.0 if own <= 0 else rest / (rest + own)
        found.append((silent, absorbed, fraction))
    return found


def world(seed, tokens=240, width=6, features=20):
    """Random activations, features, contexts and probes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(tokens, width)).astype(np.float32)
    dense = (rng.random((tokens, features)) * (rng.random((tokens, features)) < 0.3)).astype(np.float32)
    decoder = rng.normal(size=(features, width)).astype(np.float32)
    decoder[rng.integers(features)] = 0
    dictionary = Dictionary(decoder, 0.1 * rng.normal(size=width).astype(np.float32), (dense > 0).sum(axis=0))
    marks, counted = rng.random((3, tokens)) < 0.5, rng.random(tokens) < 0.9
    weights = rng.normal(size=(width, 3)).astype(np.float32)
    probes = ProbeDirections(weights, np.zeros(3, np.float32), np.zeros(3), np.array([0.9, 0.61, 0.3]))
    shards = [
        Shard(f"s{place}", part, np.zeros(len(part), np.int32), "float32")
        for place, part in enumerate(np.array_split(x, 2))
    ]
    main = {
        f"c{place}": SparseProbe(np.array([place, place + 5], np.int32), np.array([0.4, 0.5])) for place in range(3)
    }
    return x, dense, shards, contexts_of(marks & counted, counted=counted), probes, main, dictionary


def measure(shards, dense, contexts, probes, main, dictionary, **settings):
    batches = [sparse(part) for part in np.array_split(dense, 3)]
    return measure_absorption(shards, batches, contexts, probes, main, dictionary, **SETTINGS | settings)


@pytest.mark.parametrize("seed", range(6))
def test_every_measure_is_that_of_a_plain_loop(seed):
    x, dense, shards, contexts, probes, main, dictionary = world(seed)
    table, summary = measure(shards, dense, contexts, probes, main, dictionary)
    assert list(table.columns) == list(COLUMNS)
    assert table["tokens"].iloc[2] == 0  # its probe is too weak
    assert table.loc[2, ["silent", "absorbed", "fraction", "absorbed_null", "fraction_null"]].isna().all()
    expected = []
    for place in range(2):
        direction = probes.weights[:, place]
        rows = np.flatnonzero(contexts.marks[place] & (x @ direction >= 0))
        own = main[f"c{place}"].features.tolist()
        found = plain(x, dense, rows, direction.astype(np.float64), own, dictionary)
        silent, absorbed, fraction = (np.array(part) for part in zip(*found, strict=True))
        row = table.loc[place]
        assert row["tokens"] == len(rows)
        assert row["main"] == own
        assert row["silent"] == pytest.approx(silent.mean())
        assert row["absorbed"] == pytest.approx((absorbed >= 0).mean())
        assert row["fraction"] == pytest.approx(fraction.mean(), abs=1e-6)
        if (absorbed >= 0).any():
            times = np.bincount(absorbed[absorbed >= 0])
            assert row["absorber"] == times.argmax()
            assert row["absorber_share"] == pytest.approx(times.max() / times.sum())
        else:
            assert row["absorber"] == -1
            assert np.isnan(row["absorber_share"])
        expected.append((silent.mean(), (absorbed >= 0).mean(), fraction.mean()))
    silent, absorbed, fraction = np.mean(expected, axis=0)
    assert (summary["contexts"], summary["measured"], summary["main_features"]) == (3, 2, 2.0)
    assert summary["silent"] == pytest.approx(silent)
    assert summary["absorbed"]["value"] == pytest.approx(absorbed)
    assert summary["fraction"]["value"] == pytest.approx(fraction, abs=1e-6)
    assert summary["fraction"]["mean"] == pytest.approx(table["fraction_null"].mean())


def test_a_planted_absorption_is_found_and_exchanged_rows_do_not_give_it():
    """Feature 0 is the context's direction but silent where the narrow feature 1 fires, which has it in its row."""
    rng = np.random.default_rng(0)
    tokens, width, features = 600, 40, 200
    decoder = rng.normal(size=(features, width)).astype(np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    decoder[1] = (decoder[0] + decoder[1]) / np.linalg.norm(decoder[0] + decoder[1])
    dense = 0.2 * (rng.random((tokens, features)) < 0.15).astype(np.float32)
    inside, narrow = np.arange(tokens) < 300, np.arange(tokens) < 75
    dense[:, 0], dense[:, 1] = 3 * (inside & ~narrow), 4 * narrow
    x = dense @ decoder
    probes = ProbeDirections(decoder[:1].T.copy(), np.zeros(1, np.float32), np.array([1.0]), np.array([0.95]))
    shard = Shard("s", x, np.zeros(tokens, np.int32), "float32")
    main = {"c0": SparseProbe(np.array([0], np.int32), np.array([0.9]))}
    dictionary = Dictionary(decoder, np.zeros(width, np.float32), (dense > 0).sum(axis=0))
    table, summary = measure([shard], dense, contexts_of(inside[None]), probes, main, dictionary)
    row = table.loc[0]
    assert row["absorber"] == 1
    assert row["absorber_share"] > 0.95
    assert row["silent"] == pytest.approx(75 / row["tokens"])
    assert row["absorbed"] == pytest.approx(row["silent"], abs=0.02)
    assert row["absorbed_null"] < row["absorbed"] / 3
    assert summary["absorbed"]["p"] < 0.1


def test_many_tokens_are_drawn_the_same_each_time():
    _, dense, shards, contexts, probes, main, dictionary = world(7)
    one, again = (measure(shards, dense, contexts, probes, main, dictionary, most_tokens=20) for _ in range(2))
    pd.testing.assert_frame_equal(one[0], again[0])
    assert one[1] == again[1]
    assert one[0]["tokens"].tolist() == [20, 20, 0]


def test_nothing_to_measure_is_said_without_a_number():
    _, dense, shards, contexts, probes, main, dictionary = world(3)
    table, summary = measure(shards, dense, contexts, probes, main, dictionary, least_f1=0.99)
    assert (table["tokens"] == 0).all()
    assert summary == {
        "contexts": 3,
        "measured": 0,
        "main_features": None,
        "silent": None,
        **dict.fromkeys(("absorbed", "fraction"), dict.fromkeys(("value", "mean", "low", "high", "p"))),
    }
    table, summary = measure(shards, dense, contexts, probes, {}, dictionary)
    assert (len(table), summary["measured"]) == (0, 0)
    undefined = probes._replace(f1=np.full(3, np.nan))
    assert measure(shards, dense, contexts, undefined, main, dictionary)[1]["measured"] == 0


def test_shards_with_fewer_tokens_than_contexts_are_refused():
    _, dense, shards, contexts, probes, main, dictionary = world(4)
    with pytest.raises(StudyError, match=r"activations of 120 tokens found; expected at least 240"):
        measure(shards[:1], dense, contexts, probes, main, dictionary)
    with pytest.raises(StudyError, match=r"features of 100 tokens found; expected more than"):
        measure(shards, dense[:100], contexts, probes, main, dictionary)


def test_directions_come_back_from_their_files(tmp_path):
    from coact.artefacts import write_table

    weights, biases = np.arange(6, dtype=np.float32).reshape(3, 2), np.ones(2, np.float32)
    save_directions(weights, biases, tmp_path / "p.safetensors", {})
    write_table(pd.DataFrame({"threshold": [0.5, np.nan], "f1": [0.9, np.nan]}), tmp_path / "p.parquet", {})
    found = open_directions(tmp_path / "p.safetensors", tmp_path / "p.parquet")
    np.testing.assert_array_equal(found.weights, weights)
    np.testing.assert_array_equal(found.biases, biases)
    np.testing.assert_array_equal(found.thresholds, [0.5, np.nan])
