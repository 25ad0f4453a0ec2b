"""Statistics of graphs against networkx, SciPy and cases by hand; what is not defined is None."""

import itertools
import json
import math
import os
import subprocess
import sys

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from diptest import diptest
from scipy.stats import pearsonr, poisson, rankdata, skew, spearmanr
from sklearn.mixture import GaussianMixture

from coact.graph.association import _Pearson, _Spearman, correlate, ranks
from coact.graph.shape import dip_test, log_degree, log_frequency, mixture_test, skewness, spread, unit_of
from coact.graph.statistics import describe_graph, odd_quadrants
from coact.graph.structure import describe_structure

OPTIONS = {"bootstrap": 200, "confidence": 0.95, "listed": 3, "seed": 0}
SCOPE = {
    *("nodes", "edges", "mean_degree", "median_degree", "max_degree", "density", "components", "largest_component"),
    *(
        "isolated",
        "component_sizes",
        "average_clustering",
        "assortativity",
        "pearson",
        "spearman",
        "pearson_graph",
        "spearman_graph",
    ),
    *("pearson_log", "dip_degree", "dip_log_degree", "dip_log_frequency"),
    *("mixture_log_degree", "mixture_log_frequency"),
}


def node_frame(frequency: list[float], live: list[bool] | None = None) -> pd.DataFrame:
    n = len(frequency)
    return pd.DataFrame(
        {
            "feature": np.arange(n, dtype=np.int32),
            "frequency": np.array(frequency, float),
            "frequency_heldout": np.array(frequency, float) / 2,
            "live": np.array([f > 0 for f in frequency] if live is None else live, bool),
        }
    )


def edge_frame(edges: list[tuple[int, int]]) -> pd.DataFrame:
    return pd.DataFrame(np.array(edges, np.int32).reshape(-1, 2), columns=["source", "target"])


def random_edges(seed: int, n: int, share: float) -> np.ndarray:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < share, 1)
    return np.argwhere(upper)


@pytest.mark.parametrize(("n", "share"), [(30, 0.02), (30, 0.2), (60, 0.5), (5, 1.0), (40, 0.0)])
def test_structure_as_networkx(n, share):
    for seed in range(5):
        edges = random_edges(seed, n, share)
        graph = nx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from(edges.tolist())
        found = describe_structure(edges[:, 0], edges[:, 1], n)
        degree = [d for _, d in graph.degree]
        sizes = sorted((len(part) for part in nx.connected_components(graph)), reverse=True)
        assert found["average_clustering"] == pytest.approx(nx.average_clustering(graph), abs=1e-12)
        assert found["density"] == pytest.approx(nx.density(graph))
        assert (found["components"], found["largest_component"]) == (len(sizes), sizes[0])
        assert [size for size, count in found["component_sizes"] for _ in range(count)] == sizes
        assert found["isolated"] == degree.count(0)
        assert (found["mean_degree"], found["median_degree"]) == (pytest.approx(np.mean(degree)), np.median(degree))
        assert found["max_degree"] == max(degree)
        if len({degree for edge in edges for degree in (graph.degree[edge[0]], graph.degree[edge[1]])}) > 1:
            assert found["assortativity"] == pytest.approx(nx.degree_assortativity_coefficient(graph), abs=1e-9)
        else:
            assert found["assortativity"] is None


def test_structure_by_hand():
    # A triangle with a tail, an edge apart, and an isolated node.
    found = describe_structure(np.array([0, 0, 1, 2, 4]), np.array([1, 2, 2, 3, 5]), 7)
    assert found == {
        "nodes": 7,
        "edges": 5,
        "mean_degree": 10 / 7,
        "median_degree": 1.0,
        "max_degree": 3,
        "density": 5 / 21,
        "components": 3,
        "largest_component": 4,
        "isolated": 1,
        "component_sizes": [[4, 1], [2, 1], [1, 1]],
        "average_clustering": pytest.approx((1 + 1 + 1 / 3) / 7),
        # Degrees at the two ends: (2,2), (2,3) twice, (3,1), (1,1), each both ways; their covariance is 0.
        "assortativity": pytest.approx(0, abs=1e-12),
    }


