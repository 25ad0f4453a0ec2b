"""SAE folders: what is written, that it comes back, and what is refused."""

import inspect
import json

import pytest
import safetensors.torch
import torch

from coact.errors import ArtefactError
from coact.sae.architectures import ARCHITECTURES, SAE_LENS_ARCHITECTURES
from coact.sae.disk import load_sae, sae_lens_metadata, save_sae

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(7))


def random_sae(name, d_in=6, d_sae=10, pre_bias=True, seed=0):
    """An SAE in training, with random numbers for all of its parameters; thresholds are above 0."""
    cls, generator = ARCHITECTURES[name], torch.Generator().manual_seed(seed)
    needed = {"k": 3} if "k" in inspect.signature(cls).parameters else {}
    sae = cls(d_in, d_sae, pre_bias=pre_bias, **needed)
    with torch.no_grad():
        for key, parameter in sae.named_parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
            if key == "threshold":
                parameter.abs_()
    sae.normalize_decoder()
    return sae


@pytest.mark.parametrize("pre_bias", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_finished_sae_comes_back_bit_for_bit(name, pre_bias, tmp_path):
    sae = random_sae(name, pre_bias=pre_bias).finish(X, 1.5)
    save_sae(sae, tmp_path, {}, {"rule": "test"})
    back = load_sae(tmp_path)
    assert type(back) is type(sae)
    assert back.pre_bias is pre_bias
    for key, tensor in sae.state_dict().items():
        assert torch.equal(back.state_dict()[key], tensor)
    sae.pack()
    assert torch.equal(back.encode(X), sae.encode(X))
    assert not any(parameter.requires_grad for parameter in back.parameters())


def test_the_configuration_is_what_sae_lens_needs(tmp_path):
    sae = random_sae("topk", pre_bias=False).finish(X, 1.0)
    metadata = sae_lens_metadata("main", "blocks.0.mlp.hook_post", 128, True, trained_as="topk")
    save_sae(sae, tmp_path, metadata, {"rule": "test"})
    config = json.loads((tmp_path / "cfg.json").read_text())
    found = config.pop("metadata")
    assert config == {
        "architecture": "topk",
        "d_in": 6,
        "d_sae": 10,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "k": 3,
        "rescale_acts_by_decoder_norm": False,
    }
    assert found["hook_name"] == "blocks.0.mlp.hook_post"
    assert found["trained_as"] == "topk"
    assert found["coact"] == {"rule": "test"}
    # SAELens drops the metadata of folders that name no version.
    assert found["sae_lens_version"].startswith("6.")


def test_weights_have_the_shapes_of_sae_lens_and_no_strides(tmp_path):
    save_sae(random_sae("gated").finish(X, 1.0), tmp_path, {}, {})
    tensors = safetensors.torch.load_file(tmp_path / "sae_weights.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "W_enc": (6, 10), "W_dec": (10, 6), "b_dec": (6,), "b_gate": (10,), "b_mag": (10,), "r_mag": (10,),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"relu", *SAE_LENS_ARCHITECTURES}))
def test_what_finishes_as_another_architecture_is_not_saved_before(name, tmp_path):
    with pytest.raises(ArtefactError, match="in training, expected what its `finish` returns"):
        save_sae(random_sae(name), tmp_path / "sae", {}, {})
    assert not (tmp_path / "sae").exists()
    save_sae(random_sae(name).finish(X, 1.0), tmp_path / "sae", {}, {})
    assert json.loads((tmp_path / "sae/cfg.json").read_text())["architecture"] == "jumprelu"


def altered_config(folder, **changes):
    config = json.loads((folder / "cfg.json").read_text()) | changes
    (folder / "cfg.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "magic"}, "architecture 'magic' is unknown; expected one of gated, jumprelu, standard, topk"),
        ({"k": None}, "'k' is missing; architecture 'topk' needs it"),
        ({"d_sae": None}, "'d_sae' is missing"),
        ({"d_sae": 11}, r"found shape \(10, 6\), expected \(11, 6\)"),
        ({"architecture": "gated"}, "found tensors W_dec, W_enc, b_dec, b_enc, expected W_dec, W_enc, b_dec, b_gate"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(changes, message, tmp_path):
    save_sae(random_sae("topk"), tmp_path, {}, {})
    altered_config(tmp_path, **changes)
    with pytest.raises(ArtefactError, match=message) as caught:
        load_sae(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_named(tmp_path):
    sae = random_sae("relu")
    save_sae(sae, tmp_path, {}, {})
    weights = tmp_path / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ArtefactError, match=r"sae_weights\.safetensors: cannot be loaded"):
        load_sae(tmp_path)
    weights.unlink()
    with pytest.raises(ArtefactError, match=r"sae_weights\.safetensors: cannot be loaded"):
        load_sae(tmp_path)
    with torch.no_grad():
        sae.W_dec[2, 3] = float("nan")
    save_sae(sae, tmp_path, {}, {})
    with pytest.raises(ArtefactError, match="W_dec: found values that are not finite"):
        load_sae(tmp_path)
