"""From documents to contexts of tokens that know their document and their label."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coact.artefacts import open_tensors, write_tensors
from coact.corpus.tokenizer import encode_texts
from coact.errors import ArtefactError, ConfigError
from coact.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

BATCH_CHARACTERS = 1 << 20
SPECIAL = -1  # document and label of positions that belong to no document: BOS and separators


@dataclass(frozen=True)
class TokenStream:
    """Contexts in the order in which every later stage reads them.

    Attributes:
        tokens: int32 (contexts, context_length), ids.
        documents: int32, same shape, row of the split's table of documents; -1 at special positions.
        labels: int16, same shape, index into `label_names`; -1 at special positions.
        label_names: the labels, the same list for both splits.
    """

    tokens: np.ndarray
    documents: np.ndarray
    labels: np.ndarray
    label_names: list[str]


@dataclass(frozen=True)
class _Layout:
    """How contexts are made up: `body` positions of each are filled from documents."""

    split: str
    contexts: int
    context_length: int
    packing: str
    bos: int | None
    separator: int | None

    @property
    def body(self) -> int:
        """Positions of a context that BOS does not take."""
        return self.context_length - (self.bos is not None)


def tokenize(
    documents: "pd.DataFrame",
    tokenizer: "PreTrainedTokenizerBase",
    shares: dict[str, float],
    labels: Sequence[str],
    n_tokens: int,
    context_length: int,
    packing: str,
    prepend_bos: bool,
    split: str,
) -> tuple[TokenStream, dict[str, Any]]:
    """Fill contexts with documents, each source to its share of the tokens.

    The documents of a source are taken in the table's order until its share is filled; the last one is cut there.
    Sources are then interleaved in proportion, so that any stretch of the stream, its first batches for
    example, holds them in their shares (to within the length of a document). Words of the text that look
    like special tokens are encoded as plain text.

    packing "joined": documents follow one another, each with the tokenizer's EOS token (its BOS token if it has no
    EOS) after it, and may cross the border between contexts. packing "single": a context holds one
    document; what is left of a document after its last full context is dropped; no separators.

    Args:
        documents: a table of `coact.corpus.collect`.
        tokenizer: any Hugging Face tokenizer.
        shares: share of the tokens by source, summing to 1 (`coact.corpus.sources.get_shares`).
        labels: all labels (`coact.corpus.sources.get_labels`).
        n_tokens: tokens of the stream, BOS and separators included; what does not fill a context is left out.
        context_length: tokens in a context, BOS included.
        packing: "joined" or "single".
        prepend_bos: begin each context with the BOS token, or the EOS token where the tokenizer has no BOS.
        split: "train" or "heldout", for messages and the manifest.
    Returns:
        The stream of exactly `n_tokens // context_length` contexts, and its manifest: ids of the special tokens,
        counts of contexts and of unknown tokens, documents and tokens (special positions left out) by
        source and by label. Memory: about 25 bytes per token.
    Raises:
        ConfigError: fewer tokens than a context; a source with too few tokens for its share; packing "single" and a
            document shorter than a context; a tokenizer without the special tokens that are needed.
    """
    contexts = n_tokens // context_length
    if contexts < 1:
        raise ConfigError(
            f"corpus.{split}_tokens is {n_tokens:,}, less than one context (corpus.context_length {context_length:,})"
        )
    bos, separator = _find_special_ids(tokenizer, packing, prepend_bos)
    layout = _Layout(split, contexts, context_length, packing, bos, separator)
    parts = _take_parts(documents, tokenizer, shares, layout)
    stream = _pack(parts, documents, labels, layout)
    return stream, _make_manifest(stream, documents, tokenizer, layout)


def save_tokens(stream: TokenStream, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write `stream` as safetensors (tokens, documents, labels; the names of the labels in its metadata)."""
    arrays = {"tokens": stream.tokens, "documents": stream.documents, "labels": stream.labels}
    write_tensors(arrays, path, stamp, {"labels": json.dumps(stream.label_names)})


def open_tokens(path: str | Path) -> TokenStream:
    """Open a file of `save_tokens`; the arrays are memory maps.

    Raises:
        ArtefactError: the file is missing, altered, or holds no token stream.
    """
    file = open_tensors(path)
    if not {"tokens", "documents", "labels"} <= file.keys() or "labels" not in file.metadata:
        raise ArtefactError(f"{path}: not a token stream (it holds {', '.join(sorted(file))})")
    return TokenStream(file["tokens"], file["documents"], file["labels"], json.loads(file.metadata["labels"]))


def _find_special_ids(
    tokenizer: "PreTrainedTokenizerBase", packing: str, prepend_bos: bool
) -> tuple[int | None, int | None]:
    """Ids of the token that opens contexts and of the one after each document; None where there is none."""
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is None and eos is None:
        if prepend_bos:
            raise ConfigError(
                "corpus.prepend_bos: the tokenizer has no BOS token, and no EOS token to use instead; set false"
            )
        if packing == "joined":
            raise ConfigError(
                "corpus.packing: joined needs an EOS or BOS token between documents and the tokenizer has neither;"
                " set single"
            )
    first = bos if bos is not None else eos
    return (first if prepend_bos else None), ((eos if eos is not None else bos) if packing == "joined" else None)


