"""Which features of a wider dictionary descend from which of a narrower one, and what stands beside that."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coact.artefacts import read_table, write_table, write_tensors
from coact.comparison.columns import Column
from coact.comparison.pairs import Matchable
from coact.comparison.splitting import DESCENDANTS, SPLITTING, WidthPair, split_columns, split_pair, widths_of
from coact.errors import StudyError
from reference_graph import sparse_batch


def write_shard(rows, path, kept=None):
    batch = sparse_batch(rows, kept)
    tensors = {name: getattr(batch, name) for name in ("indptr", "indices", "values", "kept", "documents")}
    write_tensors(tensors, path, {}, {"n_features": str(batch.n_features)})
    return path


def dictionary(decoder, features=(), live=None, edges=(), topk_count=None):
    decoder = np.asarray(decoder, np.float32)
    nodes = pd.DataFrame(
        {
            "live": np.ones(len(decoder), bool) if live is None else live,
            "topk_count": np.arange(len(decoder)) if topk_count is None else topk_count,
        }
    )
    table = pd.DataFrame(np.reshape(edges, (-1, 2)).astype(np.int64), columns=["source", "target"])
    return Matchable(table, nodes, np.empty(0, np.int32), decoder, features)


def column(sae, expansion, recipe="topk", model="main"):
    return Column(model, sae, False, expansion, recipe, "corpus")


# Two features along x and y; of the wider dictionary two near x (siblings), one at y, and one along z, which is new.
NARROW = [[1, 0, 0], [0, 2, 0]]
WIDE = [[0.9, 0.1, 0], [0.8, 0, 0.2], [0, 1, 0], [0, 0.3, 1]]
NARROW_ROWS = np.array([[1, 0], [1, 0], [1, 1], [1, 0], [0, 1], [0, 0]])
WIDE_ROWS = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 1], [0, 0, 0, 1]])


@pytest.fixture
def by_hand(tmp_path):
    narrow = dictionary(NARROW, [write_shard(NARROW_ROWS, tmp_path / "narrow")])
    wide = dictionary(WIDE, [write_shard(WIDE_ROWS, tmp_path / "wide")], edges=[(1, 0)])
    return narrow, wide


def test_descendants_and_their_tokens_can_be_counted_by_hand(by_hand):
    table, figures = split_pair(*by_hand, 0.5, 0)
    assert table["feature"].tolist() == [0, 1, 2, 3]
    assert table["parent"].tolist() == [0, 0, 1, 1]
    assert table["cosine"].to_numpy() == pytest.approx(
        [0.9 / np.hypot(0.9, 0.1), 0.8 / np.hypot(0.8, 0.2), 1, 0.3 / np.hypot(0.3, 1)], abs=1e-6
    )
    assert table["descends"].tolist() == [True, True, True, False]
    assert table["tokens"].tolist() == [3, 2, 2, 2]
    assert table["parent_tokens"].tolist() == [4, 4, 2, 2]
    assert table["both"].tolist() == [2, 2, 1, 1]
    assert table["coverage"].to_numpy() == pytest.approx([2 / 3, 1, 1 / 2, 1 / 2])
    assert table["share"].to_numpy() == pytest.approx([1 / 2, 1 / 2, 1 / 2, 1 / 2])
    assert table.dtypes.to_dict() == {name: np.dtype(dtype) for name, dtype in DESCENDANTS.items()}
    assert (figures["narrow"], figures["wide"], figures["children"]) == (2, 4, [0, 1, 1, 0])
    assert figures["descending"] == 3 / 4
    assert figures["same_place"] == 1 / 3  # feature 0 descends from feature 0
    assert figures["coverage"] == pytest.approx(2 / 3)
    assert figures["expected_coverage"] == pytest.approx(4 / 6)
    # Feature 0 alone has two descendants: any of them on 3 of its 4 tokens; apart they are on 3 and 2 of all 6.
    assert figures["covered"] == 3 / 4
    assert figures["expected_covered"] == pytest.approx(1 - (1 - 3 / 6) * (1 - 2 / 6))
    assert (figures["siblings"], figures["linked"]) == (1, 1)


def test_the_limit_counts_as_descending(by_hand):
    table, _ = split_pair(*by_hand, 1.0, 0)
    assert table["descends"].tolist() == [False, False, True, False]


def loop_over_tokens(narrow, wide, kept, table):
    """tokens, parent_tokens and both of every row, and covered of every narrower feature, one token after another."""
    sums, covered = np.zeros((len(table), 3), int), np.zeros(narrow.shape[1], int)
    for one, other, keep in zip(narrow, wide, kept, strict=True):
        with_child = set()
        for place, row in enumerate(table.itertuples()):
            child, parent = keep and other[row.feature] > 0, keep and one[row.parent] > 0
            sums[place] += child, parent, child and parent
            if child and parent and row.descends:
                with_child.add(row.parent)
        for parent in with_child:
            covered[parent] += 1
    return sums, covered


@pytest.mark.parametrize("seed", range(4))
def test_counts_agree_with_a_loop_over_tokens(tmp_path, seed):
    generator = np.random.default_rng(seed)
    decoders = [generator.normal(size=(n, 4)) for n in (5, 12)]
    shards, live = [[], []], [np.array([True, True, False, True, True]), generator.random(12) < 0.8]
    narrow, wide, kept = [], [], []
    for number, tokens in enumerate((60, 35)):
        rows = [np.where(generator.random((tokens, n)) < 0.4, 1.0, 0) for n in (5, 12)]
        keep = generator.random(tokens) < 0.9
        for place, part in enumerate(rows):
            shards[place].append(write_shard(part, tmp_path / f"{place}-{number}", keep))
        narrow.append(rows[0])
        wide.append(rows[1])
        kept.append(keep)
    one, other = (dictionary(*entry) for entry in zip(decoders, shards, live, strict=True))
    table, figures = split_pair(one, other, 0.6, 0)
    assert table["feature"].tolist() == np.flatnonzero(live[1]).tolist()
    assert not (table["parent"] == 2).any()  # which is not live
    sums, covered = loop_over_tokens(np.concatenate(narrow), np.concatenate(wide), np.concatenate(kept), table)
    np.testing.assert_array_equal(table[["tokens", "parent_tokens", "both"]], sums)
    number = table[table["descends"]].groupby("parent").size()
    several = number.index[number >= 2]
    assert len(several)
    active = (np.concatenate(narrow)[np.concatenate(kept)] > 0).sum(axis=0)
    assert figures["covered"] == pytest.approx(np.median(covered[several] / active[several]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 8), m=st.integers(1, 12), limit=st.floats(0.05, 1))
def test_parents_are_the_best_live_features_and_children_are_all_counted(seed, n, m, limit):
    generator = np.random.default_rng(seed)
    decoders = [generator.normal(size=(size, 3)) * (generator.random((size, 1)) < 0.8) for size in (n, m)]
    live = [generator.random(size) < 0.8 for size in (n, m)]
    table, figures = split_pair(
        *(dictionary(rows, live=part) for rows, part in zip(decoders, live, strict=True)), limit, 0
    )
    lengths = [np.linalg.norm(rows, axis=1) for rows in decoders]
    for row in table.itertuples():
        cosines = {
            other: decoders[1][row.feature] @ decoders[0][other] / lengths[1][row.feature] / lengths[0][other]
            for other in np.flatnonzero(live[0] & (lengths[0] > 0))
            if lengths[1][row.feature] > 0
        }
        if cosines:
            assert row.cosine == pytest.approx(max(cosines.values()), abs=1e-5)
            assert cosines[row.parent] == pytest.approx(row.cosine, abs=1e-5)
        else:
            assert row.parent == -1
            assert np.isnan(row.cosine)
            assert not row.descends
    assert (figures["narrow"], figures["wide"]) == (live[0].sum(), live[1].sum())
    assert sum(figures["children"]) == figures["narrow"]
    assert np.isnan(figures["covered"])  # there are no tokens


def test_rows_of_zeros_are_neither_parents_nor_descendants(tmp_path):
    # The zeros of feature 0 would be nearer to feature 0 than its opposite is.
    shards = [write_shard(np.ones((3, n)), tmp_path / str(n)) for n in (2, 3)]
    narrow = dictionary([[0, 0], [1, 0]], [shards[0]])
    wide = dictionary([[-1, 0], [0, 0], [1, 0]], [shards[1]])
    table, figures = split_pair(narrow, wide, 0.5, 0)
    assert table["parent"].tolist() == [1, -1, 1]
    assert table["cosine"].to_numpy() == pytest.approx([-1, np.nan, 1], nan_ok=True)
    assert table["parent_tokens"].tolist() == [3, 0, 3]
    assert table["share"].to_numpy() == pytest.approx([1, np.nan, 1], nan_ok=True)
    assert figures["descending"] == 1 / 3
    assert figures["children"] == [1, 1, 0, 0]


@pytest.mark.parametrize(("narrow_live", "wide_live"), [(False, True), (True, False), (False, False)])
def test_without_live_features_there_is_nothing_to_say(by_hand, narrow_live, wide_live):
    narrow, wide = (
        dictionary(part.decoder, part.features, np.full(len(part.decoder), live))
        for part, live in zip(by_hand, (narrow_live, wide_live), strict=True)
    )
    table, figures = split_pair(narrow, wide, 0.5, 0)
    assert len(table) == 4 * wide_live
    assert not table["descends"].any()
    assert (table["parent"] == -1).all()
    assert figures["children"] == [2 * narrow_live, 0, 0, 0]
    assert figures["siblings"] == 0
    for name in ("coverage", "expected_coverage", "covered", "linked", "linked_p", "same_place"):
        assert np.isnan(figures[name])
    assert figures["descending"] == pytest.approx(0 if wide_live else np.nan, nan_ok=True)


def test_a_feature_that_is_silent_on_these_tokens_has_no_coverage(tmp_path):
    shards = [write_shard(np.zeros((3, 1)), tmp_path / name) for name in "ab"]
    table, figures = split_pair(dictionary([[1.0]], shards[:1]), dictionary([[2.0]], shards[1:]), 0.5, 0)
    assert table[["descends", "both"]].to_numpy().tolist() == [[True, 0]]
    assert table[["coverage", "share"]].isna().all(axis=None)
    assert np.isnan(figures["coverage"])
    assert figures["expected_coverage"] == 0


def test_siblings_are_more_linked_than_others_only_where_edges_join_siblings():
    # 40 parents along the axes of 40 dimensions with two children each, 2 p and 2 p + 1.
    decoder = np.eye(40)
    wide = np.repeat(decoder, 2, axis=0)
    pairs = np.arange(80).reshape(40, 2)
    generator = np.random.default_rng(0)
    _, joined = split_pair(dictionary(decoder), dictionary(wide, edges=pairs), 0.5, 0)
    assert (joined["siblings"], joined["linked"]) == (40, 1)
    assert joined["null_linked"] < 0.1
    assert joined["linked_p"] == pytest.approx(1 / 201)
    strangers = generator.permutation(80).reshape(40, 2)
    _, apart = split_pair(dictionary(decoder), dictionary(wide, edges=strangers), 0.5, 0)
    assert apart["linked_p"] > 0.05
    # Siblings that are linked as all frequent features are: the null knows.
    among = np.array([(a, b) for a in range(40) for b in range(a + 1, 40)])
    _, frequent = split_pair(dictionary(decoder), dictionary(wide, edges=among), 0.5, 0)
    assert frequent["linked"] == 0.5
    assert frequent["null_linked"] == pytest.approx(0.5)
    assert frequent["linked_p"] == 1


def test_the_null_of_cosines_has_no_relation_to_the_narrower_dictionary():
    generator = np.random.default_rng(0)
    narrow = generator.normal(size=(30, 64))
    wide = np.concatenate([narrow, narrow]) + 0.1 * generator.normal(size=(60, 64))
    table, figures = split_pair(dictionary(narrow), dictionary(wide), 0.7, 1)
    assert figures["descending"] == 1
    assert figures["null_descending"] == 0
    assert table["null_cosine"].max() < 0.6
    assert figures["children"] == [0, 0, 30, 0]
    assert figures["same_place"] == 0.5
    again, _ = split_pair(dictionary(narrow), dictionary(wide), 0.7, 1)
    pd.testing.assert_frame_equal(table, again)


def test_pairs_follow_one_another_in_width_and_seeds_are_a_reference():
    columns = [
        column("a-x4-s0", 4.0),
        column("a-x1-s0", 1.0),
        column("a-x2-s0", 2.0),
        column("b-x2-s1", 2.0),
        column("c-x2-s0", 2.0, "relu"),
        column("c-x2-s1", 2.0, "relu"),
        column("neurons", None, ""),
        column("a-x1-s0", 1.0, model="other"),
    ]
    assert widths_of(columns) == [
        WidthPair(1, 2, "width"),
        WidthPair(2, 0, "width"),
        WidthPair(1, 3, "width and seed"),
        WidthPair(3, 0, "width and seed"),
        WidthPair(2, 3, "seed"),
    ]


def test_tables_name_the_pairs_and_can_be_written_without_any(by_hand, tmp_path):
    columns = [column("a-x1-s0", 1.0), column("a-x2-s0", 2.0)]
    descendants, splitting = split_columns(columns, by_hand, 0.5, 0)
    table, figures = split_pair(*by_hand, 0.5, 0)
    assert list(descendants)[:3] == ["a", "b", "differ"]
    pd.testing.assert_frame_equal(descendants[list(DESCENDANTS)], table)
    assert set(descendants["a"] + " " + descendants["b"]) == {"main/a-x1-s0 main/a-x2-s0"}
    assert list(splitting) == list(SPLITTING)
    assert splitting["children"].iloc[0] == figures.pop("children")
    assert {name: splitting[name].iloc[0] for name in figures} == pytest.approx(figures, nan_ok=True)
    none = split_columns(columns[:1], by_hand[:1], 0.5, 0)
    for found, empty in zip((descendants, splitting), none, strict=True):
        assert len(empty) == 0
        assert empty.dtypes.to_dict() == found.dtypes.to_dict()
        write_table(empty, tmp_path / "empty", {})
        assert list(read_table(tmp_path / "empty")) == list(found)
    write_table(splitting, tmp_path / "splitting", {})
    assert read_table(tmp_path / "splitting")["children"].iloc[0].tolist() == [0, 1, 1, 0]


def test_dictionaries_that_do_not_go_together_are_refused_by_name(by_hand, tmp_path):
    columns, (narrow, wide) = [column("a-x1-s0", 1.0), column("a-x2-s0", 2.0)], by_hand
    other_space = dictionary(np.ones((4, 5)), wide.features)
    with pytest.raises(StudyError, match=r"^main/a-x1-s0 and main/a-x2-s0: decoder rows have 5 and 3 dimensions"):
        split_columns(columns, [narrow, other_space], 0.5, 0)
    other_tokens = dictionary(WIDE, [write_shard(WIDE_ROWS[:4], tmp_path / "short")])
    with pytest.raises(StudyError, match="batch 0 of activations: tokens differ"):
        split_pair(narrow, other_tokens, 0.5, 0)
    with pytest.raises(StudyError, match="batch 1 of activations: tokens differ"):
        split_pair(narrow, dictionary(WIDE, [*wide.features, *wide.features]), 0.5, 0)
    with pytest.raises(StudyError, match="batch 0 of activations: 4 features; expected 3"):
        split_pair(narrow, dictionary(WIDE[:3], wide.features), 0.5, 0)
