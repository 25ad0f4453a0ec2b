"""The graph against its definition: the compiled code gives what the plain loop over tokens gives."""

from dataclasses import replace
from itertools import chain, pairwise

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coact.errors import ConfigError, StudyError
from coact.features.batches import SparseBatch
from coact.graph import pairs
from coact.graph.build import Graph, coactivation_graph, edge_table, node_table, topk_sets
from coact.graph.counting import MOST_COUNT, UNIT, Counts, count_batches, merge_counts
from coact.graph.pairs import PairSums, PairTable, count_pairs, counted, edges_of_sets
from coact.graph.sets import SetRule, TokenSets, join_sets, slice_sets, token_sets
from reference_graph import dense_rows, reference_graph, sparse_batch, top_features

pytestmark = pytest.mark.usefixtures("one_thread")


def random_batch(seed: int, tokens: int, features: int, share: float, levels: int | None = None) -> SparseBatch:
    """Activations of which `share` are positive; with `levels`, of so many different sizes, so that many tie."""
    generator = np.random.default_rng(seed)
    values = generator.integers(1, levels + 1, (tokens, features)) if levels else generator.random((tokens, features))
    rows = np.where(generator.random((tokens, features)) < share, values, 0)
    return sparse_batch(rows, generator.random(tokens) < 0.9)


def assert_as_reference(batches: list[SparseBatch], k: int) -> None:
    graph, expected = coactivation_graph(batches, k), reference_graph(batches, k)
    edges = graph.edges
    assert list(zip(edges["source"], edges["target"], strict=True)) == list(expected)
    assert edges["count"].tolist() == [count for count, _ in expected.values()]
    np.testing.assert_allclose(edges["weight"], [weight for _, weight in expected.values()], rtol=0, atol=1e-6)
    kept = [row for batch in batches for row in dense_rows(batch)[batch.kept]]
    sets = [top_features(row, k) for row in kept]
    bounds = graph.sets.indptr
    found = [graph.sets.indices[first:last].tolist() for first, last in pairwise(bounds)]
    assert found == sets
    assert graph.counts.n_tokens == len(kept)
    assert graph.counts.n_batches == len(batches)
    active = sum((dense_rows(batch) > 0).sum(axis=0) for batch in batches)
    np.testing.assert_array_equal(graph.counts.active, active)
    np.testing.assert_array_equal(graph.counts.members, np.bincount([*chain(*sets)], minlength=graph.counts.n_features))


@pytest.mark.parametrize(
    ("tokens", "features", "share", "levels", "k"),
    [
        (300, 40, 0.2, None, 4),
        (300, 40, 0.5, 2, 4),  # many ties
        (200, 12, 0.05, None, 4),  # most tokens have fewer than k active features
        (20, 500, 0.05, None, 4),  # more features than tokens
        (100, 9, 0.7, 3, 9),  # k equal to the number of features
        (100, 30, 0.5, 3, 2),
        (600, 20, 1.0, 1, 3),  # all equal
        (100, 30, 0.0, None, 4),  # nothing is active
    ],
)
def test_same_as_loop(tokens, features, share, levels, k):
    batches = [random_batch(seed, tokens, features, share, levels) for seed in range(4)]
    batches.insert(2, sparse_batch(np.zeros((5, features))))
    batches.append(sparse_batch(np.zeros((0, features))))
    assert_as_reference(batches, k)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_same_as_loop_on_any_batches(data):
    features = data.draw(st.integers(2, 7))
    activations = st.sampled_from([0, 0, 0.5, 1, 1, 2])
    shapes = st.tuples(st.integers(0, 6), st.just(features))
    rows = data.draw(st.lists(hnp.arrays(np.float32, shapes, elements=activations), min_size=1, max_size=4))
    assert_as_reference([sparse_batch(part) for part in rows], data.draw(st.integers(2, features)))


def test_by_hand():
    first = sparse_batch(np.array([[3, 4, 0], [0, 4, 0]]))
    second = sparse_batch(np.array([[1, 1, 5], [1, 1, 5], [2, 2, 0]]))
    graph = coactivation_graph([first, second], k=2)
    # Batch 1: (0, 1) once, cosine 12 / (3 sqrt 32).
    # Batch 2: the tie of 0 and 1 beside 2 goes to 0, so (0, 2) twice, cosine 10 / (sqrt 6 sqrt 50);
    # (0, 1) once, cosine 1, since the columns are equal.
    expected = pd.DataFrame(
        {
            "source": np.array([0, 0], np.int32),
            "target": np.array([1, 2], np.int32),
            "count": np.array([2, 2], np.int64),
            "weight": [(12 / (3 * np.sqrt(32)) + 1) / 2, 10 / np.sqrt(300)],
            "first_batch": np.array([0, 1], np.int32),
        }
    )
    pd.testing.assert_frame_equal(graph.edges, expected, rtol=1e-9)
    nodes = node_table(graph.counts, graph.edges, np.array([1, 0, 3]), 4, live_frequency=0.5)
    expected = pd.DataFrame(
        {
            "feature": np.array([0, 1, 2], np.int32),
            "degree": np.array([2, 1, 1], np.int64),
            "strength": [expected["weight"].sum(), *expected["weight"]],
            "frequency": [0.8, 1.0, 0.4],
            "frequency_heldout": [0.25, 0.0, 0.75],
            "topk_count": np.array([4, 3, 2], np.int64),
            "live": [True, True, False],
        }
    )
    pd.testing.assert_frame_equal(nodes, expected, rtol=1e-9)


