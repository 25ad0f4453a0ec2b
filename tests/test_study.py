"""Whole studies through Snakemake: the tiny one, one on a pretrained model, and studies that must end early."""

import hashlib
import json
import os
import re

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import reference_graph
from coact.artefacts import open_tensors, read_table
from coact.features.batches import read_batches
from coact.figures import FIGURES
from conftest import make_workspace, run_command, snakemake

COLUMNS = ("main/topk-x1-s0", "main/neurons")
HOSTILE = "<script>alert(1)</script> {{< meta title >}} **bold** [x](http://example.org)"


def hashes(folder, pattern):
    """SHA-256 of the files that match, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def test_the_study_makes_what_others_rely_on(tiny_study):
    results = tiny_study / "results"
    for column in COLUMNS:
        for name in ("edges.parquet", "nodes.parquet", "repelled.parquet", "communities.parquet", "communities.json",
                     "sensitivity.parquet", "rarefaction.parquet", "counts/00000.safetensors",
                     "nulls/tokens-0/edges.parquet", "nulls/documents-0/statistics.parquet",
                     "nulls/shift-0/statistics.parquet", "statistics.json", "graph.graphml", "graph.gexf"):  # fmt: skip
            assert (results / "graphs" / column / name).is_file()
        for name in ("cfg.json", "sae_weights.safetensors", "evaluation.json", "density.parquet", "history.parquet"):
            assert (results / "saes" / column / name).is_file()
    for figure in FIGURES:
        assert all((results / "figures" / f"{figure}.{ending}").is_file() for ending in ("svg", "png", "csv", "json"))
    metrics = json.loads((results / "metrics.json").read_text())
    assert set(metrics) == set(COLUMNS)
    assert all(isinstance(value, int | float) for row in metrics.values() for value in row.values())
    assert not list(results.rglob("*.part"))


@pytest.mark.parametrize("column", COLUMNS)
def test_the_graph_is_that_of_the_plain_loop(tiny_study, column):
    shards = sorted((tiny_study / "results/features" / column).glob("train-*.safetensors"))
    batches = list(read_batches(shards, 2048))
    expected = reference_graph.reference_graph(batches, k=4)
    edges = read_table(tiny_study / "results/graphs" / column / "edges.parquet")
    assert expected
    assert dict(zip(zip(edges["source"], edges["target"], strict=True), edges["count"], strict=True)) == {
        pair: count for pair, (count, _) in expected.items()
    }
    np.testing.assert_allclose(edges["weight"], [expected[pair][1] for pair in sorted(expected)], rtol=0, atol=1e-9)


def test_the_graphml_is_the_graph(tiny_study):
    folder = tiny_study / "results/graphs/main/topk-x1-s0"
    graph, edges = nx.read_graphml(folder / "graph.graphml", node_type=int), read_table(folder / "edges.parquet")
    nodes = read_table(folder / "nodes.parquet")
    assert dict(graph.degree()) == dict(zip(nodes["feature"], nodes["degree"], strict=True))
    for row in edges.itertuples():
        assert graph.edges[row.source, row.target]["count"] == row.count
        assert graph.edges[row.source, row.target]["weight"] == pytest.approx(row.weight)


def test_the_null_keeps_the_marginals(tiny_study):
    folder = tiny_study / "results/graphs/main/topk-x1-s0"
    # Every token's set of size s makes s (s - 1) / 2 pairs, so pair counts sum to the same.
    observed, null = (
        read_table(folder / name)["count"].sum() for name in ("edges.parquet", "nulls/tokens-0/edges.parquet")
    )
    assert observed == null > 0


def test_held_out_frequencies_agree_with_the_density_of_the_evaluation(tiny_study):
    for column in COLUMNS:
        nodes = read_table(tiny_study / "results/graphs" / column / "nodes.parquet")
        density = read_table(tiny_study / "results/saes" / column / "density.parquet")
        np.testing.assert_allclose(nodes["frequency_heldout"], density["frequency"], atol=2e-4)


def test_training_and_held_out_documents_are_disjoint(tiny_study):
    train, heldout = (read_table(tiny_study / f"results/corpus/{split}.parquet") for split in ("train", "heldout"))
    assert set(train["text"]).isdisjoint(heldout["text"])
    stream = open_tensors(tiny_study / "results/tokens/corpus/train.safetensors")
    labels = json.loads(stream.metadata["labels"])
    assert set(labels) == {"docstrings", "arabic", "dna", "base64"}
    kept = stream["documents"] >= 0
    assert [labels[label] for label in stream["labels"][kept][:500]] == train["label"][
        stream["documents"][kept][:500]
    ].tolist()


def test_the_report_is_one_file_that_loads_nothing(tiny_study):
    page = (tiny_study / "results/report/report.html").read_text(encoding="utf-8")
    assert not re.search(r"""<(script|link|img|iframe)[^>]+(src|href)=["'](?!data:|#)""", page)
    assert "{{<" not in page
    for column in COLUMNS:
        assert column in page or column.split("/")[1] in page