def _take_parts(
    documents: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase", shares: dict[str, float], layout: _Layout
) -> list[tuple[float, int, np.ndarray]]:
    """The tokens of each document that is used: (place in the stream from 0 to 1, row, int32 ids).

    Every source is filled, a token or a context over at most.
    """
    if layout.packing == "joined":
        needed = {name: math.ceil(share * layout.contexts * layout.body) for name, share in shares.items()}
    else:
        needed = {name: math.ceil(share * layout.contexts) * layout.body for name, share in shares.items()}
    taken = dict.fromkeys(shares, 0)
    parts = []
    progress = Progress(sum(needed.values()), f"Tokenise the {layout.split} documents", "tokens")
    origins = documents["origin"].to_numpy()
    for rows, sources, texts in _batches(documents, taken, needed):
        for row, source, ids in zip(rows, sources, encode_texts(tokenizer, texts), strict=True):
            room = needed[source] - taken[source]
            if room <= 0:
                continue
            part = _cut(np.asarray(ids, dtype=np.int32), room, layout, f"{source}, {origins[row]}")
            if len(part):
                parts.append(((taken[source] + len(part) / 2) / needed[source], row, part))
                taken[source] += len(part)
                progress.update(len(part))
    progress.close()
    _check_filled(shares, taken, needed, layout)
    return parts


def _batches(
    documents: "pd.DataFrame", taken: dict[str, int], needed: dict[str, int]
) -> Iterator[tuple[list[int], list[str], list[str]]]:
    """Rows, sources and texts, in table order, of the sources that are not full when the batch is begun."""
    rows, sources, texts, size = [], [], [], 0
    for row, (source, text) in enumerate(zip(documents["source"], documents["text"], strict=True)):
        if taken[source] >= needed[source]:
            continue
        rows.append(row)
        sources.append(source)
        texts.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield rows, sources, texts
            rows, sources, texts, size = [], [], [], 0
    if rows:
        yield rows, sources, texts


def _cut(ids: np.ndarray, room: int, layout: _Layout, origin: str) -> np.ndarray:
    """The part of a document that is used where its source has `room` positions left, at least one."""
    if layout.packing == "joined":
        # A document has a token at least, so that one position more than there is room for may be taken.
        return np.append(ids[: max(room - 1, 1)], np.int32(layout.separator)) if len(ids) else ids
    if len(ids) < layout.body:
        raise ConfigError(
            f"corpus.packing: single needs documents that fill a context; {origin} has {len(ids):,} tokens, a context"
            f" of corpus.context_length {layout.context_length:,} takes {layout.body:,}; set joined"
        )
    return ids[: min(len(ids), room) // layout.body * layout.body]


def _check_filled(shares: dict[str, float], taken: dict[str, int], needed: dict[str, int], layout: _Layout) -> None:
    """Refuse a stream that its sources cannot fill, by the one that falls shortest."""
    name = min(shares, key=lambda name: taken[name] / needed[name])
    if taken[name] >= needed[name]:
        return
    most = int(taken[name] / shares[name]) // layout.body * layout.context_length
    more = "give it more text" if layout.split == "train" else "give it more text, or raise corpus.heldout_share"
    less = f", or lower corpus.{layout.split}_tokens to {most:,}" if most else ""
    raise ConfigError(
        f"corpus.sources: {name} has {taken[name]:,} {layout.split} tokens and its share ({shares[name]:.1%} of"
        f" corpus.{layout.split}_tokens) needs {needed[name]:,}; {more}, or lower its share{less}"
    )


def _pack(
    parts: list[tuple[float, int, np.ndarray]], documents: "pd.DataFrame", labels: Sequence[str], layout: _Layout
) -> TokenStream:
    parts.sort(key=lambda part: part[:2])
    shape, size = (layout.contexts, layout.body), layout.contexts * layout.body
    lengths = np.array([len(part[2]) for part in parts])
    body = np.concatenate([part[2] for part in parts])[:size].reshape(shape)
    rows = np.repeat(np.array([part[1] for part in parts], dtype=np.int32), lengths)
    if layout.separator is not None:
        rows[np.cumsum(lengths) - 1] = SPECIAL
    rows = rows[:size].reshape(shape)
    numbers = {name: number for number, name in enumerate(labels)}
    # The last entry answers for row -1, the special positions.
    table = np.array([*(numbers[label] for label in documents["label"]), SPECIAL], dtype=np.int16)
    kinds = table[rows]
    if layout.bos is not None:
        body, rows, kinds = (
            np.insert(array, 0, first, axis=1)
            for array, first in ((body, layout.bos), (rows, SPECIAL), (kinds, SPECIAL))
        )
    return TokenStream(body, rows, kinds, list(labels))


def _make_manifest(
    stream: TokenStream, documents: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase", layout: _Layout
) -> dict[str, Any]:
    rows = stream.documents[stream.documents != SPECIAL]
    counts = documents[["source", "label"]].assign(tokens=np.bincount(rows, minlength=len(documents)))
    counts = counts[counts["tokens"] > 0]
    unknown = tokenizer.unk_token_id
    return {
        "split": layout.split,
        "packing": layout.packing,
        "contexts": layout.contexts,
        "context_length": layout.context_length,
        "tokens": int(stream.tokens.size),
        "special_positions": int(stream.tokens.size - rows.size),
        "vocabulary": len(tokenizer),
        "bos_id": layout.bos,
        "separator_id": layout.separator,
        "unknown_id": unknown,
        "unknown_tokens": int(np.count_nonzero(stream.tokens == unknown)) if unknown is not None else 0,
        **{f"{column}s": _count(counts, column) for column in ("source", "label")},
    }


def _count(counts: "pd.DataFrame", column: str) -> dict[str, dict[str, int]]:
    groups = counts.groupby(column, sort=True)["tokens"]
    return {name: {"documents": int(tokens.size), "tokens": int(tokens.sum())} for name, tokens in groups}
