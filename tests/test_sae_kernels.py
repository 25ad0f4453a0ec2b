"""The sparse training step against plain formulas and automatic differentiation, and Adam by rows against PyTorch's."""

import sys

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coact.columns import locate_columns
from coact.sae import descent
from coact.sae.adam import RowAdam
from coact.sae.architectures import ARCHITECTURES
from coact.sae.architectures.base import Architecture
from coact.sae.architectures.relu import ReLU
from coact.sae.descent import reconstruct, set_gradients, sum_by_feature
from coact.sae.sparse import SparseFeatures

pytestmark = pytest.mark.usefixtures("one_thread")

# What each architecture is tested with; one without an entry takes its defaults.
SETTINGS = {
    "relu": {"l1": 0.7},
    "topk": {"k": 5, "aux_share": 0.3},
    "batchtopk": {"k": 5, "aux_share": 0.3},
    "jumprelu": {"l0": 0.4, "bandwidth": 0.3, "threshold": 0.2},
    "gated": {"l1": 0.7},
    "matryoshka": {"k": 5, "aux_share": 0.3, "prefixes": [0.25, 0.5, 1.0]},
}
# Many parallel sections on one busy core: few examples.
examples = settings(max_examples=25, deadline=None)


def random_numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomize(sae: Architecture) -> Architecture:
    """Random parameters of about the sizes that training gives."""
    sae.initialize(0.3 * random_numbers(sae.d_in, seed=1), 2)
    with torch.no_grad():
        for seed, (name, parameter) in enumerate(sae.named_parameters(), start=3):
            if name not in ("W_dec", "b_dec"):
                parameter.add_(0.1 * random_numbers(*parameter.shape, seed=seed))
    return sae


def make_features(mask: torch.Tensor, values: torch.Tensor) -> SparseFeatures:
    """The entries of `values` (tokens, D) where `mask` is set."""
    indptr = torch.cat([torch.zeros(1, dtype=torch.int64), mask.sum(1).cumsum(0)])
    return SparseFeatures(indptr, mask.nonzero()[:, 1].int(), values[mask])


def gradients_of(sae: Architecture) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in sae.named_parameters()}


def test_a_reconstruction_by_hand():
    """Two tokens, three features, two dimensions; the second feature of token 0 has no value."""
    features = SparseFeatures(
        torch.tensor([0, 2, 3]), torch.tensor([0, 1, 2], dtype=torch.int32), torch.tensor([2.0, 0.0, 1.0])
    )
    weights, bias = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]), torch.tensor([0.5, 0.0])
    found = reconstruct(torch.tensor([[1.5, 1.0], [3.5, 4.0]]), features, weights, bias)
    # Token 0: (2.5, 0) for (1.5, 1), off by (1, -1). Token 1: (3.5, 4) exactly. The gradient is 2 / 2 tokens x miss.
    assert found.errors.tolist() == [1.0]
    assert found.gradients.tolist() == [[[1.0, -1.0]], [[0.0, 0.0]]]
    assert found.slopes.tolist() == [1.0, -1.0, 0.0]
    assert found.bias.tolist() == [1.0, -1.0]


def test_prefixes_by_hand():
    """One dimension, features 0 and 1 with decoder weight 1, the first prefix holds feature 0 only."""
    features = SparseFeatures(torch.tensor([0, 2]), torch.tensor([0, 1], dtype=torch.int32), torch.tensor([1.0, 1.0]))
    x, weights = torch.tensor([[5.0]]), torch.ones(2, 1)
    found = reconstruct(x, features, weights, torch.zeros(1), ends=[1, 2], shares=[1.0, 0.5])
    # Prefix 0 misses by -4, all by -3: gradients 2 x -4 = -8 and 0.5 x 2 x -3 = -3; feature 0 is in both.
    assert found.errors.tolist() == [16.0, 9.0]
    assert found.slopes.tolist() == [-11.0, -3.0]
    assert found.gradients.tolist() == [[[-11.0], [-3.0]]]
    assert found.bias.tolist() == [-11.0]


