"""Collecting: duplicates, the split, the shuffle, how far a source is read, and the manifest."""

import hashlib
import json

import pytest

from coact.artefacts import read_table, write_table
from coact.corpus import collect as collect_module
from coact.corpus.collect import collect
from coact.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    """`a.jsonl` with 200 texts and `b.jsonl` with 100, of which the first two repeat texts of `a.jsonl`."""
    lines = {
        "a": [f"text {number} of a" for number in range(200)],
        "b": ["text 7 of a", " text  8\nof a ", *(f"text {number} of b" for number in range(98))],
    }
    for name, texts in lines.items():
        content = "".join(json.dumps({"text": text}) + "\n" for text in [*texts, "", "  "])
        (tmp_path / f"{name}.jsonl").write_text(content)
    return tmp_path


def source(folder, name, share=1.0):
    spec = {"name": name, "kind": "files", "share": share, "glob": str(folder / f"{name}.jsonl")}
    return {**spec, "format": "auto", "column": "text", "separator": None}


def run(sources, seed=0, heldout_share=0.2, train_tokens=10_000, heldout_tokens=10_000):
    return collect(sources, seed, heldout_share, train_tokens, heldout_tokens)


def test_duplicates_are_dropped_across_sources_and_the_first_is_kept(folder):
    corpus = run([source(folder, "a"), source(folder, "b")])
    texts = [*corpus.train["text"], *corpus.heldout["text"]]
    normal = [" ".join(text.split()) for text in texts]
    assert len(normal) == len(set(normal)) == 298
    assert {"text 7 of a", "text 8 of a"} <= set(texts)
    entries = corpus.manifest["sources"]
    assert (entries["a"]["duplicates_dropped"], entries["b"]["duplicates_dropped"]) == (0, 2)
    assert entries["a"]["read_to_end"]


def test_splits_do_not_overlap_and_hold_their_share(folder):
    corpus = run([source(folder, "a"), source(folder, "b")])
    assert not set(corpus.train["text"]) & set(corpus.heldout["text"])
    for name, size in (("a", 200), ("b", 98)):
        assert 0.1 * size < (corpus.heldout["source"] == name).sum() < 0.3 * size
    other = run([source(folder, "a"), source(folder, "b")], seed=1)
    assert set(other.heldout["text"]) != set(corpus.heldout["text"])


def test_the_split_of_a_document_does_not_depend_on_the_others(folder):
    both, alone = run([source(folder, "a"), source(folder, "b")]), run([source(folder, "a")])
    assert set(alone.heldout["text"]) == set(both.heldout["text"][both.heldout["source"] == "a"])
    more = run([source(folder, "a")], heldout_share=0.4)
    assert set(alone.heldout["text"]) < set(more.heldout["text"])


def test_tables_are_shuffled_repeatable_and_storable(folder, tmp_path):
    corpus, again = (run([source(folder, "a"), source(folder, "b")]) for _ in range(2))
    assert corpus.train.equals(again.train)
    assert corpus.manifest == again.manifest
    table = corpus.train
    assert list(table.columns) == ["document", "source", "label", "origin", "text"]
    assert list(table["document"]) == list(range(len(table)))
    assert table["document"].dtype == "int32"
    assert 0.4 < (table["source"][: len(table) // 2] == "a").mean() < 0.9
    row = table.iloc[0]
    number = int(row["origin"].split(":")[1])
    assert json.loads((folder / f"{row['source']}.jsonl").read_text().splitlines()[number - 1])["text"] == row["text"]
    write_table(table, tmp_path / "train.parquet", {})
    assert list(read_table(tmp_path / "train.parquet")["text"]) == list(table["text"])


def test_labels_of_a_source_come_by_turns():
    probes = {"name": "probes", "kind": "probes", "share": 1, "contexts": ["dna", "uuids", "hebrew"], "seed": 0}
    corpus = run([probes], train_tokens=20_000, heldout_tokens=4_000)
    for table in (corpus.train, corpus.heldout):
        counts = table["label"].value_counts()
        for turn in range(counts.min()):
            assert set(table["label"][3 * turn : 3 * turn + 3]) == {"dna", "uuids", "hebrew"}
        assert counts.min() > 1


def test_manifest_counts_documents_bytes_and_digests(folder):
    corpus = run([source(folder, "a", share=3), source(folder, "b", share=1)])
    entry = corpus.manifest["sources"]["a"]
    texts = [text for text, name in zip(corpus.train["text"], corpus.train["source"], strict=True) if name == "a"]
    assert entry["train"] == {
        "documents": len(texts),
        "bytes": sum(map(len, texts)),
        "sha256": hashlib.sha256("".join(f"{text}\0" for text in texts).encode()).hexdigest(),
    }
    assert (entry["kind"], entry["share"], entry["files"]) == ("files", 0.75, 1)
    assert corpus.manifest["labels"] == ["a", "b"]
    assert str(folder) not in json.dumps(corpus.manifest)


def test_an_endless_source_is_read_only_as_far_as_needed(monkeypatch):
    monkeypatch.setattr(collect_module, "BYTES_PER_TOKEN", 2)
    probes = {"name": "probes", "kind": "probes", "share": 1, "contexts": ["dna", "uuids"], "seed": 0}
    corpus = run([probes], train_tokens=20_000, heldout_tokens=2_000)
    for split, wanted in (("train", 40_000), ("heldout", 4_000)):
        assert wanted <= corpus.manifest["sources"]["probes"][split]["bytes"] < wanted + 4_000
    assert not corpus.manifest["sources"]["probes"]["read_to_end"]
    assert set(corpus.train["label"]) == {"dna", "uuids"}


def test_a_source_of_share_zero_is_left_out(folder):
    corpus = run([source(folder, "a"), source(folder, "b", share=0)])
    assert set(corpus.train["source"]) == {"a"}
    assert list(corpus.manifest["sources"]) == ["a"]


def test_sources_without_text_are_refused_by_name(folder):
    (folder / "empty.jsonl").write_text('{"text": " "}\n')
    with pytest.raises(ConfigError, match=r"empty is empty: it gives no document with text"):
        run([source(folder, "a"), source(folder, "empty")])
    (folder / "copy.jsonl").write_text('{"text": "text 1 of a"}\n')
    with pytest.raises(ConfigError, match=r"copy is empty: .* \(1 duplicates of earlier documents\)"):
        run([source(folder, "a"), source(folder, "copy")])
    (folder / "one.jsonl").write_text('{"text": "the only one"}\n')
    with pytest.raises(ConfigError, match=r"one has 1 document\(s\) and none of them falls in the \w+ split"):
        run([source(folder, "one")])
