"""Models: baselines by hand, the loader against Transformers, training, and what is refused."""

import copy
import json
import math

import numpy as np
import pytest
import torch

from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.corpus.tokens import TokenStream
from coact.errors import ConfigError, StudyError
from coact.models.baselines import bigram_cross_entropy, unigram_cross_entropy
from coact.models.bridge import activations_at, check_hook, load_bridge, make_bridge, token_losses
from coact.models.evaluate import Targets, evaluate_model, mean_cross_entropy
from coact.models.folder import load_model, new_gpt2, randomize, save_model, shuffle
from coact.models.train import context_order, schedule, train_model

HOOK = "blocks.0.mlp.hook_post"
TRAINING = {
    "tokens": 4096,
    "batch_contexts": 8,
    "learning_rate": 1e-2,
    "warmup_share": 0.1,
    "weight_decay": 0.01,
    "precision": "float32",
    "seed": 0,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(["the quick brown fox jumps over the lazy dog"] * 50, 300), folder)
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def model(tokenizer):
    shape = {"layers": 2, "d_model": 16, "heads": 2, "d_mlp": 32, "activation": "relu"}
    return new_gpt2(**shape, vocabulary=len(tokenizer), context_length=16, seed=0, tokenizer=tokenizer).eval()


@pytest.fixture(scope="module")
def bridge(model, tokenizer):
    return make_bridge(copy.deepcopy(model), tokenizer, "test")  # a bridge changes the model that it wraps


@pytest.fixture(scope="module")
def contexts(tokenizer):
    return np.random.default_rng(0).integers(0, len(tokenizer), (64, 16)).astype(np.int32)


def test_unigram_by_hand():
    # Counts with one added: 0 -> 3, 1 -> 2, 2 -> 1, of 6.
    expected = -(math.log(3 / 6) + math.log(1 / 6)) / 2
    assert unigram_cross_entropy(np.array([[0, 0, 1]]), np.array([0, 2]), 3) == pytest.approx(expected)


def test_bigram_knows_what_follows():
    train = np.tile([0, 1, 2, 3], (40, 5))
    previous, targets = np.array([0, 1, 2]), np.array([1, 2, 3])
    assert bigram_cross_entropy(train, previous, targets, 4) < 0.1
    assert bigram_cross_entropy(train, previous, targets[::-1], 4) > unigram_cross_entropy(train, targets, 4)


def test_activations_equal_those_of_transformers(model, bridge, contexts):
    tokens = torch.from_numpy(contexts[:4].astype(np.int64))
    found = []
    handle = model.transformer.h[1].mlp.act.register_forward_hook(lambda *args: found.append(args[2]))
    with torch.inference_mode():
        model(tokens)
    handle.remove()
    torch.testing.assert_close(activations_at(bridge, "blocks.1.mlp.hook_post", tokens), found[0], rtol=1e-5, atol=1e-5)


def test_the_forward_pass_stops_at_the_hook(bridge, contexts):
    later, tokens = [], torch.from_numpy(contexts[:2].astype(np.int64))
    handle = bridge.original_model.transformer.h[1].register_forward_hook(lambda *_: later.append(1))
    activations_at(bridge, HOOK, tokens)
    assert later == []
    token_losses(bridge, tokens)
    handle.remove()
    assert later == [1]


def test_heads_are_flattened(bridge, contexts):
    tokens = torch.from_numpy(contexts[:2].astype(np.int64))
    assert activations_at(bridge, "blocks.0.attn.hook_z", tokens).shape == (2, 16, 16)


def test_losses_equal_those_of_transformers(model, bridge, contexts):
    tokens = torch.from_numpy(contexts[:4].astype(np.int64))
    with torch.inference_mode():
        expected = model(tokens, labels=tokens).loss
    torch.testing.assert_close(token_losses(bridge, tokens).mean(), expected, rtol=1e-5, atol=1e-5)


def test_an_identical_patch_changes_nothing_and_zero_does(bridge, contexts):
    tokens = torch.from_numpy(contexts[:4].astype(np.int64))
    clean = token_losses(bridge, tokens)
    torch.testing.assert_close(token_losses(bridge, tokens, HOOK, lambda value: value), clean)
    assert not torch.allclose(token_losses(bridge, tokens, HOOK, torch.zeros_like), clean)


def test_special_positions_are_neither_counted_nor_patched(bridge, contexts):
    documents = np.zeros_like(contexts)
    documents[:, 0] = -1
    targets = Targets(contexts, documents)
    everywhere = mean_cross_entropy(bridge, targets, 8, HOOK, torch.zeros_like, include_special=True)
    assert mean_cross_entropy(bridge, targets, 8, HOOK, torch.zeros_like) != everywhere
    documents = np.full_like(contexts, -1)
    documents[:, 5] = 0
    only = mean_cross_entropy(bridge, Targets(contexts, documents), 8)
    assert only == pytest.approx(
        token_losses(bridge, torch.from_numpy(contexts.astype(np.int64)))[:, 4].mean().item(), rel=1e-5
    )


