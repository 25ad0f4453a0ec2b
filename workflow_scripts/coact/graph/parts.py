"""What the pass counted in one shard, on disk.

In: counts, sets and documents of a shard's tokens. Out: one file; and from all files of a graph, the whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coact.artefacts import TensorFile, TensorWriter, open_tensors, write_tensors
from coact.graph.counting import Counts, check_exact, merge_counts
from coact.graph.pairs import PairSums, PairTable, counted
from coact.graph.sets import TokenSets

PAIRS_AT_ONCE = 1 << 22  # entries of all parts that are merged at a time, 28 bytes each
SAMPLES_PER_RANGE = 256


def write_part(counts: Counts, sets: TokenSets, documents: np.ndarray, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write what was counted in some batches.

    Args:
        counts: the counts.
        sets: the sets of the same tokens.
        documents: (kept tokens,) int32.
        path: safetensors file: keys, counts, sums, first of the pairs (see `PairTable`), members and active (D,),
            set_indptr, set_indices, documents.
        stamp: what made the file.
    """
    arrays = {
        **counts.pairs._asdict(),
        "members": counts.members,
        "active": counts.active,
        "set_indptr": sets.indptr,
        "set_indices": sets.indices,
        "documents": documents,
    }
    numbers = {"tokens": counts.n_tokens, "batches": counts.n_batches, "features": counts.n_features}
    write_tensors(arrays, path, stamp, {name: str(value) for name, value in numbers.items()})


def open_parts(paths: Sequence[str | Path]) -> list[TensorFile]:
    """Open parts by memory map.

    Raises:
        ArtefactError: a file is missing, truncated or altered.
    """
    return [open_tensors(path) for path in paths]


def merge_parts(parts: Sequence[TensorFile]) -> Counts:
    """The counts of all parts together; the order of the parts does not matter.

    Raises:
        ConfigError: there is no part, or the parts disagree on the number of features.
        StudyError: a pair shares more sets than can be counted exactly.
    """
    totals, size = merge_totals(parts), 0
    most = sum(len(part["keys"]) for part in parts)
    # Room for as many pairs as there could be: what is not written to takes no memory.
    table = PairTable(*(np.empty(most, dtype) for dtype in (np.int64, np.int64, np.int64, np.int32)))
    for found in merge_ranges(parts):
        for whole, part in zip(table, found, strict=True):
            whole[size : size + len(part)] = part
        size += len(found.keys)
    return replace(totals, pairs=PairTable(*(whole[:size] for whole in table)))


def merge_totals(parts: Sequence[TensorFile]) -> Counts:
    """The counts of all parts together, without the pairs."""
    return merge_counts(_without_pairs(part) for part in parts)


def merge_ranges(parts: Sequence[TensorFile], pairs_at_once: int = PAIRS_AT_ONCE) -> Iterator[PairTable]:
    """The pairs of all parts together, in tables of ascending ranges of keys, each of about `pairs_at_once` entries.

    Memory holds one range at a time, however many pairs there are.
    """
    cuts = _cut_keys([part["keys"] for part in parts], pairs_at_once)
    starts = [0 for _ in parts]
    for cut in [*cuts, None]:
        total = PairSums()
        for number, part in enumerate(parts):
            first = starts[number]
            last = len(part["keys"]) if cut is None else int(np.searchsorted(part["keys"], cut))
            total.add(PairTable(*(np.array(part[field][first:last]) for field in PairTable._fields)))
            starts[number] = last
        yield check_exact(total.total())


def _cut_keys(keys: Sequence[np.ndarray], pairs_at_once: int) -> np.ndarray:
    """Ascending keys that cut the parts together into ranges of at most about `pairs_at_once` entries."""
    step = max(1, pairs_at_once // SAMPLES_PER_RANGE)
    sampled = np.sort(np.concatenate([part[::step] for part in keys]))
    return np.unique(sampled[SAMPLES_PER_RANGE::SAMPLES_PER_RANGE])


def _without_pairs(part: TensorFile) -> Counts:
    numbers = (int(part.metadata[name]) for name in ("features", "tokens", "batches"))
    no_pairs = counted(np.empty(0, np.int64), np.empty(0, np.int64))
    return Counts(*numbers, no_pairs, np.array(part["members"]), np.array(part["active"]))


def join_parts(parts: Sequence[TensorFile], path: str | Path, stamp: dict[str, Any]) -> None:
    """Write the sets of all parts, one part after another, as one file; in memory there is one part at a time.

    Args:
        parts: in the order of their tokens.
        path: safetensors file: indptr (tokens + 1,) int64, indices (entries,) int32, documents (tokens,) int32.
        stamp: what made the file.
    """
    tokens, entries = (sum(len(part[name]) for part in parts) for name in ("documents", "set_indices"))
    shapes = {"indptr": ((tokens + 1,), "I64"), "indices": ((entries,), "I32"), "documents": ((tokens,), "I32")}
    with TensorWriter(path, shapes, stamp, {"tokens": str(tokens)}) as writer:
        writer.append("indptr", np.zeros(1, np.int64))
        before = 0
        for part in parts:
            writer.append("indptr", before + np.array(part["set_indptr"][1:]))
            writer.append("indices", np.array(part["set_indices"]))
            writer.append("documents", np.array(part["documents"]))
            before += len(part["set_indices"])


def read_sets(path: str | Path) -> tuple[TokenSets, np.ndarray]:
    """The sets of all tokens and their documents, as `join_parts` wrote them, in memory."""
    found = open_tensors(path)
    return TokenSets(np.array(found["indptr"]), np.array(found["indices"])), np.array(found["documents"])