@pytest.mark.parametrize("ranked", [False, True])
def test_correlation_as_scipy(ranked):
    generator = np.random.default_rng(0)
    x = generator.poisson(3, 500)
    y = x + generator.poisson(5, 500)
    found = correlate(x, y, ranked=ranked, bootstrap=300, confidence=0.9, seed=0)
    expected = (spearmanr if ranked else pearsonr)(x, y).statistic
    assert found["value"] == pytest.approx(expected, abs=1e-12)
    assert found["n"] == 500
    assert found["low"] < found["value"] < found["high"]
    assert found == correlate(x, y, ranked=ranked, bootstrap=300, confidence=0.9, seed=0)
    wider = correlate(x, y, ranked=ranked, bootstrap=300, confidence=0.99, seed=0)
    assert wider["low"] < found["low"]
    assert wider["high"] > found["high"]


@pytest.mark.parametrize(("measure", "expected"), [(_Pearson, pearsonr), (_Spearman, spearmanr)])
def test_resampled_correlation_is_that_of_the_repeated_sample(measure, expected):
    generator = np.random.default_rng(1)
    x, y = generator.integers(0, 6, 40).astype(float), generator.integers(0, 5, 40).astype(float)
    drawn = generator.integers(0, 40, (20, 40))
    times = np.stack([np.bincount(sample, minlength=40) for sample in drawn]).astype(float)
    values = [expected(x[sample], y[sample]).statistic for sample in drawn]
    np.testing.assert_allclose(measure(x, y)(times), values, atol=1e-12)


def test_interval_of_pearson_has_the_width_of_theory():
    # For normal variables the standard error of Fisher's z is 1 / sqrt(n - 3).
    generator = np.random.default_rng(2)
    x = generator.normal(size=2000)
    y = 0.6 * x + 0.8 * generator.normal(size=2000)
    found = correlate(x, y, ranked=False, bootstrap=2000, confidence=0.95, seed=0)
    width = math.atanh(found["high"]) - math.atanh(found["low"])
    assert width == pytest.approx(2 * 1.96 / math.sqrt(1997), rel=0.1)


@pytest.mark.parametrize("ranked", [False, True])
def test_correlation_not_defined(ranked):
    options = {"ranked": ranked, "bootstrap": 100, "confidence": 0.95, "seed": 0}
    ramp = np.arange(5.0)
    assert correlate(ramp, np.full(5, 0.1), **options) is None
    assert correlate(ramp[:2], ramp[:2], **options) is None
    assert correlate(ramp, np.full(5, np.nan), **options) is None
    assert correlate(np.empty(0), np.empty(0), **options) is None
    assert correlate(np.append(ramp, 9), np.append(ramp, np.nan), **options)["n"] == 5
    # With one feature apart in each variable most bootstrap samples of three features lack one of them.
    rare = correlate(np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), **options)
    assert rare["value"] == pytest.approx(-0.5)
    assert rare["low"] is None
    assert rare["high"] is None


def test_spread_by_hand():
    assert spread(np.array([3, 0, 0, 1, 1, 1, 1]), 1.0).tolist() == [-0.25, 0.25, 0.625, 0.875, 1.125, 1.375, 3.0]
    np.testing.assert_allclose(spread(np.array([0.2, 0.2]), 0.1), [0.175, 0.225])
    np.testing.assert_allclose(log_degree(np.array([0, 9])), [0, 1])
    np.testing.assert_allclose(log_frequency(np.array([0.1, 0, 0.01])), [-2, -1])


def test_unit_of_frequencies():
    assert unit_of(np.array([7, 3, 4, 9]) / 1000) == pytest.approx(1 / 1000)
    assert unit_of(np.array([0.4, 0.1])) == pytest.approx(0.1)
    assert unit_of(np.array([0.3])) == 0.3


def test_dip_of_untied_values_is_the_librarys():
    values = np.sort(np.random.default_rng(0).normal(size=300))
    statistic, p = diptest(values)
    assert dip_test(values) == {"statistic": statistic, "p": p, "n": 300}


