"""Communities: planted ones are found, the same seed gives the same bytes, and what is not defined is None."""

import json
import random

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from coact.errors import ConfigError
from coact.graph.communities import (
    _assign_blocks,
    _count_by_block,
    agreement,
    bootstrap_agreement,
    decoder_clusters,
    leiden,
    modularity,
    stability,
)
from coact.graph.pairs import count_pairs
from coact.graph.sets import TokenSets

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]
NO_EDGES = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0)


def planted(seed: int, sizes: list[int], inside: float, outside: float) -> tuple[Edges, np.ndarray]:
    """Edges of a planted partition (stochastic block model), and its labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    share = np.where(labels[:, None] == labels, inside, outside)
    edges = np.argwhere(np.triu(generator.random(share.shape) < share, 1)).astype(np.int32)
    return (edges[:, 0], edges[:, 1], generator.random(len(edges)) + 0.5), labels


def cliques(*members: list[int]) -> Edges:
    pairs = [(a, b) for clique in members for a in clique for b in clique if a < b]
    edges = np.array(sorted(pairs), np.int32)
    return edges[:, 0], edges[:, 1], np.ones(len(edges))


def sets_of(members: list[tuple[int, ...]]) -> TokenSets:
    sizes = [len(member) for member in members]
    return TokenSets(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), np.array([f for m in members for f in m], np.int32)
    )


def topical_sets(seed: int, topics: int, tokens: int, mixing: float) -> TokenSets:
    """Sets of two features, of one topic of six features each or, with probability `mixing`, of any."""
    generator = np.random.default_rng(seed)
    members = []
    for _ in range(tokens):
        first, size = 6 * generator.integers(topics), 6
        if generator.random() < mixing:
            first, size = 0, 6 * topics
        members.append(tuple(sorted((first + generator.choice(size, 2, replace=False)).tolist())))
    return sets_of(members)


def test_labels_by_hand():
    # Cliques of three, four and two nodes; nodes 0, 5 and 11 have no edge.
    edges = cliques([1, 2, 9], [3, 4, 6, 10], [7, 8])
    labels = leiden(*edges, 12, resolution=1.0, seed=0)
    assert labels.dtype == np.int32
    assert labels.tolist() == [-1, 1, 1, 0, 0, -1, 0, 2, 2, 1, 0, -1]


def test_equal_sizes_are_ordered_by_lowest_node():
    edges = cliques([0, 7, 8], [1, 2, 3], [4, 5, 6])
    for seed in range(5):
        assert leiden(*edges, 9, resolution=1.0, seed=seed).tolist() == [0, 1, 1, 1, 2, 2, 2, 0, 0]


def test_two_cliques_with_a_bridge():
    source, target, weight = cliques([0, 1, 2, 3], [4, 5, 6, 7], [3, 4])
    assert leiden(source, target, weight, 8, resolution=1.0, seed=0).tolist() == [0] * 4 + [1] * 4
    # A bridge as heavy as all other edges together holds its ends together.
    heavy = np.where((source == 3) & (target == 4), 30.0, weight)
    labels = leiden(source, target, heavy, 8, resolution=1.0, seed=0)
    assert labels[3] == labels[4]


def test_planted_partitions_are_found():
    for seed in range(3):
        edges, labels = planted(seed, [40, 30, 20, 10], 0.6, 0.02)
        found = leiden(*edges, 100, resolution=1.0, seed=seed)
        assert agreement(found, labels) == {"ami": pytest.approx(1), "ari": pytest.approx(1), "nodes": 100}


def test_leiden_goes_on_after_its_first_iteration():
    edges, first = planted(0, [300], 0.03, 0)[0], []
    graph = igraph.Graph(300, edges=np.column_stack(edges[:2]).astype(np.int64))
    for seed in range(4):  # the same random numbers: the first iteration is the same
        igraph.set_random_number_generator(random.Random(seed))
        first.append(graph.community_leiden("modularity", weights=edges[2].tolist(), n_iterations=1).membership)
    igraph.set_random_number_generator(random)
    gain = [
        modularity(*edges, leiden(*edges, 300, resolution=1.0, seed=seed), 300) - modularity(*edges, labels, 300)
        for seed, labels in enumerate(first)
    ]
    assert min(gain) >= -1e-12
    assert max(gain) > 1e-3


def test_resolution_divides():
    edges, _ = planted(0, [30] * 4, 0.5, 0.1)
    count = [leiden(*edges, 120, resolution=r, seed=0).max() + 1 for r in (0.1, 1.0, 3.0)]
    assert count[0] < count[1] < count[2]
    assert count[0] == 1


def test_the_same_seed_gives_the_same_bytes():
    generator = np.random.default_rng(0)
    edges = planted(0, [150], 0.05, 0)[0]  # no communities: seeds differ
    first = leiden(*edges, 150, resolution=1.0, seed=3)
    random.seed(1)
    random.random()
    generator.random()
    assert leiden(*edges, 150, resolution=1.0, seed=3).tobytes() == first.tobytes()
    assert any(leiden(*edges, 150, resolution=1.0, seed=s).tobytes() != first.tobytes() for s in range(4, 9))


def test_pythons_random_numbers_are_left_alone():
    edges = planted(0, [50], 0.1, 0)[0]
    random.seed(7)
    expected = random.random()
    random.seed(7)
    leiden(*edges, 50, resolution=1.0, seed=0)
    assert random.random() == expected
    drawn = []
    for _ in range(2):  # and igraph draws from them again
        random.seed(7)
        drawn.append(igraph.Graph.Erdos_Renyi(20, 0.5).get_edgelist())
    assert drawn[0] == drawn[1]


def test_edges_of_weight_zero_are_none():
    source, target, weight = cliques([0, 1, 2], [3, 4], [2, 3], [4, 5])
    weight[((source == 2) & (target == 3)) | (target == 5)] = 0
    assert leiden(source, target, weight, 6, resolution=1.0, seed=0).tolist() == [0, 0, 0, 1, 1, -1]


@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf])
def test_weights_that_are_refused(bad):
    with pytest.raises(ConfigError, match=f"weights of edges: {bad} found; expected finite weights of at least 0"):
        leiden(np.array([0, 1]), np.array([1, 2]), np.array([1.0, bad]), 3, resolution=1.0, seed=0)


def test_modularity_by_hand():
    # Two edges apart: all weight within, half of the strength in each.
    source, target, weight = cliques([0, 1], [2, 3])
    assert modularity(source, target, weight, np.array([0, 0, 1, 1]), 4) == 0.5
    assert modularity(source, target, weight, np.zeros(4, int), 4) == 0.0
    assert modularity(source, target, weight, np.array([0, 0, 1, 1]), 4, resolution=2.0) == 0.0
    # Nodes without a label are alone: -4 (1 / 4)^2.
    assert modularity(source, target, weight, np.full(4, -1), 4) == -0.25
    assert modularity(source, target, weight, np.array([0, 0, -1, -1]), 4) == 0.5 - 0.25 - 2 / 16
    assert modularity(source, target, 0 * weight, np.zeros(4, int), 4) is None
    assert modularity(*NO_EDGES, np.empty(0, np.int32), 0) is None


@pytest.mark.parametrize("resolution", [0.5, 1.0, 2.0])
def test_modularity_as_networkx(resolution):
    for seed in range(4):
        (source, target, weight), _ = planted(seed, [12, 8], 0.4, 0.1)
        graph = nx.Graph()
        graph.add_nodes_from(range(20))
        graph.add_weighted_edges_from(zip(source.tolist(), target.tolist(), weight.tolist(), strict=True))
        labels = np.random.default_rng(seed).integers(0, 4, 20)
        parts = [set(np.flatnonzero(labels == label).tolist()) for label in range(4)]
        expected = nx.community.modularity(graph, [part for part in parts if part], resolution=resolution)
        assert modularity(source, target, weight, labels, 20, resolution) == pytest.approx(expected, abs=1e-12)


def test_leiden_does_not_fall_behind_louvain():
    for seed in range(3):
        (source, target, weight), _ = planted(seed, [25, 25, 25], 0.3, 0.08)
        graph = nx.Graph()
        graph.add_weighted_edges_from(zip(source.tolist(), target.tolist(), weight.tolist(), strict=True))
        louvain = nx.community.modularity(graph, nx.community.louvain_communities(graph, seed=seed))
        found = leiden(source, target, weight, 75, resolution=1.0, seed=seed)
        assert modularity(source, target, weight, found, 75) >= louvain - 0.01


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1])),
    seed=st.integers(0, 2**31),
    resolution=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_partitions_are_sound(pairs, seed, resolution):
    edges = np.array(sorted(pairs), np.int32).reshape(-1, 2)
    source, target, weight = edges[:, 0], edges[:, 1], 1.0 + np.arange(len(edges)) % 3
    labels = leiden(source, target, weight, 12, resolution=resolution, seed=seed)
    np.testing.assert_array_equal(labels >= 0, np.isin(np.arange(12), edges))
    sizes = np.bincount(labels[labels >= 0])
    assert (sizes[:-1] >= sizes[1:]).all()
    assert (sizes > 0).all()
    graph = nx.Graph(edges.tolist())
    for label in range(len(sizes)):  # Leiden's communities are connected
        assert nx.is_connected(graph.subgraph(np.flatnonzero(labels == label).tolist()))
    if len(edges):
        alone = np.full(12, -1)
        found = modularity(source, target, weight, labels, 12, resolution)
        assert found >= modularity(source, target, weight, alone, 12, resolution) - 1e-12


def test_agreement_counts_only_nodes_with_both_labels():
    a = np.array([0, 0, 1, 1, 2, 2, -1, 0])
    b = np.array([0, 0, 1, 1, 1, 2, 1, -1])
    found = agreement(a, b)
    assert found["nodes"] == 6
    assert found["ami"] == pytest.approx(adjusted_mutual_info_score(a[:6], b[:6]))
    assert found["ari"] == pytest.approx(adjusted_rand_score(a[:6], b[:6]))
    assert 0 < found["ami"] < 1
    json.dumps(found, allow_nan=False)


def test_agreement_does_not_depend_on_names():
    labels = np.random.default_rng(0).integers(0, 5, 100)
    assert agreement(labels, 4 - labels) == {"ami": pytest.approx(1), "ari": pytest.approx(1), "nodes": 100}


def test_independent_labels_agree_by_zero():
    generator = np.random.default_rng(0)
    found = [agreement(generator.integers(0, 8, 400), generator.integers(0, 8, 400)) for _ in range(60)]
    for name in ("ami", "ari"):
        values = [record[name] for record in found]
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(60)
        assert max(np.abs(values)) < 0.1


@pytest.mark.filterwarnings("error")
def test_agreement_not_defined():
    together, apart, halves = np.zeros(6, int), np.arange(6), np.array([0, 0, 0, 1, 1, 1])
    undefined = {"ami": None, "ari": None}
    assert agreement(together, together) == undefined | {"nodes": 6}
    assert agreement(apart, apart) == undefined | {"nodes": 6}
    assert agreement(np.full(6, -1), halves) == undefined | {"nodes": 0}
    assert agreement(np.array([0, -1]), np.array([1, 1])) == undefined | {"nodes": 1}
    assert agreement(np.empty(0, int), np.empty(0, int)) == undefined | {"nodes": 0}
    for trivial in (together, apart):  # one that tells nothing against one that does
        found = agreement(trivial, halves)
        assert found == {"ami": pytest.approx(0, abs=1e-9), "ari": pytest.approx(0), "nodes": 6}
    assert agreement(together, apart)["ami"] == pytest.approx(0, abs=1e-9)


def test_stability_of_clear_communities():
    edges, _ = planted(0, [30, 30, 30], 0.6, 0.01)
    found = stability(*edges, 95, resolutions=[2.0, 0.5], seeds=[0, 1, 2], base_resolution=1.0)
    assert found["nodes"] == 90
    assert (found["base_resolution"], found["seeds"]) == (1.0, [0, 1, 2])
    assert [record["resolution"] for record in found["resolutions"]] == [0.5, 1.0, 2.0]
    middle = found["resolutions"][1]
    assert middle["communities"] == 3
    labels = leiden(*edges, 95, resolution=1.0, seed=0)
    assert middle["modularity"] == modularity(*edges, labels, 95)
    assert middle["ami_seeds"] == middle["ami_base"] == pytest.approx(1)
    assert found["resolutions"][-1]["ami_next"] is None
    json.dumps(found, allow_nan=False)


def test_stability_by_its_definition():
    edges = planted(1, [60], 0.15, 0)[0]
    seeds = [4, 5, 6]
    found = stability(*edges, 60, resolutions=[1.0, 1.5], seeds=seeds, base_resolution=1.5)["resolutions"]
    labels = {(r, s): leiden(*edges, 60, resolution=r, seed=s) for r in (1.0, 1.5) for s in seeds}
    pairs = [(4, 5), (4, 6), (5, 6)]
    same = np.mean([adjusted_mutual_info_score(labels[1.0, a], labels[1.0, b]) for a, b in pairs])
    cross = np.mean([adjusted_mutual_info_score(labels[1.0, a], labels[1.5, b]) for a, b in pairs])
    assert found[0]["ami_seeds"] == pytest.approx(same)
    assert found[0]["ami_next"] == found[0]["ami_base"] == pytest.approx(cross)
    assert found[0]["ami_seeds"] < 0.95  # seeds differ where there is nothing to find
    assert found[1]["ami_base"] == found[1]["ami_seeds"]


def test_stability_not_defined():
    options = {"resolutions": [1.0, 2.0], "base_resolution": 1.0}
    for n in (0, 1, 5):
        found = stability(*NO_EDGES, n, seeds=[0, 1], **options)
        assert found["nodes"] == 0
        for record in found["resolutions"]:
            assert record["communities"] == 0
            assert all(record[key] is None for key in ("modularity", "ami_seeds", "ami_base", "ami_next"))
    one_community = stability(*cliques([0, 1]), 2, seeds=[0, 1], resolutions=[], base_resolution=0.5)["resolutions"][0]
    assert (one_community["communities"], one_community["modularity"], one_community["ami_seeds"]) == (1, 0.0, None)
    one_seed = stability(*cliques([0, 1, 2], [3, 4]), 5, seeds=[0], **options)["resolutions"][0]
    assert (one_seed["communities"], one_seed["ami_seeds"], one_seed["ami_next"]) == (2, None, None)
    with pytest.raises(ConfigError, match="seeds of the communities: none found; expected at least one"):
        stability(*cliques([0, 1]), 2, seeds=[], **options)


def test_blocks_hold_whole_documents_of_about_equal_number():
    documents = np.array([5, 5, -1, 9, 2, 2, 9, 7, 30, -1, 30, 11, 12])
    sets = sets_of([(0, 1)] * len(documents))
    block, n = _assign_blocks(sets, documents, 3, np.random.default_rng(0))
    assert n == 7
    np.testing.assert_array_equal(block < 0, documents < 0)
    found = {document: set(block[documents == document].tolist()) for document in set(documents.tolist()) - {-1}}
    assert all(len(blocks) == 1 for blocks in found.values())
    sizes = np.bincount([blocks.pop() for blocks in found.values()])
    assert sorted(sizes.tolist()) == [2, 2, 3]


def test_a_sum_of_blocks_is_the_count_of_the_repeated_documents():
    sets, documents = topical_sets(0, 4, 300, 0.3), np.random.default_rng(1).integers(-1, 40, 300)
    block, _ = _assign_blocks(sets, documents, 6, np.random.default_rng(0))
    keys, counts = _count_by_block(sets, block, 6, None)
    times = np.array([2, 0, 1, 0, 3, 0])
    members = np.split(sets.indices, sets.indptr[1:-1])
    repeated = [tuple(m) for m, b in zip(members, block, strict=True) if b >= 0 for _ in range(times[b])]
    expected = count_pairs(sets_of(repeated))
    drawn = counts @ times
    assert drawn.dtype == np.int64
    np.testing.assert_array_equal(keys[drawn > 0], expected.keys)
    np.testing.assert_array_equal(drawn[drawn > 0], expected.counts)
    some = pd.DataFrame({"source": expected.source[::3], "target": expected.target[::3]})
    kept, kept_counts = _count_by_block(sets, block, 6, some)
    np.testing.assert_array_equal(kept, expected.keys[::3])
    np.testing.assert_array_equal(kept_counts @ times, expected.counts[::3])


def test_bootstrap_of_clear_and_of_no_communities():
    documents = np.repeat(np.arange(50), 40)
    options = {"samples": 8, "resolution": 1.0, "seed": 0}
    clear = bootstrap_agreement(topical_sets(0, 5, 2000, 0.05), documents, 32, **options)
    none = bootstrap_agreement(topical_sets(0, 5, 2000, 1.0), documents, 32, **options)
    assert (clear["documents"], clear["blocks"], clear["samples"], clear["nodes"]) == (50, 20, 8, [30] * 8)
    assert clear["mean_ami"] == pytest.approx(1)
    assert none["mean_ami"] < 0.8
    assert none["mean_ami"] == pytest.approx(np.mean(none["ami"]))
    json.dumps(none, allow_nan=False)


def test_bootstrap_is_deterministic_and_keeps_to_the_pairs_given():
    sets, documents = topical_sets(0, 4, 600, 0.6), np.repeat(np.arange(30), 20)
    options = {"samples": 5, "resolution": 1.0, "blocks": 10}
    first = bootstrap_agreement(sets, documents, 24, seed=1, **options)
    assert bootstrap_agreement(sets, documents, 24, seed=1, **options) == first
    assert bootstrap_agreement(sets, documents, 24, seed=2, **options) != first
    table = count_pairs(sets)
    within = table.source // 6 == table.target // 6  # edges within topics alone
    pairs = pd.DataFrame({"source": table.source[within], "target": table.target[within]})
    assert bootstrap_agreement(sets, documents, 24, seed=1, pairs=pairs, **options)["mean_ami"] == pytest.approx(1)
    nothing = bootstrap_agreement(sets, documents, 24, seed=1, pairs=pairs[:0], **options)
    assert (nothing["ami"], nothing["nodes"], nothing["mean_ami"]) == ([None] * 5, [0] * 5, None)


def test_bootstrap_without_pairs():
    found = bootstrap_agreement(sets_of([(0,)] * 40), np.arange(40), 1, samples=2, resolution=1.0, seed=0)
    assert (found["ami"], found["mean_ami"]) == ([None, None], None)


def test_bootstrap_refusals():
    sets, options = sets_of([(0, 1)] * 30), {"samples": 2, "resolution": 1.0, "seed": 0}
    with pytest.raises(ConfigError, match="bootstrap samples from: 19 found; expected at least one per block, 20"):
        bootstrap_agreement(sets, np.maximum(np.arange(30) - 11, -1), 2, **options)
    with pytest.raises(ConfigError, match="blocks of documents: 1 found; expected at least 2"):
        bootstrap_agreement(sets, np.arange(30), 2, blocks=1, **options)
    with pytest.raises(ConfigError, match="29 found; expected one per set, 30"):
        bootstrap_agreement(sets, np.arange(29), 2, **options)
    with pytest.raises(ConfigError, match="feature 1; expected features below 1"):
        bootstrap_agreement(sets, np.arange(30), 1, **options)


def test_decoder_clusters_are_directions():
    generator = np.random.default_rng(0)
    centres = np.linalg.qr(generator.normal(size=(16, 16)))[0][:4]
    kind = generator.permutation(np.repeat(np.arange(4), [20, 10, 8, 2]))
    rows = (centres[kind] + 0.05 * generator.normal(size=(40, 16))) * generator.uniform(0.1, 50, 40)[:, None]
    live = np.ones(40, bool)
    live[np.flatnonzero(kind == 0)[:3]] = False
    rows[np.flatnonzero(kind == 0)[3]] = 0
    labels = decoder_clusters(rows.astype(np.float32), live, 4, seed=0)
    assert labels.dtype == np.int32
    kept = live & (np.linalg.norm(rows, axis=1) > 0)
    np.testing.assert_array_equal(labels, np.where(kept, kind, -1))
    assert agreement(labels, kind) == {"ami": pytest.approx(1), "ari": pytest.approx(1), "nodes": 36}
    assert decoder_clusters(rows.astype(np.float32), live, 4, seed=0).tobytes() == labels.tobytes()


def test_decoder_clusters_of_few_features():
    rows = np.eye(3, dtype=np.float32)
    assert decoder_clusters(rows, np.zeros(3, bool), 2, seed=0).tolist() == [-1, -1, -1]
    assert decoder_clusters(rows, np.array([False, True, False]), 2, seed=0).tolist() == [-1, 0, -1]
    assert decoder_clusters(rows, np.ones(3, bool), 9, seed=0).tolist() == [0, 1, 2]
    with pytest.raises(ConfigError, match="clusters of decoder rows: 0 found; expected at least 1"):
        decoder_clusters(rows, np.ones(3, bool), 0, seed=0)