def test_cosine_counts_activations_outside_the_topk_sets():
    graph = coactivation_graph([sparse_batch(np.array([[2, 1, 0], [0, 1, 5], [1, 0.5, 9]]))], k=2)
    found = graph.edges.set_index(["source", "target"])["weight"]
    # In the third token 1 is not in the top-k set; the cosine of 0 and 1 counts it all the same.
    assert found[0, 1] == pytest.approx(2.5 / np.sqrt(5 * 2.25))


def test_token_order_changes_nothing_but_the_sets():
    batch = random_batch(0, 400, 30, 0.3)
    order = np.random.default_rng(1).permutation(400)
    one, other = coactivation_graph([batch], 4), coactivation_graph([sparse_batch(dense_rows(batch)[order])], 4)
    pd.testing.assert_frame_equal(one.edges, other.edges, rtol=1e-9)


def test_relabelled_features_give_the_relabelled_graph():
    rows = dense_rows(random_batch(0, 400, 30, 0.3))  # no ties, so that labels do not decide
    label = np.random.default_rng(1).permutation(30)
    relabelled = np.empty_like(rows)
    relabelled[:, label] = rows
    one = coactivation_graph([sparse_batch(rows)], 4).edges
    other = coactivation_graph([sparse_batch(relabelled)], 4).edges
    ends = np.sort(label[one[["source", "target"]].to_numpy()], axis=1)
    one = one.assign(source=ends[:, 0].astype(np.int32), target=ends[:, 1].astype(np.int32))
    one = one.sort_values(["source", "target"], ignore_index=True)
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_largest_dictionary():
    rows = np.zeros((3, 131_072), np.float32)
    rows[:, [0, 70_000, 131_070, 131_071]] = [[1, 2, 3, 4], [0, 0, 1, 1], [5, 0, 0, 0]]
    assert_as_reference([sparse_batch(rows)], 3)


def test_bytes_do_not_depend_on_threads():
    batches = [random_batch(seed, 3000, 200, 0.1) for seed in range(3)]
    found: list[Graph] = []
    for threads in (numba.config.NUMBA_NUM_THREADS, 1):
        numba.set_num_threads(threads)
        found.append(coactivation_graph(batches, 4))
    pd.testing.assert_frame_equal(found[0].edges, found[1].edges, check_exact=True)
    assert found[0].sets.indices.tobytes() == found[1].sets.indices.tobytes()


def test_pairs_are_counted_in_pieces(monkeypatch):
    sets = topk_sets(random_batch(3, 200, 15, 0.6, 2), 5)
    whole = count_pairs(sets)
    for size in (1, 7, 64):
        monkeypatch.setattr(pairs, "PAIRS_AT_ONCE", size)
        part = count_pairs(sets)
        np.testing.assert_array_equal(part.keys, whole.keys)
        np.testing.assert_array_equal(part.counts, whole.counts)


RULES = [SetRule(4), SetRule(2), SetRule(7), SetRule(threshold=0.0), SetRule(threshold=0.5)]


def test_every_rule_in_one_pass_is_what_it_is_alone():
    batches = [random_batch(seed, 120, 25, 0.4, levels) for seed, levels in enumerate((None, 3, None))]
    together = count_batches(batches, RULES, keep=[rule.name for rule in RULES])
    for rule in RULES:
        alone = count_batches(batches, [rule], keep=[rule.name])
        assert_same_counts(together.counts[rule.name], alone.counts[rule.name])
        for one, other in zip(together.sets[rule.name], alone.sets[rule.name], strict=True):
            np.testing.assert_array_equal(one.indices, other.indices)
    pd.testing.assert_frame_equal(edge_table(together.counts["k4"].pairs), coactivation_graph(batches, 4).edges)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5])
