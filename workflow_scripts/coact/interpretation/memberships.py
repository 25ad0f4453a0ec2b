"""Which tokens belong to which context.

In: the token stream, and the tokenizer that made it. Out: named contexts, each with the tokens that belong to it.

Contexts are of three kinds. Labels are those of the stream, so every position has one. Proxies are found in the text
of any corpus: scripts by the Unicode property Script (UAX #24, by way of the package `regex`), and patterns such as
DNA or URLs by regular expressions; they may overlap. `proxy_agreement` says how far proxies and labels agree. For
proxies, the tokens of every document are joined as bytes, contexts over, so that a character of several tokens and a
match of many are whole, and a token belongs to a context where matches hold at least half of its bytes. Matches that
stand at most `GAP` characters apart are joined where no letter and no digit is between them, so that blanks and commas
of a list belong to it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import regex

from coact.artefacts import open_tensors, write_tensors
from coact.corpus.tokenizer import token_bytes
from coact.corpus.tokens import TokenStream
from coact.errors import ArtefactError, ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LABEL, SCRIPT, PATTERN = "label", "script", "pattern"
KINDS = (LABEL, SCRIPT, PATTERN)
GAP = 3  # characters
BORDER = 0  # the byte between documents; no script and no pattern has it
SCRIPTS = {
    **{name: rf"\p{{Script={name}}}+" for name in ("Arabic", "Hebrew", "Cyrillic", "Greek", "Armenian", "Georgian")},
    **{name: rf"\p{{Script={name}}}+" for name in ("Devanagari", "Bengali", "Tamil", "Thai", "Hangul", "Han")},
    "Kana": r"[\p{Script=Hiragana}\p{Script=Katakana}]+",
}
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?"
# Runs are possessive or bounded: text may be hostile, and a search must not go back over long runs again and again.
PATTERNS = {
    "DNA": r"(?<![A-Za-z])(?:[ACGT]{8,}+|[acgt]{8,}+)(?![A-Za-z])",
    "base64": r"(?<![\w+/])[\w+/-]{16,}+={0,2}",
    "hexadecimal": r"\b0x[0-9A-Fa-f]++\b|\#[0-9A-Fa-f]{6}\b"
    r"|(?<![\w-])(?:(?:[0-9A-Fa-f]{2}[ :]){3,}[0-9A-Fa-f]{2}|[0-9a-f]{8,}+|[0-9A-F]{8,}+)(?![\w-])",
    "UUIDs": r"(?:urn:uuid:)?\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b",
    "URLs": r"\b(?:https?|ftp)://[^\s<>\"'`\x00]++",
    "emails": r"(?:mailto:)?(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+)++",
    "dates": rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}|\d{{1,2}}[ /]{MONTH}[ /]\d{{4}}"
    rf"|{MONTH} \d{{1,2}}(?:, \d{{4}})?)(?:[T :,]{{1,2}}{CLOCK}Z?)?|\b{CLOCK}\b",
    "numbers": r"(?<![\w.])[-+$]?\d[\d,]*+(?:\.\d++)?(?:[eE][-+]?\d++)?%?(?!\w)",
}
CHANGES = 0.4  # of neighbouring characters, between kinds, from which a run is of base64
PROXIES = {
    "arabic": "Arabic script",
    "hebrew": "Hebrew script",
    "cyrillic": "Cyrillic script",
    "greek": "Greek script",
    "chinese": "Han script",
    "korean": "Hangul script",
    "dna": "DNA pattern",
    "base64": "base64 pattern",
    "hexadecimal": "hexadecimal pattern",
    "numbers": "numbers pattern",
    "dates": "dates pattern",
    "urls": "URLs pattern",
    "emails": "emails pattern",
    "uuids": "UUIDs pattern",
}


@dataclass(frozen=True)
class Memberships:
    """Contexts, and the tokens that belong to them.

    Attributes:
        names: of the contexts: labels by their name, proxies as "Arabic script" or "DNA pattern".
        kinds: of the contexts, as in `KINDS`.
        marks: (contexts, tokens) bool.
        counted: (tokens,) bool, False at special positions, which belong to no context and are outside of none.
    """

    names: list[str]
    kinds: list[str]
    marks: np.ndarray
    counted: np.ndarray

    def without(self, names: Sequence[str]) -> "Memberships":
        """All contexts but those of these names."""
        places = [place for place, name in enumerate(self.names) if name not in set(names)]
        kept = [self.names[place] for place in places], [self.kinds[place] for place in places]
        return Memberships(*kept, self.marks[places], self.counted)

    def by_token(self) -> tuple[np.ndarray, np.ndarray]:
        """Compressed sparse rows: (tokens + 1,) int64 bounds, and the contexts of every token in turn, int32."""
        tokens, contexts = np.nonzero(self.marks.T)
        sizes = np.bincount(tokens, minlength=self.marks.shape[1])
        return np.concatenate([[0], np.cumsum(sizes)]), contexts.astype(np.int32)


def mark_contexts(
    stream: TokenStream,
    tokenizer: "PreTrainedTokenizerBase | None",
    n_tokens: int,
    kinds: Sequence[str] = KINDS,
) -> Memberships:
    """The contexts of the first tokens of a stream, the kinds in the order of `KINDS`.

    All contexts of a kind are there, those without a token too, so that two streams give the same list.

    Args:
        stream: its labels are the same list for both splits.
        tokenizer: the one that made the stream; None where `kinds` are labels alone.
        n_tokens: number of tokens, special positions included.
        kinds: which of "label", "script" and "pattern".
    Raises:
        ConfigError: an unknown kind, or the stream is shorter.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ConfigError(f"kinds of contexts: {unknown[0]!r} found; expected some of {', '.join(KINDS)}")
    if n_tokens > stream.tokens.size:
        raise ConfigError(
            f"tokens to mark: {n_tokens:,} found; the stream has {stream.tokens.size:,}, expected no more"
        )
    labels, documents, tokens = (
        np.asarray(part).reshape(-1)[:n_tokens] for part in (stream.labels, stream.documents, stream.tokens)
    )
    names, found, marks = [], [], []
    if LABEL in kinds:
        names += stream.label_names
        found += [LABEL] * len(stream.label_names)
        marks.append(labels == np.arange(len(stream.label_names))[:, None])
    if SCRIPT in kinds or PATTERN in kinds:
        text = _join(tokens, documents, labels >= 0, tokenizer)
        for kind, proxies in ((SCRIPT, SCRIPTS), (PATTERN, PATTERNS)):
            if kind in kinds:
                names += [f"{name} {kind}" for name in proxies]
                found += [kind] * len(proxies)
                marks.append(np.stack([text.mark(_spans(name, text.text)) for name in proxies]))
    return Memberships(names, found, np.concatenate([np.zeros((0, n_tokens), bool), *marks]), labels >= 0)


