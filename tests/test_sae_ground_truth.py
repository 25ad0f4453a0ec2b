"""Ground truth: what is planted is as planned, scores by hand and by plain loops, and known directions are found."""

import io
import itertools
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, multivariate_normal
from snakemake.utils import update_config

from coact.activations import open_shard
from coact.artefacts import read_json, write_json
from coact.config import complete
from coact.errors import ConfigError
from coact.figures.ground_truth import ground_truth, wilson_interval
from coact.figures.save import save_drawing
from coact.sae.architectures import ARCHITECTURES
from coact.sae.architectures.relu import ReLU
from coact.sae.stream import ActivationStream
from coact.sae.train import Training, train_sae
from coact.sae.truth.matching import cosines, merged, partners
from coact.sae.truth.planted import CHUNK_TOKENS, chunks, plant, write_activations
from coact.sae.truth.recovery import count_firing, random_dictionary, recover
from coact.sae.truth.settings import CHILD, GROUP, RANDOM, ROOT, SINGLE, TRAINED, TruthSettings
from coact.sae.truth.table import COLUMNS, collect, print_recovery
from coact.study import check
from conftest import ROOT as FOLDER

SMALL = TruthSettings(
    seed=0,
    dimension=16,
    features=40,
    l0=3.0,
    zipf=0.5,
    magnitudes="uniform",
    noise=0.0,
    groups=3,
    group_size=3,
    correlation=0.8,
    trees=2,
    depth=2,
    branching=2,
    child_probability=0.5,
)
# Independent features only, more than dimensions (Elhage et al. 2022).
TOY = replace(SMALL, features=24, l0=1.2, zipf=0.0, groups=0, trees=0, noise=0.02)
# As many features as dimensions, and their directions the axes: an SAE that is right is known.
AXES = replace(SMALL, dimension=40, magnitudes="constant")


def all_codes(truth, tokens, split="heldout"):
    """(tokens, F) dense magnitudes."""
    return np.concatenate([chunk.codes.toarray() for chunk in chunks(truth, split, tokens)])


def with_axes(planting=AXES):
    return replace(plant(planting), directions=np.eye(planting.features, dtype=np.float32))


def perfect_sae(size=40):
    sae = ReLU(size, size)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(size))
        sae.W_dec.copy_(torch.eye(size))
    return sae


# --- what is planted


def test_nodes_of_a_tree_are_numbered_level_by_level():
    truth = plant(SMALL)
    assert truth.parent[:7].tolist() == [-1, 0, 0, 1, 1, 2, 2]
    assert truth.parent[7:14].tolist() == [-1, 7, 7, 8, 8, 9, 9]
    assert truth.level[:7].tolist() == [0, 1, 1, 2, 2, 2, 2]
    assert truth.kind.tolist() == ([ROOT] + [CHILD] * 6) * 2 + [GROUP] * 9 + [SINGLE] * 17
    assert truth.unit[14:23].tolist() == [2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert (truth.parent[14:] == -1).all()
    np.testing.assert_allclose(np.linalg.norm(truth.directions, axis=1), 1, rtol=1e-6)


def test_probabilities_follow_the_rank_and_sum_to_l0():
    truth = plant(SMALL)
    assert truth.probability.sum() == pytest.approx(3.0)
    roots = truth.level == 0
    units = pd.Series(truth.probability[roots]).groupby(truth.unit[roots])
    assert (units.min() == units.max()).all()  # members of a group are equally probable
    ordered = np.sort(units.first())[::-1]
    np.testing.assert_allclose(ordered, ordered[0] * np.arange(1, len(ordered) + 1) ** -0.5)
    children = np.flatnonzero(~roots)
    np.testing.assert_allclose(truth.probability[children], truth.probability[truth.parent[children]] * 0.5)


@given(l0=st.floats(0.1, 15), zipf=st.floats(0, 3), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_no_feature_fires_on_most_tokens(l0, zipf, seed):
    truth = plant(replace(SMALL, l0=l0, zipf=zipf, seed=seed))
    assert truth.probability.max() <= 0.5
    assert truth.probability.min() > 0
    assert truth.probability.sum() == pytest.approx(l0)


def test_features_fire_as_often_as_planned():
    tokens = 40_000
    for split in ("train", "heldout"):
        truth = plant(SMALL)
        count = (all_codes(truth, tokens, split) > 0).sum(0)
        # Tokens are independent, so counts are binomial; 1e-6 on each side.
        assert (count >= binom.ppf(1e-6, tokens, truth.probability)).all()
        assert (count <= binom.ppf(1 - 1e-6, tokens, truth.probability)).all()


def test_a_child_fires_only_where_its_parent_does():
    truth, fires = plant(SMALL), all_codes(plant(SMALL), 5000) > 0
    for child in np.flatnonzero(truth.parent >= 0):
        assert fires[:, child].any()
        assert not (fires[:, child] & ~fires[:, truth.parent[child]]).any()


def test_members_of_a_group_fire_together_as_in_a_gaussian_copula():
    truth, tokens = plant(SMALL), 60_000
    fires = all_codes(truth, tokens) > 0
    for one, other in ((14, 15), (17, 19), (20, 21)):
        quantile = -np.sqrt(2) * torch.special.erfinv(torch.tensor(1 - 2 * truth.probability[one])).item()
        joint = multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]]).cdf([quantile, quantile])
        together = int((fires[:, one] & fires[:, other]).sum())
        assert binom.ppf(1e-5, tokens, joint) <= together <= binom.ppf(1 - 1e-5, tokens, joint)
        assert joint > 2 * truth.probability[one] ** 2
    one, other = 30, 31  # single features are independent
    chance = truth.probability[one] * truth.probability[other]
    together = int((fires[:, one] & fires[:, other]).sum())
    assert binom.ppf(1e-5, tokens, chance) <= together <= binom.ppf(1 - 1e-5, tokens, chance)


