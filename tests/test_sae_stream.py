"""Training batches: every kept token once per epoch, in a random order that is computed on demand, in no memory."""

import itertools
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from coact.activations import open_shard
from coact.artefacts import write_tensors
from coact.errors import ArtefactError, StudyError
from coact.sae.stream import RESAMPLE, ActivationStream, KeptRows, permute

MASK = 2**64 - 1
SURELY_UNEVEN = 1e-4


def make_shard(path, values, documents=None):
    """An activation shard of float32 values."""
    documents = np.zeros(len(values), np.int32) if documents is None else documents
    write_tensors({"activations": values.astype(np.float32), "documents": documents}, path, {}, {"dtype": "float32"})
    return open_shard(path)


def numbered_shards(folder, sizes, special_every=5):
    """Shards of width 1 whose values number the tokens of all of them; every fifth of each is special."""
    starts = np.cumsum([0, *sizes])
    return [
        make_shard(
            folder / str(part),
            np.arange(starts[part], starts[part] + size, dtype=np.float32)[:, None],
            np.where(np.arange(size) % special_every == 0, -1, 0).astype(np.int32),
        )
        for part, size in enumerate(sizes)
    ]


def test_every_kept_token_comes_once_per_epoch_and_batches_run_on_across_its_end(tmp_path):
    stream = ActivationStream(numbered_shards(tmp_path, [20, 25]), False, 8, seed=1)
    kept = [value for value in range(20) if value % 5] + [20 + value for value in range(25) if value % 5]
    assert len(stream) == 36
    batches = [batch.ravel().tolist() for batch in stream.batches(18)]
    assert {len(batch) for batch in batches} == {8}
    # 36 tokens are four batches and a half: nine batches are two epochs, and the fifth has the end of the first.
    assert sorted(itertools.chain(*batches[:9])) == sorted(kept * 2)
    assert sorted(itertools.chain(*batches[9:])) == sorted(kept * 2)
    first = set(itertools.chain(*batches[:4]))
    assert len(first) == 32
    assert set(kept) - first <= set(batches[4])


def test_a_batch_is_in_the_order_of_the_shards_and_special_positions_can_be_kept(tmp_path):
    shards = numbered_shards(tmp_path, [20, 25])
    stream = ActivationStream(shards, True, 9, seed=1)
    assert len(stream) == 45
    for batch in stream.batches(5):
        assert batch.ravel().tolist() == sorted(batch.ravel().tolist())


def test_any_batch_can_be_had_without_those_before_it(tmp_path):
    stream = ActivationStream(numbered_shards(tmp_path, [30, 30]), False, 7, seed=3)
    whole = [batch.ravel().tolist() for batch in stream.batches(20)]
    assert [batch.ravel().tolist() for batch in stream.batches(20, first=13)] == whole[13:]
    assert list(stream.batches(20, first=20)) == []


def test_epochs_and_seeds_differ(tmp_path):
    shards = numbered_shards(tmp_path, [100], special_every=1000)
    orders = [
        tuple(ActivationStream(shards, True, 10, seed).batch_numbers(10 * epoch))
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    assert len(set(orders)) == 6


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 5000), seed=st.integers(0, 2**40))
def test_the_permutation_is_one_to_one(size, seed):
    found = permute(np.arange(size), size, [seed, 0, 1])
    assert found.dtype == np.int64
    np.testing.assert_array_equal(np.sort(found), np.arange(size))


