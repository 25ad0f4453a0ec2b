"""The grid of choices: every row is the graph that its choices make, and the null keeps what it promises."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from coact.graph.build import coactivation_graph, node_table
from coact.graph.sets import SetRule, join_sets, rules_of, token_sets
from coact.nulls.curveball import resample_sets
from coact.nulls.sensitivity import measure_sensitivity, null_pairs
from reference_graph import dense_rows, sparse_batch

pytestmark = pytest.mark.usefixtures("one_thread")

RULES = rules_of([3, 2], [0.6])


def read(include_special: bool) -> list:
    """Six batches of 80 tokens and 20 features; every tenth token is special."""
    batches = []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        share = np.linspace(0.02, 0.4, 20)
        rows = np.where(generator.random((80, 20)) < share, generator.random((80, 20)), 0)
        special = np.arange(80) % 10 == 0
        batches.append(sparse_batch(rows, np.ones(80, bool) if include_special else ~special))
    return batches


@pytest.fixture(scope="module")
def nodes():
    graph = coactivation_graph(read(False), 3)
    table = node_table(graph.counts, graph.edges, graph.counts.active, graph.counts.n_tokens, 0.0)
    return table.assign(live=table["feature"] != 4)


@pytest.fixture(scope="module")
def found(nodes, one_thread):
    options = {"points": 4, "rarefaction_tokens": 20, "seed": 0, "sweeps": 3}
    return measure_sensitivity(read, nodes, RULES, [False, True], **options)


def test_the_grid_is_whole(found):
    grid = found.grid
    keys = ["rule", "include_special", "graph", "batches"]
    assert not grid.duplicated(keys).any()
    assert len(grid) == 3 * 2 * 2 * grid["batches"].nunique()
    assert grid["batches"].unique().tolist() == [1, 2, 3, 6]
    assert grid.dtypes.astype(str).to_dict() == {
        "rule": "str",
        "k": "int32",
        "threshold": "float64",
        "include_special": "bool",
        "graph": "str",
        "batches": "int32",
        "edges": "int64",
        "mean_degree": "float64",
        "density": "float64",
        "pearson": "float64",
        "spearman": "float64",
        "average_clustering": "float64",
    }


@pytest.mark.parametrize("include_special", [False, True])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("batches", [1, 3, 6])
def test_a_row_is_the_graph_of_its_choices(found, nodes, include_special, k, batches):
    edges = coactivation_graph(read(include_special)[:batches], k).edges
    edges = edges[(edges["source"] != 4) & (edges["target"] != 4)]
    degree = np.bincount(np.concatenate([edges["source"], edges["target"]]), minlength=20)[nodes["live"]]
    row = found.grid.query(
        "graph == 'observed' and k == @k and batches == @batches and include_special == @include_special"
    )
    row = row.iloc[0]
    assert row["edges"] == len(edges)
    assert row["mean_degree"] == pytest.approx(2 * len(edges) / 19)
    assert row["density"] == pytest.approx(len(edges) / (19 * 18 / 2))
    heldout = nodes.loc[nodes["live"], "frequency_heldout"]
    assert row["pearson"] == pytest.approx(pearsonr(degree, heldout).statistic)
    assert np.isnan(row["average_clustering"]) == (batches < 6)


def test_thresholds(found):
    batches = read(False)
    member = np.concatenate([dense_rows(batch) for batch in batches]) > np.float32(0.6)
    member[:, 4] = False
    together = np.triu(member.T.astype(int) @ member, 1)
    row = found.grid.query("rule == 'above0.6' and graph == 'observed' and not include_special").iloc[-1]
    assert row["edges"] == (together > 0).sum()
    assert (row["k"], row["threshold"]) == (0, 0.6)


def test_null_pairs_keep_the_number_of_pairs_and_know_their_batch():
    parts = [token_sets(batch, [SetRule(3)])[0] for batch in read(False)]
    table = null_pairs(parts, 20, 4, [0])
    sizes = np.concatenate([np.diff(part.indptr) for part in parts])
    assert table.counts.sum() == (sizes * (sizes - 1) // 2).sum()
    assert set(table.first) <= set(range(6))
    drawn, _ = resample_sets(join_sets(parts), 20, 4, [0])
    first: dict[tuple[int, int], int] = {}
    for token in range(len(drawn.indptr) - 1):
        for pair in combinations(drawn.indices[drawn.indptr[token] : drawn.indptr[token + 1]].tolist(), 2):
            first.setdefault(pair, token // 72)  # 72 of the 80 tokens of a batch are kept
    found = zip(table.source.tolist(), table.target.tolist(), table.first.tolist(), strict=True)
    assert {(source, target): batch for source, target, batch in found} == first


def test_rarefaction_is_of_the_first_rule(found, nodes):
    edges = coactivation_graph(read(False), 3).edges
    degree = np.bincount(np.concatenate([edges["source"], edges["target"]]), minlength=20)
    table = found.rarefaction
    assert table["feature"].tolist() == [feature for feature in range(20) if feature != 4]
    np.testing.assert_array_equal(table["degree"], degree[table["feature"]])
    few = table["topk_count"] < 20
    assert few.any()
    assert table.loc[few, ["rarefied_degree", "rarefied_degree_null"]].isna().all(axis=None)
    assert (table.loc[~few, "rarefied_degree"] <= table.loc[~few, "degree"]).all()


def test_nothing_is_active(nodes):
    silent = [
        replace(batch, indptr=np.zeros_like(batch.indptr), indices=batch.indices[:0], values=batch.values[:0])
        for batch in read(False)
    ]
    options = {"points": 3, "rarefaction_tokens": 5, "seed": 0, "sweeps": 2}
    grid = measure_sensitivity(lambda special: silent, nodes, RULES, [False], **options).grid
    assert (grid["edges"] == 0).all()
    assert grid["pearson"].isna().all()
    pd.testing.assert_series_equal(grid["mean_degree"], pd.Series(0.0, grid.index), check_names=False)