def test_the_summary_is_printed(tiny_study):
    done = run_command(
        tiny_study / "workflow_scripts",
        "python",
        "-m",
        "coact.comparison",
        "../results/comparison/summary.parquet",
        "results/report/report.html",
    )
    assert done.returncode == 0
    assert "topk-x1-s0" in done.stdout
    assert "results/report/report.html" in done.stdout


def test_the_same_configuration_gives_the_same_bytes(tiny_copy):
    pattern = "results/*/main/topk-x1-s0/**/*"
    before = hashes(tiny_copy, pattern)
    done = snakemake(
        tiny_copy,
        "--forcerun",
        "train_sae",
        "--",
        "results/saes/main/topk-x1-s0/evaluation.json",
        "results/graphs/main/topk-x1-s0/statistics.json",
        "results/graphs/main/topk-x1-s0/graph.graphml",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "train_sae" in done.stdout
    assert hashes(tiny_copy, pattern) == before


def test_the_graph_can_be_built_from_held_out_batches(tiny_copy):
    (tiny_copy / "heldout.yaml").write_text("graph: {split: heldout, batches: 3}")
    folder = tiny_copy / "results/graphs/main/topk-x1-s0"
    done = snakemake(tiny_copy, "--", f"{folder.relative_to(tiny_copy)}/edges.parquet", overlays=("heldout.yaml",))
    assert done.returncode == 0, done.stdout[-3000:]
    sets = open_tensors(folder / "topk_sets.safetensors")
    heldout = open_tensors(tiny_copy / "results/tokens/corpus/heldout.safetensors")
    kept = heldout["documents"].ravel()[: 3 * 2048] >= 0
    assert int(sets.metadata["tokens"]) == kept.sum()


def test_a_damaged_shard_is_named_and_what_is_complete_stays(tiny_copy):
    shard = tiny_copy / "results/activations/main/heldout-00000.safetensors"
    stat = shard.stat()
    shard.write_bytes(shard.read_bytes()[:-64])
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a failing disk leaves it: else it is made again
    edges = hashes(tiny_copy, "results/graphs/*/*/edges.parquet")
    done = snakemake(tiny_copy, "--forcerun", "evaluate_sae", "--", "results/saes/main/topk-x1-s0/evaluation.json")
    assert done.returncode != 0
    assert "error: results/activations/main/heldout-00000.safetensors: truncated" in done.stdout
    assert "Traceback" not in done.stdout
    assert hashes(tiny_copy, "results/graphs/*/*/edges.parquet") == edges


def test_a_hook_that_the_model_lacks_is_answered_with_those_it_has(tiny_copy):
    (tiny_copy / "hook.yaml").write_text("activations: {hook: blocks.0.mlp.hook_pots}")
    target = "results/activations/main/train-00000.safetensors"
    done = snakemake(tiny_copy, "--", target, overlays=("hook.yaml",))
    assert done.returncode != 0
    assert "error: activations.hook: model 'main' has no 'blocks.0.mlp.hook_pots'; it has:" in done.stdout
    assert "blocks.0.mlp.hook_post" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("overlay", "content", "message"),
    [
        ("corpus: {sources: [{name: mine, kind: files, glob: 'text/*', share: 1}]}", b"", "mine"),
        ("corpus: {sources: [{name: mine, kind: files, glob: 'text/*', share: 1}]}", b"caf\xe9", "text/a.txt"),
        (
            "corpus: {packing: single, sources: [{name: mine, kind: files, separator: '|', glob: 'text/*', share: 1}]}",
            b"|".join(b"a short document %d" % number for number in range(100)),
            "corpus.packing: single needs documents that fill a context",
        ),
        (
            "corpus: {sources: [{name: mine, kind: files, separator: '|', glob: 'text/*', share: 1}]}",
            b"|".join(b"a short document %d" % number for number in range(100)),
            "corpus.train_tokens",
        ),
        ("models: {main: {learning_rate: 1.0e+30}}", None, "training the model: loss is"),
    ],
    ids=["empty source", "not UTF-8", "document shorter than a context", "too few tokens", "NaN loss"],
)
def test_a_study_that_cannot_go_on_says_why_in_one_line(workspace, overlay, content, message):
    (workspace / "overlay.yaml").write_text(overlay)
    if content is not None:
        (workspace / "text").mkdir()
        (workspace / "text" / "a.txt").write_bytes(content)
    done = snakemake(workspace, "--", "results/models/main/model.safetensors", overlays=("overlay.yaml",))
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert any(message in line for line in errors), done.stdout[-3000:]
    assert "Traceback" not in done.stdout