def test_targets_are_the_first_whole_contexts_of_a_stream(contexts):
    documents = np.arange(contexts.size).reshape(contexts.shape)
    targets = Targets.from_stream(TokenStream(contexts, documents, documents, []), 3 * 16 + 15)
    np.testing.assert_array_equal(targets.contexts, contexts[:3])
    np.testing.assert_array_equal(targets.documents, documents[:3])


def test_an_evaluation_holds_the_three_numbers(bridge, contexts):
    found = evaluate_model(
        bridge,
        contexts,
        Targets(contexts, np.zeros_like(contexts)),
        hook=HOOK,
        batch_contexts=16,
        include_special=False,
    )
    assert found["tokens"] == 64 * 15
    assert all(
        math.isfinite(found[name])
        for name in ("cross_entropy", "cross_entropy_zero", "cross_entropy_mean", "unigram", "bigram")
    )


def test_a_missing_hook_is_answered_with_those_there(bridge):
    with pytest.raises(
        ConfigError, match=r"has no 'blocks.0.mlp.hook_pots'; it has: .*blocks\.\[0-1\]\.mlp\.hook_post"
    ):
        check_hook(bridge, "blocks.0.mlp.hook_pots", "main")


def test_a_model_comes_back_from_its_folder(model, tokenizer, contexts, tmp_path):
    save_model(model, tokenizer, tmp_path / "m")
    assert sorted(file.name for file in (tmp_path / "m").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    tokens = torch.from_numpy(contexts[:2].astype(np.int64))
    with torch.inference_mode():
        torch.testing.assert_close(load_bridge(tmp_path / "m")(tokens), model(tokens).logits, rtol=1e-5, atol=1e-5)
    first, second = randomize(tmp_path / "m", 1), randomize(tmp_path / "m", 2)
    assert not torch.equal(first.transformer.wte.weight, second.transformer.wte.weight)


def test_shuffled_weights_are_the_same_numbers_elsewhere(model, tokenizer, tmp_path):
    save_model(model, tokenizer, tmp_path / "m")
    one, again, other = (shuffle(tmp_path / "m", seed) for seed in (1, 1, 2))
    for name, weights in model.named_parameters():
        found = one.get_parameter(name)
        assert torch.equal(found.flatten().sort().values, weights.flatten().sort().values)
        assert torch.equal(found, again.get_parameter(name))
        if weights.dim() > 1:
            assert not torch.equal(found, weights)
            assert not torch.equal(found, other.get_parameter(name))
    assert one.lm_head.weight is one.transformer.wte.weight  # tied as before, not shuffled twice apart


def test_a_folder_without_tokenizer_or_model_is_refused(model, tokenizer, tmp_path):
    with pytest.raises(ConfigError, match="empty"):
        load_tokenizer(tmp_path / "empty")
    save_tokenizer(tokenizer, tmp_path / "t")
    with pytest.raises(ConfigError, match="no causal language model"):
        load_model(tmp_path / "t")


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer, tmp_path):
    shape = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 32, "activation": "relu"}
    small = new_gpt2(**shape, vocabulary=100, context_length=16, seed=0, tokenizer=tokenizer)
    with pytest.raises(ConfigError, match=r"the tokenizer has \d+ tokens, but the model embeds only 100"):
        save_model(small, tokenizer, tmp_path / "m")


def test_training_learns_and_repeats_itself(tokenizer):
    shape = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 32, "activation": "relu"}
    contexts = np.tile(np.arange(16, dtype=np.int32) + 10, (32, 1))
    histories = []
    for _ in range(2):
        model = new_gpt2(**shape, vocabulary=len(tokenizer), context_length=16, seed=3, tokenizer=tokenizer)
        histories.append(train_model(model, contexts, **TRAINING))
    assert histories[0].equals(histories[1])
    assert histories[0]["loss"].iloc[-1] < histories[0]["loss"].iloc[0] / 2
    assert histories[0]["tokens"].iloc[-1] == 4096


def test_a_loss_that_is_not_finite_ends_the_training(tokenizer, contexts):
    shape = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 32, "activation": "relu"}
    model = new_gpt2(**shape, vocabulary=len(tokenizer), context_length=16, seed=3, tokenizer=tokenizer)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    with pytest.raises(StudyError, match="loss is nan at step 1 of 32; lower learning_rate"):
        train_model(model, contexts, **TRAINING)


def test_order_and_schedule():
    order = context_order(5, 12, 0)
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert [schedule(0, 100, 10), schedule(9, 100, 10), schedule(10, 100, 10)] == [0.1, 1.0, 1.0]
    assert schedule(99, 100, 10) == pytest.approx(0.1, abs=0.01)


def test_saved_configs_hold_no_path(model, tokenizer, tmp_path):
    save_model(model, tokenizer, tmp_path / "m")
    assert str(tmp_path) not in json.dumps(json.loads((tmp_path / "m" / "config.json").read_text()))
