"""SAEs: the formulas by hand, training on data whose features are known, files, and what is refused."""

import itertools
import json

import numpy as np
import pytest
import torch

from coact.activations import open_shard
from coact.artefacts import write_tensors
from coact.errors import ArtefactError, ConfigError, StudyError
from coact.sae.architectures import ARCHITECTURES, ReLU, TopK
from coact.sae.disk import load_sae, save_sae
from coact.sae.evaluate import density, evaluation, loss_recovered, reconstruction
from coact.sae.neurons import neuron_dictionary
from coact.sae.stream import ActivationStream
from coact.sae.train import train_sae

TRAINING = {"learning_rate": 3e-3, "warmup_share": 0.05, "decay_share": 0.2, "dead_steps": 20, "seed": 0}
SETTINGS = {"relu": {"l1": 0.5}, "topk": {"k": 3, "aux_share": 1 / 32}}


def make_shard(path, values, documents=None):
    """An activation shard of float32 values."""
    documents = np.zeros(len(values), np.int32) if documents is None else documents
    write_tensors({"activations": values.astype(np.float32), "documents": documents}, path, {}, {"dtype": "float32"})
    return open_shard(path)


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


def random_sae(name, d_in=6, d_sae=10):
    sae = ARCHITECTURES[name](d_in, d_sae, **SETTINGS[name])
    sae.initialize(torch.full((d_in,), 0.1), 0)
    with torch.no_grad():
        sae.b_enc.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    return sae


def test_relu_by_hand():
    sae = ReLU(2, 3, l1=0.5)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
        sae.b_dec.copy_(torch.tensor([1.0, 0.0]))
        sae.b_enc.copy_(torch.tensor([0.0, -1.0, 0.0]))
    x = torch.tensor([[3.0, 2.0], [0.0, 0.5]])
    torch.testing.assert_close(sae.encode(x), torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(sae(x), torch.tensor([[3.0, 1.0], [0.0, 0.0]]))
    losses = sae.losses(x, torch.zeros(3, dtype=torch.bool), penalty=0.5)
    # Squared errors 1 and 0.25 over 2 tokens; L1 norms 3 and 1 over 2 tokens, times 0.5, times 0.5.
    assert losses.reconstruction.item() == pytest.approx(0.625)
    assert losses.sparsity.item() == pytest.approx(0.5)


def test_topk_keeps_the_k_largest_positive():
    sae = TopK(4, 4, k=2)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(4))
    x = torch.tensor([[4.0, 3.0, 2.0, -1.0], [-1.0, -2.0, 5.0, -3.0]])
    torch.testing.assert_close(sae.encode(x), torch.tensor([[4.0, 3.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]]))


def test_a_k_larger_than_the_dictionary_is_refused():
    with pytest.raises(ConfigError, match="k is 5, but the SAE has only 4 features"):
        TopK(4, 4, k=5)


def test_the_sparse_decode_has_the_gradients_of_the_dense_formula():
    sae, x = random_sae("topk"), torch.randn(32, 6, generator=torch.Generator().manual_seed(2))
    none = torch.zeros(10, dtype=torch.bool)
    sae.losses(x, none, 1.0).total.backward()
    fast = {name: parameter.grad.clone() for name, parameter in sae.named_parameters()}
    sae.zero_grad()
    before = sae.pre_activations(x)
    kept = torch.zeros_like(before).scatter_(1, before.topk(3).indices, 1.0)
    (x - sae.decode(before.relu() * kept)).pow(2).sum(1).mean().backward()
    for name, parameter in sae.named_parameters():
        torch.testing.assert_close(fast[name], parameter.grad, rtol=1e-4, atol=1e-5)


def test_the_auxiliary_loss_reaches_dead_features_only_through_it():
    sae, x = random_sae("topk"), torch.randn(16, 6, generator=torch.Generator().manual_seed(3))
    dead = torch.zeros(10, dtype=torch.bool)
    dead[7] = True
    with torch.no_grad():
        sae.b_enc[7] = -0.5
    plain, with_dead = sae.losses(x, torch.zeros_like(dead), 1.0), sae.losses(x, dead, 1.0)
    assert plain.total == plain.reconstruction
    assert with_dead.total > with_dead.reconstruction


def test_the_parallel_gradient_is_removed_and_rows_keep_unit_norm():
    sae, x = random_sae("relu"), torch.randn(16, 6, generator=torch.Generator().manual_seed(4))
    sae.losses(x, torch.zeros(10, dtype=torch.bool), 1.0).total.backward()
    sae.project_gradients()
    torch.testing.assert_close((sae.W_dec.grad * sae.W_dec).sum(1), torch.zeros(10), atol=1e-6, rtol=0)
    with torch.no_grad():
        sae.W_dec.add_(0.3)
    sae.normalize_decoder()
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(10))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_scale_of_the_inputs_folds_into_the_biases(name):
    sae, x = random_sae(name), torch.randn(16, 6, generator=torch.Generator().manual_seed(5))
    expected_features, expected = sae.encode(x * 3) / 3, sae(x * 3) / 3
    sae.rescale(3)
    torch.testing.assert_close(sae.encode(x), expected_features)
    torch.testing.assert_close(sae(x), expected)


