"""Which dictionaries are compared and by what, and their graphs on matched features."""

import numpy as np
import pandas as pd
import pytest

from coact.artefacts import write_tensors
from coact.comparison.columns import Column, Pair, columns_of, comparable
from coact.comparison.pairs import BEST_COLUMNS, PAIR_COLUMNS, Matchable, compare_columns, compare_pair
from coact.config import complete
from coact.errors import StudyError
from coact.study import check
from reference_graph import sparse_batch

BOTH, ACTIVATIONS = ("decoder", "activations"), ("activations",)


def test_pairs_are_dictionaries_of_one_model_or_like_ones_of_two():
    columns = [
        Column("main", "a-x1-s0", False, 1.0, "topk", "corpus"),
        Column("main", "a-x2-s0", False, 2.0, "topk", "corpus"),
        Column("main", "b-x2-s1", False, 2.0, "topk", "corpus"),
        Column("main", "c-x2-s0", False, 2.0, "relu", "corpus"),
        Column("main", "neurons", True, None, "neurons", "corpus"),
        Column("untrained", "a-x2-s0", True, 2.0, "topk", "corpus"),
        Column("untrained", "neurons", True, None, "neurons", "corpus"),
        Column("elsewhere", "a-x2-s0", False, 2.0, "topk", "elsewhere"),
    ]
    assert comparable(columns) == [
        Pair(0, 1, "width", BOTH),
        Pair(0, 2, "width", BOTH),
        Pair(0, 3, "recipe", BOTH),
        Pair(0, 4, "neurons", ACTIVATIONS),
        Pair(1, 2, "seed", BOTH),
        Pair(1, 3, "recipe", BOTH),
        Pair(1, 4, "neurons", ACTIVATIONS),
        Pair(1, 5, "model", ACTIVATIONS),
        Pair(2, 3, "recipe", BOTH),
        Pair(2, 4, "neurons", ACTIVATIONS),
        Pair(2, 5, "model", ACTIVATIONS),
        Pair(3, 4, "neurons", ACTIVATIONS),
        Pair(4, 6, "model", ACTIVATIONS),
        Pair(5, 6, "neurons", ACTIVATIONS),
    ]


def test_models_of_unknown_tokenizers_are_not_compared():
    assert comparable([Column("one", "a"), Column("other", "a")]) == []


def test_a_control_of_the_same_settings_is_a_dictionary_on_another_model():
    sae = {"kind": "trained", "architecture": "topk", "k": 4}
    study = check(
        complete(
            {
                "corpus": {"sources": [{"name": "probes", "kind": "probes", "share": 1}]},
                "models": {"main": {"kind": "trained"}, "untrained": {"kind": "untrained", "like": "main"}},
                "activations": {},
                "saes": {
                    "topk": {**sae, "models": ["main"], "expansion": [2]},
                    "control": {**sae, "models": ["untrained"], "expansion": [2], "seeds": [3]},
                    "narrow": {**sae, "models": ["untrained"], "expansion": [1]},
                },
                "graph": {},
            }
        )
    )
    columns = columns_of(study)
    found = [pair for pair in comparable(columns) if pair.differ == "model"]
    assert [(columns[pair.a].sae, columns[pair.b].sae) for pair in found] == [("topk-x2-s0", "control-x2-s3")]
    assert [study.features_of(model, sae) for model, sae in study.columns()] == [1024, 1024, 512]


def test_what_was_not_learnt_is_a_control():
    sae = {"kind": "trained", "architecture": "topk", "k": 4, "expansion": [1]}
    config = {
        "corpus": {"sources": [{"name": "probes", "kind": "probes", "share": 1}]},
        "models": {
            "main": {"kind": "trained"},
            "shuffled": {"kind": "untrained", "like": "main", "weights": "shuffled"},
        },
        "activations": {},
        "saes": {
            "topk": sae,
            "drawn": {**sae, "decoder": "random", "models": ["main"]},
            "neurons": {"kind": "neurons", "models": ["main"]},
        },
        "graph": {},
    }
    found = {column.name: (column.control, column.untrained) for column in columns_of(check(complete(config)))}
    assert found == {
        "main/topk-x1-s0": (False, False),
        "main/drawn-x1-s0": (True, False),
        "main/neurons": (True, False),
        "shuffled/topk-x1-s0": (True, True),
    }


def matchable(generator, features=60, pairs=300):
    keys = np.sort(generator.choice(features * features, pairs, replace=False))
    source, target = keys // features, keys % features
    upper = source < target
    edges = pd.DataFrame({"source": source[upper], "target": target[upper], "count": 1 + source[upper], "weight": 0.5})
    nodes = pd.DataFrame({"topk_count": np.arange(features) + 1, "live": True})
    return Matchable(edges, nodes, np.arange(features) % 5, generator.normal(size=(features, 16)).astype(np.float32))


def relabel(graph, order, features=()):
    """The same graph with feature f called order[f]."""
    ends = np.sort(order[graph.edges[["source", "target"]].to_numpy()], axis=1)
    edges = graph.edges.assign(source=ends[:, 0], target=ends[:, 1])
    back = np.argsort(order)
    nodes = graph.nodes.iloc[back].reset_index(drop=True)
    return Matchable(edges, nodes, graph.communities[back], graph.decoder[back], features)


def with_features(graph, path, rows):
    """The graph with activations (tokens, D) as its feature shard."""
    batch = sparse_batch(rows)
    tensors = {name: getattr(batch, name) for name in ("indptr", "indices", "values", "kept", "documents")}
    write_tensors(tensors, path, {}, {"n_features": str(batch.n_features)})
    return Matchable(graph.edges, graph.nodes, graph.communities, graph.decoder, [path])


