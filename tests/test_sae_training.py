"""Training SAEs: each part by hand, and whole trainings on data whose features are known."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize

from coact.errors import ArtefactError, ConfigError, StudyError
from coact.sae.adam import FusedAdam
from coact.sae.architectures import ARCHITECTURES
from coact.sae.architectures.base import Losses
from coact.sae.architectures.relu import ReLU
from coact.sae.architectures.topk import TopK
from coact.sae.disk import save_sae
from coact.sae.history import HISTORY_COLUMNS, TrainingHistory
from coact.sae.initialization import available_memory, check_memory, geometric_median, survey
from coact.sae.memory import SAMPLE_TOKENS, training_memory
from coact.sae.resampling import draw, resample, restart, squared_errors
from coact.sae.stream import ActivationStream
from coact.sae.train import Training, clip, learning_rate_share, ramp, train_sae
from coact.trackers import Tracker
from test_sae_stream import make_shard

SETTINGS = {
    "relu": {"l1": 2.0},
    "topk": {"k": 2, "aux_share": 1 / 32},
    "batchtopk": {"k": 2, "aux_share": 1 / 32},
    "jumprelu": {"l0": 0.2},
    "gated": {"l1": 1.0},
    "matryoshka": {"k": 2, "prefixes": [0.25, 1.0], "aux_share": 1 / 32},
}


def training(**changes):
    """Settings of a short training."""
    plain = {
        "tokens": 20_000,
        "learning_rate": 3e-3,
        "warmup_share": 0.05,
        "decay_share": 0.2,
        "sparsity_warmup_share": 0.05,
        "dead_steps": 20,
        "seed": 0,
    }
    return Training(**plain | changes)


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread(one_thread):
    """As jobs have it. Without it fused Adam waits a hundred times longer for threads than it works on tiny SAEs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Sums of 2 of 24 known unit directions in 12 dimensions: the directions and two shards."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(24, 12))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = np.argsort(generator.random((12_000, 24)), axis=1)[:, :2]
    values = (directions[chosen] * generator.uniform(1, 2, (12_000, 2, 1))).sum(1)
    folder = tmp_path_factory.mktemp("shards")
    return directions, [make_shard(folder / "0", values[:8000]), make_shard(folder / "1", values[8000:])]


@pytest.fixture
def stream(planted):
    return ActivationStream(planted[1], False, 256, 0)


def random_relu(d_in=4, d_sae=6, **settings):
    sae = ReLU(d_in, d_sae, **settings)
    sae.initialize(torch.zeros(d_in), 0)
    return sae


# --- whole trainings


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_random_decoder_stays_and_the_rest_learns(stream, name):
    sae = ARCHITECTURES[name](12, 36, **SETTINGS[name])
    sae.initialize(torch.zeros(12), 3)
    rows, encoder = (weights.detach().clone() for weights in (sae.W_dec, sae.W_enc))
    found = train_sae(sae, stream, training(decoder="random", seed=3))
    scales = found.sae.W_dec.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.sae.W_dec / scales, rows / rows.norm(dim=1, keepdim=True))
    assert torch.cosine_similarity(found.sae.W_enc.T, encoder.T).min() < 0.99


@pytest.mark.parametrize(("name", "found_at_least"), [("topk", 22), ("relu", 20)])
def test_known_directions_are_found(planted, stream, name, found_at_least):
    sae = ARCHITECTURES[name](12, 36, **SETTINGS[name])
    found = train_sae(sae, stream, training(tokens=200_000, learning_rate=1e-2))
    cosine = torch.from_numpy(planted[0]).float() @ found.sae.W_dec.T
    assert (cosine.max(1).values > 0.9).sum() >= found_at_least
    assert found.history["fvu"].iloc[-1] < 0.4
    x = stream.sample(5000)
    fvu = (x - found.sae(x)).pow(2).sum() / (x - x.mean(0)).pow(2).sum()
    assert fvu.item() == pytest.approx(found.history["fvu"].iloc[-1], abs=0.1)