@pytest.mark.parametrize(("name", "found_at_least"), [("topk", 22), ("relu", 20)])
def test_known_directions_are_found(planted, name, found_at_least):
    directions, shards = planted
    settings = {"relu": {"l1": 2.0}, "topk": {"k": 2, "aux_share": 1 / 32}}[name]
    sae = ARCHITECTURES[name](12, 36, **settings)
    history = train_sae(
        sae, ActivationStream(shards, False, 256, 0), tokens=200_000, **TRAINING | {"learning_rate": 1e-2}
    )
    cosine = torch.from_numpy(directions).float() @ sae.W_dec.T
    assert (cosine.max(1).values > 0.9).sum() >= found_at_least
    assert history["fvu"].iloc[-1] < 0.4
    assert history["tokens"].iloc[-1] == 200_000 // 256 * 256
    assert reconstruction(sae, shards, False).fvu == pytest.approx(history["fvu"].iloc[-1], abs=0.1)


def test_training_repeats_itself(planted, tmp_path):
    for name in ("one", "two"):
        sae = TopK(12, 24, k=2, aux_share=1 / 32)
        train_sae(sae, ActivationStream(planted[1], False, 256, 0), tokens=20_000, **TRAINING)
        save_sae(sae, tmp_path / name, {}, {})
    for file in ("cfg.json", "sae_weights.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_stream_gives_every_kept_token_once_per_epoch(tmp_path):
    values = np.arange(40, dtype=np.float32)[:, None]
    documents = np.where(np.arange(20) % 5 == 0, -1, 0).astype(np.int32)
    shards = [make_shard(tmp_path / str(part), values[part * 20 : part * 20 + 20], documents) for part in (0, 1)]
    stream = ActivationStream(shards, False, 8, seed=1)
    batches = [batch.ravel().tolist() for batch in stream.batches(8)]
    first, second = (list(itertools.chain(*part)) for part in (batches[:4], batches[4:]))
    assert sorted(first) == sorted(second) == [value for value in range(40) if value % 5]
    assert first != second
    assert len(ActivationStream(shards, True, 8, seed=1)) == 40


def test_a_nan_in_a_shard_is_named(tmp_path):
    values = np.ones((50, 3), np.float32)
    values[17, 1] = np.nan
    shard = make_shard(tmp_path / "bad", values)
    sae = TopK(3, 6, k=2)
    with pytest.raises(ArtefactError, match=r"bad: activation of token 17 is not finite"):
        train_sae(sae, ActivationStream([shard], False, 10, 0), tokens=100, **TRAINING)


def test_a_loss_that_is_not_finite_ends_the_training(planted):
    sae = ReLU(12, 24, l1=float("inf"))
    with pytest.raises(StudyError, match=r"loss is (inf|nan) at step 1 of \d+; lower learning_rate"):
        train_sae(sae, ActivationStream(planted[1], False, 256, 0), tokens=10_000, **TRAINING)


def test_a_batch_larger_than_the_data_is_refused(planted):
    with pytest.raises(StudyError, match="batch_tokens: found 20,000, but the activation shards hold 12,000 tokens"):
        ActivationStream(planted[1], False, 20_000, 0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_sae_comes_back_from_its_folder(name, tmp_path):
    sae, x = random_sae(name), torch.randn(8, 6, generator=torch.Generator().manual_seed(6))
    save_sae(sae, tmp_path, {"hook_name": "h"}, {"rule": "test"})
    config = json.loads((tmp_path / "cfg.json").read_text())
    assert (config["architecture"], config["d_in"], config["d_sae"]) == (sae.sae_lens_name, 6, 10)
    torch.testing.assert_close(load_sae(tmp_path)(x), sae(x))


def test_damaged_sae_folders_are_named(tmp_path):
    save_sae(random_sae("relu"), tmp_path, {}, {})
    weights = tmp_path / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ArtefactError, match=r"sae_weights\.safetensors: cannot be loaded"):
        load_sae(tmp_path)
    (tmp_path / "cfg.json").write_text('{"architecture": "magic"}')
    with pytest.raises(ArtefactError, match="architecture 'magic' is unknown"):
        load_sae(tmp_path)


def test_neurons_reconstruct_what_is_not_negative(tmp_path):
    values = np.abs(np.random.default_rng(0).normal(size=(60, 5)))
    values[values < 0.5] = 0
    found = reconstruction(neuron_dictionary(5), [make_shard(tmp_path / "s", values)], False)
    assert found.fvu == pytest.approx(0, abs=1e-12)
    assert found.l0 == pytest.approx((values > 0).sum(1).mean())
    np.testing.assert_array_equal(found.count, (values > 0).sum(0))


def test_figures_by_hand(tmp_path):
    sae = ReLU(1, 2)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, -1.0]]))
        sae.W_dec.copy_(torch.tensor([[0.5], [0.0]]))
    shard = make_shard(tmp_path / "s", np.array([[1.0], [2.0], [3.0], [9.0]]), np.array([0, 0, 0, -1], np.int32))
    found = reconstruction(sae, [shard], False)
    # Residuals are half of 1, 2, 3; squares around the mean 2 sum to 2.
    assert found.fvu == pytest.approx((0.25 + 1 + 2.25) / 2)
    assert (found.l0, found.dead_share, found.tokens) == (1.0, 0.5, 3)
    record = evaluation(
        sae, "relu", found, 4.0, {"cross_entropy": 3.0, "cross_entropy_zero": 5.0, "cross_entropy_mean": 4.5}
    )
    assert (record["loss_recovered_zero"], record["loss_recovered_mean"]) == (0.5, pytest.approx(1 / 3))
    assert density(found)["frequency"].tolist() == [1.0, 0.0]
    assert np.isnan(loss_recovered(3.0, 3.0, 3.0))
