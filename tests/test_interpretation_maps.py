"""Maps of features: what they keep of planted structure, of none, and what there is no map of."""

import numpy as np
import pandas as pd
import pytest

from coact.errors import StudyError
from coact.interpretation.exchange import beside, count_bins, equal_bins, exchanged
from coact.interpretation.maps import (
    context_numbers,
    edge_keys,
    lay_out,
    map_features,
    nearest_places,
    preserved_share,
    why_no_map,
)
from coact.interpretation.similarity import unit_rows

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = {"neighbours": 10, "minimum_distance": 0.1, "permutations": 50, "seed": 0}


def make_rows(groups, size, width=32, noise=0.3, seed=0):
    """Directions around `groups` random ones, `size` of each, and the group of each."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), size)
    centres = unit_rows(rng.normal(size=(groups, width)))
    return (centres[group] + noise * rng.normal(size=(len(group), width)) / np.sqrt(width)).astype(np.float32), group


def make_nodes(n, live=None, seed=0):
    counts = np.random.default_rng(seed).integers(0, 100, n)
    return pd.DataFrame({"live": True if live is None else live, "topk_count": counts})


def make_edges(pairs):
    return pd.DataFrame(np.array(sorted(pairs), np.int32).reshape(-1, 2), columns=["source", "target"])


def within(group):
    """Edges between all features of a group."""
    one, other = np.nonzero(np.triu(group[:, None] == group, 1))
    return make_edges(zip(one, other, strict=True))


def mapped(rows, group=None, edges=None, live=None, **changes):
    label = np.full(len(rows), -1) if group is None else group
    edges = make_edges([]) if edges is None else edges
    return map_features(rows, make_nodes(len(rows), live), label, label, edges, **SETTINGS | changes)


def test_planted_groups_are_kept_and_their_members_are_neighbours():
    rows, group = make_rows(8, 20)
    table, summary = mapped(rows, group, within(group))
    assert table["feature"].tolist() == list(range(160))
    assert table.dtypes.astype(str).to_dict() == {"feature": "int32", "x": "float32", "y": "float32"}
    assert not table.isna().any().any()
    assert summary["preserved"] > summary["preserved_random"] + 0.1
    assert summary["preserved_chance"] == pytest.approx(10 / 159)
    for trait in ("community", "edge", "context"):
        for which in ("map", "decoder"):
            found = summary[trait][which]
            assert found["value"] > 0.95
            assert found["high"] < 0.3
            assert found["p"] == pytest.approx(1 / 51)


def test_in_noise_neither_neighbourhoods_nor_neighbours_stand_out():
    rows, group = make_rows(8, 20)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=rows.shape).astype(np.float32)
    _, summary = mapped(noise, rng.permutation(group), within(rng.permutation(group)))
    assert abs(summary["preserved"] - summary["preserved_random"]) < 0.08
    for trait in ("community", "edge", "context"):
        found = summary[trait]["map"]
        assert found["p"] > 0.02
        assert found["value"] == pytest.approx(found["mean"], abs=0.05)


def test_neighbours_that_follow_the_top_k_count_alone_do_not_stand_out():
    counts = np.repeat([1, 4, 64, 1024], 40)
    rows, _ = make_rows(4, 40)  # as many groups, one for each count
    nodes = pd.DataFrame({"live": True, "topk_count": counts})
    label = np.repeat(np.arange(4), 40)
    _, summary = map_features(rows, nodes, label, np.full(160, -1), within(label), **SETTINGS)
    for trait in ("community", "edge"):
        assert summary[trait]["map"]["value"] > 0.95
        assert summary[trait]["map"]["p"] == 1.0


def test_the_same_settings_give_the_same_places_and_others_others():
    rows, group = make_rows(5, 20)
    one, other = mapped(rows, group), mapped(rows, group)
    pd.testing.assert_frame_equal(one[0], other[0], check_exact=True)
    assert one[1] == other[1]
    assert not one[0].equals(mapped(rows, group, seed=1)[0])


@pytest.mark.parametrize("n", [4, 5, 10, 11, 12, 17])
def test_fewer_features_than_neighbours_have_a_map(n):
    rows = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    table, summary = mapped(rows, np.zeros(n, int), within(np.zeros(n, int)))
    assert np.isfinite(table[["x", "y"]]).all().all()
    assert summary["features"] == n
    assert (summary["preserved"] is None) == (n <= 11)  # of ten neighbours nothing can be lost
    assert summary["community"]["map"]["value"] == summary["edge"]["map"]["value"] == 1.0


@pytest.mark.parametrize(
    ("rows", "live", "why"),
    [
        (np.zeros((0, 4)), None, "fewer than 4"),
        (np.ones((1, 4)), None, "fewer than 4"),
        (np.zeros((20, 4)), None, "fewer than 4"),
        (np.random.default_rng(0).normal(size=(20, 4)), False, "fewer than 4"),
        (np.eye(20), None, "all pairs of decoder rows have the same cosine"),
        (np.eye(20)[::-1], None, "all pairs of decoder rows have the same cosine"),
        (np.ones((20, 4)), None, "all pairs of decoder rows have the same cosine"),
    ],
)
def test_what_has_no_map_says_why(rows, live, why):
    group = np.zeros(len(rows), int)
    table, summary = mapped(rows.astype(np.float32), group, live=live)
    assert table[["x", "y"]].isna().all().all()
    assert len(table) == len(rows)
    assert summary["reason"].startswith(why)
    assert summary["features"] == summary["community"]["features"] == 0
    assert summary["preserved"] is summary["community"]["map"]["value"] is summary["edge"]["decoder"]["p"] is None


def test_features_that_are_not_live_or_have_no_direction_have_no_place():
    rows, group = make_rows(4, 10)
    live = np.arange(40) % 4 > 0
    rows[5] = 0
    table, summary = mapped(rows, group, live=live)
    assert table["x"].isna().to_numpy().nonzero()[0].tolist() == sorted([5, *range(0, 40, 4)])
    assert (summary["live"], summary["features"]) == (30, 29)


def test_orthogonal_rows_beyond_the_first_thousand_are_seen():
    unit = np.eye(1100, dtype=np.float32)
    assert why_no_map(unit)
    unit[1050] = unit_rows(np.ones((1, 1100)))[0]
    assert not why_no_map(unit)


def test_nearest_places_and_what_is_preserved_by_hand():
    places = np.array([[0, 0], [1, 0], [3, 0], [7, 0]], np.float32)
    assert nearest_places(places, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert nearest_places(places, 9).shape == (4, 3)
    assert preserved_share(np.array([[1], [2]]), np.array([[1], [0]])) == 0.5
    assert preserved_share(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[2], [0], [1]])) == 0.5


def test_coinciding_places_are_not_their_own_neighbours():
    near = nearest_places(np.zeros((6, 2), np.float32), 2)
    assert near.shape == (6, 2)
    assert all(own not in row and len(set(row)) == 2 for own, row in enumerate(near.tolist()))


def test_edges_are_keyed_by_places_among_the_features_given():
    edges = make_edges([(0, 1), (1, 3), (2, 3), (3, 4)])
    assert edge_keys(edges, np.array([1, 3, 4]), 5).tolist() == [0 * 3 + 1, 1 * 3 + 2]
    assert len(edge_keys(make_edges([]), np.array([1, 3]), 5)) == 0


def test_contexts_are_numbered_without_ordinary_text():
    assigned = pd.DataFrame({"feature": [0, 2, 3, 5], "context_train": ["dna", "docstrings", "", "dna"]})
    assert context_numbers(assigned, ["docstrings"], 6).tolist() == [0, -1, -1, -1, -1, 0]


def test_tables_of_other_features_are_refused():
    rows, group = make_rows(2, 4)
    with pytest.raises(StudyError, match="communities of 7 features found; expected 8"):
        map_features(rows, make_nodes(8), group[:7], group, make_edges([]), **SETTINGS)


def test_a_layout_has_a_place_for_groups_that_nothing_joins():
    rows, _ = make_rows(12, 20, noise=0.01)
    assert np.isfinite(lay_out(unit_rows(rows), neighbours=5, minimum_distance=0.1, seed=0)).all()


def test_features_are_exchanged_within_their_bins():
    group = np.array([2, 0, 2, 1, 0, 2])
    for seed in range(20):
        order = exchanged(group, np.random.default_rng(seed))
        assert sorted(order) == list(range(6))
        assert (group[order] == group).all()
    assert count_bins(np.array([0, 1, 2, 3, 4, 7, 8])).tolist() == [0, 1, 2, 2, 3, 3, 4]
    assert equal_bins(np.array([5.0, 1.0, 3.0, 3.0]), 2).tolist() == [1, 0, 0, 1]


def test_a_value_beside_its_draws_by_hand():
    found = beside(2.0, np.array([1.0, 2.0, 3.0, np.nan]))
    assert (found.value, found.mean, found.p) == (2.0, 2.0, 3 / 4)
    assert beside(np.nan, np.array([1.0])) == (None,) * 5
    assert beside(1.0, np.array([np.nan])) == (1.0, None, None, None, None)