def test_training_repeats_itself(stream, tmp_path):
    for name in ("one", "two"):
        found = train_sae(TopK(12, 24, k=2, aux_share=1 / 32), stream, training())
        save_sae(found.sae, tmp_path / name, {}, {})
    for file in ("cfg.json", "sae_weights.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_history_counts_tokens_and_epochs_exactly(stream):
    history = train_sae(TopK(12, 24, k=2), stream, training(tokens=20_000)).history
    assert list(history) == HISTORY_COLUMNS
    assert history["step"].tolist() == list(range(1, 79))  # 20,000 // 256
    assert history["tokens"].tolist() == [256 * step for step in range(1, 79)]
    assert history["epoch"].iloc[-1] == pytest.approx(78 * 256 / 12_000)
    assert history["gradient_norm"].isna().all()
    assert (history["resampled"] == 0).all()
    assert history["l0"].between(1, 2).all()


def test_a_training_shorter_than_a_batch_takes_one_step(stream):
    assert train_sae(TopK(12, 24, k=2), stream, training(tokens=1)).history["tokens"].tolist() == [256]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bfloat16_trains_float32_weights_to_nearly_the_same(stream, name):
    histories = []
    for dtype in ("float32", "bfloat16"):
        found = train_sae(ARCHITECTURES[name](12, 24, **SETTINGS[name]), stream, training(tokens=256 * 40, dtype=dtype))
        assert {tensor.dtype for tensor in found.sae.state_dict().values()} == {torch.float32}
        histories.append(found.history)
    whole, half = histories
    assert not whole["loss"].equals(half["loss"])
    assert half["loss"].iloc[-10:].mean() == pytest.approx(whole["loss"].iloc[-10:].mean(), rel=0.1)


def test_inputs_can_be_left_as_they_are(planted, tmp_path):
    values = 100 * planted[1][0].values
    stream = ActivationStream([make_shard(tmp_path / "big", values)], False, 256, 0)
    data, plain = survey(stream, True), survey(stream, False)
    assert plain.scale == 1
    assert data.sample.pow(2).sum(1).mean().item() == pytest.approx(12, rel=1e-5)
    assert plain.variance == pytest.approx(float(stream.sample(SAMPLE_TOKENS).numpy().var(0).sum()), rel=1e-5)
    torch.testing.assert_close(plain.sample * data.scale, data.sample)
    # With the scale folded in, the SAE takes inputs as they are: it reconstructs them, not their hundredth.
    for normalize in (True, False):
        found = train_sae(TopK(12, 36, k=3), stream, training(normalize_inputs=normalize, learning_rate=1e-2))
        x = stream.sample(1000)
        assert (x - found.sae(x)).pow(2).sum() < 0.7 * (x - x.mean(0)).pow(2).sum()


def test_snapshots_are_taken_at_the_steps_asked_for_and_at_the_end(stream):
    found = train_sae(TopK(12, 24, k=2), stream, training(snapshot_steps=(0, 5, 10_000)))
    assert found.snapshots.state()["steps"].tolist() == [0, 5, 78]
    directions = found.snapshots.state()["directions"].float()
    first = TopK(12, 24, k=2)
    first.initialize(torch.zeros(12), 0)
    torch.testing.assert_close(directions[0], first.W_dec.detach(), atol=1e-3, rtol=0)
    torch.testing.assert_close(directions[2], found.sae.W_dec.detach(), atol=1e-3, rtol=0)
    assert train_sae(TopK(12, 24, k=2), stream, training()).snapshots.state()["steps"].tolist() == []


def test_the_tracker_gets_the_rows_of_the_history(stream):
    rows = []

    class Sink:
        def log(self, step, values):
            rows.append({**values, "step": step})

        def close(self):
            rows.append("closed")

    history = train_sae(TopK(12, 24, k=2), stream, training(), tracker=Tracker({"list": Sink()})).history
    assert "gradient_norm" not in rows[0]  # not defined without clipping
    logged = pd.DataFrame(rows)[HISTORY_COLUMNS[:-1]]
    pd.testing.assert_frame_equal(logged, history[HISTORY_COLUMNS[:-1]], check_dtype=False, check_exact=True)


def test_the_log_shows_loss_l0_fvu_and_the_share_of_dead_features(stream, caplog):
    with caplog.at_level(logging.INFO, "coact"):
        train_sae(TopK(12, 24, k=2), stream, training())
    assert "train SAE: 19,968 of 19,968 tokens" in caplog.text
    assert all(f"{name} " in caplog.text for name in ("loss", "L0", "FVU", "dead"))


# --- what is refused, and what goes on


def test_a_nan_in_a_shard_ends_the_training_by_its_name(tmp_path):
    values = np.ones((50, 3), np.float32)
    values[17, 1] = np.nan
    stream = ActivationStream([make_shard(tmp_path / "bad", values)], False, 10, 0)
    with pytest.raises(ArtefactError, match=r"bad: activation of token 17 is not finite"):
        train_sae(TopK(3, 6, k=2), stream, training())


def test_a_loss_that_is_not_finite_ends_the_training(stream):
    with pytest.raises(StudyError, match=r"loss is (inf|nan) at step 1 of 78; lower learning_rate"):
        train_sae(ReLU(12, 24, l1=float("inf")), stream, training())


def test_shards_of_another_width_than_the_sae_are_refused(stream):
    with pytest.raises(StudyError, match="activation shards have width 12, but the SAE takes 7 dimensions"):
        train_sae(TopK(7, 24, k=2), stream, training())


def test_dead_features_alone_do_not_end_a_training_and_are_told_once(stream, caplog):
    with caplog.at_level(logging.INFO, "coact"):
        found = train_sae(ReLU(12, 24, l1=1e3), stream, training(learning_rate=0.03, dead_steps=3))
    assert found.history["dead_share"].iloc[-1] == 1
    assert found.history["l0"].iloc[-1] == 0
    assert np.isfinite(found.history["loss"]).all()
    assert caplog.text.count("all features are dead at step") == 1


def test_resampling_before_any_feature_can_be_silent_that_long_is_refused():
    with pytest.raises(ConfigError, match=r"resample_steps has 100, but resample_window is 12,500 steps"):
        training(resample_steps=(100, 20_000))


def test_settings_of_a_training_are_picked_from_those_of_an_sae():
    fields = vars(training(snapshot_steps=(1, 2)))
    assert Training.of({**fields, "snapshot_steps": [1, 2], "k": 3, "kind": "trained"}) == Training(**fields)


# --- the schedule


def test_rates_and_penalties_rise_and_fall_by_hand():
    assert [ramp(step, 10, 0.4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert ramp(0, 10, 0) == 1
    shares = [learning_rate_share(step, 10, 0.2, 0.4) for step in range(10)]
    assert shares == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert [learning_rate_share(step, 3, 0, 0) for step in range(3)] == [1, 1, 1]


def test_the_sparsity_penalty_has_a_warm_up_of_its_own(stream):
    seen = []

    class Recorder(ReLU):
        def backward(self, x, dead, penalty):
            seen.append(penalty)
            return super().backward(x, dead, penalty)

    settings = training(tokens=2560, sparsity_warmup_share=0.5, warmup_share=0.2, decay_share=0)
    history = train_sae(Recorder(12, 24, l1=1.0), stream, settings).history
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(history["learning_rate"], 3e-3 * np.array([0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]))


# --- the center


@pytest.mark.parametrize(
    ("points", "median"),
    [
        ([[0.0], [1.0], [10.0]], [1.0]),  # on a line the median, which is one of the points
        ([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]], [1.0, 1.0]),
        ([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]], [0.5, 3**0.5 / 6]),
        # The mean is a point already, and there the iteration without Vardi and Zhang's step divides by 0.
        ([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]], [0.0, 0.0]),
        # The mean, 0, is a point, but the median is elsewhere.
        ([[0.0], [-1.0], [-1.0], [-1.0], [-1.0], [4.0]], [-1.0]),
        ([[3.0, 4.0]], [3.0, 4.0]),
    ],
)
def test_geometric_medians_by_hand(points, median):
    torch.testing.assert_close(geometric_median(torch.tensor(points)), torch.tensor(median), atol=1e-3, rtol=0)


