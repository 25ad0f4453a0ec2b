"""On what features are active, by hand."""

from itertools import pairwise

import numpy as np
import pytest

from coact.artefacts import write_tensors
from coact.corpus.tokens import TokenStream
from coact.errors import ArtefactError
from coact.graph import occurrences
from coact.graph.occurrences import describe_features

#            token, document, label
STREAM = [(9, -1, -1), (4, 0, 0), (5, 0, 0), (4, 0, 0), (9, -1, -1), (4, 1, 1), (6, 1, 1), (6, 1, 1)]
ACTIVE = [[2], [0, 2], [0], [0, 1], [2], [1], [], [0, 1]]


@pytest.fixture
def stream():
    tokens, documents, labels = (np.array(part) for part in zip(*STREAM, strict=True))
    shape = (2, 4)
    return TokenStream(
        tokens.astype(np.int32).reshape(shape),
        documents.astype(np.int32).reshape(shape),
        labels.astype(np.int16).reshape(shape),
        ["prose", "dna"],
    )


def write_shards(folder, stream, bounds, kept=None):
    """Feature shards of the stream, cut at `bounds`; rows of positions that are not kept may hold activations."""
    documents = stream.documents.reshape(-1)
    kept = documents >= 0 if kept is None else kept
    paths = []
    for number, (first, last) in enumerate(pairwise(bounds)):
        rows = ACTIVE[first:last]
        indices = np.array([feature for row in rows for feature in row], np.int32)
        arrays = {
            "indptr": np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
            "indices": indices,
            "values": np.ones(len(indices), np.float32),
            "kept": kept[first:last],
            "documents": documents[first:last],
        }
        paths.append(folder / f"train-{number:05d}.safetensors")
        write_tensors(arrays, paths[-1], {}, {"n_features": "4"})
    return paths


def spell(ids):
    return [f"<{token}>" for token in ids]


@pytest.mark.parametrize("bounds", [[0, 8], [0, 3, 8], [0, 3, 6]])
def test_labels_and_tokens_by_hand(tmp_path, stream, bounds, monkeypatch):
    monkeypatch.setattr(occurrences, "ENTRIES_AT_ONCE", 2)
    found = describe_features([0, 1], write_shards(tmp_path, stream, bounds), stream, np.array([3, 1, 0, 0]), spell)
    if bounds[-1] == 6:
        assert [record["active"] for record in found] == [3, 2]
        return
    assert found[0] == {
        "feature": 0,
        "active": 4,
        "chosen": 3,
        "labels": [
            {"label": "prose", "share": 0.75, "corpus_share": 0.5},
            {"label": "dna", "share": 0.25, "corpus_share": 0.5},
        ],
        "tokens": [
            {"token": "<4>", "share": 0.5},
            {"token": "<5>", "share": 0.25},
            {"token": "<6>", "share": 0.25},
        ],
    }
    assert [entry["label"] for entry in found[1]["labels"]] == ["dna", "prose"]
    assert found[1]["chosen"] == 1


def test_special_positions_count_where_they_are_kept(tmp_path, stream):
    counts = np.zeros(4, np.int64)
    left_out = describe_features([2], write_shards(tmp_path, stream, [0, 8]), stream, counts, spell)[0]
    assert (left_out["active"], left_out["labels"][0]["label"]) == (1, "prose")
    kept = write_shards(tmp_path, stream, [0, 8], np.ones(8, bool))
    found = describe_features([2], kept, stream, counts, spell)[0]
    assert found["labels"][0] == {"label": "special positions", "share": 2 / 3, "corpus_share": 0.25}


def test_a_silent_feature_and_no_feature(tmp_path, stream):
    paths, counts = write_shards(tmp_path, stream, [0, 8]), np.zeros(4, np.int64)
    silent = {"feature": 3, "active": 0, "chosen": 0, "labels": [], "tokens": []}
    assert describe_features([3], paths, stream, counts, spell) == [silent]
    assert describe_features([], paths, stream, counts, spell) == []


def test_shards_of_another_stream_are_refused(tmp_path, stream):
    other = TokenStream(stream.tokens, stream.documents[::-1].copy(), stream.labels, stream.label_names)
    with pytest.raises(ArtefactError, match=r"train-00000\.safetensors: its documents are not those of the token"):
        describe_features([0], write_shards(tmp_path, stream, [0, 8]), other, np.zeros(4, np.int64), spell)