@pytest.mark.parametrize(("name", "low", "high"), [("constant", 1, 1), ("uniform", 0.5, 1.5), ("exponential", 0, 30)])
def test_magnitudes_have_mean_one(name, low, high):
    values = all_codes(plant(replace(SMALL, magnitudes=name)), 20_000)
    values = values[values > 0]
    assert values.mean() == pytest.approx(1, abs=0.03)
    assert low <= values.min()
    assert values.max() <= high
    assert (name == "constant") == (values.std() == 0)


def test_activations_are_sums_of_directions_and_noise():
    truth = plant(replace(SMALL, noise=0.1))
    (chunk,) = chunks(truth, "heldout", 500)
    codes = chunk.codes.toarray()
    for token in range(0, 500, 50):
        total = sum(codes[token, feature] * truth.directions[feature] for feature in np.flatnonzero(codes[token]))
        np.testing.assert_allclose(chunk.signal[token], total, rtol=1e-5, atol=1e-6)
    noise = chunk.x - chunk.signal
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    assert abs(noise.mean()) < 0.01


@given(tokens=st.integers(1, 2 * CHUNK_TOKENS))
@settings(max_examples=10, deadline=None)
def test_fewer_tokens_are_the_beginning_of_more(tokens):
    truth = plant(replace(SMALL, noise=0.1, magnitudes="exponential"))
    more = np.concatenate([chunk.x for chunk in chunks(truth, "train", 2 * CHUNK_TOKENS)])
    fewer = np.concatenate([chunk.x for chunk in chunks(truth, "train", tokens)])
    np.testing.assert_array_equal(fewer, more[:tokens])


def test_splits_chunks_and_seeds_differ():
    first = plant(SMALL)
    train, heldout = (all_codes(first, 2 * CHUNK_TOKENS, split) for split in ("train", "heldout"))
    assert not np.array_equal(train, heldout)
    assert not np.array_equal(train[:CHUNK_TOKENS], train[CHUNK_TOKENS:])
    assert not np.array_equal(first.directions, plant(replace(SMALL, seed=1)).directions)


def test_the_shard_is_what_was_drawn_and_the_same_at_every_writing(tmp_path):
    truth = plant(SMALL)
    for name in ("one", "two"):
        write_activations(truth, 3000, tmp_path / name, {})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    shard = open_shard(tmp_path / "one")
    drawn = np.concatenate([chunk.x for chunk in chunks(truth, "train", 3000)])
    np.testing.assert_array_equal(shard.rows(shard.kept_rows(False)).numpy(), drawn)


