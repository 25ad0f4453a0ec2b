"""Emergence of features: snapshots of a training, what is measured from them, by hand and by loops; the figure."""

import inspect
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from coact.artefacts import TensorFile, open_tensors
from coact.comparison.columns import Column
from coact.errors import ArtefactError
from coact.figures.emergence import SHOWN, emergence, half_settled
from coact.figures.save import save_drawing
from coact.sae import snapshots as snapshots_module
from coact.sae.architectures import ARCHITECTURES
from coact.sae.architectures.relu import ReLU
from coact.sae.emergence import (
    measure_emergence,
    overlaps,
    random_partners,
    rank_correlation,
    settling_steps,
)
from coact.sae.snapshots import Snapshots, keep_largest

COLUMNS = [Column("main", "topk-x4-s0", False, 4, "topk"), Column("main", "relu-x4-s0", False, 4, "relu")]


def axes_sae():
    """Features are the positive parts of x0, x1 and -x0; the second row of the decoder has norm 3."""
    sae = ReLU(2, 3, decoder_norm="free")
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 3.0], [-0.6, 0.8]]))
    return sae


def make_file(steps, directions, tokens, counts, sample_tokens):
    """Snapshots as they are read back from their file."""
    arrays = {
        "steps": np.asarray(steps, np.int64),
        "directions": np.asarray(directions, np.float16),
        "tokens": np.asarray(tokens, np.int32),
        "counts": np.asarray(counts, np.int64),
    }
    return TensorFile(arrays, {"sample_tokens": str(sample_tokens)})


def make_snapshots(steps=(0, 1, 3, 10, 30, 100, 320), features=200, silent=20, seed=0):
    """Snapshots of features that near their ends at steps of their own, the frequent ones earlier."""
    rng = np.random.default_rng(seed)
    final = rng.normal(size=(features, 24))
    final /= np.linalg.norm(final, axis=1, keepdims=True)
    tokens = np.stack([rng.permutation(500)[:8] for _ in range(features)])
    counts = np.sort(rng.integers(8, 400, features))[::-1].copy()
    counts[features - silent :], tokens[features - silent :] = 0, -1
    when = np.exp(np.linspace(1, np.log(max(steps) + 1), features) + rng.normal(0, 0.5, features))
    directions, tops = [], []
    for step in steps:
        share = np.clip(step / when, 0.02, 1) if step < max(steps) else np.ones(features)
        noise = rng.normal(size=final.shape) / np.sqrt(24)
        rows = share[:, None] * final + (1 - share)[:, None] * noise
        directions.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        other = np.where(rng.random(tokens.shape) < share[:, None], tokens, 500 + np.arange(8))
        tops.append(np.where(tokens < 0, -1, other))
    return make_file(steps, directions, tops, np.tile(counts, (len(steps), 1)), 2000)


def make_emergence(**changes):
    """emergence.json of a column, as it is read back."""
    found = measure_emergence(make_snapshots(**changes), 0, 0.95)
    return json.loads(json.dumps(found.summary))


# --- snapshots


def test_a_snapshot_by_hand():
    sample = torch.tensor([[1.0, -1.0], [3.0, 0.0], [-2.0, 5.0], [3.0, 4.0]])
    snapshots = Snapshots([0, 5], sample, top=2)
    snapshots.take(5, axes_sae())
    state = snapshots.state()
    assert state["steps"].tolist() == [5]
    # x0 is 1, 3, 3 on tokens 0, 1, 3: of equal activations the earlier token comes first.
    assert state["tokens"].tolist() == [[[1, 3], [2, 3], [2, -1]]]
    assert state["counts"].tolist() == [[3, 2, 1]]
    expected = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]]])
    torch.testing.assert_close(state["directions"].float(), expected, atol=1e-3, rtol=0)
    assert state["directions"].dtype == torch.float16


def test_snapshots_are_due_at_their_steps():
    snapshots = Snapshots([0, 5], torch.empty(0, 2))
    assert [step for step in range(8) if snapshots.is_due(step)] == [0, 5]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 12), st.integers(1, 4))
def test_the_largest_of_all_batches_are_those_of_a_plain_sort(seed, features, tokens, top):
    rng = np.random.default_rng(seed)
    dense = rng.integers(0, 4, (tokens, features)).astype(np.float32)  # few values, so that ties are common
    largest, found = np.zeros((features, top), np.float32), np.full((features, top), -1, np.int32)
    for first in range(0, tokens, 5):
        rows, columns = dense[first : first + 5].nonzero()
        indptr = np.append(0, np.cumsum((dense[first : first + 5] > 0).sum(1)))
        values = dense[first : first + 5][rows, columns]
        keep_largest(indptr, columns.astype(np.int32), values, first, largest, found)
    for feature in range(features):
        order = sorted((-value, token) for token, value in enumerate(dense[:, feature]) if value > 0)[:top]
        assert [token for token in found[feature] if token >= 0] == [token for _, token in order]
        assert largest[feature, : len(order)].tolist() == [-value for value, _ in order]


