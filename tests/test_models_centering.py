"""Centred writing weights: the same predictions, a residual stream without its mean, whichever way a model is saved."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM

from coact.config import complete
from coact.corpus.tokenizer import load_tokenizer, train_tokenizer
from coact.errors import ConfigError
from coact.models.bridge import activations_at, make_bridge
from coact.models.centering import center_writing_weights
from coact.models.folder import load_model, new_gpt2, save_model
from coact.models.legacy import open_legacy
from coact.study import check
from test_config import BASE
from test_models_legacy import make_repository

TOKENS = torch.arange(24).view(2, 12)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["some text of a few words, and more of them"] * 20, 300)


@pytest.fixture(params=["gpt2", "gelu", "gelu_pre", "attn"])
def model(request, tokenizer, tmp_path):
    """Small models whose weights have means, biases among them."""
    if request.param != "gpt2":
        return open_legacy(make_repository(tmp_path / "toy", request.param, "t", len(tokenizer)))
    made = new_gpt2(vocabulary=len(tokenizer), context_length=32, layers=2, d_model=16, heads=2, d_mlp=24,
                    activation="gelu_new", seed=0, tokenizer=tokenizer)  # fmt: skip
    with torch.no_grad():
        for weights in made.parameters():
            weights += 0.1 * torch.rand_like(weights)
    return made


def logits_and_streams(model, tokenizer):
    bridge = make_bridge(model, tokenizer, "toy")
    logits = bridge.run_with_hooks(TOKENS, return_type="logits", fwd_hooks=[])
    streams = [activations_at(bridge, f"blocks.{layer}.hook_resid_post", TOKENS) for layer in (0, 1)]
    return logits, streams


def test_predictions_stay_and_the_mean_of_the_stream_goes(model, tokenizer, tmp_path):
    save_model(model, tokenizer, tmp_path / "plain")
    tokenizer = load_tokenizer(tmp_path / "plain")
    logits, streams = logits_and_streams(load_model(tmp_path / "plain"), tokenizer)
    save_model(center_writing_weights(load_model(tmp_path / "plain"), "models.toy"), tokenizer, tmp_path / "centred")
    found, centred = logits_and_streams(load_model(tmp_path / "centred"), tokenizer)
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-5)
    for stream, other in zip(streams, centred, strict=True):
        assert stream.mean(-1).abs().max() > 0.01
        assert other.mean(-1).abs().max() < 1e-6
        torch.testing.assert_close(other, stream - stream.mean(-1, keepdim=True), rtol=1e-4, atol=1e-5)


def test_the_unembedding_of_gpt2_stays_as_it_is(tokenizer, tmp_path):
    made = new_gpt2(vocabulary=len(tokenizer), context_length=32, layers=1, d_model=16, heads=2, d_mlp=24,
                    activation="gelu_new", seed=0, tokenizer=tokenizer)  # fmt: skip
    before = made.lm_head.weight.detach().clone()
    save_model(center_writing_weights(made, "models.toy"), tokenizer, tmp_path / "centred")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "centred")
    assert torch.equal(again.lm_head.weight, before)
    assert not torch.equal(again.transformer.wte.weight, before)


def test_an_architecture_that_it_is_not_done_for_is_refused():
    config = GPTNeoXConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with pytest.raises(ConfigError, match="found true for a GPTNeoXForCausalLM, expected false"):
        center_writing_weights(GPTNeoXForCausalLM(config), "models.toy")


@pytest.mark.parametrize(("hook", "refused"), [("blocks.0.hook_resid_post", True), ("blocks.0.mlp.hook_post", False)])
def test_an_sae_of_centred_activations_asks_for_them(tiny_study, tmp_path, hook, refused):

    folder = shutil.copytree(tiny_study / "results/saes/main/topk-x1-s0", tmp_path / "sae")
    found = json.loads((folder / "cfg.json").read_text())
    shape = json.loads((tiny_study / "results/models/main/config.json").read_text())
    found["d_in"] = shape["n_embd"] if refused else found["d_in"]
    found["metadata"] |= {"model_from_pretrained_kwargs": {"center_writing_weights": True}, "hook_name": hook}
    (folder / "cfg.json").write_text(json.dumps(found))
    local = {"kind": "local", "path": str(tiny_study / "results/models/main"), "hook": hook}
    saes = {"theirs": {"kind": "import", "path": str(folder), "models": ["local"]}}
    config = complete(BASE | {"models": {"local": local}, "saes": saes})
    if not refused:
        check(config)
        return
    with pytest.raises(ConfigError, match=r"models[.]local[.]center_writing_weights: found false, expected true"):
        check(config)
    config["models"]["local"]["center_writing_weights"] = True
    check(config)
