"""What every feature looks like: examples, tokens and summary of one pass, against plain loops."""

from collections import defaultdict

import numpy as np
import pytest

from coact.errors import ArtefactError
from coact.interpretation import examples, summary, vocabulary
from coact.interpretation.describe import describe_features
from synthetic_features import LENGTH, Text, kept_of, make_text, write_shards

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = {"examples": 3, "quantiles": 2, "reach": 2, "tokens": 4, "seed": 0}


def described(text: Text, folder, sizes=(12,), **settings):
    return describe_features(write_shards(text, folder, list(sizes)), text.stream, **(SETTINGS | settings))


def visible(text: Text) -> np.ndarray:
    """Dense activations, 0 at special positions."""
    return text.dense * kept_of(text)[:, None]


@pytest.mark.parametrize("seed", range(3))
def test_the_top_examples_are_the_contexts_with_the_largest_activations(tmp_path, seed):
    text = make_text(seed)
    table = described(text, tmp_path).examples
    by_context = visible(text).reshape(-1, LENGTH, text.dense.shape[1])
    for feature in range(text.dense.shape[1]):
        best = by_context[:, :, feature]
        places = sorted(
            (-best[context].max(), context * LENGTH + int(best[context].argmax()))
            for context in range(len(best))
            if best[context].max() > 0
        )[:3]
        found = table[(table["feature"] == feature) & (table["kind"] == "top")]
        assert found["rank"].tolist() == list(range(len(places)))
        assert [(-value, row) for value, row in zip(found["activation"], found["row"], strict=True)] == places


