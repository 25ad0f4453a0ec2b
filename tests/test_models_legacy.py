"""Models in TransformerLens's old format: as TransformerLens opens them, and through a study like any other."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoTokenizer

from coact.corpus.tokenizer import load_tokenizer
from coact.errors import ConfigError
from coact.formats import is_legacy
from coact.models.bridge import activations_at, make_bridge, patched_logits
from coact.models.folder import load_model, randomize, save_model, shuffle
from coact.models.legacy import LegacyForCausalLM, open_legacy
from conftest import ROOT
from hub import run, running_hub

SHAPE = {"d_model": 16, "n_layers": 2, "d_mlp": 40, "d_head": 4, "n_heads": 3, "n_ctx": 64}
KINDS = {
    "gelu": {"act_fn": "gelu", "normalization": "LN", "attn_only": False},
    "solu": {"act_fn": "solu_ln", "normalization": "LN", "attn_only": False},
    "gelu_pre": {"act_fn": "gelu", "normalization": "LNPre", "attn_only": False},
    "attn": {"act_fn": "gelu", "normalization": "LN", "attn_only": True},
}
# TransformerLens itself, on the same repositories; saves logits and activations.
BOOT = """
import sys, torch
from transformer_lens.model_bridge import TransformerBridge
tokens = torch.arange(24).view(2, 12)
for kind in sys.argv[3].split(","):
    bridge, found = TransformerBridge.boot_tl_legacy(f"NeelNanda/{kind}", device="cpu"), {}
    def keep(value, hook):
        found[hook.name] = value
    names = [name for name in sys.argv[2].split(",") if name in bridge.hook_dict]
    logits = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[(name, keep) for name in names])
    torch.save({"logits": logits, **found}, f"{sys.argv[1]}/{kind}.pt")
"""
HOOKS = ("blocks.0.hook_resid_pre", "blocks.0.attn.hook_z", "blocks.0.mlp.hook_pre", "blocks.1.mlp.hook_post",
         "blocks.1.hook_resid_post")  # fmt: skip


def weights(vocabulary, *, act_fn, normalization, attn_only, bias=True, seed=0):
    """A HookedTransformer's state, with its names and shapes, and the buffers that it saved along."""
    rng = np.random.default_rng(seed)
    model, layers, mlp, head, heads, length = SHAPE.values()

    def draw(*shape):
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32)) * 0.3

    state = {"embed.W_E": draw(vocabulary, model), "pos_embed.W_pos": draw(length, model)}
    for layer in range(layers):
        block = f"blocks.{layer}"
        for name in "QKV":
            state |= {f"{block}.attn.W_{name}": draw(heads, model, head), f"{block}.attn.b_{name}": draw(heads, head)}
        state |= {f"{block}.attn.W_O": draw(heads, head, model), f"{block}.attn.b_O": draw(model)}
        state |= {f"{block}.attn.mask": torch.ones(length, length).tril().bool(), f"{block}.attn.IGNORE": draw()}
        if not attn_only:
            state |= {f"{block}.mlp.W_in": draw(model, mlp), f"{block}.mlp.b_in": draw(mlp)}
            state |= {f"{block}.mlp.W_out": draw(mlp, model), f"{block}.mlp.b_out": draw(model)}
            if act_fn == "solu_ln":
                state |= {f"{block}.mlp.ln.w": draw(mlp), f"{block}.mlp.ln.b": draw(mlp)}
        norms = [f"{block}.ln1", *([] if attn_only else [f"{block}.ln2"])] if normalization == "LN" else []
        state |= {f"{name}.{part}": draw(model) for name in norms for part in "wb"}
    if normalization == "LN":
        state |= {f"ln_final.{part}": draw(model) for part in "wb"}
    state |= {"unembed.W_U": draw(model, vocabulary)} | ({"unembed.b_U": draw(vocabulary)} if bias else {})
    return state


