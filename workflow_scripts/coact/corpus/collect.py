"""From sources to two tables of documents, training and held-out, that never overlap."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from coact.corpus.documents import Document
from coact.corpus.sources import KINDS, check_sources, get_labels, get_shares, used_sources
from coact.errors import ConfigError
from coact.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "heldout")
# Bytes read per token that a source has to give. Tokenizers reach 1 to 5 bytes per token on text and code, so that
# this is enough for each of them, and a source of any size is read only so far. The exact shares are made later,
# in tokens.
BYTES_PER_TOKEN = 6
MARGIN = 1.3  # of what is fetched over what is needed


@dataclass(frozen=True)
class Corpus:
    """Documents of both splits and where they come from.

    Attributes:
        train, heldout: tables with the columns document (int32, the row's number), source, label, origin, text.
        manifest: plain values; see `collect`.
    """

    train: "pd.DataFrame"
    heldout: "pd.DataFrame"
    manifest: dict[str, Any]


@dataclass
class _Reading:
    """What has been taken from one source."""

    wanted: dict[str, int]  # bytes by split
    kept: dict[str, list[Document]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    size: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    duplicates: int = 0
    read_to_end: bool = True

    def is_full(self, split: str) -> bool:
        """Whether a split has the bytes that are wanted for it."""
        return self.size[split] >= self.wanted[split]


def collect(
    sources: list[dict[str, Any]], seed: int, heldout_share: float, train_tokens: int, heldout_tokens: int
) -> Corpus:
    """Read the sources, drop duplicates, split by document, and shuffle.

    Each source is read until it has `BYTES_PER_TOKEN` bytes per token of its share in both splits, or to its end.
    Documents without text are passed over. Of documents that are equal but for white space, in one source or in two,
    the first is kept. A document is held out when a hash of its text, keyed with `seed`, falls below
    `heldout_share`: the split of a document never depends on the others, and equal texts never lie in both.

    Args:
        sources: `corpus.sources` with the defaults of the schema filled in. Those of share 0 are left out.
        seed: of the split, of the order in which sources are read, and of the shuffle.
        heldout_share: share of the documents of each source that is held out.
        train_tokens, heldout_tokens: sizes of the two streams.
    Returns:
        The two tables, shuffled across sources, the labels of each source by turns, and a manifest: the labels, and per
        source its kind, its share of the tokens, documents, bytes (of UTF-8) and SHA-256 (of the texts in the table's
        order, a zero byte after each) per split, duplicates dropped, whether it was read to its end, and what its kind
        adds (package versions, for example). Held in memory as a whole.
    Raises:
        ConfigError: see `check_sources`; or a source has no text, or no document in one of the splits.
    """
    import pandas as pd

    check_sources(sources)
    shares = get_shares(sources)
    tokens = {"train": train_tokens, "heldout": heldout_tokens}
    assign = _make_assignment(seed, heldout_share)
    readings: dict[str, _Reading] = {}
    total = sum(math.ceil(share * BYTES_PER_TOKEN * sum(tokens.values())) for share in shares.values())
    progress = Progress(total, "Read the sources", "bytes")
    seen: set[bytes] = set()
    for spec in used_sources(sources):
        wanted = {split: math.ceil(shares[spec["name"]] * BYTES_PER_TOKEN * tokens[split]) for split in SPLITS}
        documents = KINDS[spec["kind"]].read_documents(spec, seed)
        readings[spec["name"]] = _read(documents, wanted, assign, seen, progress)
        _check_reading(spec["name"], readings[spec["name"]], heldout_share)
    progress.close()
    tables = {}
    for number, split in enumerate(SPLITS):
        documents = [document for reading in readings.values() for document in reading.kept[split]]
        order = _alternate(documents, np.random.default_rng((seed, number)).permutation(len(documents)))
        table = pd.DataFrame([vars(documents[index]) for index in order])
        table.insert(0, "document", np.arange(len(table), dtype=np.int32))
        tables[split] = table[["document", "source", "label", "origin", "text"]]
    return Corpus(tables["train"], tables["heldout"], _make_manifest(sources, seed, heldout_share, readings, tables))


def bytes_to_fetch(sources: list[dict[str, Any]], name: str, heldout_share: float, tokens: dict[str, int]) -> int:
    """Bytes of a source that are enough for both splits, whichever way its documents fall; `MARGIN` for duplicates.

    Args:
        sources: `corpus.sources` with defaults.
        name: of the source.
        heldout_share: share of its documents that is held out.
        tokens: split -> size of its stream.
    """
    share = get_shares(sources).get(name, 0.0)
    parts = {"train": 1 - heldout_share, "heldout": heldout_share}
    return math.ceil(MARGIN * max(share * BYTES_PER_TOKEN * tokens[split] / parts[split] for split in SPLITS))


def _alternate(documents: list[Document], order: np.ndarray) -> np.ndarray:
    """The order with the documents of a source by turns of their labels, so that a short stream has some of each.

    The places of a source stay its own.
    """
    turns: dict[tuple[str, str], int] = {}
    places: dict[str, list[int]] = {}
    keys = []
    for place, index in enumerate(order):
        kind = documents[index].source, documents[index].label
        turns[kind] = turns.get(kind, -1) + 1
        places.setdefault(kind[0], []).append(place)
        keys.append(turns[kind])
    found = order.copy()
    for taken in places.values():
        found[taken] = order[sorted(taken, key=lambda place: (keys[place], place))]
    return found


def _make_assignment(seed: int, heldout_share: float) -> Callable[[str], tuple[bytes, str]]:
    """A function from a text to its hash, blind to white space and keyed with `seed`, and the split it falls in."""
    key, threshold = str(seed).encode()[:64], int(heldout_share * 2**64)

    def assign(text: str) -> tuple[bytes, str]:
        digest = hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16, key=key).digest()
        return digest, "heldout" if int.from_bytes(digest[:8], "big") < threshold else "train"

    return assign


def _read(
    documents: Iterator[Document],
    wanted: dict[str, int],
    assign: Callable[[str], tuple[bytes, str]],
    seen: set[bytes],
    progress: Progress,
) -> _Reading:
    """Take documents until both splits have the bytes they want; a split that is full takes no more."""
    reading = _Reading(wanted)
    for document in documents:
        if not document.text.strip():
            continue
        digest, split = assign(document.text)
        if digest in seen:
            reading.duplicates += 1
            continue
        seen.add(digest)
        if reading.is_full(split):
            continue
        size = len(document.text.encode())
        reading.kept[split].append(document)
        reading.size[split] += size
        progress.update(size)
        if all(map(reading.is_full, SPLITS)):
            reading.read_to_end = False
            break
    return reading


def _check_reading(name: str, reading: _Reading, heldout_share: float) -> None:
    found = {split: len(reading.kept[split]) for split in SPLITS}
    if not any(found.values()):
        dropped = f" ({reading.duplicates:,} duplicates of earlier documents)" if reading.duplicates else ""
        raise ConfigError(f"corpus.sources: {name} is empty: it gives no document with text{dropped}")
    for split, other in (SPLITS, SPLITS[::-1]):
        if not found[split]:
            raise ConfigError(
                f"corpus.sources: {name} has {found[other]:,} document(s) and none of them falls in the {split} split"
                f" (corpus.heldout_share is {heldout_share:g}); give it more documents, for files by a separator"
            )


def _make_manifest(
    sources: list[dict[str, Any]],
    seed: int,
    heldout_share: float,
    readings: dict[str, _Reading],
    tables: dict[str, "pd.DataFrame"],
) -> dict[str, Any]:
    shares = get_shares(sources)
    entries = {}
    for spec in used_sources(sources):
        name = spec["name"]
        entries[name] = {
            "kind": spec["kind"],
            "share": shares[name],
            **KINDS[spec["kind"]].describe(spec),
            "duplicates_dropped": readings[name].duplicates,
            "read_to_end": readings[name].read_to_end,
        }
        for split, table in tables.items():
            texts = table["text"][table["source"] == name]
            entries[name][split] = {
                "documents": len(texts),
                "bytes": readings[name].size[split],
                "sha256": _digest_texts(texts),
            }
    return {"seed": seed, "heldout_share": heldout_share, "labels": get_labels(sources), "sources": entries}


def _digest_texts(texts: "pd.Series") -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()
