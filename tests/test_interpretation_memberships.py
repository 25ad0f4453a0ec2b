"""Which tokens belong to which context."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from coact.artefacts import write_tensors
from coact.corpus.tokenizer import token_bytes, train_tokenizer
from coact.corpus.tokens import TokenStream
from coact.errors import ArtefactError, ConfigError
from coact.interpretation.memberships import (
    Memberships,
    mark_contexts,
    mark_splits,
    open_memberships,
    proxy_agreement,
    save_memberships,
    shown_contexts,
)

ARABIC, DNA = "\u0627\u0644\u0633\u0644\u0627\u0645", "ACGTTGCAACGT"


@pytest.fixture(scope="module")
def tokenizer():
    """Byte-level without merges: every token is a byte, so that an Arabic letter is two tokens."""
    return train_tokenizer(["ab ab"], 259)


def make_stream(tokenizer, documents, labels, names, length=16):
    """Contexts of `length` tokens: BOS, then documents one after another, each with EOS after it, EOS at the end."""
    rows = []
    for number, (text, label) in enumerate(zip(documents, labels, strict=True)):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        rows += [(token, number, label) for token in ids] + [(1, -1, -1)]
    rows += [(1, -1, -1)] * (-len(rows) % (length - 1))
    body = np.array(rows).reshape(-1, length - 1, 3)
    whole = np.concatenate([np.broadcast_to([0, -1, -1], (len(body), 1, 3)), body], axis=1)
    tokens, places, kinds = np.moveaxis(whole, 2, 0)
    return TokenStream(tokens.astype(np.int32), places.astype(np.int32), kinds.astype(np.int16), names)


def marked_text(memberships, name, stream, tokenizer):
    """The text of the tokens that belong to a context, in the order of the stream."""
    mark = memberships.marks[memberships.names.index(name)]
    return tokenizer.decode(stream.tokens.reshape(-1)[mark])


def test_labels_are_contexts_and_special_positions_belong_to_none(tokenizer):
    stream = make_stream(tokenizer, ["abc", "de"], [0, 2], ["docs", "dna", "arabic"])
    found = mark_contexts(stream, None, stream.tokens.size, ["label"])
    assert found.names == ["docs", "dna", "arabic"]
    assert found.kinds == ["label"] * 3
    assert found.marks.sum(axis=1).tolist() == [3, 0, 2]
    assert found.counted.sum() == 5
    assert not found.marks[:, ~found.counted].any()


def test_scripts_are_found_across_contexts_in_characters_of_several_tokens(tokenizer):
    text = f"say {ARABIC} now"  # 12 bytes of Arabic, so that BOS of the second context stands within it
    stream = make_stream(tokenizer, [text], [0], ["docs"], length=8)
    found = mark_contexts(stream, tokenizer, stream.tokens.size)
    assert len(stream.tokens) == 3
    assert marked_text(found, "Arabic script", stream, tokenizer) == ARABIC
    assert found.marks[found.names.index("Arabic script")].sum() == 12
    assert not found.marks[found.names.index("Greek script")].any()


def test_blanks_and_commas_between_matches_belong_to_them_and_letters_do_not(tokenizer):
    stream = make_stream(tokenizer, [f"{ARABIC}, {ARABIC} x {ARABIC}"], [0], ["docs"])
    found = mark_contexts(stream, tokenizer, stream.tokens.size)
    assert marked_text(found, "Arabic script", stream, tokenizer) == f"{ARABIC}, {ARABIC}{ARABIC}"


def test_matches_do_not_cross_from_document_to_document(tokenizer):
    stream = make_stream(tokenizer, ["ACGT", "ACGT"], [0, 0], ["docs"], length=32)
    found = mark_contexts(stream, tokenizer, stream.tokens.size)
    assert not found.marks[found.names.index("DNA pattern")].any()


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("DNA", f"run {DNA} and cat", DNA),
        ("DNA", "TACTICAL ATTACK", ""),
        ("base64", "key dGhpcyBpcyBhIHRlc3Q0Mg== end", "dGhpcyBpcyBhIHRlc3Q0Mg=="),
        ("base64", "sklearn/linear_model/tests/test_Ridge2.py", ""),
        ("hexadecimal", "at 0x1f4c and 20240131 in de ad be ef 01", "0x1f4cde ad be ef 01"),
        ("hexadecimal", "id 123e4567-e89b-12d3-a456-426614174000", ""),
        ("UUIDs", "id 123e4567-e89b-12d3-a456-426614174000.", "123e4567-e89b-12d3-a456-426614174000"),
        ("URLs", "see https://a.org/b?c=1 now", "https://a.org/b?c=1"),
        ("emails", "to a.b+c@mail.example.org!", "a.b+c@mail.example.org"),
        (
            "dates",
            "on 2024-01-31T12:30:00Z or 5 March 1999 or Jan 5, 2001",
            "2024-01-31T12:30:00Z5 March 1999Jan 5, 2001",
        ),
        ("numbers", "x = -1.5e3, v2 and 7%", "-1.5e37%"),
    ],
)
def test_patterns_find_what_they_are_named_after(tokenizer, pattern, text, expected):
    stream = make_stream(tokenizer, [text], [0], ["docs"])
    found = mark_contexts(stream, tokenizer, stream.tokens.size, ["pattern"])
    assert marked_text(found, f"{pattern} pattern", stream, tokenizer) == expected


@pytest.mark.parametrize(
    "unit", ["a" * 20_000, "a@" * 9_000, "0f " * 7_000, "1," * 9_000, "http://" * 3_000, "\x00\ud7ff" * 99]
)
def test_hostile_text_is_searched_in_linear_time_and_marks_stay_within_it(tokenizer, unit):
    """Patterns that go back over long runs take minutes here."""
    stream = make_stream(tokenizer, [unit + "!"], [0], ["docs"], length=128)
    found = mark_contexts(stream, tokenizer, stream.tokens.size)
    assert found.marks.shape == (len(found.names), stream.tokens.size)
    assert not found.marks[:, ~found.counted].any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=4), st.integers(1, 40)
)
def test_marks_do_not_depend_on_where_contexts_end(texts, length):
    tokenizer = train_tokenizer(["ab ab"], 259)
    texts = [text + ARABIC for text in texts]
    found = []
    for size in (length + 1, 500):
        stream = make_stream(tokenizer, texts, [0] * len(texts), ["docs"], size)
        memberships = mark_contexts(stream, tokenizer, stream.tokens.size)
        found.append(memberships.marks[:, memberships.counted])
    assert np.array_equal(*found)


def test_a_text_cut_within_a_character_keeps_its_other_marks(tokenizer):
    stream = make_stream(tokenizer, [ARABIC], [0], ["docs"], length=8)
    cut = mark_contexts(stream, tokenizer, 5)  # BOS, two letters, half a letter left out with the rest
    assert cut.marks[cut.names.index("Arabic script")].tolist() == [False, True, True, True, True]
    odd = mark_contexts(stream, tokenizer, 4)
    assert odd.marks[odd.names.index("Arabic script")].tolist() == [False, True, True, False]


def test_unknown_kinds_and_short_streams_are_refused(tokenizer):
    stream = make_stream(tokenizer, ["abc"], [0], ["docs"])
    with pytest.raises(ConfigError, match="kinds of contexts: 'words' found; expected some of label, script, pattern"):
        mark_contexts(stream, tokenizer, 4, ["label", "words"])
    with pytest.raises(ConfigError, match="tokens to mark: 99 found; the stream has 16"):
        mark_contexts(stream, tokenizer, 99)


def sentencepiece(pieces, **special):
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, "<unk>")), **special)


def test_sentencepiece_and_wordpiece_tokens_have_their_bytes():
    spiece = sentencepiece(["<unk>", "<s>", "\u2581say", "\u2581", "<0xD8>", "<0xA7>", "\u0644"], bos_token="<s>")
    assert token_bytes(spiece, range(7)) == [b"<unk>", b"", b" say", b" ", b"\xd8", b"\xa7", "\u0644".encode()]
    wordpiece = sentencepiece(["<unk>", "say", "##ing"], unk_token="<unk>")
    assert token_bytes(wordpiece, [0, 1, 2]) == [b"", b" say", b"ing"]
    stream = TokenStream(
        np.array([[1, 2, 4, 5, 6]]), np.array([[-1, 0, 0, 0, 0]]), np.array([[-1, 0, 0, 0, 0]]), ["docs"]
    )
    found = mark_contexts(stream, spiece, 5)
    assert found.marks[found.names.index("Arabic script")].tolist() == [False, False, True, True, True]


def test_tokens_that_the_tokenizer_does_not_know_have_no_bytes_and_belong_to_no_script():
    spiece = sentencepiece(["<unk>", "a"], unk_token="<unk>")
    assert token_bytes(spiece, [1, 77]) == [b"a", b""]
    stream = TokenStream(np.full((1, 3), 77), np.zeros((1, 3), int), np.zeros((1, 3), int), ["docs"])
    found = mark_contexts(stream, spiece, 3)
    assert found.marks.sum(axis=1).tolist() == [3] + [0] * (len(found.names) - 1)


def test_byte_level_tokens_with_added_ones_spell_the_text():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_tokens([*pre_tokenizers.ByteLevel.alphabet()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made)
    tokenizer.add_tokens(["\u20ac"])
    assert b"".join(token_bytes(tokenizer, [tokenizer.convert_tokens_to_ids("\u20ac")])) == "\u20ac".encode()


def test_agreement_of_labels_and_proxies_is_counted_by_token():
    marks = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    names = ["arabic", "greek", "Arabic script", "Greek script"]
    table = proxy_agreement(Memberships(names, ["label"] * 2 + ["script"] * 2, marks, np.ones(5, bool)))
    assert table["label"].tolist() == ["arabic", "greek"]
    assert table.loc[0, ["labelled", "found", "both"]].tolist() == [3, 3, 2]
    assert table["precision"].tolist() == [pytest.approx(2 / 3), pytest.approx(np.nan, nan_ok=True)]
    assert table["recall"].tolist() == [pytest.approx(2 / 3), pytest.approx(np.nan, nan_ok=True)]


def test_rows_of_tokens_hold_their_contexts_in_order():
    marks = np.array([[1, 0, 1], [1, 0, 0]], bool)
    bounds, contexts = Memberships(["a", "b"], ["label", "script"], marks, np.ones(3, bool)).by_token()
    assert bounds.tolist() == [0, 2, 2, 3]
    assert contexts.tolist() == [0, 1, 0]


def test_splits_lose_the_proxies_without_training_tokens_and_keep_all_labels(tokenizer):
    train = make_stream(tokenizer, [f"a {ARABIC}"], [0], ["docs", "greek"])
    heldout = make_stream(tokenizer, ["\u03b1\u03b2"], [1], ["docs", "greek"])
    one, other = mark_splits(train, heldout, tokenizer, train.tokens.size, heldout.tokens.size)
    assert one.names == other.names == ["docs", "greek", "Arabic script"]
    assert other.marks.sum(axis=1).tolist() == [0, 4, 0]


def test_kinds_of_which_a_corpus_has_none_are_refused(tokenizer):
    stream = make_stream(tokenizer, ["plain"], [0], ["docs"])
    for kinds, named in ((["script"], "script"), ([], "none")):
        with pytest.raises(ConfigError, match=f"kinds of contexts: {named} found, of which training text has none"):
            mark_splits(stream, stream, tokenizer, 16, 16, kinds)


def test_labels_are_shown_unless_all_are_ordinary():
    table = pd.DataFrame(
        {
            "context": ["docs", "dna", "Arabic script", "Thai script"],
            "kind": ["label", "label", "script", "script"],
            "tokens_train": [9, 0, 3, 0],
        }
    )
    assert shown_contexts(table, ["docs"]) == ["docs", "dna"]
    assert shown_contexts(table, ["docs", "dna"]) == ["Arabic script"]


def test_contexts_are_the_same_after_they_were_stored(tmp_path):
    rng = np.random.default_rng(0)
    names, kinds = ["dna", "Han script"], ["label", "script"]
    splits = [Memberships(names, kinds, rng.random((2, size)) < 0.5, rng.random(size) < 0.9) for size in (40, 24)]
    save_memberships(*splits, tmp_path / "marks.safetensors", {})
    for before, after in zip(splits, open_memberships(tmp_path / "marks.safetensors"), strict=True):
        assert (after.names, after.kinds) == (before.names, before.kinds)
        np.testing.assert_array_equal(after.marks, before.marks)
        np.testing.assert_array_equal(after.counted, before.counted)


def test_a_file_without_contexts_is_refused(tmp_path):
    write_tensors({"tokens": np.zeros(3)}, tmp_path / "other", {})
    with pytest.raises(ArtefactError, match=r"holds no contexts \(it holds tokens\)"):
        open_memberships(tmp_path / "other")