def test_dip_of_counts():
    # 2,000 values whose shares are exactly those of a Poisson distribution, which has one mode.
    one_mode = poisson.ppf((np.arange(2000) + 0.5) / 2000, 4).astype(int)
    assert diptest(one_mode.astype(float))[1] < 1e-3  # tied values as they are: a false alarm
    assert dip_test(spread(one_mode, 1.0))["p"] > 0.9
    two_modes = np.concatenate([one_mode, 12 + one_mode])
    assert dip_test(spread(two_modes, 1.0))["p"] < 1e-3
    assert dip_test(log_degree(two_modes))["p"] < 1e-3


def test_dip_above_the_table():
    generator = np.random.default_rng(0)
    p = [dip_test(np.sort(generator.random(80_000)))["p"] for _ in range(20)]
    assert min(p) > 1e-3
    assert 0.25 < np.mean(p) < 0.75
    assert dip_test(np.sort(generator.normal(0, 1, 80_000) + 5 * generator.integers(0, 2, 80_000)))["p"] < 1e-3


def test_mixture():
    generator = np.random.default_rng(0)
    two = mixture_test(np.sort(np.concatenate([generator.normal(0, 0.3, 300), generator.normal(3, 0.5, 100)])))
    assert two["preferred"] == 2
    assert two["bic_two"] < two["bic_one"]
    np.testing.assert_allclose(two["means"], [0, 3], atol=0.15)
    np.testing.assert_allclose(two["weights"], [0.75, 0.25], atol=0.02)
    one = mixture_test(np.sort(generator.normal(size=400)))
    assert one["preferred"] == 1
    assert sum(one["weights"]) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_the_mixture_fits_no_worse_than_the_librarys(seed):
    generator = np.random.default_rng(seed)
    degree = np.concatenate([np.zeros(60 * (seed % 3), int), generator.negative_binomial(2, 0.05, 300)])
    values = log_degree(degree) if seed < 3 else np.sort(generator.normal(size=200))
    found, column = mixture_test(values), values[:, None]
    assert found["bic_one"] == pytest.approx(GaussianMixture(1).fit(column).bic(column), abs=1e-6)
    library = min(
        GaussianMixture(2, means_init=[[low], [high]], max_iter=1000, tol=1e-5).fit(column).bic(column)
        for low, high in itertools.combinations(np.quantile(values, [0.1, 0.5, 0.9]), 2)
    )
    # Both search from few starts: neither need find the best fit there is, but ours is not to be much worse.
    assert found["bic_two"] < library + 2


def test_the_mixture_of_values_that_fall_apart():
    found = mixture_test(np.sort(np.concatenate([np.linspace(0, 0.1, 30), np.linspace(5, 5.2, 10)])))
    np.testing.assert_allclose(found["means"], [0.05, 5.1], atol=1e-6)
    np.testing.assert_allclose(found["weights"], [0.75, 0.25])
    assert found["preferred"] == 2
    assert mixture_test(np.zeros(20))["preferred"] == 1


def test_too_few_values_for_shape():
    assert dip_test(np.arange(3.0)) is None
    assert mixture_test(np.arange(9.0)) is None


def test_describe_graph():
    generator = np.random.default_rng(0)
    n = 120
    frequency = generator.poisson(20, n) / 1000
    live = generator.random(n) < 0.7
    nodes, edges = node_frame(frequency, live), edge_frame(random_edges(0, n, 0.1))
    found = describe_graph(nodes, edges, **OPTIONS)
    assert set(found) == {"all", "live", "quadrants"}
    assert set(found["all"]) == set(found["live"]) == SCOPE
    graph = nx.Graph(edges.to_numpy().tolist())
    graph.add_nodes_from(range(n))
    for scope, part in (("all", graph), ("live", graph.subgraph(np.flatnonzero(live).tolist()))):
        members = sorted(part)
        degree = [part.degree[node] for node in members]
        heldout, own = nodes["frequency_heldout"][members], nodes["frequency"][members]
        assert (found[scope]["nodes"], found[scope]["edges"]) == (len(members), part.number_of_edges())
        assert found[scope]["average_clustering"] == pytest.approx(nx.average_clustering(part))
        assert found[scope]["pearson"]["value"] == pytest.approx(pearsonr(degree, heldout).statistic)
        assert found[scope]["spearman"]["value"] == pytest.approx(spearmanr(degree, heldout).statistic)
        assert found[scope]["pearson_graph"]["value"] == pytest.approx(pearsonr(degree, own).statistic)
        assert found[scope]["spearman_graph"]["value"] == pytest.approx(spearmanr(degree, own).statistic)
        logs = np.log10(1 + np.array(degree)), np.log10(own)
        assert found[scope]["pearson_log"]["value"] == pytest.approx(pearsonr(*logs).statistic)
        assert found[scope]["dip_degree"]["n"] == found[scope]["dip_log_frequency"]["n"] == len(members)
        assert found[scope]["mixture_log_degree"]["preferred"] in (1, 2)
    assert json.dumps(found, allow_nan=False) == json.dumps(describe_graph(nodes, edges, **OPTIONS))


