"""Byte-level BPE: training it on the corpus, saving it, and opening any Hugging Face tokenizer folder."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coact.artefacts import atomic_folder, read_json
from coact.errors import ConfigError, first_line

if TYPE_CHECKING:
    from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"
# Training reads texts up to this many bytes: merges hardly change beyond, and time and memory stay bounded.
SAMPLE_BYTES = 10_000_000
# One of these holds the vocabulary of every kind of tokenizer. A folder of weights alone has none of them.
VOCABULARY_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
# What transformers calls `PreTrainedTokenizerFast`, any tokenizer.json, in tokenizer_config.json.
GENERAL_CLASS = "TokenizersBackend"

UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"
# The characters that stand for the bytes 0 to 255 in byte-level vocabularies (Radford et al. 2019): those that can be
# seen for themselves, the others moved behind them, in order.
SEEN = {*range(33, 127), *range(161, 173), *range(174, 256)}
BYTE_LEVEL = "".join(
    chr(byte if byte in SEEN else 256 + sum(other not in SEEN for other in range(byte))) for byte in range(256)
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE tokenizer (Sennrich et al. 2016; bytes as in Radford et al. 2019).

    It encodes any text and decodes to the same text. The special tokens `<|bos|>`, `<|eos|>` and `<|pad|>` have the
    ids 0, 1 and 2; none is added on encoding.

    Args:
        texts: training texts; those past the first `SAMPLE_BYTES` bytes are not read.
        vocabulary: number of tokens, special ones and the 256 bytes included. A text too small for it gives fewer.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def save_tokenizer(tokenizer: "PreTrainedTokenizerBase", folder: str | Path) -> None:
    """Save `tokenizer` as a Hugging Face folder; `load_tokenizer` opens it, and so does `AutoTokenizer`."""
    with atomic_folder(folder) as part:
        tokenizer.save_pretrained(part)


def load_tokenizer(folder: str | Path) -> "PreTrainedTokenizerBase":
    """Open the tokenizer in `folder`, from its files alone: no download, no code from the folder.

    Raises:
        ConfigError: there is no such folder, it has no tokenizer, or the tokenizer cannot be opened.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; expected one with a Hugging Face tokenizer")
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise ConfigError(f"{folder}: holds no tokenizer (none of {', '.join(VOCABULARY_FILES)})")
    try:
        return _tokenizer_class(folder).from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the libraries raise many kinds, the Rust one bare exceptions
        raise ConfigError(f"{folder}: its tokenizer cannot be opened ({first_line(error)})") from error


def _tokenizer_class(folder: Path) -> "type[PreTrainedTokenizerFast] | type[AutoTokenizer]":
    """What opens a folder: the general class where its file names that and no model lies beside it, else AutoTokenizer.

    AutoTokenizer would come to the same class, but imports torch on the way, which takes two seconds.
    """
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() and not (folder / "config.json").exists() else {}
    if settings.get("tokenizer_class") == GENERAL_CLASS and "auto_map" not in settings:
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def encode_texts(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text as the study reads it: no special token is added, and none is read in the text."""
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        split_special_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return encoded["input_ids"]


def spell_tokens(path: str | Path, ids: Sequence[int]) -> list[str]:
    """The text of single tokens, one by one, special tokens included.

    A token may hold a part of a character. It is then spelled by its bytes, such as "\\xd8", where the vocabulary is of
    bytes, and else as the vocabulary has it.

    Args:
        path: the tokenizer's tokenizer.json.
        ids: token ids.

    Raises:
        ConfigError: there is no such file, or it holds no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare exceptions
        raise ConfigError(f"{path}: the tokenizer cannot be opened ({first_line(error)})") from error
    texts = [tokenizer.decode([token], skip_special_tokens=False) for token in ids]
    return [
        _spell_bytes(tokenizer.id_to_token(token) or f"<{token}>") if not text or UNKNOWN_CHARACTER in text else text
        for token, text in zip(ids, texts, strict=True)
    ]


def token_bytes(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> list[bytes]:
    """The bytes that tokens stand for; none for special tokens and for ids that the tokenizer does not know.

    Byte-level vocabularies (Radford et al. 2019) are read byte for byte. Of others, SentencePiece's U+2581 is a blank
    and its <0x0A> a byte (Kudo and Richardson 2018), and where the vocabulary is WordPiece, a token without the mark ##
    begins with a blank.
    """
    pieces = tokenizer.convert_ids_to_tokens([int(token) for token in ids])
    special = set(tokenizer.all_special_ids)
    vocabulary = tokenizer.get_vocab()
    if all(character in vocabulary for character in BYTE_LEVEL):
        values = {character: byte for byte, character in enumerate(BYTE_LEVEL)}

        def spell(piece: str) -> bytes:
            if all(character in values for character in piece):
                return bytes(values[character] for character in piece)
            return piece.encode("utf-8", "surrogateescape")  # an added token stands in the vocabulary as it is
    else:
        wordpiece = any(piece.startswith("##") for piece in vocabulary)

        def spell(piece: str) -> bytes:
            byte = re.fullmatch("<0x([0-9A-Fa-f]{2})>", piece)
            if byte:
                return bytes([int(byte[1], 16)])
            if wordpiece:
                piece = piece[2:] if piece.startswith("##") else f" {piece}"
            return piece.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode("utf-8", "surrogateescape")

    return [
        b"" if piece is None or int(token) in special else spell(piece)
        for token, piece in zip(ids, pieces, strict=True)
    ]


def _spell_bytes(piece: str) -> str:
    """A piece of a byte-level vocabulary as bytes; any other as it is."""
    if not set(piece) <= set(BYTE_LEVEL):
        return piece
    values = [BYTE_LEVEL.index(character) for character in piece]
    return "".join(chr(value) if 32 <= value < 127 else f"\\x{value:02x}" for value in values)


def _sample(texts: Iterable[str]) -> Iterator[str]:
    size = 0
    for text in texts:
        yield text
        size += len(text.encode())
        if size >= SAMPLE_BYTES:
            return