def make_repository(folder: Path, kind: str, tokenizer: str, vocabulary: int, **options) -> Path:
    folder.mkdir(parents=True)
    found = SHAPE | {"d_vocab": vocabulary, "tokenizer_name": tokenizer} | KINDS[kind]
    (folder / "config.json").write_text(json.dumps(found))
    torch.save(weights(vocabulary, **KINDS[kind], **options), folder / "model_final.pth")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "model_000100_final.pth").write_bytes(b"not wanted")
    return folder


@pytest.fixture(scope="module")
def tokenizer_folder(tiny_study, tmp_path_factory):
    """The tokenizer of the tiny study as a repository of its own."""
    folder = tmp_path_factory.mktemp("tokenizer")
    for path in (tiny_study / "results/tokenizers/corpus").iterdir():
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return load_tokenizer(tokenizer_folder)


@pytest.fixture(scope="module")
def repositories(tokenizer, tmp_path_factory):
    """A repository of each kind."""
    folder = tmp_path_factory.mktemp("legacy")
    return {kind: make_repository(folder / kind, kind, "owner/tokenizer", len(tokenizer)) for kind in KINDS}


@pytest.fixture(scope="module")
def by_transformer_lens(repositories, tokenizer_folder, tmp_path_factory):
    """Logits and activations of each kind as `boot_tl_legacy` gives them, from a stand-in for the Hub."""
    folder = tmp_path_factory.mktemp("theirs")
    with running_hub() as hub:
        for kind, repository in repositories.items():
            hub.add(f"NeelNanda/{kind}", repository)
        hub.add("owner/tokenizer", tokenizer_folder)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "home")}
        command = [sys.executable, "-c", BOOT, str(folder), ",".join(HOOKS), ",".join(KINDS)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return {kind: torch.load(folder / f"{kind}.pt", weights_only=True) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_what_transformer_lens_computes_is_what_is_saved_and_opened_again(
    kind, repositories, by_transformer_lens, tokenizer, tmp_path
):
    folder, theirs = repositories[kind], dict(by_transformer_lens[kind])
    assert is_legacy(folder)
    save_model(load_model(folder), tokenizer, tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    model = load_model(tmp_path / "saved")
    bridge = make_bridge(model, load_tokenizer(tmp_path / "saved"), "toy")
    tokens = torch.arange(24).view(2, 12)
    logits = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[])
    torch.testing.assert_close(logits, theirs.pop("logits"), rtol=0, atol=1e-6)
    assert len(theirs) == (3 if kind == "attn" else 5)
    for hook, value in theirs.items():
        torch.testing.assert_close(activations_at(bridge, hook, tokens), value.flatten(2), rtol=0, atol=1e-6, msg=hook)
    torch.testing.assert_close(model(tokens).logits, logits, rtol=0, atol=1e-5)
    doubled = patched_logits(bridge, tokens, "blocks.0.hook_resid_pre", lambda value: 2 * value)
    assert not torch.equal(doubled, logits)


def test_a_bias_of_the_unembedding_is_kept_and_one_that_is_missing_is_none(tokenizer, tmp_path):
    folders = [
        make_repository(tmp_path / str(bias), "gelu", "owner/tokenizer", len(tokenizer), bias=bias)
        for bias in (True, False)
    ]
    state = torch.load(folders[0] / "model_final.pth", weights_only=True)
    biased, plain = (open_legacy(folder) for folder in folders)
    assert torch.equal(biased.network.head.bias, state["unembed.b_U"])
    assert plain.network.head.bias is None
    assert (biased.config.hidden_size, biased.config.vocab_size) == (16, len(tokenizer))


def test_controls_of_such_a_model_are_drawn_and_shuffled_like_others(tokenizer, tmp_path):
    folder = make_repository(tmp_path / "toy", "solu", "owner/tokenizer", len(tokenizer))
    save_model(load_model(folder), tokenizer, tmp_path / "saved")
    first, again, other = (randomize(tmp_path / "saved", seed) for seed in (0, 0, 1))
    assert isinstance(first, LegacyForCausalLM)
    of = [model.network.layers[0].mlp.fc_in.weight.detach() for model in (first, again, other)]
    assert torch.equal(of[0], of[1])
    assert not torch.equal(of[0], of[2])
    assert of[0].std() == pytest.approx(0.8 / 4, rel=0.1)  # 0.8 over the root of d_model
    mixed = shuffle(tmp_path / "saved", 0).network.layers[0].mlp.fc_in.weight
    own = load_model(tmp_path / "saved").network.layers[0].mlp.fc_in.weight
    assert not torch.equal(mixed, own)
    assert torch.equal(mixed.flatten().sort().values, own.flatten().sort().values)


class Harm:
    """What a pickle may hold."""

    def __reduce__(self):
        return (os.system, ("touch harmed",))


def test_what_is_no_such_model_is_told_in_one_line(tokenizer, tmp_path, monkeypatch):
    def told(name, change, **options):
        folder = make_repository(tmp_path / name, "gelu", "owner/tokenizer", len(tokenizer), **options)
        change(folder)
        with pytest.raises(ConfigError) as error:
            open_legacy(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    def configured(**keys):
        def change(folder):
            found = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({k: v for k, v in (found | keys).items() if v is not None}))

        return change

    monkeypatch.chdir(tmp_path)
    assert "config.json has no d_head, n_ctx" in told("a", configured(d_head=None, n_ctx=None))
    assert "its layout is 'mingpt'" in told("b", configured(architecture="mingpt"))
    assert "shortformer positions" in told("c", configured(shortformer_pos=True))
    assert "weights do not fit config.json" in told("d", configured(d_mlp=7))
    assert "no weights of such a model" in told("e", configured(n_heads=2))
    assert "found none, expected one file *final.pth" in told("f", lambda path: (path / "model_final.pth").unlink())
    harmed = told("g", lambda path: (path / "model_final.pth").write_bytes(pickle.dumps(Harm())))
    assert "nothing in it was run" in harmed
    assert not (tmp_path / "harmed").exists()


def test_such_a_model_is_studied_from_the_hub_with_the_tokenizer_that_it_names(
    workspace, tokenizer, tokenizer_folder, tmp_path
):
    folder = make_repository(tmp_path / "toy", "gelu", "owner/tokenizer", len(tokenizer))
    config = yaml.safe_load((workspace / "presets/tiny.yaml").read_text())
    models = {"main": None, "untrained": {"kind": "untrained", "like": "toy"}}
    models["toy"] = {"kind": "hub", "name": "NeelNanda/TOY"}
    saes = dict.fromkeys(config["saes"]) | {"topk": {"models": ["toy"]}, "neurons": {"models": ["toy"]}}
    (workspace / "hub.yaml").write_text(yaml.safe_dump({"models": models, "saes": saes}))
    targets = [f"results/activations/{model}/train-00000.safetensors" for model in ("toy", "untrained")]
    effects = "results/interpretation/toy/topk-x1-s0/steering.parquet"
    with running_hub() as hub:
        commit, own = hub.add("NeelNanda/TOY", folder), hub.add("owner/tokenizer", tokenizer_folder)
        done = run(workspace, hub, "--", *targets, effects, "results/hub/manifest.json")
        assert done.returncode == 0, done.stdout[-4000:]
        asked = hub.paths("GET")
    listed = json.loads((workspace / "results/hub/manifest.json").read_text())["repositories"]
    assert [(entry["name"], entry["commit"]) for entry in listed] == [
        ("NeelNanda/TOY", commit),
        ("owner/tokenizer", own),
    ]
    assert not [path for path in asked if "checkpoints" in path]
    saved = workspace / "results/models/toy"
    assert AutoTokenizer.from_pretrained(saved).get_vocab() == tokenizer.get_vocab()
    assert isinstance(load_model(saved), LegacyForCausalLM)
    assert (ROOT / "workflow_scripts/coact/models/legacy.py").is_file()
