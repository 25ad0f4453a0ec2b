"""Dictionaries that make hardly a graph go through the whole study: what is not defined is said to be."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coact.artefacts import open_tensors, read_table, write_tensors
from conftest import snakemake

SILENT, ALONE, PAIR = "main/topk-x1-s0", "main/relu-x2-s0", "main/neurons"
RELU = """
saes:
  relu: {kind: trained, architecture: relu, l1: 2.5, expansion: [2], batch_tokens: 256, tokens: 32768, models: [main]}
"""
ACTIVE = {SILENT: [], ALONE: [3], PAIR: [0, 5]}  # features that are active on every token


@pytest.fixture(scope="module")
def degenerate_study(tiny_study, tmp_path_factory):
    """The tiny study and one more dictionary, gone on with features put in the place of those of all three."""
    folder = Path(shutil.copytree(tiny_study, tmp_path_factory.mktemp("degenerate") / "study"))
    (folder / "relu.yaml").write_text(RELU)
    shards = [f"results/features/{ALONE}/{split}-00000.safetensors" for split in ("train", "heldout")]
    done = snakemake(folder, "--", *shards, overlays=("relu.yaml",))
    assert done.returncode == 0, done.stdout[-6000:]
    for column, features in ACTIVE.items():
        for path in sorted((folder / "results/features" / column).glob("*.safetensors")):
            shard = open_tensors(path)
            tokens, width = len(shard["kept"]), len(features)
            stamp = json.loads(shard.metadata["coact"])
            arrays = {
                "indptr": np.arange(tokens + 1, dtype=np.int64) * width,
                "indices": np.tile(np.array(features, np.int32), tokens),
                "values": np.ones(tokens * width, np.float32),
                "kept": np.array(shard["kept"]),
                "documents": np.array(shard["documents"]),
            }
            metadata = {"n_features": shard.metadata["n_features"]}
            path.unlink()
            write_tensors(arrays, path, stamp, metadata)
    exchanged = [str(path.relative_to(folder)) for path in sorted((folder / "results/features").rglob("*.safetensors"))]
    done = snakemake(folder, "--touch", "--", *exchanged, overlays=("relu.yaml",))  # else they are made again
    assert done.returncode == 0, done.stdout[-6000:]
    done = snakemake(folder, "--rerun-triggers", "mtime", overlays=("relu.yaml",))
    assert done.returncode == 0, done.stdout[-6000:]
    return folder


def statistics(study, column):
    return json.loads((study / "results/graphs" / column / "statistics.json").read_text())


@pytest.mark.parametrize(("column", "edges", "live"), [(SILENT, 0, 0), (ALONE, 0, 1), (PAIR, 1, 2)])
def test_what_there_is_is_counted(degenerate_study, column, edges, live):
    found = statistics(degenerate_study, column)
    assert found["observed"]["all"]["edges"] == edges
    assert found["observed"]["live"]["nodes"] == live
    table = read_table(degenerate_study / "results/graphs" / column / "edges.parquet")
    nodes = read_table(degenerate_study / "results/graphs" / column / "nodes.parquet")
    assert len(table) == edges
    assert nodes["live"].sum() == live
    assert not table["significant"].any()  # two features that are always active are no surprise


def test_the_one_edge(degenerate_study):
    (row,) = read_table(degenerate_study / f"results/graphs/{PAIR}/edges.parquet").to_dict("records")
    assert (row["source"], row["target"], row["weight"], row["jaccard"], row["lift"]) == (0, 5, 1.0, 1.0, 1.0)
    assert np.isnan(row["phi"])
    assert np.isnan(row["npmi"])
    assert row["expected"] == pytest.approx(row["count"])
    assert np.isnan(row["z"])
    assert row["p"] == 1.0


@pytest.mark.parametrize("column", ACTIVE)
def test_correlations_are_not_defined(degenerate_study, column):
    found = statistics(degenerate_study, column)
    assert found["observed"]["live"]["pearson"] is None
    assert found["nulls"]["live"]["pearson"]["tokens"]["mean"] is None


def test_the_summary_and_the_report_say_so(degenerate_study):
    table = pd.read_parquet(degenerate_study / "results/comparison/summary.parquet").set_index(["model", "sae"])
    assert table.loc[tuple(SILENT.split("/")), "edges_all"] == 0
    assert np.isnan(table.loc[tuple(SILENT.split("/")), "pearson_live"])
    assert "not defined" in (degenerate_study / "results/report/report.html").read_text(encoding="utf-8")