def activations(generator, tokens=400, features=60):
    return np.where(generator.random((tokens, features)) < 0.1, generator.exponential(1, (tokens, features)), 0)


def by_measure(found, matching):
    return found[found["matching"] == matching].set_index(["measure", "null"])


def test_the_same_graph_under_other_names_agrees_wholly(tmp_path):
    generator = np.random.default_rng(0)
    graph, rows, order = matchable(generator), activations(generator), generator.permutation(60)
    one = with_features(graph, tmp_path / "one", rows)
    other = with_features(relabel(graph, order), tmp_path / "other", rows[:, np.argsort(order)])
    agreement, best = compare_pair(one, other, BOTH, seed=0, permutations=40)
    for matching in BOTH:
        found = by_measure(agreement, matching)
        assert found.loc[("edge_jaccard", "random"), "value"] == 1
        assert found.loc[("community_ami", "frequency"), "value"] == pytest.approx(1)
        assert found.loc[("edge_jaccard", "random"), "p"] == pytest.approx(1 / 41)
        assert found["mean_similarity"].to_numpy() == pytest.approx(1, abs=1e-5)
        assert (found["matched"] == 60).all()
        assert (found["same_partner"] == 1).all()
    assert list(best["direction"]) == ["there", "back"] * 2
    np.testing.assert_allclose(best["median"], 1, atol=1e-5)
    assert (best["null_q95"] < 0.99).all()
    assert (best["above_null"] == 1).all()


def test_graphs_without_anything_in_common_do_not_agree(tmp_path):
    generator = np.random.default_rng(1)
    one, other = (with_features(matchable(generator), tmp_path / name, activations(generator)) for name in "ab")
    agreement, best = compare_pair(one, other, BOTH, seed=0, permutations=40)
    for matching in BOTH:
        row = by_measure(agreement, matching).loc[("edge_jaccard", "random")]
        assert row["null_low"] <= row["value"] <= row["null_high"]
    assert (best["above_null"] < 0.3).all()
    np.testing.assert_allclose(best["median"], best["null_median"], rtol=0.2)


def test_a_graph_without_live_features_is_not_defined(tmp_path):
    generator = np.random.default_rng(2)
    graph = with_features(matchable(generator), tmp_path / "a", activations(generator))
    dead = Matchable(
        graph.edges.iloc[:0], graph.nodes.assign(live=False), graph.communities, graph.decoder, graph.features
    )
    agreement, best = compare_pair(graph, dead, BOTH, seed=0, permutations=3)
    assert (agreement["matched"] == 0).all()
    assert agreement[["value", "mean_similarity", "same_partner"]].isna().all(axis=None)
    assert (best["features"] == 0).all()
    assert best["median"].isna().all()


def small_study(tmp_path):
    """Two dictionaries of other seed, one three times as large, and the neurons."""
    generator = np.random.default_rng(3)
    names = {"a": 1.0, "b": 1.0, "wide": 3.0, "neurons": None}
    columns = [Column("main", name, False, factor, "topk") for name, factor in names.items()]
    graphs = [
        with_features(matchable(generator, size), tmp_path / name, activations(generator, 100, size))
        for name, size in zip(names, (60, 60, 180, 60), strict=True)
    ]
    return columns, graphs


def test_all_comparisons_of_a_study(tmp_path):
    columns, graphs = small_study(tmp_path)
    found = compare_columns(columns, graphs, seed=0, permutations=5, most_pairs=1 << 20)
    assert [list(table) for table in found] == [list(PAIR_COLUMNS), list(BEST_COLUMNS)]
    agreement, best = found
    pairs = agreement[["a", "b", "differ", "matching"]].drop_duplicates().to_numpy().tolist()
    assert pairs[:2] == [["main/a", "main/b", "seed", matching] for matching in BOTH]
    assert pairs[-1] == ["main/wide", "main/neurons", "neurons", "activations"]
    assert len(pairs) == 3 * 2 + 3
    assert best[["a", "b"]].to_numpy().tolist()[:3] == [["main/a", "main/b"]] * 2 + [["main/b", "main/a"]]
    assert len(best) == 2 * len(pairs)
    again = compare_columns(columns, graphs, seed=0, permutations=5, most_pairs=1 << 20)
    for one, other in zip(found, again, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_dictionaries_with_too_many_pairs_of_features_are_left_out_and_named(tmp_path, caplog):
    columns, graphs = small_study(tmp_path)
    agreement, best = compare_columns(columns, graphs, seed=0, permutations=2, most_pairs=60 * 60)
    assert "main/wide" not in {*agreement["a"], *agreement["b"], *best["a"]}
    assert "main/a and main/wide have 10,800 pairs of features, more than comparison.most_pairs = 3,600" in caplog.text


def test_dictionaries_of_other_tokens_are_refused_by_name(tmp_path):
    columns, graphs = small_study(tmp_path)
    graphs[1] = with_features(graphs[1], tmp_path / "short", activations(np.random.default_rng(0), 99))
    with pytest.raises(StudyError, match="main/a and main/b: batch 0: 100 tokens of the first dictionary and 99"):
        compare_columns(columns, graphs, seed=0, permutations=2, most_pairs=1 << 20)


def test_a_study_of_one_dictionary_has_nothing_to_compare(tmp_path):
    columns, graphs = small_study(tmp_path)
    found = compare_columns(columns[:1], graphs[:1], seed=0, permutations=2, most_pairs=1)
    assert [(list(table), len(table)) for table in found] == [(list(PAIR_COLUMNS), 0), (list(BEST_COLUMNS), 0)]
