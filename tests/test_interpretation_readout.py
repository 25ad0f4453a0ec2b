"""The linear path to the logits, held against the models' own forward passes."""

import copy

import numpy as np
import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import DynamicCache, Gemma2Config, GemmaConfig, PreTrainedModel

from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.interpretation.readout import make_readout, run_to_unembedding
from coact.models.bridge import activations_at, load_bridge, make_bridge, patched_logits
from coact.models.folder import new_gpt2

LENGTH = 16
GEMMA = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": LENGTH,
}


def make_tokenizer(folder):
    save_tokenizer(train_tokenizer(["the quick brown fox jumps over the lazy dog"] * 50, 300), folder)
    return load_tokenizer(folder)


def make_gpt2_bridge(tokenizer, layers, seed=0):
    """A tiny model with weights so large, and normalisations so uneven, that nothing is negligible."""
    shape = {"d_model": 16, "heads": 2, "d_mlp": 24, "activation": "gelu_new"}
    model = new_gpt2(
        **shape, layers=layers, vocabulary=len(tokenizer), context_length=LENGTH, seed=seed, tokenizer=tokenizer
    )
    return make_bridge(_strengthen(model, seed), tokenizer, "test")


def _strengthen(model, seed) -> PreTrainedModel:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def bridges(tokenizer):
    from transformers import Gemma2ForCausalLM, GemmaForCausalLM

    gemma = GemmaForCausalLM(GemmaConfig(vocab_size=len(tokenizer), **GEMMA))
    capped = Gemma2ForCausalLM(Gemma2Config(vocab_size=len(tokenizer), final_logit_softcapping=2.0, **GEMMA))
    return {
        "gpt2": make_gpt2_bridge(tokenizer, 1),
        "gemma": make_bridge(_strengthen(gemma, 1), tokenizer, "gemma"),
        "gemma2": make_bridge(_strengthen(copy.deepcopy(capped), 2), tokenizer, "gemma2"),
    }


@pytest.fixture(scope="module")
def llama(shared_data):
    return load_bridge(shared_data / "stories260K")


def draw_contexts(bridge: TransformerBridge, contexts=4, seed=0):
    generator = np.random.default_rng(seed)
    documents = np.where(np.arange(LENGTH) == 0, -1, 0) * np.ones((contexts, 1), int)
    return generator.integers(3, bridge.cfg.d_vocab, (contexts, LENGTH)).astype(np.int32), documents


def change_logits_by_direct_path(bridge, layer, name, tokens, step):
    """Change of the logits with the final scale, and all components that read the change, held as they were."""
    frozen = {
        "hook_resid_pre": ("hook_attn_out", "hook_mlp_out"),
        "attn.hook_z": ("hook_mlp_out",),
        "hook_attn_out": ("hook_mlp_out",),
    }.get(name, ())
    kept = {}

    def keep(value, hook):
        kept[hook.name] = value

    def restore(value, hook):
        return kept[hook.name]

    def add(value, hook):
        return value + step.view(value.shape[2:])

    held = [*(f"blocks.{layer}.{part}" for part in frozen), "ln_final.hook_scale"]
    clean = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[(point, keep) for point in held])
    hooks = [(f"blocks.{layer}.{name}", add), *((point, restore) for point in held)]
    return bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=hooks) - clean


HOOKS = ("mlp.hook_post", "attn.hook_z", "hook_resid_pre", "hook_resid_post", "hook_attn_out", "hook_mlp_out")


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("kind", ["gpt2", "gemma", "llama"])
@torch.no_grad()
def test_the_readout_is_the_models_own_change_of_logits_with_the_scale_held(bridges, kind, name, request):
    bridge = request.getfixturevalue("llama") if kind == "llama" else bridges[kind]
    contexts, documents = draw_contexts(bridge)
    layer = bridge.cfg.n_layers - 1
    readout = make_readout(bridge, f"blocks.{layer}.{name}", contexts, documents)
    assert readout.defined
    tokens = torch.from_numpy(contexts.astype(np.int64))
    width = activations_at(bridge, f"blocks.{layer}.{name}", tokens).shape[2]
    step = torch.randn(width, generator=torch.Generator().manual_seed(0))
    own = change_logits_by_direct_path(bridge, layer, name, tokens, step)
    scales = readout.inverse_scales(run_to_unembedding(bridge, tokens).residual)[..., None]
    expected = readout.logits(step[None])[0] * scales / readout.inverse_scale
    torch.testing.assert_close(own, expected, rtol=1e-3, atol=1e-4 * own.abs().max().item())