def test_tokens_are_counted_through_the_batches_of_the_sample(monkeypatch):
    sample = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    states = []
    for size in (50, 7):
        monkeypatch.setattr(snapshots_module, "BATCH_TOKENS", size)
        snapshots = Snapshots([0], sample, top=4)
        snapshots.take(0, axes_sae())
        states.append(snapshots.state())
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_can_be_kept_while_it_trains(name):
    given_settings = {"k": 3, "prefixes": [0.5, 1.0]}
    known = inspect.signature(ARCHITECTURES[name].__init__).parameters
    sae = ARCHITECTURES[name](6, 10, **{key: value for key, value in given_settings.items() if key in known})
    sae.initialize(torch.zeros(6), 0)
    sample = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    snapshots = Snapshots([0], sample, top=4)
    snapshots.take(0, sae)
    state, found = snapshots.state(), sae.encode_sparse(sample)
    expected = torch.bincount(found.indices, minlength=10)
    assert state["counts"][0].tolist() == expected.tolist()
    assert expected.sum() > 0
    for tokens, count in zip(state["tokens"][0].tolist(), expected.tolist(), strict=True):
        kept = [token for token in tokens if token >= 0]
        assert len(set(kept)) == len(kept) == min(4, count)


def test_a_restored_training_writes_the_same_file(tmp_path):
    sample = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    places = np.stack([np.arange(40) // 30, np.arange(40) % 30], axis=1)
    whole, first = (Snapshots([0, 3], sample, 3, places) for _ in range(2))
    for snapshots in (whole, first):
        snapshots.take(0, axes_sae())
    second = Snapshots([0, 3], sample, 3, places)
    second.restore(first.state())
    for snapshots in (whole, second):
        snapshots.take(3, axes_sae())
    whole.write(tmp_path / "whole", {"rule": "test"})
    second.write(tmp_path / "second", {"rule": "test"})
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "second").read_bytes()
    file = open_tensors(tmp_path / "whole")
    assert file["steps"].tolist() == [0, 3]
    assert (file["sample_shard"][35], file["sample_row"][35]) == (1, 5)
    assert file.metadata["sample_tokens"] == "40"


def test_a_training_without_snapshots_gives_a_file_and_tables_without_rows(tmp_path):
    empty = Snapshots([], torch.empty(0, 2))
    restored = Snapshots([], torch.empty(0, 2))
    restored.restore(empty.state())
    restored.write(tmp_path / "none", {})
    found = measure_emergence(open_tensors(tmp_path / "none"), 0, 0.95)
    full = measure_emergence(make_snapshots(), 0, 0.95)
    assert (len(found.table), len(found.features)) == (0, 0)
    assert found.table.dtypes.to_dict() == full.table.dtypes.to_dict()
    assert found.features.dtypes.to_dict() == full.features.dtypes.to_dict()
    assert found.summary.keys() == full.summary.keys()
    assert found.summary["by_step"] == []


def test_a_truncated_file_is_refused(tmp_path):
    snapshots = Snapshots([0], torch.ones(4, 2))
    snapshots.take(0, axes_sae())
    snapshots.write(tmp_path / "cut", {})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-5])
    with pytest.raises(ArtefactError, match=r"cut: truncated or extended"):
        open_tensors(tmp_path / "cut")


# --- measures


def test_emergence_by_hand():
    turned = [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]  # the first feature a right angle off its end
    final = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    tokens = [[[5, 6], [1, 2], [-1, -1]], [[1, 9], [1, 2], [-1, -1]], [[1, 2], [1, 3], [-1, -1]]]
    counts = [[2, 2, 0], [2, 2, 0], [5, 10, 0]]
    found = measure_emergence(make_file([0, 4, 8], [turned, final, final], tokens, counts, 20), 0, 0.95)
    first = found.table[found.table["feature"] == 0]
    assert first["step"].tolist() == [0, 4, 8]
    assert first["cosine"].tolist() == [0, 1, 1]
    assert first["overlap"].tolist() == pytest.approx([0, 1 / 3, 1])
    assert first["frequency"].tolist() == pytest.approx([0.1, 0.1, 0.25])
    # Two features fire at the end, so each is the other's partner: their ends are at a right angle.
    assert first["cosine_random"].tolist() == [1, 0, 0]
    assert first["overlap_random"].tolist() == pytest.approx([0, 1 / 3, 1 / 3])
    features = found.features.set_index("feature")
    assert features["silent"].tolist() == [False, False, True]
    np.testing.assert_array_equal(features["direction_settled_step"], [4, 0, 0])
    # The second's overlap is 1/3 until the end, so only the end itself has settled.
    np.testing.assert_array_equal(features["settled_step"], [np.nan, np.nan, np.nan])
    by_step = {at["step"]: at for at in found.summary["by_step"]}
    assert (found.summary["features"], found.summary["silent"]) == (3, 1)
    assert [by_step[step]["direction_settled_share"] for step in (0, 4, 8)] == [0.5, 1, None]
    assert by_step[0]["cosine"]["q50"] == 0.5
    assert by_step[0]["cosine_silent"]["q50"] == 1
    assert by_step[4]["overlap"]["q50"] == pytest.approx(1 / 3)


