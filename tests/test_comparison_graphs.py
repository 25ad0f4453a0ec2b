"""Agreement of matched graphs: by hand, against sets and SciPy, and beside nulls of which the truth is known."""

import json
import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, pearsonr, rankdata, spearmanr
from sklearn.metrics import adjusted_mutual_info_score

from coact.comparison.graphs import _permute_within, _quantile_bins, compare_graphs
from coact.comparison.measures import adjusted_information, mean_ranks
from coact.errors import ConfigError, StudyError

MEASURES = {
    *("edge_jaccard", "degree_spearman", "community_ami"),
    *(f"{v}_{r}_{p}" for v in ("count", "weight") for r in ("pearson", "spearman") for p in ("common", "union")),
}
OPTIONS = {"seed": 0, "permutations": 50}


def edge_frame(edges: dict[tuple[int, int], tuple[int, float]]) -> pd.DataFrame:
    ends = np.array(list(edges), np.int32).reshape(-1, 2)
    values = np.array(list(edges.values()), float).reshape(-1, 2)
    return pd.DataFrame(
        {"source": ends[:, 0], "target": ends[:, 1], "count": values[:, 0].astype(np.int64), "weight": values[:, 1]}
    )


def matching(pairs: list[tuple[int, int]]) -> pd.DataFrame:
    return pd.DataFrame(np.array(pairs, np.int32).reshape(-1, 2), columns=["feature_a", "feature_b"])


def same(n: int) -> pd.DataFrame:
    return matching([(i, i) for i in range(n)])


def random_edges(generator: np.random.Generator, chance: np.ndarray) -> dict[tuple[int, int], tuple[int, float]]:
    """Every pair is an edge with its own chance, with a count and a weight."""
    n = len(chance)
    ends = np.argwhere(np.triu(generator.random((n, n)) < chance, 1))
    counts, weights = generator.geometric(0.3, len(ends)), generator.random(len(ends)) + 0.01
    return {(int(i), int(j)): (int(c), float(w)) for (i, j), c, w in zip(ends, counts, weights, strict=True)}


def plain(edges_a, edges_b, pairs, communities_a, communities_b) -> dict[str, float | None]:
    """The definitions with sets and dictionaries."""
    partner = dict(pairs)
    a = {edge: edges_a[edge] for edge in edges_a if edge[0] in partner and edge[1] in partner}
    back = {v: k for k, v in pairs}
    b = {tuple(sorted((back[i], back[j]))): v for (i, j), v in edges_b.items() if i in back and j in back}
    common, union = sorted(a.keys() & b.keys()), sorted(a.keys() | b.keys())

    def correlation(x: list[float], y: list[float], ranked: bool) -> float | None:
        if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
            return None
        return float((spearmanr if ranked else pearsonr)(x, y).statistic)

    found: dict[str, float | None] = {"edge_jaccard": len(common) / len(union) if union else None}
    for name, item in (("count", 0), ("weight", 1)):
        scale = math.log1p if name == "count" else float
        for scope, chosen in (("common", common), ("union", union)):
            x = [scale(a[edge][item]) if edge in a else 0.0 for edge in chosen]
            y = [scale(b[edge][item]) if edge in b else 0.0 for edge in chosen]
            found[f"{name}_pearson_{scope}"] = correlation(x, y, False)
            found[f"{name}_spearman_{scope}"] = correlation(x, y, True)
    degree_a, degree_b = ([sum(node in edge for edge in graph) for node in partner] for graph in (a, b))
    found["degree_spearman"] = correlation(degree_a, degree_b, True)
    labels = [(communities_a[i], communities_b[j]) for i, j in pairs]
    labels = [label for label in labels if min(label) >= 0]
    one, other = [label[0] for label in labels], [label[1] for label in labels]
    trivial = min(len(set(one)), len(set(other))) < 2 or len(set(one)) == len(set(other)) == len(labels)
    found["community_ami"] = None if trivial else float(adjusted_mutual_info_score(one, other))
    return found


def assert_values(found: dict, expected: dict[str, float | None]) -> None:
    assert set(found) == set(expected) == MEASURES
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
        else:
            assert found[name]["value"] == pytest.approx(value, abs=1e-9), name