def mark_splits(
    train: TokenStream,
    heldout: TokenStream,
    tokenizer: "PreTrainedTokenizerBase | None",
    train_tokens: int,
    heldout_tokens: int,
    kinds: Sequence[str] = KINDS,
) -> tuple[Memberships, Memberships]:
    """The contexts of both splits' first tokens, without proxies that training tokens do not have.

    Args: those of `mark_contexts`.
    Raises:
        ConfigError: those of `mark_contexts`, or no context is left.
    """
    found = mark_contexts(train, tokenizer, train_tokens, kinds)
    other = mark_contexts(heldout, tokenizer, heldout_tokens, kinds)
    used = found.marks.any(axis=1)
    absent = [name for name, kind, use in zip(found.names, found.kinds, used, strict=True) if kind != LABEL and not use]
    if len(absent) == len(found.names):
        raise ConfigError(
            f"kinds of contexts: {', '.join(kinds) or 'none'} found, of which training text has none; add {LABEL}"
        )
    return found.without(absent), other.without(absent)


def save_memberships(train: Memberships, heldout: Memberships, path: str | Path, stamp: dict[str, Any]) -> None:
    """Write the contexts of both splits, of the same names, as safetensors: marks and counted of each, bool."""
    splits = {"train": train, "heldout": heldout}
    arrays = {
        f"{split}_{name}": getattr(found, name) for split, found in splits.items() for name in ("marks", "counted")
    }
    write_tensors(arrays, path, stamp, {"names": json.dumps(train.names), "kinds": json.dumps(train.kinds)})


def open_memberships(path: str | Path) -> tuple[Memberships, Memberships]:
    """The contexts of the training and the held-out split, from a file of `save_memberships`.

    Raises:
        ArtefactError: the file is missing, altered, or holds no contexts.
    """
    file = open_tensors(path)
    if "train_marks" not in file:
        raise ArtefactError(f"{path}: holds no contexts (it holds {', '.join(sorted(file))})")
    names, kinds = (json.loads(file.metadata[key]) for key in ("names", "kinds"))
    return tuple(
        Memberships(names, kinds, np.array(file[f"{split}_marks"]), np.array(file[f"{split}_counted"]))
        for split in ("train", "heldout")
    )


def shown_contexts(table: pd.DataFrame, ordinary: Sequence[str]) -> list[str]:
    """The contexts that figures and sentences are about, in the order of the table.

    The labels, where one of them is not ordinary text of the corpus; else the proxies that training text has.
    """
    contexts = table.drop_duplicates("context")
    labels = contexts.loc[contexts["kind"] == LABEL, "context"]
    if set(labels) - set(ordinary):
        return list(labels)
    return list(contexts.loc[(contexts["kind"] != LABEL) & (contexts["tokens_train"] > 0), "context"])