def test_a_direction_of_zeros_has_no_cosine():
    rows = [[[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]
    found = measure_emergence(make_file([0, 1], rows, [[[1], [2]]] * 2, [[1, 1]] * 2, 9), 0, 0.95)
    assert np.isnan(found.table["cosine"][0])
    assert found.summary["by_step"][0]["cosine"]["q50"] == 1


def test_all_features_silent_gives_no_numbers():
    file = make_snapshots(features=30, silent=30)
    found = measure_emergence(file, 0, 0.95)
    assert found.summary["silent"] == 30
    assert found.summary["by_step"][2]["cosine"]["q50"] is None
    assert found.summary["by_step"][2]["settled_share"] is None
    assert found.summary["spearman"] == {"direction_settled": None, "settled": None}
    assert found.features["settled_step"].isna().all()


def test_settling_is_for_good():
    holds = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], bool)
    np.testing.assert_array_equal(settling_steps(np.array([0, 10, 20, 30]), holds), [20, 10, 20, np.nan, np.nan])
    assert np.isnan(settling_steps(np.array([7]), np.array([[True]]))).all()


token_sets = st.lists(st.integers(0, 9), unique=True, max_size=4)


@given(token_sets, token_sets)
def test_overlaps_are_those_of_plain_sets(one, other):
    rows = [np.array([part + [-1] * (4 - len(part))]) for part in (one, other)]
    (found,) = overlaps(*rows)
    either = set(one) | set(other)
    if either:
        assert found == pytest.approx(len(set(one) & set(other)) / len(either))
    else:
        assert np.isnan(found)


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 100))
def test_partners_are_other_eligible_features_each_once(eligible, seed):
    partner = random_partners(np.array(eligible, bool), seed)
    able = np.flatnonzero(eligible)
    if len(able) < 2:
        assert (partner == -1).all()
    else:
        assert sorted(partner[able]) == able.tolist()
        assert (partner[able] != able).all()
        assert (np.delete(partner, able) == -1).all()


def test_the_null_of_a_feature_does_not_know_its_own_end():
    found = measure_emergence(make_snapshots(features=600, silent=0), 0, 0.95).summary["by_step"]
    for at in found:
        assert abs(at["cosine_random"]["q50"]) < 0.03
        assert at["overlap_random"]["q95"] < 0.2
    assert found[-1]["cosine"]["q05"] > 0.999


def test_the_rank_correlation_is_pearsons_of_the_ranks():
    rng = np.random.default_rng(0)
    one, other = pd.Series(rng.integers(0, 5, 40)), pd.Series(rng.normal(size=40))
    found = rank_correlation(one, other, 0.95)
    assert found["value"] == pytest.approx(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
    assert found["low"] < found["value"] < found["high"]
    assert found["n"] == 40
    assert rank_correlation(one * 0, other, 0.95) is None
    assert rank_correlation(one[:3], other[:3], 0.95)["low"] is None
    assert rank_correlation(other, other, 0.95)["value"] == pytest.approx(1)


def test_the_interval_of_the_rank_correlation_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    rho, covered = 0.6, 0
    truth = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's correlation of a bivariate normal distribution
    for _ in range(400):
        one = rng.normal(size=60)
        other = rho * one + np.sqrt(1 - rho**2) * rng.normal(size=60)
        found = rank_correlation(pd.Series(one), pd.Series(other), 0.9)
        covered += found["low"] <= truth <= found["high"]
    assert 0.86 <= covered / 400 <= 0.94


def test_features_that_emerge_late_and_are_rare_show_in_the_correlation():
    found = measure_emergence(make_snapshots(), 0, 0.95).summary["spearman"]["direction_settled"]
    assert found["high"] < -0.5


def test_known_directions_emerge_in_training():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(16, 12))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    chosen = rng.integers(0, 16, (4000, 2))
    data = torch.from_numpy((known[chosen] * rng.uniform(1, 2, (4000, 2, 1))).sum(1)).float()
    sae = ARCHITECTURES["topk"](12, 24, k=2)
    sae.initialize(data.mean(0), 0)
    optimizer = torch.optim.Adam(sae.parameters(), lr=1e-2)
    steps = (0, 10, 30, 100, 200)
    snapshots = Snapshots(steps, data[:500])
    for step in range(steps[-1] + 1):
        if snapshots.is_due(step):
            snapshots.take(step, sae)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / 201)
        optimizer.zero_grad()
        sae.losses(data[torch.randperm(4000, generator=torch.Generator().manual_seed(step))[:256]],
                   torch.zeros(24, dtype=torch.bool), 1.0).total.backward()  # fmt: skip
        sae.project_gradients()
        optimizer.step()
        sae.normalize_decoder()
    arrays = {name: tensor.numpy() for name, tensor in snapshots.state().items()}
    found = measure_emergence(TensorFile(arrays, {"sample_tokens": "500"}), 0, 0.95).summary["by_step"]
    medians = [at["cosine"]["q50"] for at in found]
    assert medians == sorted(medians)
    assert medians[0] < 0.9 < medians[-2]
    assert found[-2]["cosine_random"]["q50"] < 0.5
    assert found[-2]["settled_share"] > 0.5 > found[0]["settled_share"]