def test_the_geometric_median_has_the_least_sum_of_distances():
    points = torch.from_numpy(np.random.default_rng(0).standard_t(2, (500, 3))).float()
    found = minimize(lambda at: np.linalg.norm(points.numpy() - at, axis=1).sum(), np.zeros(3)).x
    torch.testing.assert_close(geometric_median(points), torch.from_numpy(found).float(), atol=2e-3, rtol=0)


def test_the_decoder_bias_starts_at_the_center_asked_for(tmp_path):
    values = np.random.default_rng(0).exponential(size=(2000, 3)) ** 3
    stream = ActivationStream([make_shard(tmp_path / "skewed", values)], False, 100, 0)
    starts = {}
    for center in ("zero", "mean", "geometric_median"):
        settings = training(tokens=1, learning_rate=1e-30, center=center)
        starts[center] = train_sae(TopK(3, 6, k=2), stream, settings).sae.b_dec.detach()
    assert (starts["zero"].abs() < 1e-20).all()
    torch.testing.assert_close(starts["mean"], torch.from_numpy(values.mean(0)).float())
    torch.testing.assert_close(starts["geometric_median"], geometric_median(stream.sample(2000)), rtol=1e-3, atol=0)
    assert (starts["geometric_median"] < starts["mean"]).all()


