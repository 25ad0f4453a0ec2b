"""On what text features are active.

In: feature shards, and the token stream that they were made from. Out: for some features the labels and the tokens that
they are active on. A token is where a feature fires, not necessarily what it stands for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coact.artefacts import TensorFile, open_tensors
from coact.corpus.tokens import TokenStream
from coact.errors import ArtefactError

LABELS_SHOWN = 3
TOKENS_SHOWN = 5
ENTRIES_AT_ONCE = 1 << 22
SPECIAL_LABEL = "special positions"


def describe_features(
    features: Sequence[int],
    paths: Iterable[str | Path],
    stream: TokenStream,
    topk_count: np.ndarray,
    spell: Callable[[Sequence[int]], list[str]],
) -> list[dict[str, Any]]:
    """The labels and tokens on which features are active.

    Args:
        features: the features to describe, each once.
        paths: feature shards of one stream, from its start.
        stream: the stream; memory maps will do.
        topk_count: (D,) int64, tokens whose top-k set holds each feature.
        spell: from ids of tokens to their texts.

    Returns:
        One record per feature, in order: feature; active (tokens on which its activation is above 0); chosen (tokens
        whose top-k set holds it); labels, the most frequent ones first, at most three (label, share of the active
        tokens, corpus_share: the label's share of all kept tokens of the shards); tokens, likewise at most five
        (token, its text; share). Equally frequent ones are in the order of their ids. Special positions that are kept
        have a label of their own.

    Raises:
        ArtefactError: a shard is damaged or is not of this stream.
    """
    place, tokens, corpus = _find_active(features, paths, stream)
    kinds = len(stream.label_names) + 1
    described = []
    for item, feature in enumerate(features):
        mine = tokens[:, place == item]
        labels = np.bincount(mine[1] + 1, minlength=kinds)
        ids, how_often = np.unique(mine[0], return_counts=True)
        first = np.argsort(-how_often, kind="stable")[:TOKENS_SHOWN]
        described.append(
            {
                "feature": int(feature),
                "active": mine.shape[1],
                "chosen": int(topk_count[feature]),
                "labels": _share_labels(labels, corpus, stream.label_names),
                "tokens": [
                    {"token": text, "share": float(share)}
                    for text, share in zip(
                        spell(ids[first].tolist()), how_often[first] / max(mine.shape[1], 1), strict=True
                    )
                ],
            }
        )
    return described


def _share_labels(counts: np.ndarray, corpus: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    first = np.argsort(-counts, kind="stable")[:LABELS_SHOWN]
    return [
        {
            "label": [SPECIAL_LABEL, *names][label],
            "share": float(counts[label] / counts.sum()),
            "corpus_share": float(corpus[label] / corpus.sum()),
        }
        for label in first
        if counts[label]
    ]


def _find_active(
    features: Sequence[int], paths: Iterable[str | Path], stream: TokenStream
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the features are active.

    Returns:
        (activations,) places in `features`; (2, activations) token and label of each; (labels + 1,) kept tokens of
        each label, special positions first.
    """
    tokens, documents, labels = (part.reshape(-1) for part in (stream.tokens, stream.documents, stream.labels))
    corpus, start = np.zeros(len(stream.label_names) + 1, np.int64), 0
    places, found = [np.empty(0, np.int64)], [np.empty((2, 0), np.int64)]
    for path in paths:
        shard = open_tensors(path)
        stop = start + len(shard["kept"])
        if not np.array_equal(shard["documents"], documents[start:stop]):
            raise ArtefactError(f"{path}: its documents are not those of the token stream from token {start:,} on")
        mine = np.stack([tokens[start:stop], labels[start:stop]]).astype(np.int64)
        corpus += np.bincount(mine[1, shard["kept"]] + 1, minlength=len(corpus))
        for place, rows in _find_rows(shard, features):
            places.append(place)
            found.append(mine[:, rows])
        start = stop
    return np.concatenate(places), np.concatenate(found, axis=1), corpus


def _find_rows(shard: TensorFile, features: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places in `features` and kept rows of their activations in a shard, part by part."""
    wanted = np.full(int(shard.metadata["n_features"]), -1, np.int64)
    wanted[list(features)] = np.arange(len(features))
    indptr, kept = np.asarray(shard["indptr"]), np.asarray(shard["kept"])
    for first in range(0, len(shard["indices"]), ENTRIES_AT_ONCE):
        place = wanted[shard["indices"][first : first + ENTRIES_AT_ONCE]]
        hits = np.flatnonzero(place >= 0)
        rows = np.searchsorted(indptr, first + hits, side="right") - 1
        yield place[hits][kept[rows]], rows[kept[rows]]
