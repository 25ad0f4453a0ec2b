"""Training batches from activation shards, in random order.

In: memory-mapped activation shards. Out: batches (batch_tokens, width) float32, and samples of the kept tokens.

The shuffle reaches as far as the data: an epoch is one pseudorandom permutation of all kept tokens of all shards, so
any two tokens may meet in a batch, and every kept token comes once. The permutation is not drawn but computed where it
is needed: a Feistel network over two numbers whose product is just above the number of tokens, applied again while the
result lies beyond it ("generalized Feistel" and "cycle walking"; Black and Rogaway 2002, Ciphers with arbitrary finite
domains). It takes no memory, and any batch can be had without those before it. It is no cipher: its keys come from a
seed, and its rounds mix by SplitMix (Steele, Lea and Flood 2014).

Kept tokens are found by a bit each and the number of bits before every 512 (rank and select; Jacobson 1989): 0.14 bytes
a token.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numba import njit

from coact.activations import Shard
from coact.errors import StudyError

ROUNDS = 8  # four of each half
BLOCK_ROWS = 512  # rows whose kept ones are counted together
BLOCK_WORDS = BLOCK_ROWS // 64
CHUNK_ROWS = BLOCK_ROWS << 11
# The three purposes that random numbers are drawn for.
EPOCH, SAMPLE, RESAMPLE = 0, 1, 2


class ActivationStream:
    """Batches of activation vectors; see above. Its state is the number of the next batch.

    Args:
        shards: activation shards of one width.
        include_special: keep BOS and separator positions.
        batch_tokens: tokens in a batch.
        seed: seed of the permutations; there is another one for every epoch.
    Raises:
        StudyError: the shards disagree on the width, or hold fewer tokens than one batch.
    """

    def __init__(self, shards: Sequence[Shard], include_special: bool, batch_tokens: int, seed: int) -> None:
        widths = {shard.width for shard in shards}
        if len(widths) != 1:
            raise StudyError(f"activation shards disagree on their width: {sorted(widths)}")
        self.shards, self.batch_tokens, self.seed = list(shards), batch_tokens, seed
        self.width = widths.pop()
        self._kept = KeptRows(shards, include_special)
        if len(self) < batch_tokens:
            raise StudyError(
                f"batch_tokens: found {batch_tokens:,}, but the activation shards hold {len(self):,} tokens"
            )

    def __len__(self) -> int:
        """Kept tokens in all shards: the tokens of an epoch."""
        return len(self._kept)

    def batches(self, steps: int, first: int = 0) -> Iterator[torch.Tensor]:
        """Batches number `first` to `steps` - 1, each (batch_tokens, width) float32, in the order of the shards.

        A batch that begins in one epoch may end in the next.
        """
        for number in range(first, steps):
            yield self.gather(self.batch_numbers(number))

    def batch_numbers(self, number: int) -> np.ndarray:
        """Numbers of the kept tokens in batch `number`, ascending, (batch_tokens,) int64."""
        start, size = number * self.batch_tokens, len(self)
        end, parts = start + self.batch_tokens, []
        for epoch in range(start // size, (end - 1) // size + 1):
            places = np.arange(max(start, epoch * size), min(end, (epoch + 1) * size)) - epoch * size
            parts.append(permute(places, size, [self.seed, EPOCH, epoch]))
        return np.sort(np.concatenate(parts))

    def sample_numbers(self, number: int, purpose: Sequence[int] = (SAMPLE,)) -> np.ndarray:
        """Numbers of up to `number` kept tokens chosen at random, ascending, int64; other ones for other purposes."""
        return np.sort(permute(np.arange(min(number, len(self))), len(self), [self.seed, *purpose]))

    def sample(self, number: int) -> torch.Tensor:
        """Up to `number` vectors chosen at random, in the order of the shards: (number, width) float32."""
        return self.gather(self.sample_numbers(number))

    def places(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the shard and row there of kept tokens, both int64, from their ascending numbers."""
        return self._kept.find(numbers)

    def gather(self, numbers: np.ndarray) -> torch.Tensor:
        """Vectors of kept tokens from their ascending numbers: (numbers, width) float32.

        Raises:
            ArtefactError: a value is not finite; it names the shard and the token.
        """
        shard, row = self.places(numbers)
        bounds = np.searchsorted(shard, np.arange(len(self.shards) + 1))
        pieces = [(number, row[bounds[number] : bounds[number + 1]]) for number in range(len(self.shards))]
        return torch.cat([self.shards[number].rows(rows) for number, rows in pieces if len(rows)])