# --- the optimizer


def adam_by_hand(values, gradients, rates):
    """Adam (Kingma and Ba 2015, algorithm 1) in float64."""
    first, second = np.zeros_like(values), np.zeros_like(values)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        values = values - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return values


def give_gradients(sae, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in sae.parameters():
        parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=generator))


def test_a_step_is_adam_by_hand_whatever_the_strides():
    sae = random_relu(decoder_norm="free")
    start = {name: value.detach().double().numpy() for name, value in sae.state_dict().items()}
    assert not sae.W_enc.is_contiguous()
    optimizer, gradients = FusedAdam(sae), []
    for seed, rate in enumerate((0.1, 0.05, 0.2)):
        give_gradients(sae, seed)
        gradients.append({name: value.grad.double().numpy() for name, value in sae.named_parameters()})
        optimizer.step(rate)
    for name, value in sae.state_dict().items():
        expected = adam_by_hand(start[name], [found[name] for found in gradients], (0.1, 0.05, 0.2))
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_decoder_rows_move_across_themselves_and_keep_unit_norm():
    sae = random_relu()
    before = sae.W_dec.detach().double().numpy()
    optimizer = FusedAdam(sae)
    give_gradients(sae, 0)
    gradient = sae.W_dec.grad.double().numpy()
    optimizer.step(0.1)
    across = gradient - (gradient * before).sum(1, keepdims=True) * before
    expected = adam_by_hand(before, [across], [0.1])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(sae.W_dec.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_to_a_norm_by_hand():
    sae = random_relu(2, 1)
    for parameter in sae.parameters():
        parameter.grad = torch.zeros_like(parameter)
    sae.b_dec.grad = torch.tensor([3.0, 0.0])
    sae.b_enc.grad = torch.tensor([4.0])
    assert clip(sae, 2.5) == (5.0, 0.5)
    assert clip(sae, 10.0) == (5.0, 1.0)
    norm, factor = clip(sae, None)
    assert np.isnan(norm)
    assert factor == 1


def test_the_history_has_the_norm_before_clipping(stream):
    found = train_sae(ReLU(12, 24, l1=1.0), stream, training(gradient_clip=0.01))
    assert (found.history["gradient_norm"] > 0.01).all()
    free = train_sae(ReLU(12, 24, l1=1.0), stream, training())
    assert not torch.equal(found.sae.W_enc, free.sae.W_enc)


def test_an_optimizer_goes_on_from_its_state():
    one, other = random_relu(), random_relu()
    first, second = FusedAdam(one), FusedAdam(other)
    give_gradients(one, 0)
    first.step(0.1)
    other.load_state_dict(one.state_dict())
    second.restore({name: value.clone() for name, value in first.state().items()})
    for sae, optimizer in ((one, first), (other, second)):
        give_gradients(sae, 1)
        optimizer.step(0.1)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


# --- resampling


def test_inputs_are_drawn_with_probabilities_proportional_to_the_squared_loss():
    losses = np.array([0.0, 1.0, 2.0, 3.0])
    firsts = [draw(losses, 1, np.random.default_rng(seed))[0] for seed in range(4000)]
    shares = np.bincount(firsts, minlength=4) / 4000
    np.testing.assert_allclose(shares, np.array([0, 1, 4, 9]) / 14, atol=0.03)


def test_no_input_is_drawn_twice_while_there_are_others():
    losses = np.array([0.0, 1.0, 1.0, 50.0])
    for seed in range(20):
        assert sorted(draw(losses, 3, np.random.default_rng(seed))) == [1, 2, 3]
        assert set(draw(losses, 10, np.random.default_rng(seed))) <= {1, 2, 3}
    assert draw(np.zeros(4), 2, np.random.default_rng(0)) is None


def test_squared_errors_by_hand():
    sae = ReLU(2, 1)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0], [0.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0]]))
        sae.b_dec.copy_(torch.tensor([0.0, 1.0]))
    x = torch.tensor([[2.0, 4.0], [-2.0, 1.0], [0.0, 1.0]])
    # (2, 4) becomes (2, 1), and (-2, 1) becomes (0, 1); the last is the bias.
    assert squared_errors(sae, x).tolist() == [9.0, 4.0, 0.0]


