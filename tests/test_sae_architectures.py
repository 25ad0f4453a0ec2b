"""Architectures of SAEs: the formulas by hand, what all of them promise, and training on data of known features."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coact.config import load_schema
from coact.errors import ConfigError
from coact.sae.architectures import ARCHITECTURES, SAE_LENS_ARCHITECTURES
from coact.sae.architectures.base import squared_error
from coact.sae.architectures.batchtopk import BatchTopK, keep_largest
from coact.sae.architectures.gated import Gated
from coact.sae.architectures.jumprelu import SMALLEST_THRESHOLD, JumpReLU
from coact.sae.architectures.matryoshka import Matryoshka
from coact.sae.architectures.relu import ReLU
from coact.sae.architectures.topk import TopK
from coact.sae.sparse import take_positive
from test_sae import SETTINGS, random_sae

BY_BATCH = ("batchtopk", "matryoshka")
WITH_NORMS = ("relu", "gated", "jumprelu")  # those whose features do not depend on the norms of decoder rows


def set_weights(sae, **values):
    with torch.no_grad():
        for name, value in values.items():
            getattr(sae, name).copy_(torch.as_tensor(value))


def with_axes(cls, **arguments):
    """An SAE of 2 dimensions and 2 features, which are its axes."""
    sae = cls(2, 2, **arguments)
    set_weights(sae, W_enc=torch.eye(2), W_dec=torch.eye(2))
    return sae


def draw(rows, width, seed):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def none_dead(sae):
    return torch.zeros(sae.d_sae, dtype=torch.bool)


# --- by hand


def test_relu_by_hand():
    sae = ReLU(2, 3, l1=0.5)
    set_weights(sae, W_enc=[[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]], W_dec=[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    set_weights(sae, b_dec=[1.0, 0.0], b_enc=[0.0, -1.0, 0.0])
    x = torch.tensor([[3.0, 2.0], [0.0, 0.5]])
    torch.testing.assert_close(sae.encode(x), torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(sae(x), torch.tensor([[3.0, 1.0], [0.0, 0.0]]))
    losses = sae.losses(x, none_dead(sae), penalty=0.5)
    # Squared errors 1 and 0.25 over 2 tokens; L1 norms 3 and 1 over 2 tokens, times 0.5, times 0.5.
    assert losses.reconstruction.item() == pytest.approx(0.625)
    assert losses.sparsity.item() == pytest.approx(0.5)
    assert losses.fired.tolist() == [1, 1, 1]


@pytest.mark.parametrize("cls", [ReLU, Gated])
def test_free_norms_weight_the_penalty_and_are_left_alone(cls):
    sae = with_axes(cls, l1=0.5, decoder_norm="free")
    set_weights(sae, W_dec=[[0.0, 2.0], [0.5, 0.0]])
    losses = sae.losses(torch.tensor([[3.0, 2.0]]), none_dead(sae), 1.0)
    assert losses.sparsity.item() == pytest.approx(0.5 * (3 * 2 + 2 * 0.5))
    losses.total.backward()
    before = sae.W_dec.detach().clone(), sae.W_dec.grad.clone()
    sae.project_gradients()
    sae.normalize_decoder()
    assert torch.equal(sae.W_dec, before[0])
    assert torch.equal(sae.W_dec.grad, before[1])


def test_without_pre_bias_the_encoder_sees_the_input_as_it_is():
    for cls in (ReLU, Gated, JumpReLU):
        sae = with_axes(cls, pre_bias=False)
        set_weights(sae, b_dec=[5.0, 5.0])
        assert sae.encode(torch.tensor([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]


def test_topk_keeps_the_k_largest_positive():
    sae = TopK(4, 4, k=2)
    set_weights(sae, W_enc=torch.eye(4))
    x = torch.tensor([[4.0, 3.0, 2.0, -1.0], [-1.0, -2.0, 5.0, -3.0], [1.0, 1.0, 1.0, 1.0]])
    expected = torch.tensor([[4.0, 3.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(sae.encode(x), expected)


def test_batchtopk_shares_its_features_out_among_tokens():
    sae = with_axes(BatchTopK, k=1)
    x = torch.tensor([[3.0, 2.0], [1.0, 0.5], [-1.0, -1.0]])
    losses = sae.losses(x, none_dead(sae), 1.0)
    # Three are kept: both of the first token, one of the second, none of the last, whose entries are not above 0.
    assert sae.encode(x).tolist() == [[3, 2], [1, 0], [0, 0]]
    assert losses.total.item() == losses.reconstruction.item() == pytest.approx((0 + 0.25 + 2) / 3)
    assert losses.fired.tolist() == [2, 1]
    assert sae.encode(torch.tensor([[2.0, 2.0], [2.0, 1.0]])).tolist() == [[2, 2], [0, 0]]


def test_the_threshold_is_the_mean_of_the_smallest_kept_features():
    sae = BatchTopK(1, 1, k=1)
    set_weights(sae, W_enc=[[1.0]], W_dec=[[1.0]])
    sample = torch.tensor([[4.0], [1.0], [3.0], [2.0], [-1.0]])
    assert sae.estimate_threshold(sample) == 1.0
    # Batches are 4, 3, -1 and 1, 2.
    assert sae.estimate_threshold(sample, batch_tokens=2) == 2.0
    assert sae.estimate_threshold(-sample.abs()) == 0.0
    finished = sae.finish(sample, scale=4.0, batch_tokens=2)
    assert isinstance(finished, JumpReLU)
    assert finished.threshold.item() == 0.5
    assert finished.encode(torch.tensor([[0.5], [0.51]])).flatten().tolist() == [0.0, pytest.approx(0.51)]


def test_matryoshka_adds_the_errors_of_its_prefixes():
    sae = with_axes(Matryoshka, k=1, prefixes=[0.5, 1.0])
    x = torch.tensor([[3.0, 1.0], [0.0, 2.0]])
    losses = sae.losses(x, none_dead(sae), 1.0)
    # 3 and 2 are kept. The first feature alone leaves 1 and 2, both leave 1 and 0.
    assert sae.encode(x).tolist() == [[3, 0], [0, 2]]
    assert losses.reconstruction.item() == pytest.approx(1 / 2)
    assert losses.total.item() == pytest.approx((1 + 4) / 2 + 1 / 2)


def test_one_prefix_is_batchtopk():
    one, other, x = random_sae("batchtopk"), Matryoshka(6, 10, **SETTINGS["batchtopk"]), draw(32, 6, 1)
    other.load_state_dict(one.state_dict())
    dead = none_dead(one)
    dead[3] = True
    torch.testing.assert_close(one.losses(x, dead, 1.0).total, other.losses(x, dead, 1.0).total)


def test_prefixes_are_reconstructed_by_their_features_alone():
    sae, x = random_sae("matryoshka"), draw(32, 6, 1)
    features = sae.encode(x)
    total = sum(squared_error(x, features[:, :size] @ sae.W_dec[:size] + sae.b_dec) for size in sae.prefix_sizes)
    torch.testing.assert_close(sae.losses(x, none_dead(sae), 1.0).total, total)


def test_jumprelu_by_hand():
    sae = with_axes(JumpReLU, l0=0.3, bandwidth=0.5, threshold=1.0)
    x = torch.tensor([[1.2, 0.9], [3.0, 1.3]])
    losses = sae.losses(x, none_dead(sae), penalty=1.0)
    assert sae.encode(x).tolist() == [[pytest.approx(1.2), 0], [3, pytest.approx(1.3)]]
    assert losses.reconstruction.item() == pytest.approx(0.9**2 / 2)
    assert losses.sparsity.item() == pytest.approx(0.3 * 3 / 2)
    losses.total.backward()
    # Within 0.25 of a threshold are 1.2 and 0.9. Each gives its threshold -1 / 0.5 x 0.3 / 2 by the penalty; 0.9 also
    # -1 / 0.5 x the derivative of the error by its feature, which is -2 x 0.9 / 2.
    torch.testing.assert_close(sae.threshold.grad, torch.tensor([-0.3, -0.3 + 1.8]))


def test_the_gradient_of_thresholds_is_that_of_the_paper():
    sae, x = JumpReLU(6, 10, l0=0.7, bandwidth=1.5, threshold=0.4), draw(40, 6, 1)
    sae.initialize(torch.full((6,), 0.1), 0)
    losses = sae.losses(x, none_dead(sae), penalty=0.5)
    losses.total.backward()
    found, sae.threshold.grad = sae.threshold.grad, None
    with torch.no_grad():
        before, residual = sae.pre_activations(x), x - sae(x)
        expected = torch.zeros(10)
        for token, feature in itertools.product(range(40), range(10)):
            distance = (before[token, feature] - sae.threshold[feature]) / sae.bandwidth
            if -0.5 < distance < 0.5:
                by_feature = -2 / 40 * residual[token] @ sae.W_dec[feature]
                expected[feature] -= (sae.threshold[feature] * by_feature + 0.7 * 0.5 / 40) / sae.bandwidth
    assert (expected != 0).all()
    torch.testing.assert_close(found, expected)


def test_thresholds_stay_above_0():
    sae = random_sae("jumprelu")
    set_weights(sae, threshold=torch.linspace(-1, 1, 10))
    sae.normalize_decoder()
    assert sae.threshold.min() == SMALLEST_THRESHOLD > 0
    assert sae.threshold.max() == 1


def test_an_entry_at_its_threshold_is_not_active():
    generator = np.random.default_rng(0)
    x = torch.from_numpy(generator.integers(-2, 6, (300, 40)) + 0.1).float()
    sae = JumpReLU(40, 40, pre_bias=False)
    set_weights(sae, W_enc=torch.eye(40), b_enc=torch.full((40,), 0.3), threshold=(x[7] + 0.3).clamp_min(0))
    sparse, dense = sae.encode_sparse(x), sae.encode(x).detach()
    assert ((x + 0.3 == sae.threshold) & (x > 0)).sum() > 500
    assert torch.equal(dense, torch.where(x + 0.3 > sae.threshold, x + 0.3, 0))
    assert torch.equal(sparse.values, dense[dense > 0])


def test_gated_by_hand():
    sae = with_axes(Gated, l1=0.5)
    set_weights(sae, r_mag=[math.log(2), 0.0], b_gate=[-1.0, 0.0], b_mag=[0.0, 0.5])
    x = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    losses = sae.losses(x, none_dead(sae), penalty=1.0)
    torch.testing.assert_close(sae.encode(x), torch.tensor([[6.0, 0.0], [0.0, 2.5]]))
    assert losses.reconstruction.item() == pytest.approx((9 + 1 + 0.25 + 0.25) / 2)
    # Open gates are 2 of the first token and 2 of the second.
    assert losses.sparsity.item() == pytest.approx(0.5 * (2 + 2) / 2)
    assert losses.total.item() == pytest.approx(5.25 + 1 + (1 + 1 + 0.25 + 0) / 2)


def test_the_decoder_learns_nothing_from_the_gates_reconstruction():
    sae, x = random_sae("gated"), draw(32, 6, 1)
    sae.losses(x, none_dead(sae), 1.0).total.backward()
    whole = {name: parameter.grad.clone() for name, parameter in sae.named_parameters()}
    sae.zero_grad()
    gate, _ = sae.paths(x)
    penalty = (gate.relu() * sae.W_dec.norm(dim=1)).sum(1).mean()
    (squared_error(x, sae(x)) + 0.5 * penalty).backward()
    torch.testing.assert_close(whole["W_dec"], sae.W_dec.grad)
    assert not torch.allclose(whole["b_gate"], sae.b_gate.grad)
    sae.zero_grad()
    # The encoder learns from it as from any reconstruction.
    squared_error(x, torch.addmm(sae.b_dec.detach(), sae.paths(x)[0].relu(), sae.W_dec.detach())).backward()
    by_gates = sae.b_gate.grad.clone()
    sae.zero_grad()
    (0.5 * (sae.paths(x)[0].relu() * sae.W_dec.norm(dim=1)).sum(1).mean()).backward()
    torch.testing.assert_close(whole["b_gate"], by_gates + sae.b_gate.grad)


@pytest.mark.parametrize("name", ["topk", *BY_BATCH])
def test_the_auxiliary_loss_teaches_dead_features_what_is_left(name):
    sae, x = random_sae(name), draw(64, 6, 3)
    dead = none_dead(sae)
    dead[[2, 7]] = True
    plain, losses = sae.losses(x, none_dead(sae), 1.0), sae.losses(x, dead, 1.0)
    with torch.no_grad():
        guess = sae.pre_activations(x).relu()[:, dead] @ sae.W_dec[dead]
        expected = squared_error(x - sae(x), guess).item() / 32
    assert plain.sparsity == 0
    assert losses.reconstruction == plain.reconstruction
    assert losses.sparsity.item() == pytest.approx(expected, rel=1e-5)
    assert losses.total.item() == pytest.approx(plain.total.item() + expected, rel=1e-5)
    losses.sparsity.backward()
    assert torch.equal(sae.W_dec.grad.abs().sum(1) > 0, dead)
    assert torch.equal(sae.b_enc.grad != 0, dead)


def test_of_many_dead_features_the_largest_half_of_the_dimensions_takes_part():
    sae, x = TopK(4, 10, k=1, aux_share=1.0), draw(20, 4, 3)
    sae.initialize(torch.zeros(4), 0)
    dead = torch.arange(10) > 1
    residual = draw(20, 4, 4)
    expected = 0.0
    for token, left in zip(x, residual, strict=True):
        before = (token @ sae.W_enc)[dead].relu()
        best = before.argsort(descending=True)[:2]
        expected += (left - before[best] @ sae.W_dec[dead][best]).pow(2).sum().item() / 20
    assert sae.auxiliary(x, residual, dead).item() == pytest.approx(expected, rel=1e-5)


# --- the largest of a batch


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 9), st.integers(1, 40))
def test_the_largest_entries_are_those_of_a_stable_sort(seed, rows, width, number):
    before = np.random.default_rng(seed).integers(-3, 5, (rows, width)).astype(np.float32)
    kept = keep_largest(take_positive(torch.from_numpy(before)), number)
    best = np.argsort(-before.ravel(), kind="stable")[:number]
    best = np.sort(best[before.ravel()[best] > 0])
    found = np.repeat(np.arange(rows), kept.indptr.diff()) * width + kept.indices.numpy()
    np.testing.assert_array_equal(found, best)
    np.testing.assert_array_equal(kept.values, before.ravel()[best])


def test_nan_is_among_the_largest_of_a_batch():
    before = torch.tensor([[1.0, 9.0], [float("nan"), 3.0]])
    assert keep_largest(take_positive(before), 2).values.isnan().sum() == 1
    assert keep_largest(take_positive(before), 1).values.isnan().all()


# --- what all promise


def free_norms(sae, name):
    """Give decoder rows other norms than 1 where features do not depend on them."""
    if name in WITH_NORMS:
        set_weights(sae, W_dec=sae.W_dec * torch.linspace(0.5, 2, sae.d_sae)[:, None])


def features_at_inference(sae, x, sample):
    """Features of an SAE in training as `finish` has to keep them."""
    if not isinstance(sae, BatchTopK):
        return sae.encode(x)
    before = sae.pre_activations(x)
    return before.relu() * (before > sae.estimate_threshold(sample, 64))


@pytest.mark.parametrize("pre_bias", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_finished_sae_is_that_of_the_training(name, pre_bias):
    sae, x, sample, scale = random_sae(name, pre_bias=pre_bias), draw(50, 6, 5), draw(256, 6, 6), 3.0
    free_norms(sae, name)
    with torch.no_grad():
        features = features_at_inference(sae, scale * x, sample)
        expected = features * sae.W_dec.norm(dim=1) / scale, sae.decode(features) / scale
    finished = sae.finish(sample, scale, 64)
    assert type(finished) is SAE_LENS_ARCHITECTURES[finished.sae_lens_name]
    torch.testing.assert_close(finished.W_dec.norm(dim=1), torch.ones(10))
    torch.testing.assert_close(finished.encode(x).detach(), expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(finished(x).detach(), expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_scale_of_the_inputs_is_folded_in(name):
    sae, x = random_sae(name), draw(16, 6, 5)
    expected_features, expected = sae.encode(x * 3) / 3, sae(x * 3) / 3
    sae.rescale(3)
    torch.testing.assert_close(sae.encode(x), expected_features)
    torch.testing.assert_close(sae(x), expected)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_features_are_never_negative(name):
    for pre_bias in (True, False):
        sae = random_sae(name, pre_bias=pre_bias)
        with torch.no_grad():
            for parameter in sae.FEATURE_AXIS:
                getattr(sae, parameter).normal_(generator=torch.Generator().manual_seed(2))
        features = sae.encode(draw(64, 6, 5))
        assert features.min() == 0
        assert features.max() > 0


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_of_features_is_known(name):
    sae = ARCHITECTURES[name](6, 10, **SETTINGS[name])
    for parameter, values in sae.named_parameters():
        if 10 in values.shape:
            assert values.shape[sae.FEATURE_AXIS[parameter]] == 10
        else:
            assert parameter == "b_dec"
    assert sae.FEATURE_AXIS.keys() | {"b_dec"} == dict(sae.named_parameters()).keys()
    assert sae.W_enc.T.is_contiguous()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_features_start_anew_alone(name):
    sae, fresh = random_sae(name), ARCHITECTURES[name](6, 10, **SETTINGS[name])
    before = {parameter: values.detach().clone() for parameter, values in sae.named_parameters()}
    which, directions = torch.tensor([1, 8]), torch.eye(6)[[2, 4]]
    sae.reset_features(which, directions, 0.2)
    torch.testing.assert_close(sae.W_dec[which], directions)
    torch.testing.assert_close(sae.W_enc[:, which], 0.2 * directions.T)
    others = torch.tensor([feature for feature in range(10) if feature not in which])
    for parameter, axis in sae.FEATURE_AXIS.items():
        values = getattr(sae, parameter)
        torch.testing.assert_close(values.index_select(axis, others), before[parameter].index_select(axis, others))
        if axis == 0 and parameter != "W_dec":
            assert torch.equal(values[which], getattr(fresh, parameter)[which])
    assert torch.equal(sae.b_dec, before["b_dec"])


@pytest.mark.parametrize("dead", [[], [1, 7], range(4, 10)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_gradients_are_those_of_the_plain_formula(name, dead):
    sae, x = random_sae(name), draw(48, 6, 2)
    free_norms(sae, name)
    silent = none_dead(sae)
    silent[list(dead)] = True
    expected = sae.losses(x, silent, 0.5)
    expected.total.backward()
    gradients = {parameter: values.grad for parameter, values in sae.named_parameters()}
    sae.zero_grad(set_to_none=True)
    found = sae.backward(x, silent, 0.5)
    for one, other in zip(vars(found).values(), vars(expected).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for parameter, values in sae.named_parameters():
        torch.testing.assert_close(values.grad, gradients[parameter], rtol=1e-4, atol=1e-5)
    assert torch.equal(found.fired, (sae.encode(x) > 0).sum(0))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_precision_gives_nearly_the_same_loss(name):
    sae, x = random_sae(name), draw(256, 6, 2)
    dead = torch.arange(10) == 3
    exact = sae.losses(x, dead, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = sae.backward(x, dead, 1.0)
    assert found.total.dtype == torch.float32
    assert found.total.item() == pytest.approx(exact.total.item(), rel=0.02)
    assert all(values.grad.dtype == torch.float32 and values.grad.isfinite().all() for values in sae.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_parallel_gradient_is_removed_and_rows_keep_unit_norm(name):
    sae, x = random_sae(name), draw(16, 6, 4)
    sae.backward(x, none_dead(sae), 1.0)
    sae.project_gradients()
    torch.testing.assert_close((sae.W_dec.grad * sae.W_dec).sum(1), torch.zeros(10), atol=1e-6, rtol=0)
    with torch.no_grad():
        sae.W_dec.add_(0.3)
    sae.normalize_decoder()
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(10))


@pytest.mark.parametrize("name", ["topk", *BY_BATCH])
def test_a_k_larger_than_the_dictionary_is_refused(name):
    with pytest.raises(ConfigError, match="k is 5, but the SAE has only 4 features"):
        ARCHITECTURES[name](4, 4, k=5)


def test_prefixes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"prefixes: found \[1.0, 0.5\], expected shares that ascend to 1"):
        Matryoshka(4, 8, k=2, prefixes=[1.0, 0.5])
    with pytest.raises(ConfigError, match=r"prefixes: found 0.05, which of 8 features are 0, expected at least one"):
        Matryoshka(4, 8, k=2, prefixes=[0.05, 1.0])


def test_the_schema_has_every_architecture_with_its_settings():
    definitions = load_schema()["$defs"]
    assert set(ARCHITECTURES) == set(definitions["sae_trained"]["properties"]["architecture"]["enum"])
    for name, cls in ARCHITECTURES.items():
        properties = definitions[f"architecture_{name}"]["properties"]
        values = [definitions[node["$ref"].split("/")[-1]] if "$ref" in node else node for node in properties.values()]
        cls(6, 40, pre_bias=False, **{key: node["default"] for key, node in zip(properties, values, strict=True)})


# --- training


@pytest.fixture(scope="module")
def planted():
    """Sums of 2 of 24 known unit directions in 12 dimensions: the directions, and (8000, 12) float32."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(24, 12))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = np.argsort(generator.random((8000, 24)), axis=1)[:, :2]
    values = (directions[chosen] * generator.uniform(1, 2, (8000, 2, 1))).sum(1)
    return torch.from_numpy(directions).float(), torch.from_numpy(values).float()