class KeptRows:
    """Which rows of which shards are kept.

    A bit for every row, each shard from a new block on, and the number of kept rows before each block.

    Args:
        shards: the shards.
        include_special: keep all rows.
    """

    def __init__(self, shards: Sequence[Shard], include_special: bool) -> None:
        words = [_kept_bits(shard.documents, include_special) for shard in shards]
        self._starts = BLOCK_ROWS * np.cumsum([0, *(len(part) // BLOCK_WORDS for part in words)])
        self._words = np.concatenate(words)
        counts = np.bitwise_count(self._words).reshape(-1, BLOCK_WORDS).sum(1, dtype=np.int64)
        self._ranks = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._ranks[-1])

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the shard and row there of the kept rows with these numbers, both int64."""
        blocks = np.searchsorted(self._ranks, numbers, side="right") - 1
        rows = _find_bits(self._words, blocks, numbers - self._ranks[blocks])
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        return shards, rows - self._starts[shards]


def permute(places: np.ndarray, size: int, seed: Sequence[int]) -> np.ndarray:
    """A seeded pseudorandom permutation of 0, ..., size - 1, at some places.

    Args:
        places: int64, in [0, size).
        size: at least 1.
        seed: as for `np.random.default_rng`.
    Returns:
        What the permutation has at `places`, int64.
    """
    keys = np.random.default_rng(seed).integers(0, 2**64, ROUNDS, dtype=np.uint64)
    low = math.isqrt(size - 1) + 1
    sides = np.array([low, -(-size // low)], np.uint64)
    return _walk(places.astype(np.uint64), np.uint64(size), sides, keys).astype(np.int64)


@njit(cache=True)
def _walk(values: np.ndarray, size: int, sides: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Apply the network over [0, sides[0] x sides[1]) to each value until it is below `size`; all uint64."""
    found = np.empty_like(values)
    for entry in range(len(values)):
        value = _encipher(values[entry], sides, keys)
        while value >= size:
            value = _encipher(value, sides, keys)
        found[entry] = value
    return found


@njit(cache=True)
def _encipher(value: int, sides: np.ndarray, keys: np.ndarray) -> int:
    low, high = value % sides[0], value // sides[0]
    for turn in range(0, len(keys), 2):
        low = (low + _mix(high + keys[turn]) % sides[0]) % sides[0]
        high = (high + _mix(low + keys[turn + 1]) % sides[1]) % sides[1]
    return high * sides[0] + low


@njit(cache=True)
def _mix(value: int) -> int:
    """The output function of SplitMix on a uint64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _kept_bits(documents: np.ndarray, include_special: bool) -> np.ndarray:
    """A bit per row, lowest first, in whole blocks of uint64 words; read chunk by chunk."""
    words = np.zeros(-(-len(documents) // BLOCK_ROWS) * BLOCK_WORDS, "<u8")
    room = words.view(np.uint8)
    for start in range(0, len(documents), CHUNK_ROWS):
        part = documents[start : start + CHUNK_ROWS]
        bits = np.packbits(np.ones(len(part), bool) if include_special else part >= 0, bitorder="little")
        room[start // 8 : start // 8 + len(bits)] = bits
    return words


@njit(cache=True)
def _find_bits(words: np.ndarray, blocks: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Place of the set bit with `ranks` set bits before it in its block; int64, counted from the first word."""
    found = np.empty(len(blocks), np.int64)
    for entry in range(len(blocks)):
        place, left = blocks[entry] * BLOCK_WORDS, ranks[entry]
        number = _count_bits(words[place])
        while left >= number:
            left -= number
            place += 1
            number = _count_bits(words[place])
        word = words[place]
        for _ in range(left):
            word &= word - np.uint64(1)  # clears the lowest set bit
        found[entry] = 64 * place + _count_bits((word - np.uint64(1)) & ~word)
    return found


@njit(cache=True)
def _count_bits(word: int) -> int:
    """Set bits of a uint64, summed in pairs, fours and eights, then by a product (Warren 2012, Hacker's Delight)."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))