def proxy_agreement(memberships: Memberships) -> pd.DataFrame:
    """How well proxies find the tokens of the labels that mean the same.

    Returns:
        A row per label that has a proxy (`PROXIES`), in the order of the contexts: label and proxy (text), labelled,
        found and both (int64 tokens), precision (both / found) and recall (both / labelled), float64, NaN over 0.
    """
    places = {name: place for place, name in enumerate(memberships.names)}
    rows = []
    for label, proxy in PROXIES.items():
        if label in places and proxy in places:
            one, other = (memberships.marks[places[name]] for name in (label, proxy))
            rows.append((label, proxy, int(one.sum()), int(other.sum()), int((one & other).sum())))
    table = pd.DataFrame(rows, columns=["label", "proxy", "labelled", "found", "both"])
    table = table.astype(dict.fromkeys(("labelled", "found", "both"), np.int64))
    both = table["both"].astype(float)
    table["precision"] = both / table["found"].where(table["found"] > 0)
    table["recall"] = both / table["labelled"].where(table["labelled"] > 0)
    return table


@dataclass(frozen=True)
class _Text:
    """The text of a stream.

    Attributes:
        text: documents with `BORDER` between them; bytes that are no character are lone surrogates.
        starts: (characters + 1,) int64, first byte of every character.
        first, stop: (tokens,) int64, bytes of every token; none at special positions.
    """

    text: str
    starts: np.ndarray
    first: np.ndarray
    stop: np.ndarray

    def mark(self, spans: Iterator[tuple[int, int]]) -> np.ndarray:
        """(tokens,) bool, tokens of which spans of characters hold at least half the bytes."""
        ends = np.fromiter((end for span in spans for end in span), np.int64).reshape(-1, 2)
        steps = np.zeros(self.starts[-1] + 1, np.int64)
        np.add.at(steps, self.starts[ends[:, 0]], 1)
        np.add.at(steps, self.starts[ends[:, 1]], -1)
        inside = np.concatenate([[0], np.cumsum(np.cumsum(steps[:-1]) > 0)])
        size = self.stop - self.first
        return (size > 0) & (2 * (inside[self.stop] - inside[self.first]) >= size)


def _join(
    tokens: np.ndarray, documents: np.ndarray, counted: np.ndarray, tokenizer: "PreTrainedTokenizerBase"
) -> _Text:
    """The documents' tokens as one text, special positions left out."""
    ids, place = np.unique(tokens[counted], return_inverse=True)
    pieces = token_bytes(tokenizer, ids)
    vocabulary = np.frombuffer(b"".join(pieces), np.uint8)
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    sources, sizes = (np.cumsum(lengths) - lengths)[place], lengths[place]
    inside = documents[counted]
    borders = np.cumsum(np.concatenate([[0], inside[1:] != inside[:-1]])) if len(inside) else np.zeros(0, np.int64)
    before = np.cumsum(sizes) - sizes
    data = np.full(int(sizes.sum() + borders.max(initial=0)), BORDER, np.uint8)
    within = np.arange(sizes.sum()) - np.repeat(before, sizes)
    data[np.repeat(before + borders, sizes) + within] = vocabulary[np.repeat(sources, sizes) + within]
    text = data.tobytes().decode("utf-8", "surrogateescape")
    first, stop = np.zeros((2, len(tokens)), np.int64)
    first[counted], stop[counted] = before + borders, before + borders + sizes
    return _Text(text, _character_starts(text), first, stop)


def _character_starts(text: str) -> np.ndarray:
    """(characters + 1,) int64, the byte at which every character of UTF-8 starts; an escaped byte is one."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    sizes = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    sizes[(points >= 0xDC80) & (points <= 0xDCFF)] = 1
    return np.concatenate([[0], np.cumsum(sizes)])


def _spans(name: str, text: str) -> Iterator[tuple[int, int]]:
    """Matches of a proxy in a text, (first, stop) characters, those that stand close together joined."""
    last: tuple[int, int] | None = None
    for match in regex.finditer({**SCRIPTS, **PATTERNS}[name], text):
        if name in CHECKS and not CHECKS[name](match[0]):
            continue
        first, stop = match.span()
        if last and first - last[1] <= GAP and _is_blank(text[last[1] : first]):
            last = (last[0], stop)
        else:
            if last:
                yield last
            last = (first, stop)
    if last:
        yield last


def _is_blank(gap: str) -> bool:
    return not any(character.isalnum() or character == chr(BORDER) for character in gap)


def _is_mixed(run: str) -> bool:
    """Whether a run changes between upper case, lower case and others as often as base64 does and words do not."""
    kinds = np.array([1 if character.isupper() else 2 if character.islower() else 3 for character in run])
    return len(set(kinds)) == 3 and np.count_nonzero(np.diff(kinds)) >= CHANGES * (len(kinds) - 1)


def _has_digit_and_letter(run: str) -> bool:
    """Decimal numbers are of hexadecimal digits too, and so are a few words."""
    return any(character.isdigit() for character in run) and any(character.isalpha() for character in run)


CHECKS = {"base64": _is_mixed, "hexadecimal": _has_digit_and_letter}  # of a whole match
