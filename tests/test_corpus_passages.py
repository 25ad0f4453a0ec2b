"""Probe passages: pure, varied, and the same for the same seed."""

import base64
import datetime
import re
import unicodedata
import uuid
from pathlib import Path

import numpy as np
import pytest
import yaml

from coact.corpus.passages import GENERATORS, scripts
from coact.corpus.passages.draws import LONGEST, SHORTEST

PASSAGES = 60
SCHEMA = Path(__file__).parents[1] / "rules" / "config.schema.yaml"


def make(context, seed=0, number=PASSAGES):
    return [GENERATORS[context](np.random.default_rng((seed, index))) for index in range(number)]


def test_contexts_are_those_of_the_schema():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    contexts = schema["$defs"]["source_probes"]["properties"]["contexts"]
    assert set(contexts["items"]["enum"]) == set(contexts["default"]) == set(GENERATORS)


@pytest.mark.parametrize("context", GENERATORS)
def test_passages_are_repeatable_and_differ(context):
    passages = make(context)
    assert passages == make(context)
    assert len(set(passages) | set(make(context, seed=1))) == 2 * PASSAGES
    lengths = [len(passage) for passage in passages]
    assert 0.8 * SHORTEST < min(lengths) < 200 < 500 < max(lengths) < 2 * LONGEST


@pytest.mark.parametrize("language", scripts.SCRIPTS)
def test_letters_are_of_the_script(language):
    generator = scripts.make_generator((language,))
    text = "".join(generator(np.random.default_rng((0, index))) for index in range(PASSAGES))
    letters = [character for character in text if character.isalpha()]
    own = sum(unicodedata.name(letter).startswith(scripts.SCRIPTS[language]) for letter in letters)
    assert own / len(letters) > 0.99
    assert len(letters) / len(text) > 0.5
    assert sum(character.isdigit() for character in text) / len(text) < 0.15


def test_dna_is_bases():
    for passage in make("dna"):
        bases = re.sub(r">\w+\n|[\s,]", "", passage)
        assert set(bases.upper()) == set("ACGT")
        assert len(bases) > 0.85 * len(passage)


def test_base64_decodes():
    for passage in make("base64"):
        body = re.sub(r"-----[A-Z ]+-----|data:image/\w+;base64,", "", passage)
        pieces = re.split(r"[ ,.\n]+", body) if re.search(r"[ ,.]", body) or "=\n" in body else [body.replace("\n", "")]
        for piece in filter(None, pieces):
            plain = piece.translate(str.maketrans("-_", "+/")).rstrip("=")
            if len(plain) % 4 != 1:  # 1 would be half a byte: lines of a wrapped text cut elsewhere
                base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        assert len(body) > 0.94 * len(passage)


def test_hexadecimal_is_hexadecimal():
    for passage in make("hexadecimal"):
        assert re.fullmatch(r"[0-9a-fA-Fx:#,\s]+", passage), passage


def test_uuids_parse():
    for passage in make("uuids"):
        found = re.findall(r"[0-9a-fA-F-]{36}", passage)
        assert found
        assert {uuid.UUID(text).version for text in found} == {4}
        assert not re.sub(r'[0-9a-fA-F-]{36}|urn:uuid:|[{}",\s]', "", passage)


def test_numbers_are_numbers():
    for passage in make("numbers"):
        assert re.fullmatch(r"[0-9e+\-.,%$/|&;\[\]\s]+", passage), passage
        assert re.search(r"\d", passage)


def test_dates_are_dates():
    names = [datetime.date(2001, month, 1).strftime("%B") for month in range(1, 13)]
    names += [datetime.date(2001, 1, day).strftime("%A") for day in range(1, 8)]
    words = {*names, *(name[:3] for name in names), "to", "T", "Z"}
    for passage in make("dates"):
        assert set(re.findall(r"[A-Za-z]+", passage)) <= words, passage


def test_urls_and_emails_have_their_form():
    for passage in make("urls"):
        for part in re.split(r"[\s,]+(?:- )?", passage):
            assert re.fullmatch(r"https?://[a-z0-9.-]+\.[a-z]+/[\w./?=&#-]*", part), part
    for passage in make("emails"):
        for part in re.split(r"[\s,;]+", passage):
            assert re.fullmatch(r"(mailto:|<)?[\w.-]+@[a-z-]+(\.[a-z]+)+>?", part), part
