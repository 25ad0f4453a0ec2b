"""Features that hardly ever fire: who they are, how alike, and where in the graph; planted, by hand, and in noise."""

import numpy as np
import pandas as pd
import pytest

from coact.errors import StudyError
from coact.interpretation.ultralow import COLUMNS, cutoffs_of, directions, measure_ultralow, position

SETTINGS = {"most_density": 1e-6, "least_tokens": 10, "permutations": 200, "seed": 0}
TOKENS = 100_000


def make_counts(silent, rare, others, seed=0):
    rng = np.random.default_rng(seed)
    return np.r_[np.zeros(silent, int), rng.integers(1, 10, rare), rng.integers(500, 5000, others)]


def make_edges(pairs):
    return pd.DataFrame(np.array(pairs, np.int32).reshape(-1, 2), columns=["source", "target"])


def measured(count, encoder=None, topk=None, edges=(), tokens=TOKENS, **changes):
    encoder = np.random.default_rng(1).normal(size=(len(count), 32)) if encoder is None else encoder
    nodes = pd.DataFrame({"live": count > 0, "topk_count": np.ones(len(count), int) if topk is None else topk})
    table = measure_ultralow(pd.DataFrame({"count": count}), encoder.astype(np.float32), nodes, make_edges(edges),
                             tokens=tokens, **SETTINGS | changes)  # fmt: skip
    assert table.dtypes.astype(str).to_dict() == {
        name: "str" if kind is str else np.dtype(kind).name for name, kind in COLUMNS.items()
    }
    return table.set_index("group")


def test_the_cutoff_is_what_the_tokens_can_resolve():
    count = make_counts(2, 3, 20)
    assert cutoffs_of(count, TOKENS, 1e-6, 10)["rare"] == pytest.approx(1e-4)
    assert cutoffs_of(count, 10_000_000, 1e-6, 10)["rare"] == pytest.approx(1e-6)
    assert cutoffs_of(count, 50_000_000, 1e-6, 10)["rare"] == 1e-6
    found = measured(count)["features"]
    assert (found["silent"], found["rare"]) == (2, 3)
    assert measured(np.array([0, 9, 10, 11]))["features"]["rare"] == 1


def test_two_modes_of_log_density_are_cut_between_them():
    rng = np.random.default_rng(0)
    low, high = rng.normal(-3.6, 0.15, 300), rng.normal(-1.6, 0.2, 300)
    count = np.round(10 ** np.r_[low, high] * TOKENS).astype(int)
    row = measured(count).loc["lower_mode"]
    assert 10**-3.3 < row["cutoff"] < 10**-2
    assert row["features"] == 300
    one = measured(np.round(10 ** rng.normal(-2.5, 0.3, 600) * TOKENS).astype(int)).loc["lower_mode"]
    assert np.isnan(one["cutoff"])
    assert one["features"] == 0


def test_directions_planted_as_one_stand_out():
    rng = np.random.default_rng(0)
    count, encoder = make_counts(0, 40, 300), rng.normal(size=(340, 32))
    encoder[:40] = encoder[0] + 0.05 * rng.normal(size=(40, 32))
    row = measured(count, encoder).loc["rare"]
    assert row["alike"] > 0.9
    assert row["length"] > 0.95
    assert row["alike_high"] < 0.1
    assert row["alike_p"] == pytest.approx(1 / 201)


def test_random_directions_and_edges_do_not_stand_out():
    rng = np.random.default_rng(3)
    count = make_counts(0, 60, 300)
    pairs = {tuple(sorted(pair)) for pair in rng.integers(0, 360, (2000, 2)).tolist() if pair[0] != pair[1]}
    row = measured(count, edges=sorted(pairs)).loc["rare"]
    for name in ("alike", "degree", "isolated", "inside"):
        assert 0.02 < row[f"{name}_p"] <= 1
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert row["exchangeable"] == 60