# --- the figure


def save(drawing, folder):
    paths = {"svg": "f.svg", "png": "f.png", "csv": "f.csv", "caption": "f.json"}
    save_drawing(drawing, **{kind: folder / name for kind, name in paths.items()}, dpi=60, stamp={})
    return {name: (folder / name).read_bytes() for name in paths.values()}


def test_the_figure_repeats_itself_and_holds_all_snapshots(tmp_path):
    entries = [make_emergence(seed=seed) for seed in (0, 1)]
    files = [save(emergence(COLUMNS, entries, 0.95), tmp_path / name) for name in ("a", "b")]
    assert files[0] == files[1]
    data = pd.read_csv(tmp_path / "a" / "f.csv")
    assert list(data) == SHOWN
    assert len(data) == 2 * 7 * 6
    row = data[(data["sae"] == "relu-x4-s0") & (data["series"] == "overlap") & (data["step"] == 10)].iloc[0]
    assert row["q75"] == pytest.approx(entries[1]["by_step"][3]["overlap"]["q75"], rel=1e-5)


def test_the_caption_follows_the_numbers():
    entry = make_emergence()
    step = half_settled(entry, "settled_share")
    caption = emergence(COLUMNS[:1], [entry], 0.95).caption
    assert (
        caption["conclusion"]
        == f"Half of the features have settled by the snapshot at {100 * step / 320:.2g}% of the training."
    )
    assert "n = 180 features that fire" in caption["details"]
    assert "the other 20 are left out" in caption["details"]
    late = make_emergence(silent=20, seed=0)
    for at in late["by_step"][:-1]:
        at["settled_share"] = 0.1
    assert emergence(COLUMNS[:1], [late], 0.95).caption["conclusion"].startswith("Fewer than half of the features")
    both = emergence(COLUMNS, [entry, late], 0.95).caption
    assert both["conclusion"].endswith("in 1 of 2 dictionaries (main/relu-x4-s0) fewer have before the last snapshot.")
    assert "Not settled at the last snapshot but one: " in both["details"]
    assert "90%" in both["details"]


@pytest.mark.parametrize("steps", [(320,), (0, 320), (0,), (5, 6)])
def test_few_snapshots_are_drawn_as_well(steps, tmp_path):
    caption = emergence(COLUMNS[:1], [make_emergence(steps=steps)], 0.95).caption
    assert caption["conclusion"].endswith(".")
    assert "nan" not in caption["caption"]
    save(emergence(COLUMNS[:1], [make_emergence(steps=steps)], 0.95), tmp_path)


def test_columns_without_a_feature_that_fires_are_drawn_as_well(tmp_path):
    drawing = emergence(COLUMNS[:1], [make_emergence(features=30, silent=30)], 0.95)
    assert "not defined" in drawing.caption["details"]
    save(drawing, tmp_path)


def test_without_snapshots_the_figure_says_so(tmp_path):
    none = {**make_emergence(), "by_step": []}
    for columns, entries in (([], []), (COLUMNS[:1], [none])):
        drawing = emergence(columns, entries, 0.95)
        assert drawing.caption["conclusion"].startswith("No dictionary keeps snapshots")
        save(drawing, tmp_path)


@pytest.mark.parametrize("number_of", [1, 3, 5])
def test_every_column_has_its_two_panels(number_of):
    columns = [Column("main", f"topk-x4-s{seed}", False, 4, "topk") for seed in range(number_of)]
    figure = emergence(columns, [make_emergence(features=40, silent=4)] * number_of, 0.95).figure
    assert sum(panel.axison for panel in figure.axes) == 2 * number_of