@st.composite
def cases(draw):
    tokens, width, d_sae = draw(st.integers(1, 150)), draw(st.integers(1, 40)), draw(st.integers(1, 60))
    ends = sorted({*draw(st.lists(st.integers(1, d_sae), max_size=3)), d_sae})
    return tokens, width, d_sae, ends, draw(st.floats(0, 1)), draw(st.booleans()), draw(st.integers(0, 99))


@examples
@given(cases())
def test_gradients_are_those_of_automatic_differentiation(case):
    """Features are pre-activations at given entries; prefixes have shares; further slopes, and multiples of rows."""
    tokens, width, d_sae, ends, density, pre_bias, seed = case
    sae = randomize(ReLU(width, d_sae, pre_bias=pre_bias))
    x = random_numbers(tokens, width, seed=seed)
    mask = torch.rand(tokens, d_sae, generator=torch.Generator().manual_seed(seed)) < density
    extra, along = random_numbers(tokens, d_sae, seed=seed + 1), random_numbers(d_sae, seed=seed + 2)
    shares = [1 + 0.5 * number for number in range(len(ends))]

    before = sae.pre_activations(x)
    kept = before * mask
    loss = (extra * kept).sum() + 0.5 * (along * sae.W_dec.pow(2).sum(1)).sum()
    for end, share in zip(ends, shares, strict=True):
        loss = loss + share * (x - kept[:, :end] @ sae.W_dec[:end] - sae.b_dec).pow(2).sum(1).mean()
    loss.backward()
    expected = gradients_of(sae)

    sae.zero_grad()
    features = make_features(mask, before.detach())
    found = reconstruct(x, features, sae.W_dec, sae.b_dec, ends, shares)
    sae.b_enc.grad = set_gradients(sae, x, features, found, found.slopes + extra[mask], along)
    for name, gradient in gradients_of(sae).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-4)


def test_entries_without_value_have_a_slope_too():
    weights, bias, x = random_numbers(9, 6), random_numbers(6, seed=1), random_numbers(70, 6, seed=2)
    values = random_numbers(70, 9, seed=3).relu().requires_grad_()
    listed = torch.rand(70, 9, generator=torch.Generator().manual_seed(4)) < 0.5
    values.data[~listed] = 0
    (x - values @ weights - bias).pow(2).sum(1).mean().backward()
    assert (values[listed] == 0).any()
    found = reconstruct(x, make_features(listed, values.detach()), weights, bias)
    torch.testing.assert_close(found.slopes, values.grad[listed], rtol=1e-4, atol=1e-5)


def test_entries_are_listed_by_feature_in_the_order_of_tokens():
    mask = torch.rand(50, 30, generator=torch.Generator().manual_seed(0)) < 0.2
    features = make_features(mask, torch.ones(50, 30))
    indptr, indices = features.indptr.numpy(), features.indices.numpy()
    bounds, entries, tokens = locate_columns(indptr, indices, 30)
    np.testing.assert_array_equal(entries, np.argsort(indices, kind="stable"))
    np.testing.assert_array_equal(tokens, np.repeat(np.arange(50), np.diff(indptr))[entries])
    np.testing.assert_array_equal(np.diff(bounds), mask.sum(0).numpy())


def test_sums_by_feature():
    mask = torch.tensor([[True, False, True], [True, False, False]])
    features = make_features(mask, torch.ones(2, 3))
    assert sum_by_feature(features, torch.tensor([1.0, 2.0, 4.0]), 4).tolist() == [5.0, 0.0, 2.0, 0.0]