def test_two_directions_by_hand():
    encoder = np.array([[2.0, 0], [0, 3.0], [1, 1], [0, 0]])
    member = np.array([True, True, False, False])
    found = directions(encoder, member, np.ones(4, bool), 100, np.random.default_rng(0))
    assert found["alike"].value == pytest.approx(0.0)
    assert found["length"].value == pytest.approx(np.sqrt(0.5))
    assert found["alike"].high == pytest.approx(np.sqrt(0.5))  # one of the two with the third
    assert (
        directions(encoder, np.array([True, False, False, True]), np.ones(4, bool), 9, np.random.default_rng(0)) == {}
    )


def test_a_place_in_the_graph_by_hand():
    # 0-1 among the members, 0-2 and 1-3 to others; 4 and 5 have no edge
    edges = make_edges([(0, 1), (0, 2), (1, 3)])
    member = np.array([True, True, False, False, True, False])
    found = position(member, edges, np.zeros(6, int), 500, np.random.default_rng(0))
    assert found["degree"].value == pytest.approx(4 / 3)
    assert found["isolated"].value == pytest.approx(1 / 3)
    assert found["inside"].value == pytest.approx(1 / 2)
    assert found["degree"].mean == pytest.approx(1.0, abs=0.1)
    alone = position(member, edges, np.arange(6), 20, np.random.default_rng(0))
    assert alone["inside"].p == 1.0  # none can be exchanged


def test_features_that_only_their_top_k_count_sets_apart_do_not_stand_out():
    rng = np.random.default_rng(0)
    count = make_counts(0, 50, 350)
    topk = np.where(np.arange(400) < 200, 1, 100)  # the rare ones among two hundred that are in one set each
    pairs = {tuple(sorted(pair)) for pair in rng.integers(200, 400, (4000, 2)).tolist() if pair[0] != pair[1]}
    pairs |= {tuple(sorted(pair)) for pair in rng.integers(0, 200, (150, 2)).tolist() if pair[0] != pair[1]}
    row = measured(count, topk=topk, edges=sorted(pairs)).loc["rare"]
    assert row["degree"] < 4
    assert row["degree_low"] <= row["degree"] <= row["degree_high"]
    assert row["exchangeable"] == 50


def test_a_cluster_among_themselves_stands_out():
    rng = np.random.default_rng(0)
    pairs = {tuple(sorted(pair)) for pair in rng.integers(0, 40, (200, 2)).tolist() if pair[0] != pair[1]}
    pairs |= {tuple(sorted(pair)) for pair in rng.integers(40, 400, (1000, 2)).tolist() if pair[0] != pair[1]}
    row = measured(make_counts(0, 40, 360), edges=sorted(pairs)).loc["rare"]
    assert row["inside"] == 1.0
    assert row["inside_high"] < 0.3
    assert row["inside_p"] == pytest.approx(1 / 201)


@pytest.mark.parametrize("count", [np.zeros(0, int), np.zeros(1, int), np.ones(1, int), np.array([0, 5, 3000])])
@pytest.mark.parametrize("tokens", [0, TOKENS])
def test_fewer_than_two_features_have_their_number_and_no_measures(count, tokens):
    found = measured(count if tokens else 0 * count, tokens=tokens)
    assert list(found.index) == ["silent", "rare", "lower_mode"]
    few = found[found["features"] < 2]
    assert few[["alike", "length", "degree", "isolated", "inside", "alike_p"]].isna().all().all()


def test_features_without_an_edge_have_no_neighbours_to_share():
    row = measured(make_counts(0, 5, 50), topk=np.zeros(55, int)).loc["rare"]
    assert (row["degree"], row["isolated"], row["in_sets"]) == (0, 1, 0)
    assert np.isnan(row["inside"])


def test_the_same_seed_gives_the_same_numbers():
    count = make_counts(3, 30, 200)
    pd.testing.assert_frame_equal(measured(count), measured(count), check_exact=True)
    assert not measured(count).equals(measured(count, seed=1))


def test_tables_of_other_features_are_refused():
    with pytest.raises(StudyError, match="encoder of 3 features found; expected 2"):
        measured(np.ones(2, int), np.ones((3, 4)))