def test_four_nodes_by_hand():
    # a: path 0-1-2-3. b, in the names of a: 0-1, 1-2 and 0-2. Two of four pairs are common.
    a = edge_frame({(0, 1): (1, 0.1), (1, 2): (3, 0.2), (2, 3): (7, 0.4)})
    b = edge_frame({(5, 6): (1, 0.3), (4, 5): (3, 0.2), (4, 6): (1, 0.1)})
    pairs = matching([(0, 6), (1, 5), (2, 4), (3, 7)])
    labels_b = np.array([-1, -1, -1, -1, 8, 3, 3, 8])
    found = compare_graphs(a, b, pairs, np.array([0, 0, 1, 1]), labels_b, np.ones(8), **OPTIONS)
    assert (found["matched"], found["edges_a"], found["edges_b"], found["edges_common"]) == (4, 3, 3, 2)
    values = found["null_random"]
    assert values["edge_jaccard"]["value"] == 2 / 4
    assert values["count_pearson_common"] is None  # two pairs are too few
    assert values["community_ami"]["value"] == pytest.approx(1)
    # Degrees 1, 2, 2, 1 and 2, 2, 2, 0: ranks 1.5, 3.5, 3.5, 1.5 and 3, 3, 3, 1.
    assert values["degree_spearman"]["value"] == pytest.approx(1 / math.sqrt(3))
    # Pairs 01, 12, 23, 02 with weights .1, .2, .4, 0 and .3, .2, 0, .1: ranks 2, 3, 4, 1 and 4, 3, 1, 2.
    assert values["weight_spearman_union"]["value"] == pytest.approx(-0.4)
    x, y = np.log([2, 4, 8, 1]), np.log([2, 4, 1, 2])
    assert values["count_pearson_union"]["value"] == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_null_of_four_nodes_is_that_of_all_matchings():
    # Path 0-1-2-3 twice: of the 24 matchings 2 keep all edges, others fewer.
    path = {(0, 1): (1, 0.1), (1, 2): (2, 0.2), (2, 3): (4, 0.3)}
    every = []
    for order in permutations(range(4)):
        moved = {tuple(sorted((order[i], order[j]))) for i, j in path}
        every.append(len(moved & path.keys()) / len(moved | path.keys()))
    labels = np.array([0, 0, 1, 1])
    found = compare_graphs(
        edge_frame(path), edge_frame(path), same(4), labels, labels, np.arange(4), seed=1, permutations=4000
    )
    jaccard, error = found["null_random"]["edge_jaccard"], np.std(every) / math.sqrt(4000)
    assert jaccard["value"] == 1
    assert jaccard["p"] == pytest.approx(2 / 24, abs=4 * math.sqrt(2 / 24 / 4000))
    assert jaccard["null_mean"] == pytest.approx(np.mean(every), abs=4 * error)
    assert (jaccard["null_low"], jaccard["null_high"]) == (min(every), 1)
    # Of the 24, 8 keep the communities {0, 1} and {2, 3}.
    assert found["null_random"]["community_ami"]["p"] == pytest.approx(8 / 24, abs=4 * math.sqrt(8 / 24 / 4000))
    # And 4 keep the degrees: the inner nodes among themselves, the outer ones among themselves.
    assert found["null_random"]["degree_spearman"]["p"] == pytest.approx(4 / 24, abs=4 * math.sqrt(4 / 24 / 4000))


@pytest.mark.parametrize(("share_a", "share_b"), [(0.1, 0.1), (0.5, 0.3), (0.02, 0.6), (1.0, 1.0), (1.0, 0.3)])
def test_values_as_with_sets(share_a, share_b):
    for seed in range(4):
        generator = np.random.default_rng(seed)
        edges_a = random_edges(generator, np.full((40, 40), share_a))
        edges_b = random_edges(generator, np.full((30, 30), share_b))
        pairs = list(zip(generator.permutation(40)[:25].tolist(), generator.permutation(30)[:25].tolist(), strict=True))
        labels_a, labels_b = generator.integers(-1, 5, 40), generator.integers(-1, 3, 30)
        found = compare_graphs(
            edge_frame(edges_a), edge_frame(edges_b), matching(pairs), labels_a, labels_b, np.ones(30), **OPTIONS
        )
        assert_values(found["null_random"], plain(edges_a, edges_b, pairs, labels_a, labels_b))