def test_all_above_a_threshold(threshold):
    batch = random_batch(5, 200, 12, 0.5)
    (sets,) = token_sets(batch, [SetRule(threshold=threshold)])
    rows = dense_rows(batch)[batch.kept]
    found = [sets.indices[first:last].tolist() for first, last in pairwise(sets.indptr)]
    assert found == [np.flatnonzero(row > np.float32(threshold)).tolist() for row in rows]
    counts = count_batches([batch], [SetRule(threshold=threshold)]).counts[SetRule(threshold=threshold).name]
    member = (rows > np.float32(threshold)).astype(np.int64)
    together = np.triu(member.T @ member, 1)
    np.testing.assert_array_equal(np.argwhere(together), np.c_[counts.pairs.source, counts.pairs.target])
    np.testing.assert_array_equal(together[together > 0], counts.pairs.counts)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_parts_merge_exactly_in_any_order(data):
    batches = [random_batch(seed, 60, 14, 0.35, 4) for seed in range(7)]
    whole = count_batches(batches, RULES).counts
    cuts = sorted(data.draw(st.sets(st.integers(1, 6), max_size=6)))
    parts = [
        count_batches(batches[first:last], RULES, first_batch=first).counts for first, last in pairwise([0, *cuts, 7])
    ]
    for rule in RULES:
        shuffled = data.draw(st.permutations([part[rule.name] for part in parts]))
        assert_same_counts(merge_counts(shuffled), whole[rule.name])


def assert_same_counts(one: Counts, other: Counts) -> None:
    """Equal to the bit."""
    assert (one.n_features, one.n_tokens, one.n_batches) == (other.n_features, other.n_tokens, other.n_batches)
    for field in PairTable._fields:
        np.testing.assert_array_equal(getattr(one.pairs, field), getattr(other.pairs, field), err_msg=field)
        assert getattr(one.pairs, field).dtype == getattr(other.pairs, field).dtype
    np.testing.assert_array_equal(one.members, other.members)
    np.testing.assert_array_equal(one.active, other.active)


def test_first_batch_of_a_pair():
    batches = [random_batch(seed, 30, 20, 0.2) for seed in range(5)]
    edges = coactivation_graph(batches, 3).edges
    for upto in range(1, 6):
        earlier = coactivation_graph(batches[:upto], 3).edges
        found = edges[edges["first_batch"] < upto]
        assert found[["source", "target"]].to_numpy().tolist() == earlier[["source", "target"]].to_numpy().tolist()


def test_walking_and_sorting_count_the_same(monkeypatch):
    (sets,) = token_sets(random_batch(1, 300, 40, 0.5), [SetRule(threshold=0.0)])
    found = []
    for most in (0, 10**9):
        monkeypatch.setattr(pairs, "MOST_SORTED", most)
        found.append(count_pairs(sets))
    for field in PairTable._fields:
        np.testing.assert_array_equal(getattr(found[0], field), getattr(found[1], field))


def test_slices_of_sets():
    (sets,) = token_sets(random_batch(2, 50, 9, 0.4), [SetRule(3)])
    n_tokens = len(sets.indptr) - 1
    halves = [slice_sets(sets, 0, 20), slice_sets(sets, 20, n_tokens)]
    joined = join_sets(halves)
    np.testing.assert_array_equal(joined.indptr, sets.indptr)
    np.testing.assert_array_equal(joined.indices, sets.indices)


def test_counts_beyond_32_bits():
    total, keys = PairSums(), np.array([1 << 32 | 2])
    for _ in range(3):
        total.add(counted(keys, np.array([2**31])))
    assert total.total().counts.tolist() == [3 * 2**31]


def test_sums_that_would_not_be_exact_are_refused():
    batch = sparse_batch(np.ones((1, 2)))
    part = count_batches([batch], [SetRule(2)]).counts["k2"]
    half = part.pairs._replace(counts=np.array([MOST_COUNT // 2 + 1]), sums=np.array([MOST_COUNT // 2 * UNIT]))
    with pytest.raises(StudyError, match="a pair of features shares 8,589,934,592 tokens"):
        merge_counts([replace(part, pairs=half)] * 2)


def test_no_sets_no_edges():
    edges = edges_of_sets(TokenSets(np.zeros(1, np.int64), np.empty(0, np.int32)))
    assert len(edges) == 0
    assert [str(dtype) for dtype in edges.dtypes] == ["int32", "int32", "int64"]


def test_frequency_without_tokens_is_not_defined():
    graph = coactivation_graph([sparse_batch(np.ones((2, 3)), np.zeros(2, bool))], 2)
    nodes = node_table(graph.counts, graph.edges, np.zeros(3, np.int64), 0, 0.0)
    assert graph.counts.n_tokens == 0
    assert nodes[["frequency", "frequency_heldout"]].isna().all(axis=None)
    assert not nodes["live"].any()


@pytest.mark.parametrize(("k", "message"), [(1, "graph.k is 1"), (4, "graph.k is 4"), (0, "graph.k is 0")])
def test_k_out_of_range(k, message):
    with pytest.raises(ConfigError, match=message):
        coactivation_graph([sparse_batch(np.ones((2, 3)))], k)


def test_batches_of_different_widths():
    with pytest.raises(ConfigError, match="batch 1 has 4 features; expected 3"):
        coactivation_graph([sparse_batch(np.ones((2, 3))), sparse_batch(np.ones((2, 4)))], 2)


def test_no_batch():
    with pytest.raises(ConfigError, match=r"graph\.batches"):
        coactivation_graph([], 2)