def test_an_example_shows_the_tokens_and_activations_around_it(tmp_path):
    text = make_text(1)
    table = described(text, tmp_path, sizes=(5, 7)).examples
    tokens, dense = text.stream.tokens.ravel(), visible(text)
    for example in table.itertuples():
        first, last = max(example.row - 2, example.row // LENGTH * LENGTH), example.row + 2
        last = min(last, example.row // LENGTH * LENGTH + LENGTH - 1)
        assert example.first == first
        assert example.tokens.tolist() == tokens[first : last + 1].tolist()
        assert example.activations.tolist() == dense[first : last + 1, example.feature].tolist()
        assert example.activations[example.row - first] == example.activation > 0
        assert example.document == text.stream.documents.ravel()[example.row]


def test_quantiles_of_few_active_tokens_are_all_of_them_and_of_many_the_middles_of_equal_parts(tmp_path):
    text = make_text(0, contexts=12, features=3, density=0)
    text.dense[[1, 9], 0] = [2.0, 5.0]
    rows = np.flatnonzero(kept_of(text))[:6]
    text.dense[rows, 1] = [1, 2, 3, 4, 5, 6]
    table = described(text, tmp_path, quantiles=3).examples
    sampled = table[table["kind"] == "quantile"]
    assert sampled.loc[sampled["feature"] == 0, "activation"].tolist() == [5.0, 2.0]
    # From the largest: 6 5 | 4 3 | 2 1, of each part the middle, the lower one of two.
    assert sampled.loc[sampled["feature"] == 1, "activation"].tolist() == [5.0, 3.0, 1.0]


def test_the_sample_is_spread_evenly_over_the_active_tokens():
    scan = examples.ExampleScan(1, LENGTH, 1, seed=3)
    contexts = 4096
    for _ in range(2):
        size = contexts * LENGTH // 2
        scan.add(_always_active(size))
    found = scan.quantiles(examples.SAMPLE)
    assert len(set(found.rows[0].tolist())) == examples.SAMPLE
    share = np.sort(found.rows[0]) / (contexts * LENGTH)
    expected = (np.arange(examples.SAMPLE) + 0.5) / examples.SAMPLE
    assert np.abs(share - expected).max() < 1.63 / np.sqrt(examples.SAMPLE)  # Kolmogorov and Smirnov, at 1 %


def _always_active(tokens):
    from coact.features.batches import SparseBatch

    return SparseBatch(
        np.arange(tokens + 1), np.zeros(tokens, np.int32), np.ones(tokens, np.float32), 1,
        np.ones(tokens, bool), np.zeros(tokens, np.int32),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_cutting_the_stream_into_shards_changes_nothing(tmp_path, seed):
    text = make_text(seed)
    whole, parts = described(text, tmp_path / "a"), described(text, tmp_path / "b", sizes=(1, 4, 7))
    for name in ("examples", "tokens", "summary"):
        a, b = getattr(whole, name), getattr(parts, name)
        assert a.columns.tolist() == b.columns.tolist()
        for column in a:
            for one, other in zip(a[column], b[column], strict=True):
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("seed", range(3))
def test_tokens_and_bigrams_are_those_that_hold_most_activation(tmp_path, seed):
    text = make_text(seed, contexts=20)
    table = described(text, tmp_path, sizes=(9, 11)).tokens
    tokens, dense = text.stream.tokens.ravel(), visible(text)
    for feature in range(dense.shape[1]):
        sums = {"token": defaultdict(list), "bigram": defaultdict(list)}
        for row in np.flatnonzero(dense[:, feature]):
            sums["token"][-1, tokens[row]].append(dense[row, feature])
            if row % LENGTH:
                sums["bigram"][tokens[row - 1], tokens[row]].append(dense[row, feature])
        for kind, found in sums.items():
            expected = {key: (len(values), float(sum(values))) for key, values in found.items()}
            part = table[(table["feature"] == feature) & (table["kind"] == kind)]
            assert part["mass"].tolist() == sorted((mass for _, mass in expected.values()), reverse=True)[:4]
            for row in part.itertuples():
                assert expected[row.previous, row.token] == (row.count, row.mass)
            assert (part["lost"] == 0).all()


def test_what_a_full_table_loses_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(vocabulary, "KEPT", 3)
    text = make_text(5, contexts=60, vocabulary=12, density=0.6)
    exact = defaultdict(float)
    tokens, dense = text.stream.tokens.ravel(), visible(text)
    for row, feature in zip(*np.nonzero(dense), strict=True):
        exact[feature, tokens[row]] += dense[row, feature]
    table = described(text, tmp_path, sizes=(10,) * 6, tokens=3).tokens
    table = table[table["kind"] == "token"]
    assert (table["lost"] > 0).any()
    for row in table.itertuples():
        assert row.mass <= exact[row.feature, row.token] <= row.mass + row.lost


@pytest.mark.parametrize("seed", range(2))
def test_the_summary_holds_the_moments_the_histogram_and_the_labels(tmp_path, seed):
    text = make_text(seed)
    table = described(text, tmp_path, sizes=(6, 6)).summary.set_index("feature")
    dense, labels, kept = visible(text), text.stream.labels.ravel(), kept_of(text)
    for feature in range(dense.shape[1] - 1):
        row, values = table.loc[feature], dense[kept, feature]
        active = values[values > 0].astype(np.float64)
        assert row["count"] == len(active)
        assert row["frequency"] == pytest.approx((values > 0).mean())
        assert row["mean"] == pytest.approx(active.mean())
        assert row["deviation"] == pytest.approx(active.std(), abs=1e-9)
        assert row["largest"] == active.max()
        expected, _ = np.histogram(active, summary.BOUNDS)
        assert row["histogram"].tolist() == expected.tolist()
        numbers = enumerate(text.stream.label_names)
        counts = {name: int((dense[labels == number, feature] > 0).sum()) for number, name in numbers}
        assert dict(zip(row["labels"], row["label_counts"], strict=True)) == {k: n for k, n in counts.items() if n}
        assert sorted(row["label_counts"], reverse=True) == list(row["label_counts"])
        for name, lift in zip(row["labels"], row["label_lifts"], strict=True):
            here = labels == text.stream.label_names.index(name)
            assert lift == pytest.approx((dense[here, feature] > 0).mean() / (values > 0).mean())


def test_a_dead_feature_has_no_examples_and_no_mean(tmp_path):
    text = make_text(0)
    found, dead = described(text, tmp_path), text.dense.shape[1] - 1
    assert dead not in set(found.examples["feature"]) | set(found.tokens["feature"])
    row = found.summary.iloc[dead]
    assert row["count"] == 0
    assert row[["mean", "deviation", "largest"]].isna().all()
    assert len(row["labels"]) == 0


def test_activations_at_special_positions_are_not_looked_at(tmp_path):
    text = make_text(0, density=0)
    text.dense[0, 0] = 9.0  # BOS of the first context
    text.dense[3, 0] = 1.0
    found = described(text, tmp_path)
    assert found.examples["activation"].unique().tolist() == [1.0]
    assert found.examples.iloc[0]["activations"].tolist() == [0, 0, 1, 0, 0]
    assert found.summary.iloc[0]["largest"] == 1


def test_activations_outside_the_histogram_count_in_its_end_bins(tmp_path):
    text = make_text(0, density=0)
    text.dense[[1, 2], 0] = [1e-30, 1e30]
    histogram = described(text, tmp_path).summary.iloc[0]["histogram"]
    assert histogram[0] == histogram[-1] == 1
    assert histogram.sum() == 2


def test_features_of_more_tokens_than_the_stream_has_are_refused(tmp_path):
    text = make_text(0)
    paths = write_shards(text, tmp_path, [12])
    with pytest.raises(ArtefactError, match="features of 192 tokens, but the stream has 96"):
        describe_features([*paths, *paths], text.stream, **SETTINGS)


def test_features_of_a_broken_context_are_refused():
    with pytest.raises(ArtefactError, match="5 tokens are not whole contexts of 8 tokens"):
        examples.ExampleScan(1, LENGTH, 1, 0).add(_always_active(5))