def test_every_permutation_is_a_matching_like_any_other():
    """The figures of a permuted matching are those of the matching that it stands for."""
    generator = np.random.default_rng(0)
    edges_a, edges_b = (random_edges(generator, np.full((8, 8), 0.5)) for _ in range(2))
    labels_a, labels_b = generator.integers(-1, 3, 8), generator.integers(-1, 2, 8)
    found = compare_graphs(
        edge_frame(edges_a), edge_frame(edges_b), same(8), labels_a, labels_b, np.ones(8), seed=3, permutations=30
    )["null_random"]
    drawn = _permute_within(np.zeros(8), 30, np.random.default_rng([3, 0]))
    every = [plain(edges_a, edges_b, [(int(place[j]), j) for j in range(8)], labels_a, labels_b) for place in drawn]
    for name in MEASURES:
        values = np.array([figures[name] for figures in every if figures[name] is not None])
        assert found[name]["permutations"] == len(values)
        assert found[name]["null_mean"] == pytest.approx(values.mean())
        np.testing.assert_allclose(
            (found[name]["null_low"], found[name]["null_high"]), np.quantile(values, [0.025, 0.975]), atol=1e-9
        )
        assert found[name]["p"] == (1 + (values >= found[name]["value"] - 1e-9).sum()) / (1 + len(values))


def test_one_graph_under_other_names_agrees_with_itself():
    generator = np.random.default_rng(0)
    edges = random_edges(generator, np.full((60, 60), 0.2))
    order = generator.permutation(60)
    renamed = {tuple(sorted((int(order[i]), int(order[j])))): value for (i, j), value in edges.items()}
    labels, other_labels = generator.integers(0, 6, 60), np.empty(60, int)
    other_labels[order] = 5 - labels
    pairs = matching([(i, int(order[i])) for i in range(60)])
    found = compare_graphs(edge_frame(edges), edge_frame(renamed), pairs, labels, other_labels, np.ones(60), **OPTIONS)
    for null in ("null_random", "null_frequency"):  # all frequencies are equal, so both permute everything
        for name in MEASURES:
            record = found[null][name]
            assert record["value"] == pytest.approx(1)
            assert record["p"] == 1 / 51
            assert record["null_high"] < 1
    assert found["null_random"]["edge_jaccard"] != found["null_frequency"]["edge_jaccard"]  # other random numbers


def test_p_of_independent_graphs_is_uniform():
    n, runs, level = 30, 60, 0.2
    p: dict[str, list[float]] = {name: [] for name in MEASURES}
    for seed in range(runs):
        generator = np.random.default_rng(1000 + seed)
        a, b = (edge_frame(random_edges(generator, np.full((n, n), 0.3))) for _ in range(2))
        labels_a, labels_b = (generator.integers(0, 4, n) for _ in range(2))
        frequency = generator.random(n)
        found = compare_graphs(a, b, same(n), labels_a, labels_b, frequency, seed=seed, permutations=39, bins=3)
        for null in ("null_random", "null_frequency"):
            for name in MEASURES:
                p[name].append(found[null][name]["p"])
    for name in MEASURES:
        by_null = np.array(p[name]).reshape(runs, 2)
        for values in by_null.T:  # two-sided, each at 1 in 10,000
            low, high = binom.ppf([5e-5, 1 - 5e-5], runs, level)
            assert low <= (values <= level + 1e-9).sum() <= high, name


