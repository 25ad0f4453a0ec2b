"""Counts of shards on disk: they come back as they were, and together are the whole."""

import numpy as np
import pytest

from coact.errors import ArtefactError, ConfigError
from coact.graph.counting import count_batches, merge_counts
from coact.graph.pairs import PairTable
from coact.graph.parts import join_parts, merge_parts, merge_ranges, open_parts, read_sets, write_part
from coact.graph.sets import SetRule, join_sets
from test_graph_build import assert_same_counts, random_batch

pytestmark = pytest.mark.usefixtures("one_thread")

RULE = SetRule(4)


def batches():
    return [random_batch(seed, 90, 30, 0.3) for seed in range(5)]


def write(folder, cuts):
    """One part for each pair of cuts; their paths."""
    paths = []
    for first, last in cuts:
        found = count_batches(batches()[first:last], [RULE], first, keep=[RULE.name])
        paths.append(folder / f"{first}.safetensors")
        write_part(found.counts[RULE.name], join_sets(found.sets[RULE.name]), found.documents, paths[-1], {})
    return paths


def test_parts_are_the_whole(tmp_path):
    whole = count_batches(batches(), [RULE], keep=[RULE.name])
    paths = write(tmp_path, [(0, 2), (2, 3), (3, 5)])
    assert_same_counts(merge_parts(open_parts(paths)), whole.counts[RULE.name])
    assert_same_counts(merge_parts(open_parts(paths[::-1])), whole.counts[RULE.name])
    join_parts(open_parts(paths), tmp_path / "sets.safetensors", {})
    sets, documents = read_sets(tmp_path / "sets.safetensors")
    expected = join_sets(whole.sets[RULE.name])
    np.testing.assert_array_equal(sets.indptr, expected.indptr)
    np.testing.assert_array_equal(sets.indices, expected.indices)
    np.testing.assert_array_equal(documents, whole.documents)


@pytest.mark.parametrize("pairs_at_once", [1, 300, 600, 10**6])
def test_ranges_are_the_whole_in_pieces(tmp_path, pairs_at_once):
    paths = write(tmp_path, [(0, 1), (1, 4), (4, 5)])
    whole = merge_parts(open_parts(paths)).pairs
    ranges = list(merge_ranges(open_parts(paths), pairs_at_once))
    for field in PairTable._fields:
        np.testing.assert_array_equal(
            np.concatenate([getattr(found, field) for found in ranges]), getattr(whole, field), err_msg=field
        )
    if pairs_at_once < 600:
        assert len(ranges) > 1


def test_a_part_comes_back(tmp_path):
    found = count_batches(batches()[:2], [RULE]).counts[RULE.name]
    (path,) = write(tmp_path, [(0, 2)])
    assert_same_counts(merge_parts(open_parts([path])), found)


def test_a_cut_part_is_refused(tmp_path):
    (path,) = write(tmp_path, [(0, 1)])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="truncated"):
        merge_parts(open_parts([path]))


def test_parts_of_different_widths_and_no_parts():
    parts = [count_batches([random_batch(0, 20, width, 0.5)], [RULE]).counts[RULE.name] for width in (9, 10)]
    with pytest.raises(ConfigError, match="a part has 10 features, another 9"):
        merge_counts(parts)
    with pytest.raises(ConfigError, match=r"graph\.batches"):
        merge_counts([])