def test_silent_features_are_left_out_of_logarithms():
    frequency = [0.0] * 5 + [0.01 * (1 + item) for item in range(20)]
    found = describe_graph(node_frame(frequency), edge_frame([(6, 7), (7, 8), (8, 9)]), **OPTIONS)["all"]
    assert found["pearson"]["n"] == 25
    assert found["pearson_log"]["n"] == found["dip_log_frequency"]["n"] == 20


@pytest.mark.parametrize(
    ("frequency", "edges"),
    [
        ([], []),  # no feature
        ([0.5], []),  # one feature
        ([0.0] * 6, []),  # all dead
        ([0.1, 0.2, 0.3, 0.4, 0.5], []),  # no edge
        ([0.5] * 5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]),  # nothing varies
        ([math.nan] * 4, []),  # no token
    ],
)
def test_what_is_not_defined_is_none(frequency, edges):
    found = describe_graph(node_frame(frequency), edge_frame(edges), **OPTIONS)
    json.dumps(found, allow_nan=False)
    for scope in ("all", "live"):
        assert set(found[scope]) == SCOPE
        undefined = {name for name, value in found[scope].items() if value is None}
        tests = {name for name in SCOPE if name.startswith(("pearson", "spearman", "dip", "mixture"))}
        few_frequencies = {"dip_log_frequency"} if len(set(frequency)) == 5 else set()
        assert tests - few_frequencies <= undefined
        if not found[scope]["nodes"]:
            assert {"mean_degree", "max_degree", "density", "average_clustering", "largest_component"} <= undefined
            assert found[scope]["components"] == 0
            assert found[scope]["component_sizes"] == []
    if not edges:
        assert found["all"]["edges"] == 0
        assert found["all"]["components"] == len(frequency)


def test_odd_quadrants_by_hand():
    nodes = node_frame([0.1, 0.2, 0.3, 0.4, 0.9], [True, True, True, True, False])
    found = odd_quadrants(nodes, np.array([9, 5, 5, 1, 0]), listed=1)
    # Live features only. Degrees rank 4, 2.5, 2.5, 1 of 4; frequencies 1, 2, 3, 4.
    assert found["high_degree_low_frequency"] == [
        {
            "feature": 0,
            "degree": 9,
            "frequency_heldout": 0.05,
            "degree_rank": 0.875,
            "frequency_rank": 0.125,
            "rank_gap": 0.75,
        }
    ]
    assert [entry["feature"] for entry in found["low_degree_high_frequency"]] == [3]
    longer = odd_quadrants(nodes, np.array([9, 5, 5, 1, 0]), listed=9)
    assert [entry["feature"] for entry in longer["low_degree_high_frequency"]] == [3, 2]
    assert [entry["feature"] for entry in longer["high_degree_low_frequency"]] == [0, 1]


def test_ranks_and_skewness_are_those_of_scipy():
    values = np.random.default_rng(0).geometric(0.3, 200).astype(float)
    np.testing.assert_array_equal(ranks(values), rankdata(values))
    assert skewness(values) == pytest.approx(skew(values))
    assert ranks(np.empty(0)).shape == (0,)


def test_jobs_of_the_graph_import_no_more_than_they_need():
    code = (
        "import sys, coact.nulls.replicates, coact.graph.communities, coact.nulls.proportion\n"
        "print(sorted({'matplotlib', 'scipy.stats', 'torch', 'sklearn'} & set(sys.modules)))\n"
        "import matplotlib.pyplot"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == "[]"