def frequency_driven(seed: int, frequency: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two graphs in which pairs are edges independently, with a chance that grows with both frequencies."""
    generator = np.random.default_rng(seed)
    chance = 1 - np.exp(-np.multiply.outer(frequency, frequency))
    a, b = (edge_frame(random_edges(generator, chance)) for _ in range(2))
    return a, b


def test_frequency_alone_exceeds_the_random_null_only():
    frequency = np.repeat([0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.6, 2.0], 20)
    exceeding = 0
    for seed in range(10):
        a, b = frequency_driven(seed, frequency)
        found = compare_graphs(a, b, same(200), np.zeros(200), np.zeros(200), frequency, seed=0, permutations=99)
        for name in ("edge_jaccard", "degree_spearman"):
            assert found["null_random"][name]["p"] == 1 / 100
            assert found["null_random"][name]["value"] > 1.5 * found["null_random"][name]["null_high"]
        exceeding += found["null_frequency"]["edge_jaccard"]["p"] <= 0.05
    assert exceeding <= 3  # at the level 0.05 more than 3 of 10 come about once in a thousand times


def test_wide_frequencies_need_narrow_bins():
    """Within deciles of frequencies over three decades there is enough difference for independent graphs to agree."""
    frequency = np.geomspace(1, 1000, 400) / 120
    a, b = frequency_driven(0, frequency)
    tables = a, b, same(400), np.zeros(400), np.zeros(400), frequency
    deciles = compare_graphs(*tables, seed=0, permutations=99)["null_frequency"]["edge_jaccard"]
    narrow = compare_graphs(*tables, seed=0, permutations=99, bins=40)["null_frequency"]["edge_jaccard"]
    assert deciles["p"] == 1 / 100
    assert narrow["p"] > 0.05
    assert narrow["value"] - narrow["null_mean"] < (deciles["value"] - deciles["null_mean"]) / 3


def test_structure_beyond_frequency_exceeds_both_nulls():
    frequency = np.repeat([0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.6, 2.0], 20)
    topic = np.arange(200) % 5
    rate = np.multiply.outer(frequency, frequency) * np.where(topic[:, None] == topic, 2.0, 0.75)
    generator = np.random.default_rng(0)
    a, b = (edge_frame(random_edges(generator, 1 - np.exp(-rate))) for _ in range(2))
    found = compare_graphs(a, b, same(200), topic, topic, frequency, seed=0, permutations=99)
    for null in ("null_random", "null_frequency"):
        for name in ("edge_jaccard", "community_ami"):
            assert found[null][name]["p"] == 1 / 100


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 100))
def test_permutations_keep_groups(groups, seed):
    groups = np.array(groups, int)
    drawn = _permute_within(groups, 3, np.random.default_rng(seed))
    movable = any(np.bincount(groups) > 1) if len(groups) else False
    assert len(drawn) == (3 if movable else 0)
    for place in drawn:
        assert sorted(place) == list(range(len(groups)))
        np.testing.assert_array_equal(groups[place], groups)


def test_bins_are_deciles():
    values = np.random.default_rng(0).permutation(100) / 100
    np.testing.assert_array_equal(_quantile_bins(values, 10), (values * 100 + 1e-9).astype(int) // 10)
    np.testing.assert_array_equal(_quantile_bins(values, 1), np.zeros(100))
    assert len(set(_quantile_bins(np.full(7, 0.5), 10))) == 1  # equal frequencies are not parted


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 6)), max_size=40))
def test_mutual_information_as_scikit_learn(labels):
    one, other = (np.array([label[side] for label in labels], int) for side in (0, 1))
    found = adjusted_information(one, other)
    both = (one >= 0) & (other >= 0)
    classes = [len(set(x[both])) for x in (one, other)]
    if min(classes) < 2 or classes[0] == classes[1] == both.sum():
        assert math.isnan(found)
    else:
        assert found == pytest.approx(adjusted_mutual_info_score(one[both], other[both]), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=30))
def test_ranks_as_scipy(groups):
    np.testing.assert_array_equal(mean_ranks(np.array(groups, int), 7), rankdata(groups))


def test_mutual_information_of_many_items():
    generator = np.random.default_rng(0)
    one = (generator.pareto(1, 3000) % 200).astype(int)
    other = np.where(generator.random(3000) < 0.5, one, generator.integers(0, 300, 3000))
    assert adjusted_information(one, other) == pytest.approx(adjusted_mutual_info_score(one, other), abs=1e-9)


def test_same_seed_same_figures():
    generator = np.random.default_rng(0)
    a, b = (edge_frame(random_edges(generator, np.full((30, 30), 0.3))) for _ in range(2))
    labels, frequency = generator.integers(0, 4, 30), generator.random(30)

    def compared(a: pd.DataFrame, seed: int) -> str:
        found = compare_graphs(a, b, same(30), labels, labels, frequency, seed=seed, permutations=20, bins=3)
        return json.dumps(found, allow_nan=False)

    assert compared(a, 5) == compared(a, 5)
    assert compared(a, 5) != compared(a, 6)
    assert compared(a.sample(frac=1, random_state=0), 5) == compared(a, 5)  # the order of rows does not matter


def test_a_matching_and_its_reverse_agree():
    generator = np.random.default_rng(0)
    a, b = (edge_frame(random_edges(generator, np.full((30, 30), 0.3))) for _ in range(2))
    labels_a, labels_b = generator.integers(-1, 4, 30), generator.integers(-1, 3, 30)
    pairs = matching(list(zip(range(30), generator.permutation(30).tolist(), strict=True)))
    reverse = pairs.rename(columns={"feature_a": "feature_b", "feature_b": "feature_a"})
    there = compare_graphs(a, b, pairs, labels_a, labels_b, np.ones(30), **OPTIONS)["null_random"]
    back = compare_graphs(b, a, reverse, labels_b, labels_a, np.ones(30), **OPTIONS)["null_random"]
    for name in MEASURES:
        assert there[name]["value"] == pytest.approx(back[name]["value"], abs=1e-9)


TRIANGLE = {(0, 1): (1, 0.1), (0, 2): (1, 0.1), (1, 2): (1, 0.1)}


@pytest.mark.parametrize(
    ("edges_a", "edges_b", "n", "defined"),
    [
        ({}, {}, 0, set()),  # no matched feature
        ({}, {}, 1, set()),
        ({}, {}, 5, set()),  # no edge
        (TRIANGLE, {}, 3, {"edge_jaccard"}),
        (TRIANGLE, TRIANGLE, 3, {"edge_jaccard"}),  # nothing varies
        (TRIANGLE, TRIANGLE, 0, set()),  # edges, but of features without a partner
        (TRIANGLE, TRIANGLE, 2, {"edge_jaccard"}),
    ],
)
def test_what_is_not_defined_is_none(edges_a, edges_b, n, defined):
    labels = np.full(5, -1)
    found = compare_graphs(edge_frame(edges_a), edge_frame(edges_b), same(n), labels, labels, np.ones(5), **OPTIONS)
    json.dumps(found, allow_nan=False)
    assert found["matched"] == n
    for null in ("null_random", "null_frequency"):
        assert set(found[null]) == MEASURES
        assert {name for name, record in found[null].items() if record is not None} == defined


def test_null_is_none_where_no_partner_can_change():
    path = edge_frame({(0, 1): (1, 0.1), (1, 2): (2, 0.2), (2, 3): (4, 0.3)})
    labels = np.array([0, 0, 1, 1])
    for frequency in (np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.1, 0.1, np.nan])):
        found = compare_graphs(path, path, same(4), labels, labels, frequency, **OPTIONS)
        assert found["null_frequency"]["edge_jaccard"] == {
            "value": 1,
            "null_mean": None,
            "null_low": None,
            "null_high": None,
            "p": None,
            "permutations": 0,
        }
        assert found["null_random"]["edge_jaccard"]["permutations"] == 50


def test_null_is_none_where_most_permutations_have_no_figure():
    # Three common edges among 40 features: hardly a permutation has three.
    path = edge_frame({(0, 1): (1, 0.1), (1, 2): (2, 0.2), (2, 3): (4, 0.3)})
    labels = np.full(40, -1)
    record = compare_graphs(path, path, same(40), labels, labels, np.ones(40), **OPTIONS)["null_random"]
    assert record["weight_pearson_common"]["value"] == pytest.approx(1)
    assert record["weight_pearson_common"]["p"] is None
    assert record["weight_pearson_common"]["permutations"] < 25
    assert record["edge_jaccard"]["p"] == 1 / 51


def test_refusals():
    path, labels = edge_frame({(0, 1): (1, 0.1)}), np.zeros(3, int)
    arguments = labels, labels, np.ones(3)
    with pytest.raises(StudyError, match="feature_b 2 has 2 partners"):
        compare_graphs(path, path, matching([(0, 2), (1, 2)]), *arguments, **OPTIONS)
    with pytest.raises(ConfigError, match=r"comparison\.permutations is 0"):
        compare_graphs(path, path, same(2), *arguments, seed=0, permutations=0)
    with pytest.raises(ConfigError, match=r"comparison\.bins is 0"):
        compare_graphs(path, path, same(2), *arguments, seed=0, permutations=1, bins=0)