def test_the_number_of_threads_changes_nothing():
    found, x = [], random_numbers(500, 40)
    for number in (numba.config.NUMBA_NUM_THREADS, 1):
        numba.set_num_threads(number)
        sae = randomize(ReLU(40, 120))
        features = sae.encode_sparse(x)
        step = reconstruct(x, features, sae.W_dec, sae.b_dec, [30, 120])
        sae.b_enc.grad = set_gradients(sae, x, features, step, step.slopes)
        gradients = gradients_of(sae)
        RowAdam(sae).step(0.01)
        found.append([*gradients.values(), *sae.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("pre_bias", [True, False])
@pytest.mark.parametrize("dead_share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_backward_gives_the_losses_and_their_gradients(name, dead_share, pre_bias, monkeypatch):
    monkeypatch.setattr(descent, "MOST_ACTIVE", 1.0)
    sae = randomize(ARCHITECTURES[name](16, 64, pre_bias=pre_bias, **SETTINGS.get(name, {})))
    assert_backward(sae, torch.rand(64, generator=torch.Generator().manual_seed(8)) < dead_share)


@pytest.mark.parametrize("name", ["relu", "gated"])
def test_backward_with_free_decoder_norms(name, monkeypatch):
    monkeypatch.setattr(descent, "MOST_ACTIVE", 1.0)
    sae = randomize(ARCHITECTURES[name](16, 64, decoder_norm="free", **SETTINGS[name]))
    with torch.no_grad():
        sae.W_dec.mul_(torch.linspace(0.1, 3, 64)[:, None])
    assert_backward(sae, torch.zeros(64, dtype=torch.bool))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_backward_where_the_loops_do_not_apply(name, monkeypatch):
    """As on a GPU: the modules that ask are told that the batch is not one for these loops."""
    for module in {sys.modules[cls.__module__] for cls in ARCHITECTURES[name].__mro__}:
        if hasattr(module, "applies"):
            monkeypatch.setattr(module, "applies", lambda x: False)
    assert_backward(randomize(ARCHITECTURES[name](16, 64, **SETTINGS.get(name, {}))), torch.arange(64) < 9)


def assert_backward(sae: Architecture, dead: torch.Tensor) -> None:
    """Whether `backward` gives what automatic differentiation of `losses` gives."""
    x = random_numbers(200, 16, seed=7)
    expected = sae.losses(x, dead, 0.6)
    expected.total.backward()
    gradients = gradients_of(sae)
    sae.zero_grad()
    found = sae.backward(x, dead, 0.6)
    for term in ("total", "reconstruction", "sparsity"):
        one, other = getattr(found, term).detach(), getattr(expected, term).detach()
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert torch.equal(found.fired, expected.fired)
    assert found.fired.sum() > 0
    for key, gradient in gradients_of(sae).items():
        assert (gradient != 0).any(), key
        torch.testing.assert_close(gradient, gradients[key], rtol=1e-4, atol=1e-4, msg=lambda text, key=key: key + text)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_do_not_pile_up_over_steps(name):
    sae, x = randomize(ARCHITECTURES[name](16, 64, **SETTINGS.get(name, {}))), random_numbers(90, 16)
    dead, found = torch.arange(64) < 9, []
    for _ in range(2):
        sae.zero_grad()
        assert sae.W_dec.grad is None
        sae.backward(x, dead, 1.0)
        found.append(gradients_of(sae))
    for key in found[0]:
        assert torch.equal(found[0][key], found[1][key]), key


@pytest.mark.parametrize("name", ["relu", "topk"])
def test_a_batch_without_active_features_teaches_the_decoder_bias_only(name):
    sae, x = randomize(ARCHITECTURES[name](16, 64, **SETTINGS[name])), random_numbers(90, 16)
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    found = sae.backward(x, torch.zeros(64, dtype=torch.bool), 1.0)
    assert found.fired.sum() == 0
    for key, gradient in gradients_of(sae).items():
        assert (gradient != 0).any() == (key == "b_dec"), key
    torch.testing.assert_close(sae.b_dec.grad, 2 * (sae.b_dec - x).mean(0).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["relu", "topk"])
def test_a_token_that_is_not_a_number_is_seen_in_the_loss(name):
    sae, x = randomize(ARCHITECTURES[name](16, 64, **SETTINGS[name])), random_numbers(90, 16)
    x[50, 3] = float("nan")
    assert sae.backward(x, torch.zeros(64, dtype=torch.bool), 1.0).total.isnan()


def test_crowded_batches_take_the_plain_formula(monkeypatch):
    sae, x = randomize(ReLU(16, 64, l1=0.5)), random_numbers(200, 16)
    assert descent.is_crowded(sae, x)
    with torch.no_grad():
        sae.b_enc.sub_(3.0)
    assert not descent.is_crowded(sae, x)
    sae.backward(x, torch.zeros(64, dtype=torch.bool), 1.0)
    sparse = gradients_of(sae)
    sae.zero_grad()
    monkeypatch.setattr(descent, "MOST_ACTIVE", -1.0)
    assert descent.is_crowded(sae, x)
    sae.backward(x, torch.zeros(64, dtype=torch.bool), 1.0)
    for key, gradient in gradients_of(sae).items():
        torch.testing.assert_close(gradient, sparse[key], rtol=1e-4, atol=1e-5)


def test_the_loops_are_for_float32_outside_autocast():
    assert descent.applies(torch.zeros(2, 3))
    assert not descent.applies(torch.zeros(2, 3, dtype=torch.float64))
    assert not descent.applies(torch.zeros(2, 3, device="meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not descent.applies(torch.zeros(2, 3))


def test_room_is_kept_and_grows():
    room = descent.Room()
    first = room.take("a", 4, 5)
    assert room.take("a", 2, 3).data_ptr() == first.data_ptr()
    assert room.take("b", 2, 3).data_ptr() != first.data_ptr()
    assert room.take("a", 40, 5).shape == (40, 5)


@pytest.mark.parametrize("decoder_norm", ["unit", "free"])
def test_adam_by_rows_is_that_of_pytorch(decoder_norm):
    one, other = (randomize(ReLU(24, 50, decoder_norm=decoder_norm)) for _ in range(2))
    rows, plain = RowAdam(one, (0.9, 0.99)), torch.optim.Adam(other.parameters(), betas=(0.9, 0.99))
    for step in range(30):
        rate = 1e-2 / (step + 1)
        for sae in (one, other):
            for number, parameter in enumerate(sae.parameters()):
                # Of all sizes, and 0 for some features, as those of silent ones are.
                gradient = 10.0 ** (number - 3) * random_numbers(*parameter.shape, seed=97 * step + number)
                parameter.grad = gradient * (torch.arange(gradient.shape[-1]) % 3 > 0)
        rows.step(rate, factor=0.5)
        for parameter in other.parameters():
            parameter.grad.mul_(0.5)
        plain.param_groups[0]["lr"] = rate
        other.project_gradients()
        plain.step()
        other.normalize_decoder()
    for (name, found), expected in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: name + text)
    if decoder_norm == "unit":
        torch.testing.assert_close(one.W_dec.norm(dim=1), torch.ones(50))
    else:
        assert (one.W_dec.norm(dim=1) - 1).abs().max() > 0.01


def test_parameters_without_a_gradient_stay():
    sae = randomize(ReLU(5, 8))
    before = {name: value.clone() for name, value in sae.named_parameters()}
    sae.W_enc.grad = torch.ones(5, 8)
    RowAdam(sae).step(0.1)
    for name, value in sae.named_parameters():
        assert torch.equal(value, before[name]) == (name != "W_enc")


def test_adam_goes_on_from_its_state():
    whole, halves = (randomize(ReLU(6, 9)) for _ in range(2))

    def take_steps(sae: Architecture, adam: RowAdam, steps: range) -> None:
        for step in steps:
            for number, parameter in enumerate(sae.parameters()):
                parameter.grad = random_numbers(*parameter.shape, seed=10 * step + number)
            adam.step(0.01)

    take_steps(whole, RowAdam(whole), range(8))
    first, second = RowAdam(halves), RowAdam(halves)
    take_steps(halves, first, range(4))
    second.restore({name: value.clone() for name, value in first.state().items()})
    take_steps(halves, second, range(4, 8))
    for found, expected in zip(halves.parameters(), whole.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_the_moments_of_reset_features_are_forgotten():
    sae = randomize(ReLU(6, 9))
    adam = RowAdam(sae)
    for parameter in sae.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step(0.1)
    adam.reset_features(torch.tensor([2, 7]))
    state, reset = adam.state(), torch.isin(torch.arange(9), torch.tensor([2, 7]))
    for name in ("W_enc", "W_dec"):
        assert torch.equal((state[name] == 0).all(2), reset.expand(2, 9)), name
    assert torch.equal(state["b_enc"][:, 0] == 0, reset.expand(2, 9))
    assert (state["b_dec"] != 0).all()
