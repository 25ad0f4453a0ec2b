"""Which dictionaries are compared, and their graphs on matched features."""

import numpy as np
import pandas as pd
import pytest

from coact.comparison.columns import Column
from coact.comparison.pairs import Matchable, comparable, compare_pair


def test_pairs_are_dictionaries_of_one_model():
    columns = [
        Column("main", "a-x1-s0", False, 1.0, "topk"),
        Column("main", "a-x2-s0", False, 2.0, "topk"),
        Column("main", "b-x2-s1", False, 2.0, "topk"),
        Column("main", "c-x2-s0", False, 2.0, "relu"),
        Column("main", "neurons", True),
        Column("other", "a-x2-s0", True, 2.0, "topk"),
    ]
    assert comparable(columns) == [
        (0, 1, "width"),
        (0, 2, "width"),
        (0, 3, "recipe"),
        (1, 2, "seed"),
        (1, 3, "recipe"),
        (2, 3, "recipe"),
    ]


def matchable(generator, features=60, pairs=300):
    keys = np.sort(generator.choice(features * features, pairs, replace=False))
    source, target = keys // features, keys % features
    upper = source < target
    edges = pd.DataFrame({"source": source[upper], "target": target[upper], "count": 1 + source[upper], "weight": 0.5})
    nodes = pd.DataFrame({"topk_count": np.arange(features) + 1, "live": True})
    return Matchable(edges, nodes, np.arange(features) % 5, generator.normal(size=(features, 16)).astype(np.float32))


def relabel(graph, order):
    """The same graph with feature f called order[f]."""
    ends = np.sort(order[graph.edges[["source", "target"]].to_numpy()], axis=1)
    edges = graph.edges.assign(source=ends[:, 0], target=ends[:, 1])
    back = np.argsort(order)
    return Matchable(edges, graph.nodes.iloc[back].reset_index(drop=True), graph.communities[back], graph.decoder[back])


def test_the_same_graph_under_other_names_agrees_wholly():
    generator = np.random.default_rng(0)
    graph = matchable(generator)
    found = compare_pair(graph, relabel(graph, generator.permutation(60)), seed=0, permutations=40)
    found = found.set_index(["measure", "null"])
    assert found.loc[("edge_jaccard", "random"), "value"] == 1
    assert found.loc[("community_ami", "frequency"), "value"] == pytest.approx(1)
    assert found.loc[("edge_jaccard", "random"), "p"] == pytest.approx(1 / 41)
    assert found["mean_cosine"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert (found["matched"] == 60).all()


def test_graphs_without_anything_in_common_do_not_agree():
    generator = np.random.default_rng(1)
    found = compare_pair(matchable(generator), matchable(generator), seed=0, permutations=40)
    row = found.set_index(["measure", "null"]).loc[("edge_jaccard", "random")]
    assert row["null_low"] <= row["value"] <= row["null_high"]


def test_a_graph_without_live_features_is_not_defined():
    graph = matchable(np.random.default_rng(2))
    dead = Matchable(graph.edges.iloc[:0], graph.nodes.assign(live=False), graph.communities, graph.decoder)
    found = compare_pair(graph, dead, seed=0, permutations=3)
    assert (found["matched"] == 0).all()
    assert found["value"].isna().all()
