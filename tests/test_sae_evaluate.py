"""Held-out figures of an SAE: by hand, against plain formulas, and what is not defined."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coact.activations import open_shard
from coact.artefacts import read_json, write_json, write_tensors
from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.errors import ArtefactError
from coact.models.bridge import make_bridge, token_losses
from coact.models.evaluate import PatchedPredictions, Targets, mean_cross_entropy, patched_predictions
from coact.models.folder import new_gpt2
from coact.sae import evaluate
from coact.sae.architectures.relu import ReLU
from coact.sae.architectures.topk import TopK
from coact.sae.evaluate import (
    Reconstruction,
    density,
    evaluation,
    l0_table,
    loss_recovered,
    reconstruction,
    weight_norms,
)
from coact.sae.neurons import neuron_dictionary

MODEL = {"cross_entropy": 3.0, "cross_entropy_zero": 5.0, "cross_entropy_mean": 4.5}
HOOK = "blocks.0.mlp.hook_post"
NAN = pytest.approx(float("nan"), nan_ok=True)


def make_shard(path, values, documents=None):
    """An activation shard of float32 values."""
    documents = np.zeros(len(values), np.int32) if documents is None else np.array(documents, np.int32)
    values = np.asarray(values, np.float32)
    write_tensors({"activations": values, "documents": documents}, path, {}, {"dtype": "float32"})
    return open_shard(path)


def halving_sae():
    """One dimension, two features: ReLU(x), decoded to half of it, and ReLU(-x), decoded to nothing."""
    sae = ReLU(1, 2)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, -1.0]]))
        sae.W_dec.copy_(torch.tensor([[0.5], [0.0]]))
    return sae


def random_sae(cls, **settings):
    sae = cls(6, 11, **settings)
    sae.initialize(torch.full((6,), 0.1), 0)
    with torch.no_grad():
        sae.b_enc.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return sae


def found_with(active=(0, 1), count=(1,), **figures):
    """A reconstruction of which only some numbers matter."""
    numbers = {"fvu": 0.5, "cosine": 0.9, "norm_ratio": 0.8, "bias": 0.95} | figures
    return Reconstruction(**numbers, active=np.array(active), count=np.array(count))


def test_figures_by_hand(tmp_path):
    shard = make_shard(tmp_path / "s", [[1.0], [2.0], [3.0], [9.0]], [0, 0, 0, -1])
    sae = halving_sae()
    found = reconstruction(sae, [shard], False)
    # Residuals are half of 1, 2, 3; squares around the mean 2 sum to 2.
    assert found.fvu == pytest.approx((0.25 + 1 + 2.25) / 2)
    assert (found.l0, found.dead_share, found.tokens) == (1.0, 0.5, 3)
    # Reconstructions point the right way, at half the length: a factor 1 / 0.5 mends them.
    assert (found.cosine, found.norm_ratio, found.bias) == pytest.approx((1.0, 0.5, 0.5))
    record = evaluation(sae, "relu", found, PatchedPredictions(4.0, 0.25), MODEL)
    assert (record["loss_recovered_zero"], record["loss_recovered_mean"]) == pytest.approx((0.5, 1 / 3))
    assert record["cross_entropy"] == {"clean": 3.0, "spliced": 4.0, "zero": 5.0, "mean": 4.5}
    assert (record["kl_divergence"], record["smallest_frequency"]) == pytest.approx((0.25, 1 / 3))
    assert record["explained_variance"] == pytest.approx(1 - record["fvu"])
    assert density(sae, found)["frequency"].tolist() == [1.0, 0.0]
    assert np.isnan(loss_recovered(3.0, 3.0, 3.0))


@pytest.mark.parametrize("sae", [random_sae(ReLU), random_sae(TopK, k=3)], ids=["relu", "topk"])
@pytest.mark.parametrize("include_special", [False, True])
def test_streamed_sums_equal_the_formulas_over_all_tokens(sae, include_special, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "CHUNK_ROWS", 7)  # chunks that end within shards
    generator = np.random.default_rng(0)
    values = generator.normal(2, 1, (60, 6)).astype(np.float32)
    documents = np.where(np.arange(60) % 9 == 0, -1, 0)
    shards = [make_shard(tmp_path / str(start), values[start : start + 20], documents[start : start + 20])
              for start in (0, 20, 40)]  # fmt: skip
    found = reconstruction(sae, shards, include_special)
    x = torch.from_numpy(values[(documents >= 0) | include_special])
    with torch.no_grad():
        features, guess = sae.encode(x).numpy(), sae(x).double().numpy()
    x = x.double().numpy()
    norms = np.linalg.norm(x, axis=1), np.linalg.norm(guess, axis=1)
    assert found.fvu == pytest.approx(((x - guess) ** 2).sum() / ((x - x.mean(0)) ** 2).sum(), rel=1e-5)
    assert found.cosine == pytest.approx(((x * guess).sum(1) / norms[0] / norms[1]).mean(), rel=1e-5)
    assert found.norm_ratio == pytest.approx((norms[1] / norms[0]).mean(), rel=1e-5)
    # The factor on the reconstructions that makes the squared error least, by least squares.
    factor = np.linalg.lstsq(guess.reshape(-1, 1), x.ravel())[0].item()
    assert found.bias == pytest.approx(1 / factor, rel=1e-5)
    np.testing.assert_array_equal(found.count, (features > 0).sum(0))
    np.testing.assert_array_equal(found.active, np.bincount((features > 0).sum(1), minlength=12))
    assert found.l0 == pytest.approx((features > 0).sum(1).mean())
    assert found.l0_distribution["sd"] == pytest.approx((features > 0).sum(1).std())


def test_neurons_reconstruct_what_is_not_negative(tmp_path):
    values = np.abs(np.random.default_rng(0).normal(size=(60, 5)))
    values[values < 0.5] = 0
    found = reconstruction(neuron_dictionary(5), [make_shard(tmp_path / "s", values)], False)
    assert found.fvu == pytest.approx(0, abs=1e-12)
    assert (found.cosine, found.norm_ratio, found.bias) == pytest.approx((1, 1, 1))
    np.testing.assert_array_equal(found.count, (values > 0).sum(0))


def test_tokens_without_a_direction_do_not_count_where_one_is_needed(tmp_path):
    # Inputs 0, -2, 4: the second is reconstructed as 0, so it has a length but no cosine; the first has neither.
    found = reconstruction(halving_sae(), [make_shard(tmp_path / "s", [[0.0], [-2.0], [4.0]])], False)
    assert found.cosine == pytest.approx(1.0)
    assert found.norm_ratio == pytest.approx((0 + 0.5) / 2)
    assert found.bias == pytest.approx(4 / 8)
    assert found.active.tolist() == [1, 2, 0]


def test_over_no_tokens_nothing_is_defined_and_nothing_fails(tmp_path):
    sae = halving_sae()
    found = reconstruction(sae, [make_shard(tmp_path / "s", [[1.0], [2.0]], [-1, -1])], False)
    write_json(evaluation(sae, "relu", found, PatchedPredictions(4.0, 0.0), MODEL), tmp_path / "evaluation.json")
    record = read_json(tmp_path / "evaluation.json")
    for key in ("fvu", "explained_variance", "l0", "cosine", "norm_ratio", "reconstruction_bias", "ultralow_share"):
        assert record[key] is None
    assert set(record["l0_distribution"].values()) == {None}
    assert record["tokens"] == 0
    assert len(l0_table(found)) == 0


def test_constant_inputs_have_no_variance_to_explain(tmp_path):
    found = reconstruction(halving_sae(), [make_shard(tmp_path / "s", [[2.0]] * 4)], False)
    assert np.isnan(found.fvu)
    assert found.norm_ratio == pytest.approx(0.5)


def test_an_sae_can_be_trained_on_after_its_evaluation(tmp_path):
    sae, values = random_sae(TopK, k=3), np.random.default_rng(0).normal(size=(20, 6))
    reconstruction(sae, [make_shard(tmp_path / "s", values)], False)
    sae.backward(torch.from_numpy(values).float(), torch.zeros(11, dtype=torch.bool), 1.0)
    assert sae.W_dec.grad.abs().sum() > 0


def test_an_activation_that_is_not_finite_is_named(tmp_path):
    shard = make_shard(tmp_path / "bad", [[1.0], [float("nan")]])
    with pytest.raises(ArtefactError, match=r"bad: activation of token 1 is not finite"):
        reconstruction(halving_sae(), [shard], False)


def test_ultralow_features_are_told_only_from_enough_tokens():
    count = np.array([0, 1, 2, 3, 500_000])
    # On 2.5 million tokens, below 1e-6 means at most two of them; the feature that never fires is dead, not ultralow.
    assert found_with([0, 2_500_000], count).ultralow_share == 2 / 5
    assert found_with([0, 2_500_000], count).dead_share == 1 / 5
    assert found_with([0, 1_000_000], count).ultralow_share == NAN  # firing once is 1e-6 already
    assert found_with([0, 1_000_001], count).ultralow_share == 1 / 5


def test_the_distribution_of_l0_by_hand():
    # Of 20 tokens one has 0 active features, eighteen have 2, one has 5.
    found = found_with([1, 0, 18, 0, 0, 1], [20, 10, 5, 4, 2])
    assert found.l0 == pytest.approx(41 / 20)
    assert found.l0_distribution == {
        "sd": pytest.approx(np.std([0, *[2] * 18, 5])),
        "q05": 0,
        "q25": 2,
        "q50": 2,
        "q75": 2,
        "q95": 2,
        "max": 5,
    }
    table = l0_table(found)
    assert table.to_dict("list") == {"active": [0, 2, 5], "tokens": [1, 18, 1]}
    assert [str(kind) for kind in table.dtypes] == ["int32", "int64"]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_quantiles_of_l0_are_those_of_the_tokens(numbers):
    active = np.bincount(numbers, minlength=31)
    found = found_with(active, np.full(30, sum(numbers) / 30)).l0_distribution
    for percent in (5, 25, 50, 75, 95):
        assert found[f"q{percent:02}"] == np.quantile(numbers, percent / 100, method="inverted_cdf")
    assert found["max"] == max(numbers)
    assert found["sd"] == pytest.approx(np.std(numbers), abs=1e-9)


def test_norms_and_angles_of_weights_by_hand():
    sae = ReLU(2, 3)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[3.0, 0.0, 0.0], [4.0, 2.0, 0.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, 0.0]]))
    table = weight_norms(sae)
    assert table["encoder_norm"].tolist() == [5.0, 2.0, 0.0]
    assert table["decoder_norm"].tolist() == [1.0, 1.0, 1.0]
    assert table["encoder_decoder_cosine"].tolist() == [pytest.approx(0.6), -1.0, NAN]
    found = found_with([0, 4], [4, 0, 0])
    record = evaluation(sae, "relu", found, PatchedPredictions(4.0, 0.0), MODEL)
    assert record["encoder_norm"] == pytest.approx(7 / 3)
    assert record["encoder_decoder_cosine"] == pytest.approx(-0.2)  # over the two features that have one
    assert list(density(sae, found)) == ["feature", "count", "frequency", *table]


def test_the_record_is_plain_json():
    record = evaluation(halving_sae(), "relu", found_with(), PatchedPredictions(4.0, 0.1), MODEL)
    assert record["ultralow_share"] != record["ultralow_share"]  # NaN, which `write_json` turns into null
    kinds = {type(value) for value in record.values()} | {type(value) for value in record["l0_distribution"].values()}
    assert kinds <= {str, int, float, dict}
    json.dumps(record)


# --- what a patch does to predictions


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(["the quick brown fox jumps over the lazy dog"] * 50, 300), folder)
    tokenizer = load_tokenizer(folder)
    shape = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 32, "activation": "relu"}
    model = new_gpt2(**shape, vocabulary=len(tokenizer), context_length=16, seed=0, tokenizer=tokenizer).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8)  # predictions of a new model hardly depend on its MLP
    return make_bridge(model, tokenizer, "test")


@pytest.fixture(scope="module")
def targets(bridge):
    contexts = np.random.default_rng(0).integers(0, int(bridge.cfg.d_vocab), (12, 16)).astype(np.int32)
    documents = np.zeros_like(contexts)
    documents[:, 0] = documents[:, 9] = -1
    return Targets(contexts, documents)


def test_a_patch_that_changes_nothing_moves_no_prediction(bridge, targets):
    found = patched_predictions(bridge, targets, 5, HOOK, lambda value: value)
    assert found.divergence == 0
    assert found.cross_entropy == mean_cross_entropy(bridge, targets, 5)


@pytest.mark.parametrize("include_special", [False, True])
def test_the_divergence_is_that_of_the_whole_distributions(bridge, targets, include_special):
    found = patched_predictions(bridge, targets, 5, HOOK, torch.zeros_like, include_special)
    total, number = 0.0, 0
    for context, documents in zip(targets.contexts, targets.documents, strict=True):
        keep = torch.from_numpy((documents >= 0) | include_special)

        def ablate(value, hook, keep=keep):
            return value.masked_fill(keep[:, None], 0)

        tokens = torch.from_numpy(context.astype(np.int64))[None]
        with torch.inference_mode():
            clean = bridge(tokens)[0].double().softmax(-1)
            patched = bridge.run_with_hooks(tokens, fwd_hooks=[(HOOK, ablate)])[0].double().softmax(-1)
        for place in range(15):
            if documents[place + 1] >= 0:
                total += (clean[place] * (clean[place] / patched[place]).log()).sum().item()
                number += 1
    assert number == 12 * 14
    assert total / number > 0.01
    assert found.divergence == pytest.approx(total / number, rel=1e-4)
    expected = mean_cross_entropy(bridge, targets, 5, HOOK, torch.zeros_like, include_special)
    assert found.cross_entropy == pytest.approx(expected, rel=1e-6)


def test_the_size_of_a_pass_changes_nothing(bridge, targets):
    one, many = (patched_predictions(bridge, targets, size, HOOK, torch.zeros_like) for size in (1, 100))
    assert one.divergence == pytest.approx(many.divergence, rel=1e-5)
    assert one.cross_entropy == pytest.approx(many.cross_entropy, rel=1e-5)


def test_only_targets_that_belong_to_a_document_count(bridge, targets):
    documents = np.full_like(targets.documents, -1)
    documents[:, 5] = 0
    contexts = torch.from_numpy(targets.contexts.astype(np.int64))
    found = patched_predictions(bridge, Targets(targets.contexts, documents), 4, HOOK, lambda value: value)
    assert found.cross_entropy == pytest.approx(token_losses(bridge, contexts)[:, 4].mean().item(), rel=1e-5)


def test_without_contexts_there_is_nothing_to_compare(bridge, targets):
    empty = Targets(targets.contexts[:0], targets.documents[:0])
    found = patched_predictions(bridge, empty, 4, HOOK, torch.zeros_like)
    assert np.isnan([found.cross_entropy, found.divergence]).all()
