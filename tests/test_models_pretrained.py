"""Numerics on a real pretrained model: activations as transformers gives them, a cross-entropy known from elsewhere."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from coact.models.bridge import activations_at, load_bridge

STORIES, LENGTH = 200, 512


@pytest.fixture(scope="module")
def bridge(shared_data):
    return load_bridge(shared_data / "stories260K")


@pytest.fixture(scope="module")
def stories(shared_data, bridge):
    """Token ids of the first stories, each after BOS, cut to the model's context."""
    text = (shared_data / "tinystories.txt").read_text(encoding="utf-8")
    parts = [part.strip() for part in text.split("<|endoftext|>")]
    tokenizer = bridge.tokenizer
    found = []
    for part in [part for part in parts if part][:STORIES]:
        ids = tokenizer(part, add_special_tokens=False)["input_ids"]
        found.append(torch.tensor([tokenizer.bos_token_id, *ids][:LENGTH]))
    assert len(found) == STORIES
    return found


def test_the_cross_entropy_of_stories_is_the_known_one(bridge, stories):
    losses = []
    for tokens in stories:
        with torch.inference_mode():
            logits = bridge(tokens[None])[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none"))
    assert torch.cat(losses).mean().item() == pytest.approx(1.480, abs=0.005)


@pytest.mark.parametrize(
    ("hook", "place", "before"),
    [
        ("blocks.0.hook_resid_post", "model.layers.0", False),
        ("blocks.2.mlp.hook_post", "model.layers.2.mlp.down_proj", True),
        ("blocks.2.hook_mlp_out", "model.layers.2.mlp", False),
        ("blocks.3.hook_attn_out", "model.layers.3.self_attn", False),
        ("blocks.3.attn.hook_z", "model.layers.3.self_attn.o_proj", True),
        ("blocks.4.hook_resid_pre", "model.layers.4", True),
    ],
)
def test_activations_are_those_of_transformers_itself(shared_data, bridge, stories, hook, place, before):
    model = AutoModelForCausalLM.from_pretrained(shared_data / "stories260K", dtype=torch.float32).eval()
    kept = []

    def keep(value):
        kept.append(value[0] if isinstance(value, tuple) else value)

    module = model.get_submodule(place)
    if before:
        module.register_forward_pre_hook(
            lambda _, args, kwargs: keep(args or kwargs["hidden_states"]), with_kwargs=True
        )
    else:
        module.register_forward_hook(lambda _, __, output: keep(output))
    for tokens in stories[:5]:
        kept.clear()
        with torch.inference_mode():
            model(tokens[None])
        expected = kept[0].flatten(2)
        found = activations_at(bridge, hook, tokens[None])
        assert found.shape == expected.shape
        scale = expected.abs().max().item()
        assert np.abs((found - expected).numpy()).max() <= 1e-5 * scale
