"""DNA sequences, base64, hexadecimal and UUIDs."""

import base64
import uuid
import zlib

import numpy as np

from coact.corpus.passages.draws import draw_length, fill, pick, pick_skewed, wrap
from coact.corpus.passages.web import make_words

# Motifs of genomes: TATA box, Kozak sequence, polyadenylation signal, telomere, restriction sites, CpG, Shine-Dalgarno.
MOTIFS = ("TATAAA", "GCCACCATGG", "AATAAA", "TTAGGG", "GAATTC", "GGATCC", "CGCGCG", "AGGAGG", "CACACA", "GAAGAA")


def make_dna(rng: np.random.Generator) -> str:
    """DNA: a sequence bare, wrapped, in groups of ten, as FASTA records, or as reads, one a line."""
    length = draw_length(rng)
    style = int(rng.integers(6))
    if style == 0:
        text = _draw_bases(rng, length)
    elif style == 1:
        text = wrap(_draw_bases(rng, length), pick(rng, (50, 60, 70, 80)))
    elif style == 2:
        text = wrap(wrap(_draw_bases(rng, length), 10, " "), 66)
    elif style == 3:
        text = fill(lambda: _draw_fasta(rng), "\n", length)
    elif style == 4:
        size = int(rng.integers(30, 150))
        text = fill(lambda: _draw_bases(rng, size), "\n", length)
    else:
        text = fill(lambda: _draw_bases(rng, 3 * int(rng.integers(5, 12))), pick(rng, (" ", ", ", "\n")), length)
    return text.lower() if rng.random() < 0.25 else text


def make_base64(rng: np.random.Generator) -> str:
    """Base64 of random bytes, of text, or of compressed text: wrapped, bare, URL-safe, as PEM or as tokens."""
    length = draw_length(rng)
    style = int(rng.integers(6))
    if style == 0:
        return wrap(_encode(rng, length), pick(rng, (64, 76)))
    if style == 1:
        return _encode(rng, length)
    if style == 2:
        body = wrap(_encode(rng, max(length, 1000)), 64)
        kind = pick(rng, ("CERTIFICATE", "PUBLIC KEY"))
        return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"
    if style == 3:
        return f"data:image/{pick(rng, ('png', 'gif', 'jpeg'))};base64,{_encode(rng, max(length, 500))}"
    if style == 4:
        translate = str.maketrans("+/", "-_", "=")
        sizes = (36, int(rng.integers(60, 200)), 43)
        return fill(lambda: ".".join(_encode(rng, size).translate(translate) for size in sizes), "\n", length)
    size = int(rng.integers(16, 60))
    return fill(lambda: _encode(rng, size), pick(rng, ("\n", " ", ", ")), length)


def make_hexadecimal(rng: np.random.Generator) -> str:
    """Hexadecimal: dumps, digests, arrays of bytes, escapes, colours, hardware addresses, a bare string."""
    length = draw_length(rng)
    style = int(rng.integers(8))
    if style == 0:
        text = _draw_dump(rng, length)
    elif style == 1:
        size = pick(rng, (16, 20, 32))
        text = fill(lambda: rng.bytes(size).hex(), "\n", length)
    elif style == 2:
        text = fill(lambda: f"0x{rng.bytes(1).hex()}", ", ", length)
    elif style == 3:
        size = pick(rng, (2, 4, 8))
        text = fill(lambda: f"0x{rng.bytes(size).hex()}", pick(rng, (" ", ", ", "\n")), length)
    elif style == 4:
        text = wrap(rng.bytes(length // 2).hex(" "), 48)
    elif style == 5:
        text = fill(lambda: f"#{rng.bytes(3).hex()}", pick(rng, (", ", " ", "\n")), length)
    elif style == 6:
        text = fill(lambda: rng.bytes(6).hex(":"), "\n", length)
    else:
        text = rng.bytes(length // 2).hex()
    return text.upper().replace("0X", "0x") if rng.random() < 0.3 else text


def make_uuids(rng: np.random.Generator) -> str:
    """Random (version 4) UUIDs: bare, in braces, as URNs or in quotes, between separators."""
    prefix, suffix = pick(rng, (("", ""), ("", ""), ("{", "}"), ("urn:uuid:", ""), ('"', '"')))
    upper = rng.random() < 0.2

    def make() -> str:
        text = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        return f"{prefix}{text.upper() if upper else text}{suffix}"

    return fill(make, pick(rng, ("\n", "\n", ", ", " ", ",\n")), draw_length(rng))


def _draw_bases(rng: np.random.Generator, length: int) -> str:
    """`length` bases of a drawn GC content, with motifs and short tandem repeats among them."""
    gc = rng.uniform(0.3, 0.65)
    bases = "".join(rng.choice(list("ACGT"), length, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))
    for _ in range(length // 60):
        start = int(rng.integers(length))
        unit = pick(rng, MOTIFS) if rng.random() < 0.6 else bases[start : start + int(rng.integers(1, 4))]
        insert = unit * int(rng.integers(1, 4 if len(unit) > 3 else 12))
        bases = bases[:start] + insert + bases[start + len(insert) :]
    return bases[:length]


def _draw_fasta(rng: np.random.Generator) -> str:
    header = f">{pick(rng, ('seq', 'contig', 'chr', 'read'))}{rng.integers(1, 10_000)}"
    return f"{header}\n{wrap(_draw_bases(rng, int(rng.integers(200, 700))), pick(rng, (60, 70, 80)))}"


def _encode(rng: np.random.Generator, length: int) -> str:
    """About `length` characters of base64."""
    size = max(length * 3 // 4, 1)
    kind = rng.random()
    if kind < 0.5:
        data = rng.bytes(size)
    elif kind < 0.8:
        data = make_words(rng, size + 12).encode()[:size]
    else:
        data = zlib.compress(make_words(rng, 3 * size).encode())[:size]
    return base64.b64encode(data).decode()


def _draw_dump(rng: np.random.Generator, length: int) -> str:
    """A dump of memory: offset, then 16 bytes a line; runs of zeros as in real files."""
    size = length * 16 // 50 + 16
    data = np.frombuffer(rng.bytes(size), np.uint8) * (rng.random(size) < rng.uniform(0.6, 1.0))
    start = int(rng.integers(1 << 20)) * 16
    rows = [data[offset : offset + 16].astype(np.uint8).tobytes() for offset in range(0, size, 16)]
    group = pick_skewed(rng, (1, 2, 4))
    return "\n".join(f"{start + 16 * index:08x}: {row.hex(' ', group)}" for index, row in enumerate(rows))