@pytest.fixture(scope="module")
def stories_study(tmp_path_factory, shared_data):
    """The tiny study's settings on a pretrained model of two megabytes and text of its kind."""
    folder = make_workspace(tmp_path_factory.mktemp("stories") / "study")
    (folder / "text").mkdir()
    text = (shared_data / "tinystories.txt").read_text(encoding="utf-8")
    (folder / "text" / "stories.txt").write_text(f"{text}<|endoftext|>{HOSTILE}", encoding="utf-8")
    (folder / "stories.yaml").write_text(f"""
title: 'Stories {HOSTILE}'
corpus:
  context_length: 128
  train_tokens: 131072
  heldout_tokens: 16384
  sources: [{{name: stories, kind: files, glob: text/*.txt, separator: '<|endoftext|>', share: 1}}]
models:
  main: null
  random: {{kind: untrained, like: stories}}
  stories: {{kind: local, path: {shared_data}/stories260K}}
activations: {{hook: blocks.2.mlp.hook_post, train_tokens: 131072, heldout_tokens: 16384, shard_tokens: 65536}}
saes:
  topk: {{k: 16, expansion: [4], batch_tokens: 512, tokens: 131072, models: [stories]}}
  control:
    {{kind: trained, architecture: topk, k: 16, expansion: [4], batch_tokens: 512, tokens: 131072, models: [random]}}
  neurons: {{models: [stories]}}
graph: {{batches: 16}}
""")
    done = snakemake(folder, overlays=("stories.yaml",))
    assert done.returncode == 0, done.stdout[-6000:]
    return folder


def test_a_pretrained_model_and_real_text_go_through_the_same_study(stories_study):
    model = json.loads((stories_study / "results/activations/stories/evaluation.json").read_text())
    assert model["cross_entropy"] < 2.2 < model["bigram"] < model["unigram"]
    evaluation = json.loads((stories_study / "results/saes/stories/topk-x4-s0/evaluation.json").read_text())
    assert evaluation["fvu"] < 0.4
    assert 0.5 < evaluation["loss_recovered_zero"] <= 1
    table = pd.read_parquet(stories_study / "results/comparison/summary.parquet").set_index(["model", "sae"])
    assert table.loc[("stories", "topk-x4-s0"), "edges_all"] < table.loc[("stories", "topk-x4-s0"), "edges_all_null"]
    print(table.T.to_string())


def test_hostile_text_runs_nothing_in_the_report(stories_study):
    page = (stories_study / "results/report/report.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<strong>bold</strong>" not in page
    assert 'href="http://example.org"' not in page