def test_activations_are_never_held_whole(tmp_path):
    truth, tokens = plant(TOY), 300_000
    tracemalloc.start()
    write_activations(truth, tokens, tmp_path / "shard", {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < tokens * TOY.dimension * 4 / 3


def test_more_features_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="features: found 20, but 2 trees of 7 features and 3 groups of 3 take 23"):
        replace(SMALL, features=20)


def test_more_firing_than_there_can_be_is_refused():
    # Two trees with 1 + 1 + 1 features in the mean, 9 grouped, 17 single: half of 32.
    with pytest.raises(ConfigError, match=r"l0: found 16\.5, but where no probability is above 0\.5 at most 16 f"):
        replace(SMALL, l0=16.5)
    replace(SMALL, l0=16.0)


# --- matching


def test_a_true_feature_found_twice_is_found_once():
    rows = np.array([[1.0, 0.05], [1.0, 0.0], [0.3, 1.0]])
    cosine = cosines(np.eye(2), rows)
    np.testing.assert_allclose(cosine[:, 2], rows[2] / np.linalg.norm(rows[2]))
    assert partners(cosine, 0.9).tolist() == [1, 2]
    assert partners(cosines(np.eye(2), rows[:2]), 0.9).tolist() == [1, 0]
    assert cosines(np.eye(2), np.zeros((1, 2))).tolist() == [[0.0], [0.0]]


def test_as_many_as_possible_are_found():
    # The largest sum, 0.89 + 0.89, has no pair above 0.9; one found and one that is nothing is 0.91.
    cosine = np.array([[0.91, 0.89], [0.89, 0.0]])
    assert partners(cosine, 0.9).tolist() == [0, 1]
    assert partners(cosine, 0.95).tolist() == [1, 0]


def test_true_features_beyond_the_dictionary_have_no_partner():
    assert partners(np.array([[0.2], [0.95], [0.1]]), 0.9).tolist() == [-1, 0, -1]


@given(
    arrays(float, st.tuples(st.integers(1, 4), st.integers(4, 5)), elements=st.integers(-10, 10).map(lambda n: n / 10))
)
@settings(max_examples=60, deadline=None)
def test_partners_are_the_best_of_all_matchings(cosine):
    def worth(columns):
        values = cosine[np.arange(len(cosine)), list(columns)]
        return (values > 0.55).sum(), values.sum()

    best = max(map(worth, itertools.permutations(range(cosine.shape[1]), len(cosine))))
    assert worth(partners(cosine, 0.55)) == pytest.approx(best)


def test_merged_features_by_hand():
    truth = with_axes()
    a, b, c = 14, 15, 16  # a group
    rows = np.eye(40)
    assert merged(truth, rows, np.arange(40), 0.9)[[a, b, c]].tolist() == [0, 0, 0]
    rows[a] = (rows[a] + 0.8 * rows[b]) / np.hypot(1, 0.8)
    nearest = np.arange(40)
    nearest[b] = a
    found = merged(truth, rows, nearest, 0.9)
    assert found[[a, b, c]].tolist() == [1, 1, 0]
    assert np.isnan(found[truth.kind != GROUP]).all()
    # A direction of its own, mixed with a single feature, is not one of the group.
    rows[c] = (rows[c] + rows[b] + rows[39]) / np.sqrt(3)
    assert merged(truth, rows, nearest, 0.9)[c] == 0


# --- scores


def test_an_sae_that_is_right_has_perfect_scores():
    found = recover(perfect_sae(), with_axes(), torch.ones(8, 40), 4000, 0.9)
    scores = found.scores[TRAINED]
    for name in ("found_share", "mmcs", "mmcs_back", "f1"):
        assert scores[name] == pytest.approx(1), name
    for name in ("fvu", "noise_share", "dead_share", "silent_with_child", "silent_alone", "merged_share"):
        assert scores[name] == pytest.approx(0, abs=1e-9), name
    assert (scores["found"], scores["truths"], scores["parents"]) == (40, 40, 6)
    assert [scores[f"found_{kind}"] for kind in (SINGLE, GROUP, ROOT, CHILD)] == [1, 1, 1, 1]
    assert scores["l0"] == scores["l0_true"] == pytest.approx(3, rel=0.1)
    assert found.scores[RANDOM]["found"] == 0
    assert found.scores[RANDOM]["mmcs"] < 0.6
    assert found.scores[RANDOM]["f1"] < 0.5
    assert set(found.truths["dictionary"]) == set(found.features["dictionary"]) == {TRAINED, RANDOM}
    assert len(found.truths) == len(found.features) == 80


def test_absorption_by_hand():
    truth, sae = with_axes(), perfect_sae()
    with torch.no_grad():
        sae.W_enc[1:3, 0] = -1.0  # feature 0 is silent where a child of it, 1 or 2, fires
        sae.W_dec[1, 0] = sae.W_dec[2, 0] = 0.3  # and they stand in for it
    found = recover(sae, truth, torch.ones(8, 40), 6000, 0.9)
    row = found.truths.iloc[0]
    assert (row["silent_with_child"], row["silent_alone"], row["precision"]) == (1.0, 0.0, 1.0)
    fires = all_codes(truth, 6000) > 0
    with_child = (fires[:, 1] | fires[:, 2]).sum()
    assert row["recall"] == pytest.approx(1 - with_child / fires[:, 0].sum())
    assert row["f1"] == pytest.approx(2 * row["recall"] / (1 + row["recall"]))
    other = found.truths.iloc[7]
    assert (other["silent_with_child"], other["silent_alone"]) == (0.0, 0.0)
    assert np.isnan(found.truths.iloc[3]["silent_with_child"])  # no parent
    assert found.scores[TRAINED]["silent_with_child"] == pytest.approx(1 / 6)


def test_counts_agree_with_plain_loops():
    truth = plant(replace(SMALL, noise=0.05))
    sae = random_dictionary(24, 4, torch.from_numpy(next(chunks(truth, "train", 500)).x), 0)
    partner = partners(cosines(truth.directions, sae.W_dec.numpy()), 0.9)
    assert (partner < 0).sum() == 16
    tokens = CHUNK_TOKENS + 300
    found = count_firing(sae, truth, tokens, partner)
    codes = all_codes(truth, tokens)
    x = np.concatenate([chunk.x for chunk in chunks(truth, "heldout", tokens)])
    features = sae.encode(torch.from_numpy(x)).numpy() > 0
    residual = x - sae(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(found.features, features.sum(0))
    for i in range(truth.settings.features):
        fires = codes[:, i] > 0
        detector = features[:, partner[i]] if partner[i] >= 0 else np.zeros(tokens, bool)
        children = [codes[:, child] > 0 for child in np.flatnonzero(truth.parent == i)]
        child = np.any(children, axis=0) if children else np.zeros(tokens, bool)
        expected = [fires, detector, fires & detector, child, child & detector]
        counted = [found.truths, found.detected, found.hits, found.with_child, found.with_child_hits]
        assert [counts[i] for counts in counted] == [both.sum() for both in expected]
    around = ((x - x.mean(0)) ** 2).sum()
    assert found.fvu == pytest.approx((residual**2).sum() / around, rel=1e-4)
    assert found.noise_share == pytest.approx(((x - codes @ truth.directions) ** 2).sum() / around, rel=1e-4)


def test_the_random_dictionary_is_scaled_as_well_as_can_be():
    truth = plant(replace(SMALL, noise=0.05))
    x = torch.from_numpy(next(chunks(truth, "train", 2000)).x)
    null = random_dictionary(64, 3, x, 0)
    torch.testing.assert_close(null.W_dec.norm(dim=1), torch.ones(64))

    def error(factor):
        guess = null(x) - null.b_dec
        return (x - null.b_dec - factor * guess).pow(2).sum().item()

    assert error(1.0) < min(error(0.9), error(1.1))
    assert (null.encode(x) > 0).sum(1).max() <= 3
    assert not torch.equal(null.W_dec, random_dictionary(64, 3, x, 1).W_dec)


def test_what_is_not_defined_is_nan():
    # No trees and no groups: nothing to absorb or to merge. An SAE that never fires detects nothing.
    truth = plant(TOY)
    sae = ReLU(16, 8)
    with torch.no_grad():
        sae.W_dec[:, 0] = 1.0
        sae.b_enc.fill_(-100.0)
    scores = recover(sae, truth, torch.ones(8, 16), 1000, 0.9).scores[TRAINED]
    for name in ("mmcs_back", "silent_with_child", "silent_alone", "merged_share", "found_child"):
        assert np.isnan(scores[name]), name
    assert (scores["l0"], scores["dead_share"], scores["f1"], scores["parents"]) == (0, 1, 0, 0)
    assert scores["fvu"] >= 1


# --- superposition


TOY_TRAINING = Training(
    tokens=90_000,
    learning_rate=1e-2,
    warmup_share=0.05,
    decay_share=0.25,
    sparsity_warmup_share=0.05,
    dead_steps=10,
    seed=0,
)
TOY_SETTINGS = {
    "relu": {"l1": 2.0},
    "gated": {"l1": 5.0},
    "jumprelu": {"l0": 3.0, "bandwidth": 0.5, "threshold": 0.5},
    "topk": {"k": 1},
    "batchtopk": {"k": 1, "aux_share": 0.1},
    "matryoshka": {"k": 1, "prefixes": [0.75, 1.0], "aux_share": 0.1},
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Sums of 1.2 of 24 known directions in 16 dimensions, in the mean: what is planted, and the shard."""
    truth, path = plant(TOY), tmp_path_factory.mktemp("toy") / "shard"
    write_activations(truth, 20_000, path, {})
    return truth, open_shard(path)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_directions_in_superposition_are_found(name, toy):
    truth, shard = toy
    stream = ActivationStream([shard], True, 256, 0)
    sae = ARCHITECTURES[name](16, 36, **TOY_SETTINGS.get(name, {}))
    sae = train_sae(sae, stream, TOY_TRAINING).sae
    scores = recover(sae, truth, stream.sample(4096), 8192, 0.9).scores
    # More than the 16 that a basis of the space could hold; 20 to 24 with several seeds when this was written.
    assert scores[TRAINED]["found"] >= 18
    assert scores[RANDOM]["found"] <= 2
    assert scores[TRAINED]["mmcs"] > 0.9 > scores[RANDOM]["mmcs"]
    assert scores[TRAINED]["fvu"] < 0.3
    assert scores[TRAINED]["f1"] > 0.55 > scores[RANDOM]["f1"]
    assert 0.9 < scores[TRAINED]["l0"] < 4


# --- tables, figure, configuration


def make_recovery(found=40):
    sae = perfect_sae()
    with torch.no_grad():
        sae.W_dec[found:] = sae.W_dec[found:].flip(1) * 0.5 + 0.1
        sae.normalize_decoder()
    return recover(sae, with_axes(), torch.ones(8, 40), 1000, 0.9)


def test_the_table_has_a_row_per_sae_and_its_random_dictionary_beside_it(tmp_path):
    recovery = make_recovery(30)
    write_json(recovery.scores, tmp_path / "scores.json")
    name = "matryoshka-x64-s10"
    table = collect({name: read_json(tmp_path / "scores.json")}, {name: "matryoshka"})
    assert tuple(table) == COLUMNS
    row = table.iloc[0]
    assert (row["sae"], row["architecture"], row["truths"]) == (name, "matryoshka", 40)
    for dictionary, suffix in ((TRAINED, ""), (RANDOM, "_random")):
        for score in ("found", "mmcs", "fvu", "f1", "merged_share"):
            assert row[score + suffix] == pytest.approx(recovery.scores[dictionary][score]), score
    assert np.isnan(row["silent_with_child_random"])
    out = io.StringIO()
    print_recovery(table, out)
    (line,) = (line for line in out.getvalue().splitlines() if "matryoshka-x64-s10" in line)
    assert line.split()[-2:] == ["0.00", "(0.00)"]  # whole to its end
    assert f"{row['found']} (0)" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 120


def test_a_study_without_ground_truth_has_an_empty_table():
    table = collect({}, {})
    assert tuple(table) == COLUMNS
    assert len(table) == 0
    assert table["found"].dtype == np.int64
    print_recovery(table, io.StringIO())


def test_the_wilson_interval_by_hand():
    # 0 of 10: from 0 to z^2 / (n + z^2).
    z2 = 1.959964**2
    assert wilson_interval(0.0, 10, 0.95) == (pytest.approx(0, abs=1e-12), pytest.approx(z2 / (10 + z2), rel=1e-6))
    low, high = wilson_interval(0.5, 100, 0.95)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert low == pytest.approx(0.4038, abs=1e-4)


def test_the_figure_shows_shares_found_by_frequency(tmp_path):
    tables = {"relu-x1-s0": make_recovery(40).truths, "topk-x1-s0": make_recovery(20).truths}
    tables["relu-x1-s1"] = tables["relu-x1-s0"]
    drawing = ground_truth(tables, 0.9)
    data = drawing.data
    assert data["label"].unique().tolist() == ["relu-x1", "topk-x1", "random"]
    assert (data[data["label"] == "relu-x1"]["found_share"] == 1).all()
    assert (data.groupby(["panel", "label"])["features"].sum() == [28, 28, 28, 40, 40, 40]).all()  # 12 are children
    truths = tables["topk-x1-s0"].query("dictionary == 'trained'")
    part = data.query("label == 'topk-x1' and panel == 'frequency'")
    rarest = truths.query("kind != 'child'").nsmallest(4, "probability", keep="first")
    assert part.iloc[0]["f1"] == pytest.approx(rarest["f1"].mean())
    assert part["probability"].is_monotonic_increasing
    part = data.query("label == 'topk-x1' and panel == 'kind'").set_index("group")
    # Features 0 to 19 are found: two trees with 12 children, and six of the nine grouped ones.
    assert part["found_share"].to_dict() == {"child": 1, "group": pytest.approx(6 / 9), "root": 1, "single": 0}
    assert "relu-x1 the most" in drawing.caption["conclusion"]
    assert "100%" in drawing.caption["conclusion"]
    paths = {"svg": "f.svg", "png": "f.png", "csv": "f.csv", "caption": "f.json"}
    save_drawing(drawing, **{kind: tmp_path / name for kind, name in paths.items()}, dpi=60, stamp={})
    first = (tmp_path / "f.svg").read_bytes()
    save_drawing(ground_truth(tables, 0.9), **{kind: tmp_path / name for kind, name in paths.items()}, dpi=60, stamp={})
    assert (tmp_path / "f.svg").read_bytes() == first
    assert json.loads((tmp_path / "f.json").read_text())["alt"]


def study_config(**section):
    config = yaml.safe_load((FOLDER / "config.yaml").read_text())
    config.update(section)
    return complete(config)


def test_the_default_study_plants_nothing():
    assert not study_config()["ground_truth"]["enabled"]
    section = study_config(ground_truth={})["ground_truth"]
    planting = TruthSettings.of(section)
    assert (planting.features, planting.dimension) == (256, 64)
    assert planting.single_features == 256 - 12 * 7 - 12 * 4


def test_unknown_keys_of_the_section_are_refused():
    with pytest.raises(ConfigError, match=r"ground_truth: unknown key 'dimensions'; did you mean dimension\?"):
        study_config(ground_truth={"dimensions": 3})
    with pytest.raises(ConfigError, match="ground_truth: found 3, expected object"):
        study_config(ground_truth=3)


def test_the_preset_trains_every_architecture_on_planted_directions():
    config = yaml.safe_load((FOLDER / "config.yaml").read_text())
    update_config(config, yaml.safe_load((FOLDER / "presets" / "ground-truth.yaml").read_text()))
    study = check(complete(config))
    TruthSettings.of(study.config["ground_truth"])
    used = {study.sae_settings(sae)["architecture"] for sae in study.saes_of("trained")}
    assert used == {"relu", "topk", "batchtopk", "jumprelu", "gated", "matryoshka"}
