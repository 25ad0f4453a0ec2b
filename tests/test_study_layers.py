"""One study of a pretrained model at two places: the neurons of an MLP and the residual stream of a later layer."""

import json

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from coact.activations import open_shard
from coact.corpus.tokens import open_tokens
from conftest import make_workspace, snakemake

MLP, STREAM = "blocks.2.mlp.hook_post", "blocks.3.hook_resid_post"


@pytest.fixture(scope="module")
def layers_study(tmp_path_factory, shared_data):
    """A study on stories260K; its columns are of two hook points."""
    folder = make_workspace(tmp_path_factory.mktemp("layers") / "study")
    model = f"{{kind: local, path: {shared_data}/stories260K, hook: %s}}"
    (folder / "layers.yaml").write_text(f"""
title: Two places in one model
corpus:
  context_length: 128
  train_tokens: 131072
  heldout_tokens: 16384
  sources:
    - {{name: stories, kind: files, glob: {shared_data}/tinystories.txt, separator: '<|endoftext|>', share: 1}}
models:
  main: null
  untrained: null
  mlp: {model % MLP}
  stream: {model % STREAM}
activations: {{train_tokens: 131072, heldout_tokens: 16384, shard_tokens: 65536}}
saes:
  topk: {{k: 16, expansion: [2], batch_tokens: 512, tokens: 131072, models: [mlp, stream]}}
  control: null
  neurons: {{models: [mlp]}}
graph: {{batches: 16}}
""")
    done = snakemake(folder, overlays=("layers.yaml",))
    assert done.returncode == 0, done.stdout[-6000:]
    return folder


def test_both_places_are_columns_with_their_own_width(layers_study):
    table = pd.read_parquet(layers_study / "results/comparison/summary.parquet").set_index(["model", "sae"])
    assert set(table.index) == {("mlp", "topk-x2-s0"), ("stream", "topk-x2-s0"), ("mlp", "neurons")}
    assert table.loc[("mlp", "topk-x2-s0"), "d_sae"] == 2 * 172
    assert table.loc[("stream", "topk-x2-s0"), "d_sae"] == 2 * 64
    page = (layers_study / "results/report/report.html").read_text(encoding="utf-8")
    assert MLP in page
    assert STREAM in page
    print(table.T.to_string())


def test_activations_are_those_of_transformers_itself(layers_study, shared_data):
    model = AutoModelForCausalLM.from_pretrained(shared_data / "stories260K", dtype=torch.float32).eval()
    found = {}
    modules = {"mlp": model.model.layers[2].mlp.down_proj, "stream": model.model.layers[3]}
    modules["mlp"].register_forward_pre_hook(lambda _, inputs: found.update(mlp=inputs[0]))
    modules["stream"].register_forward_hook(
        lambda _, __, output: found.update(stream=output[0] if isinstance(output, tuple) else output)
    )
    for name in modules:
        stream = open_tokens(layers_study / f"results/tokens/{name}/heldout.safetensors")
        tokens = torch.from_numpy(stream.tokens[:4].astype("int64"))
        with torch.inference_mode():
            model(tokens)
        shard = open_shard(layers_study / f"results/activations/{name}/heldout-00000.safetensors")
        expected = found[name].flatten(0, 1)
        own = torch.from_numpy(shard.array(list(range(len(expected)))))
        scale = expected.abs().max()
        assert ((own - expected).abs().max() / scale).item() < 1e-3  # kept as float16


def test_one_model_at_two_places_is_the_same_model(layers_study):
    losses = [
        json.loads((layers_study / f"results/activations/{name}/evaluation.json").read_text())["cross_entropy"]
        for name in ("mlp", "stream")
    ]
    assert losses[0] == losses[1]
