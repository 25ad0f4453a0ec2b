"""The tokenizer, and how documents fill contexts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from coact.artefacts import write_tensors
from coact.corpus import tokens as tokens_module
from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, spell_tokens, train_tokenizer
from coact.corpus.tokens import open_tokens, save_tokens, tokenize
from coact.errors import ArtefactError, ConfigError

BYTES = train_tokenizer([], 300)  # learns no merge: every byte is a token
WORDS = train_tokenizer(["the theory of the thing, שלום " * 50], 300)
BOS, EOS = 0, 1


def ids(text):
    return BYTES(text)["input_ids"]


def table(rows):
    """A table of documents from (source, label, text)."""
    frame = pd.DataFrame(rows, columns=["source", "label", "text"])
    frame.insert(0, "document", np.arange(len(frame), dtype=np.int32))
    frame["origin"] = [f"{source}/{number}" for number, source in enumerate(frame["source"])]
    return frame


def run(rows, n_tokens, context_length=8, packing="joined", prepend_bos=True, tokenizer=BYTES, shares=None):
    frame = table(rows)
    shares = shares or {frame["source"][0]: 1.0}
    labels = sorted(set(frame["label"]))
    return tokenize(frame, tokenizer, shares, labels, n_tokens, context_length, packing, prepend_bos, "train")


def test_special_tokens_and_size():
    assert (BYTES.bos_token_id, BYTES.eos_token_id, BYTES.pad_token_id) == (0, 1, 2)
    assert len(BYTES) == 259
    assert 259 < len(WORDS) <= 300
    assert len(WORDS(" the")["input_ids"]) == 1
    assert len(ids("aé")) == 3


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_decoding_gives_the_text_back(text):
    assert WORDS.decode(WORDS(text, split_special_tokens=True)["input_ids"]) == text


def test_training_is_repeatable(tmp_path):
    for name in ("one", "two"):
        save_tokenizer(train_tokenizer((f"words and {number} numbers" for number in range(500)), 400), tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_training_reads_a_bounded_sample(monkeypatch):
    monkeypatch.setattr("coact.corpus.tokenizer.SAMPLE_BYTES", 40)
    texts = iter(["four letter word", "é" * 12, "not read", "nor this"])
    train_tokenizer(texts, 300)
    assert list(texts) == ["not read", "nor this"]


def test_a_saved_tokenizer_is_the_same(tmp_path):
    save_tokenizer(WORDS, tmp_path)
    loaded = load_tokenizer(tmp_path)
    text = "the theory\r\n  of <|eos|> 中文 n't"
    assert loaded(text)["input_ids"] == WORDS(text)["input_ids"]
    assert loaded.decode(loaded(text)["input_ids"]) == text
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id) == (0, 1, 2)
    assert str(tmp_path) not in (tmp_path / "tokenizer_config.json").read_text()


def test_a_tokenizer_is_opened_as_auto_tokenizer_opens_it(tmp_path):
    save_tokenizer(WORDS, tmp_path)
    loaded, auto = load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(str(tmp_path), local_files_only=True)
    assert type(loaded) is type(auto)
    assert loaded.backend_tokenizer.to_str() == auto.backend_tokenizer.to_str()
    assert repr(loaded.init_kwargs) == repr(auto.init_kwargs)


def test_folders_without_a_tokenizer_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        load_tokenizer(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ConfigError, match=f"{tmp_path}: holds no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match=f"{tmp_path}: its tokenizer cannot be opened"):
        load_tokenizer(tmp_path)


def test_joined_contexts_by_hand():
    stream, manifest = run([("s", "x", "abcd"), ("s", "y", "efghijk"), ("s", "x", "never read")], 16)
    a, e = ids("abcd"), ids("efghijk")
    assert stream.tokens.tolist() == [[BOS, *a, EOS, *e[:2]], [BOS, *e[2:], EOS, *ids("n")][:8]]
    assert stream.documents.tolist() == [[-1, 0, 0, 0, 0, -1, 1, 1], [-1, 1, 1, 1, 1, 1, -1, 2]]
    assert stream.labels.tolist() == [[-1, 0, 0, 0, 0, -1, 1, 1], [-1, 1, 1, 1, 1, 1, -1, 0]]
    assert [stream.tokens.dtype, stream.documents.dtype, stream.labels.dtype] == ["int32", "int32", "int16"]
    assert stream.label_names == ["x", "y"]
    assert manifest["sources"] == {"s": {"documents": 3, "tokens": 12}}
    assert manifest["labels"] == {"x": {"documents": 2, "tokens": 5}, "y": {"documents": 1, "tokens": 7}}
    assert (manifest["contexts"], manifest["tokens"], manifest["special_positions"]) == (2, 16, 4)
    assert (manifest["bos_id"], manifest["separator_id"], manifest["unknown_tokens"]) == (BOS, EOS, 0)


def test_joined_without_bos_and_with_an_incomplete_context_left_out():
    stream, _ = run([("s", "x", "abcdefghijklmnopqrst")], 19, prepend_bos=False)
    assert stream.tokens.tolist() == [ids("abcdefgh"), [*ids("ijklmno"), EOS]]


def test_single_contexts_by_hand():
    stream, manifest = run([("s", "x", "abcdefghijklmnopq"), ("s", "y", "1234567")], 24, packing="single")
    assert stream.tokens.tolist() == [[BOS, *ids(text)] for text in ("abcdefg", "hijklmn", "1234567")]
    assert stream.documents.tolist() == [[-1, *[row] * 7] for row in (0, 0, 1)]
    assert manifest["separator_id"] is None


def test_single_names_a_document_that_is_too_short():
    with pytest.raises(ConfigError, match=r"s, s/1 has 3 tokens, a context of .*context_length 8 takes 7; set joined"):
        run([("s", "x", "abcdefgh"), ("s", "x", "abc")], 16, packing="single")


def test_text_that_looks_like_a_special_token_is_text():
    stream, _ = run([("s", "x", "<|eos|><|bos|>!")], 16, prepend_bos=False)
    assert BYTES.decode(stream.tokens.ravel()[:15]) == "<|eos|><|bos|>!"
    assert np.count_nonzero(stream.tokens == EOS) == 1


@pytest.mark.parametrize("packing", ["joined", "single"])
@pytest.mark.parametrize("batch", [1, 100, 1 << 20])
def test_sources_hold_their_shares_in_every_stretch(packing, batch, monkeypatch):
    monkeypatch.setattr(tokens_module, "BATCH_CHARACTERS", batch)
    rows = [("a", "a", "a" * 29) for _ in range(300)] + [("b", "b", "b" * 13) for _ in range(900)]
    order = np.random.default_rng(0).permutation(len(rows))
    shares = {"a": 0.7, "b": 0.3}
    stream, manifest = run([rows[row] for row in order], 8 * 700, packing=packing, shares=shares)
    assert stream.tokens.shape == (700, 8)
    for start in range(0, 700, 100):
        part = stream.labels[start : start + 100]
        assert (part == 0).sum() / (part >= 0).sum() == pytest.approx(0.7, abs=0.05)
    used = [list(dict.fromkeys(stream.documents[stream.labels == label])) for label in (0, 1)]
    assert used == [sorted(rows) for rows in used]
    assert sum(source["tokens"] for source in manifest["sources"].values()) == (stream.documents >= 0).sum()
    if packing == "single":
        assert all(len(set(context[1:])) == 1 for context in stream.documents.tolist())
    else:
        flat = stream.documents[:, 1:].ravel()
        borders = np.flatnonzero(np.diff(flat))
        assert all(flat[border] == -1 or flat[border + 1] == -1 for border in borders)
        assert (stream.tokens[:, 1:].ravel()[flat == -1] == EOS).all()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(8, 12), st.booleans())
@settings(max_examples=100, deadline=None)
def test_every_token_is_that_of_its_document(lengths, context_length, prepend_bos):
    rows = [("s", "x", "".join(chr(97 + (row + place) % 26) for place in range(n))) for row, n in enumerate(lengths)]
    available = (sum(lengths) + len(lengths)) // (context_length - prepend_bos) * context_length
    if not available:
        return
    stream, _ = run(rows, available, context_length, prepend_bos=prepend_bos)
    assert stream.tokens.shape == (available // context_length, context_length)
    for row, (_, _, text) in enumerate(rows):
        found = stream.tokens[stream.documents == row]
        assert text.startswith(BYTES.decode(found))
        if row < stream.documents.max():
            assert len(found) == len(text)


def test_a_source_with_too_few_tokens_is_named_with_what_would_do():
    rows = [("a", "a", "a" * 99), ("b", "b", "b" * 9)]
    with pytest.raises(ConfigError, match=r"b has 10 train tokens .*\(50\.0% .*needs 28.*corpus\.train_tokens to 16$"):
        run(rows, 64, shares={"a": 0.5, "b": 0.5})
    stream, _ = run(rows, 16, shares={"a": 0.5, "b": 0.5})
    assert stream.tokens.shape == (2, 8)
    with pytest.raises(ConfigError, match=r"b has 7 train tokens .*needs 14.*corpus\.train_tokens to 16$"):
        run(rows, 32, packing="single", shares={"a": 0.5, "b": 0.5})


def test_a_source_that_fills_no_context_gets_no_advice_to_ask_for_none():
    with pytest.raises(ConfigError, match=r"s has 4 train tokens .*needs 7; give it more text, or lower its share$"):
        run([("s", "x", "abc")], 8)


def test_fewer_tokens_than_a_context():
    with pytest.raises(ConfigError, match=r"corpus\.train_tokens is 7, less than one context .*context_length 8"):
        run([("s", "x", "a" * 99)], 7)


def plain_tokenizer(**specials):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=BYTES.backend_tokenizer, **specials)


def test_tokenizers_that_lack_special_tokens():
    rows = [("s", "x", "abcdefghijklmnopqrst")]
    only_eos, only_bos, none = (
        plain_tokenizer(eos_token="<|eos|>"),
        plain_tokenizer(bos_token="<|bos|>"),
        plain_tokenizer(),
    )
    assert run(rows, 8, tokenizer=only_eos)[0].tokens[0, 0] == EOS
    assert run(rows, 24, tokenizer=only_bos)[0].tokens[2, 7] == BOS
    with pytest.raises(ConfigError, match=r"corpus\.prepend_bos: the tokenizer has no BOS token, and no EOS token"):
        run(rows, 8, tokenizer=none)
    with pytest.raises(ConfigError, match=r"corpus\.packing: joined needs an EOS or BOS token"):
        run(rows, 8, tokenizer=none, prepend_bos=False)
    stream, _ = run(rows, 8, tokenizer=none, prepend_bos=False, packing="single")
    assert stream.tokens.tolist() == [ids("abcdefgh")]


def test_streams_are_stored_and_checked(tmp_path):
    stream, _ = run([("s", "x", "abcd"), ("s", "y", "efghijk" * 9)], 32)
    save_tokens(stream, tmp_path / "train.safetensors", {"rule": "tokenize"})
    opened = open_tokens(tmp_path / "train.safetensors")
    for name in ("tokens", "documents", "labels"):
        assert np.array_equal(getattr(opened, name), getattr(stream, name))
        assert getattr(opened, name).dtype == getattr(stream, name).dtype
        assert isinstance(getattr(opened, name), np.memmap)
    assert opened.label_names == ["x", "y"]
    write_tensors({"tokens": stream.tokens}, tmp_path / "other.safetensors", {})
    with pytest.raises(ArtefactError, match=r"other\.safetensors: not a token stream \(it holds tokens\)"):
        open_tokens(tmp_path / "other.safetensors")


def test_tokens_are_spelled_one_by_one(tmp_path):
    save_tokenizer(WORDS, tmp_path)
    path = tmp_path / "tokenizer.json"
    tokens = WORDS(" the")["input_ids"] + ids("é") + ids("\n") + [BOS]
    assert spell_tokens(path, tokens) == [" the", "\\xc3", "\\xa9", "\n", "<|bos|>"]
    assert spell_tokens(path, []) == []
    # Every byte by itself, in the order of its value where it is no character.
    spelled = spell_tokens(path, range(3, 259))
    assert len(set(spelled)) == 256
    assert sum(text.startswith("\\x") for text in spelled) == 128


def test_a_file_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.json: the tokenizer cannot be opened"):
        spell_tokens(tmp_path / "nothing.json", [1])