def test_features_start_anew_by_hand():
    sae = random_relu(2, 3)
    optimizer = FusedAdam(sae)
    give_gradients(sae, 0)
    optimizer.step(0.1)
    with torch.no_grad():
        sae.b_dec.copy_(torch.tensor([1.0, 0.0]))
        sae.W_enc.copy_(torch.tensor([[3.0, 9.0, 0.0], [4.0, 9.0, 1.0]]))  # norms 5, 12.7, 1
        sae.b_enc.copy_(torch.tensor([1.0, 2.0, 3.0]))
    kept = {name: value.clone() for name, value in sae.state_dict().items()}
    moments = {name: value.clone() for name, value in optimizer.state().items()}
    restart(sae, optimizer, torch.tensor([1]), torch.tensor([[4.0, 4.0]]))
    # The input less the bias is (3, 4); a fifth of the mean of 5 and 1 is 0.6.
    torch.testing.assert_close(sae.W_dec[1].detach(), torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(sae.W_enc[:, 1].detach(), torch.tensor([0.36, 0.48]))
    assert sae.b_enc.tolist() == [1.0, 0.0, 3.0]
    for others in ([0], [2]):
        assert torch.equal(sae.W_dec[others], kept["W_dec"][others])
        assert torch.equal(sae.W_enc[:, others], kept["W_enc"][:, others])
    for name, value in optimizer.state().items():
        expected = moments[name].clone()
        if name in ("W_dec.exp_avg", "W_dec.exp_avg_sq", "b_enc.exp_avg", "b_enc.exp_avg_sq"):
            expected[1] = 0
        if name in ("W_enc.exp_avg", "W_enc.exp_avg_sq"):
            expected[:, 1] = 0
        assert torch.equal(value, expected), name
    assert moments["W_enc.exp_avg"][:, 1].abs().sum() > 0


def test_where_every_feature_is_silent_the_mean_norm_is_of_all():
    sae = random_relu(2, 2)
    restart(sae, FusedAdam(sae), torch.tensor([0, 1]), torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    torch.testing.assert_close(sae.W_enc.detach(), 0.2 * ReLU.FIRST_NORM * torch.eye(2))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_only_features_silent_for_the_window_start_anew_each_along_an_input(stream, name):
    sae = ARCHITECTURES[name](12, 24, **SETTINGS[name])
    sae.initialize(torch.full((12,), 0.1), 0)
    before = sae.W_dec.detach().clone()
    silent = torch.tensor([0, 9, 10, 11] * 6)
    number = resample(sae, FusedAdam(sae), silent, stream, window=10, scale=2.0, step=50)
    anew = torch.tensor([False, False, True, True] * 6)
    assert number == 12
    assert silent.tolist() == [0, 9, 0, 0] * 6
    assert torch.equal(sae.W_dec[~anew], before[~anew])
    inputs = 2 * stream.gather(np.arange(len(stream))) - 0.1
    cosine = torch.nn.functional.normalize(inputs) @ sae.W_dec[anew].T
    torch.testing.assert_close(cosine.max(0).values, torch.ones(12))
    assert len(set(cosine.argmax(0).tolist())) == 12
    mean = sae.W_enc[:, ~anew].norm(dim=0).mean().item()
    torch.testing.assert_close(sae.W_enc[:, anew].norm(dim=0), torch.full((12,), 0.2 * mean))


def test_nothing_starts_anew_where_nothing_is_silent_or_all_is_reconstructed(tmp_path):
    stream = ActivationStream([make_shard(tmp_path / "s", np.zeros((40, 2)))], False, 10, 0)
    sae = random_relu(2, 3)
    weights = sae.W_dec.detach().clone()
    assert resample(sae, FusedAdam(sae), torch.zeros(3).long(), stream, window=5, scale=1.0, step=5) == 0
    assert resample(sae, FusedAdam(sae), torch.full((3,), 9), stream, window=5, scale=1.0, step=5) == 0
    assert torch.equal(sae.W_dec, weights)


def test_resampled_features_fire_in_the_steps_after(stream):
    plain = {"tokens": 256 * 60, "learning_rate": 0.03, "warmup_share": 0, "sparsity_warmup_share": 0, "dead_steps": 10}
    histories = [
        train_sae(ReLU(12, 100, l1=4.0), stream, training(**plain, resample_window=10, resample_steps=steps)).history
        for steps in ((), (30,))
    ]
    without, resampled = (history.set_index("step") for history in histories)
    # Up to step 30 the two are one training, and its dead features are those that start anew.
    assert without["dead_share"][30] > 0.05
    assert resampled["resampled"][resampled["resampled"] > 0].to_dict() == {30: round(100 * without["dead_share"][30])}
    assert resampled["loss"][:30].equals(without["loss"][:30])
    assert resampled["dead_share"][30] == 0
    assert resampled["l0"][31] > 5 * without["l0"][31]


# --- the history


def add_to(history, values):
    for value in values:
        number = torch.tensor(float(value))
        history.add(Losses(number, number / 2, number / 4, torch.tensor([3, 5])), 2 * value)


def test_rows_of_the_history_by_hand(planted):
    stream = ActivationStream(planted[1], False, 4, 0)
    history = TrainingHistory(450, stream, 10.0, torch.device("cpu"))  # two steps to a row
    add_to(history, [1])
    assert not history.is_due
    add_to(history, [3])
    assert history.is_due
    history.resampled = 7
    row = history.write_row(0.25, 0.1)
    assert row == {
        "step": 2,
        "tokens": 8,
        "epoch": 8 / 12_000,
        "loss": 2.0,
        "reconstruction": 1.0,
        "sparsity": 0.5,
        "l0": 2.0,
        "fvu": 0.1,
        "dead_share": 0.25,
        "resampled": 7,
        "learning_rate": 0.1,
        "gradient_norm": 4.0,
    }
    assert history.resampled == 0
    assert history.table().dtypes.astype(str).tolist() == [
        "int64" if name in ("step", "tokens", "resampled") else "float64" for name in HISTORY_COLUMNS
    ]


def test_a_history_goes_on_from_its_state_in_the_middle_of_a_row(planted):
    stream = ActivationStream(planted[1], False, 4, 0)
    histories = [TrainingHistory(5 * 200, stream, 10.0, torch.device("cpu")) for _ in range(2)]
    whole, cut = histories
    add_to(whole, range(5))
    whole.write_row(0, 0)
    add_to(whole, range(3))
    whole.resampled = 4
    cut.restore({name: value.clone() for name, value in whole.state().items()})
    for history in histories:
        add_to(history, range(2))
        assert history.is_due
        history.write_row(0.5, 0.1)
    pd.testing.assert_frame_equal(whole.table(), cut.table())
    assert whole.table()["resampled"].tolist() == [0, 4]


# --- memory


def test_the_memory_of_a_training_by_hand():
    # 4 copies of two matrices and two biases, a batch of pre-activations, and what is as wide as inputs.
    expected = 4 * (4 * (2 * 3 * 5 + 3 + 5) + 7 * 5 + (2 * 7 + SAMPLE_TOKENS) * 3)
    assert training_memory(3, 5, 7) == expected


def test_a_training_that_does_not_fit_is_refused_with_the_numbers():
    message = r"an SAE of 100,000 x 10,000,000 takes at least 32\d{3}\.\d\d GB .* but \d+\.\d\d GB are free"
    with pytest.raises(StudyError, match=message):
        check_memory(10**5, 10**7, 1)
    check_memory(8, 8, 8)


def write_files(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


MEMINFO = {"proc/meminfo": "MemTotal:  900 kB\nMemAvailable:  800 kB\n"}
GROUPS = "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 800 * 1024),
        # Version 2: the group has no limit, the one above it has; half of what is used is a cache of files.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "0::/job/step\n",
                f"{GROUPS}/job/step/memory.max": "max\n",
                f"{GROUPS}/job/step/memory.current": "5\n",
                f"{GROUPS}/job/memory.max": "700000\n",
                f"{GROUPS}/job/memory.current": "200000\n",
                f"{GROUPS}/job/memory.stat": "anon 100000\ninactive_file 100000\n",
            },
            600_000,
        ),
        # Version 1, in a container: the path is that of the host, and the files are at the root.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n",
                f"{GROUPS}/memory/memory.limit_in_bytes": "300000\n",
                f"{GROUPS}/memory/memory.usage_in_bytes": "500000\n",
            },
            0,
        ),
    ],
)
def test_available_memory_is_the_least_that_machine_and_groups_leave(tmp_path, files, expected):
    write_files(tmp_path, files)
    assert available_memory(tmp_path) == expected