@pytest.mark.parametrize("size", [1, 2, 9, 1000, 10**9 + 7, 2**40])
def test_the_permutation_is_the_plain_network(size):
    keys = [int(key) for key in np.random.default_rng([7, 1]).integers(0, 2**64, 8, dtype=np.uint64)]
    low_side = next(side for side in range(int(size**0.5), size + 1) if side > 0 and side * side >= size)
    high_side = -(-size // low_side)

    def mix(value):
        value &= MASK
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
        value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
        return value ^ value >> 31

    def network(value):
        low, high = value % low_side, value // low_side
        for even, odd in zip(keys[::2], keys[1::2], strict=True):
            low = (low + mix(high + even)) % low_side
            high = (high + mix(low + odd)) % high_side
        return high * low_side + low

    def walk(value):
        value = network(value)
        return value if value < size else walk(value)

    places = np.unique(np.linspace(0, size - 1, 20, dtype=np.int64))
    assert permute(places, size, [7, 1]).tolist() == [walk(int(place)) for place in places]


@pytest.mark.parametrize("size", [7, 12, 30])
def test_every_token_is_at_every_place_equally_often(size):
    draws = 3000
    found = np.stack([permute(np.arange(size), size, [seed, 5]) for seed in range(draws)])
    for token in range(0, size, 3):
        assert chisquare(np.bincount(found[:, token], minlength=size)).pvalue > SURELY_UNEVEN
    # And so are pairs: where the second place lies from the first.
    apart = (found[:, 1] - found[:, 0]) % size
    assert chisquare(np.bincount(apart, minlength=size)[1:]).pvalue > SURELY_UNEVEN


def test_neighbours_in_the_data_are_spread_over_an_epoch_and_a_batch_over_the_data():
    size = 1_000_003
    for seed in range(5):
        order = permute(np.arange(size), size, [seed, 9])
        apart = np.bincount((np.diff(order) % size) * 100 // size, minlength=100)
        assert chisquare(apart).pvalue > SURELY_UNEVEN
        batch = np.bincount(order[:20_000] * 100 // size, minlength=100)
        assert chisquare(batch).pvalue > SURELY_UNEVEN
        assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 5 / np.sqrt(size)


def test_a_shard_is_not_over_represented_in_any_part_of_an_epoch(tmp_path):
    shards = numbered_shards(tmp_path, [6000, 2000], special_every=10**6)
    stream = ActivationStream(shards, True, 500, seed=0)
    from_first = [int((batch < 6000).sum()) for batch in stream.batches(16)]
    # A hypergeometric law with mean 375 and a standard deviation of 9.4.
    assert sum(from_first) == 6000
    assert all(abs(number - 375) < 5 * 9.4 for number in from_first)
    assert len(set(from_first)) > 5


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 1700), min_size=1, max_size=4),
    share=st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]),
    include=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_kept_rows_are_those_that_a_plain_search_finds(sizes, share, include, seed):
    generator = np.random.default_rng(seed)
    shards = [
        SimpleNamespace(documents=np.where(generator.random(size) < share, -1, 3).astype(np.int32)) for size in sizes
    ]
    kept = KeptRows(shards, include)
    expected = [
        (number, row)
        for number, shard in enumerate(shards)
        for row in (range(len(shard.documents)) if include else np.flatnonzero(shard.documents >= 0))
    ]
    assert len(kept) == len(expected)
    found = kept.find(np.arange(len(kept)))
    np.testing.assert_array_equal(np.stack(found, 1), np.array(expected, np.int64).reshape(-1, 2))


def test_fifty_million_tokens_take_a_bit_each_and_a_batch_no_more_than_its_rows():
    rows, parts = 12_500_000, 4
    documents = np.broadcast_to(np.int32(0), rows)  # takes 4 bytes
    shards = [SimpleNamespace(width=1, documents=documents) for _ in range(parts)]
    permute(np.arange(2), 2, [0])  # compiled before it is measured
    KeptRows(shards[:1], False).find(np.arange(2))
    tracemalloc.start()
    stream = ActivationStream(shards, False, 2048, seed=0)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    numbers = stream.batch_numbers(20_000)
    shard, row = stream.places(numbers)
    batch_peak = tracemalloc.get_traced_memory()[1] - held
    tracemalloc.stop()
    assert len(stream) == rows * parts
    assert held < 0.15 * rows * parts
    assert peak < 0.35 * rows * parts
    assert batch_peak < 500 * 2048
    np.testing.assert_array_equal(shard * rows + row, numbers)


def test_samples_are_distinct_tokens_and_others_for_other_purposes(tmp_path):
    shards = numbered_shards(tmp_path, [300, 200])
    stream = ActivationStream(shards, False, 10, seed=0)
    numbers = stream.sample_numbers(100)
    assert len(set(numbers)) == 100
    assert (np.diff(numbers) > 0).all()
    assert set(numbers) != set(stream.sample_numbers(100, (RESAMPLE, 5)))
    assert set(stream.sample_numbers(100, (RESAMPLE, 6))) != set(stream.sample_numbers(100, (RESAMPLE, 5)))
    shard, row = stream.places(numbers)
    values = [shards[part].values[place, 0] for part, place in zip(shard, row, strict=True)]
    assert stream.sample(100).ravel().tolist() == values
    assert len(stream.sample(10_000)) == len(stream) == 400


def test_a_nan_in_a_shard_is_named(tmp_path):
    values = np.ones((50, 3), np.float32)
    values[17, 1] = np.nan
    stream = ActivationStream([make_shard(tmp_path / "bad", values)], False, 10, 0)
    with pytest.raises(ArtefactError, match=r"bad: activation of token 17 is not finite"):
        list(stream.batches(5))


def test_shards_of_different_widths_are_refused(tmp_path):
    shards = [make_shard(tmp_path / str(width), np.ones((5, width))) for width in (3, 4)]
    with pytest.raises(StudyError, match=r"activation shards disagree on their width: \[3, 4\]"):
        ActivationStream(shards, False, 2, 0)


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    with pytest.raises(StudyError, match="batch_tokens: found 41, but the activation shards hold 40 tokens"):
        ActivationStream(numbered_shards(tmp_path, [50]), False, 41, 0)