def train(sae, x, steps=250, batch_tokens=256, rate=3e-2):
    """Adam with a linear warm-up and decay; the finished SAE."""
    scale = math.sqrt(x.shape[1] / x.pow(2).sum(1).mean().item())
    sae.initialize((x * scale).mean(0), 0)
    optimizer = torch.optim.Adam(sae.parameters(), lr=rate)
    silent, generator = torch.zeros(sae.d_sae), torch.Generator().manual_seed(0)
    for step in range(steps):
        batch = x[torch.randint(len(x), (batch_tokens,), generator=generator)] * scale
        optimizer.zero_grad()
        found = sae.backward(batch, silent > 20, min(1, step / 25))
        sae.project_gradients()
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 25, (steps - step) / 50)
        optimizer.step()
        sae.normalize_decoder()
        silent = torch.where(found.fired > 0, 0, silent + 1)
    return sae.finish(x * scale, scale, batch_tokens)


@pytest.mark.parametrize(
    ("name", "arguments", "found_at_least", "fvu_at_most"),
    [
        ("relu", {"l1": 2.0}, 19, 0.35),
        ("relu", {"l1": 2.0, "decoder_norm": "free"}, 19, 0.35),
        ("topk", {"k": 2, "aux_share": 1.0, "pre_bias": False}, 22, 0.12),
        ("batchtopk", {"k": 2, "aux_share": 1.0}, 17, 0.15),
        ("matryoshka", {"k": 2, "aux_share": 1.0, "prefixes": [0.75, 1.0]}, 17, 0.15),
        ("jumprelu", {"l0": 1.0, "threshold": 1.0, "bandwidth": 1.0}, 12, 0.2),
        ("gated", {"l1": 3.0}, 16, 0.2),
    ],
)
@pytest.mark.usefixtures("one_thread")
def test_known_directions_are_found(planted, name, arguments, found_at_least, fvu_at_most):
    directions, x = planted
    sae = ARCHITECTURES[name](12, 36, **arguments)
    sae.initialize(x.mean(0), 0)
    assert number_found(directions, sae) <= 3
    sae = train(sae, x)
    assert number_found(directions, sae) >= found_at_least
    with torch.no_grad():
        features = sae.encode(x)
        fvu = squared_error(x, sae.decode(features)) / squared_error(x, x.mean(0))
    assert fvu < fvu_at_most
    assert 1 < (features > 0).sum(1).float().mean() < 5


def number_found(directions, sae):
    """Directions that some decoder row has a cosine above 0.9 with."""
    return int(((directions @ sae.W_dec.T).max(1).values > 0.9).sum())