@pytest.mark.parametrize("kind", ["gpt2", "gemma", "llama"])
@torch.no_grad()
def test_the_frozen_scale_is_the_mean_over_tokens_of_documents(bridges, kind, request):
    bridge = request.getfixturevalue("llama") if kind == "llama" else bridges[kind]
    contexts, documents = draw_contexts(bridge, contexts=40)
    documents[:, 5] = -1
    readout = make_readout(bridge, "blocks.0.mlp.hook_post", contexts, documents)
    found = []
    bridge.run_with_hooks(
        torch.from_numpy(contexts.astype(np.int64)),
        fwd_hooks=[("ln_final.hook_scale", lambda v, hook: found.append(v))],
    )
    expected = np.mean([1 / found[0][c, t, 0].item() for c, t in np.argwhere(documents >= 0)])
    assert readout.inverse_scale == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_a_path_from_an_earlier_layer_leaves_later_layers_out(llama):
    contexts, documents = draw_contexts(llama)
    first, last = (make_readout(llama, f"blocks.{n}.hook_resid_post", contexts, documents) for n in (0, 4))
    rows = torch.eye(64)[:3]
    torch.testing.assert_close(first.logits(rows), last.logits(rows))


def test_a_second_name_of_a_hook_point_has_the_same_path(bridges):
    contexts, documents = draw_contexts(bridges["gpt2"])
    one, other = (
        make_readout(bridges["gpt2"], f"blocks.0.mlp.{n}", contexts, documents) for n in ("hook_post", "out.hook_in")
    )
    assert one.to_residual.shape == (24, 16)
    torch.testing.assert_close(one.to_residual, other.to_residual)


@pytest.mark.parametrize(
    ("kind", "hook", "reason"),
    [
        ("gpt2", "blocks.0.mlp.hook_pre", "not linear"),
        ("gpt2", "blocks.0.hook_mlp_in", "not linear"),
        ("gpt2", "blocks.0.attn.hook_q", "not linear"),
        ("gpt2", "blocks.0.hook_resid_mid", "reaches the MLP alone"),
        ("gpt2", "hook_embed", "not in a block"),
        ("gemma2", "blocks.0.mlp.hook_post", "followed by a normalisation"),
        ("gemma2", "blocks.0.hook_resid_post", "changes its logits after the unembedding"),
    ],
)
def test_a_hook_without_a_linear_path_says_why(bridges, kind, hook, reason):
    contexts, documents = draw_contexts(bridges[kind])
    readout = make_readout(bridges[kind], hook, contexts, documents)
    assert not readout.defined
    assert reason in readout.reason
    with pytest.raises(ValueError, match=reason):
        readout.logits(torch.zeros(1, 16))


def test_a_model_without_w_out_says_so(bridges, monkeypatch):
    contexts, documents = draw_contexts(bridges["gpt2"])

    def missing(self):
        raise AttributeError("No 'out' submodule")

    monkeypatch.setattr(type(bridges["gpt2"].blocks[0].mlp), "W_out", property(missing))
    readout = make_readout(bridges["gpt2"], "blocks.0.mlp.hook_post", contexts, documents)
    assert readout.reason == "the model has no W_out that follows 'blocks.0.mlp.hook_post'"


@torch.no_grad()
def test_a_patch_before_the_unembedding_gives_the_patched_logits(bridges):
    bridge, hook = bridges["gpt2"], "blocks.0.attn.hook_z"
    contexts, documents = draw_contexts(bridge)
    tokens = torch.from_numpy(contexts.astype(np.int64))
    readout = make_readout(bridge, hook, contexts, documents)
    state = run_to_unembedding(bridge, tokens, hook, lambda value: 2 * value + 1)
    expected = patched_logits(bridge, tokens, hook, lambda value: 2 * value + 1)
    torch.testing.assert_close(readout.unembed(state.normalized.flatten(0, 1)), expected.flatten(0, 1))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_with_a_cache_the_rest_of_a_text_needs_only_its_own_tokens(bridges, kind, request):
    bridge = request.getfixturevalue("llama") if kind == "llama" else bridges[kind]
    hook, cache = "blocks.0.hook_resid_pre", DynamicCache()
    tokens = torch.from_numpy(draw_contexts(bridge)[0].astype(np.int64))
    whole = run_to_unembedding(bridge, tokens, hook, lambda value: value + 0.1).normalized
    parts = [
        run_to_unembedding(bridge, part, hook, lambda value: value + 0.1, cache).normalized
        for part in tokens.split(5, 1)
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-3, atol=1e-4)
