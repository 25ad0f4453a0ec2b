"""Cards of features: everything in one place, shown and not obeyed."""

import re
import subprocess
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pypandoc
import pytest

from coact.interpretation.cards import Cards, Neighbours, Tables
from coact.interpretation.describe import describe_features
from coact.interpretation.gallery import choose_gallery
from coact.report.cards import card_block, plain_facts
from coact.spelling import show_piece, spell_alone, spell_together
from synthetic_cards import HOSTILE, meaning_tables, spell
from synthetic_features import make_text, write_shards

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def tables(tmp_path):
    text = make_text(3, contexts=20, vocabulary=8)
    found = describe_features(
        write_shards(text, tmp_path, [20]), text.stream, examples=5, quantiles=4, reach=3, tokens=6, seed=0
    )
    size = text.dense.shape[1]
    features = found.summary.assign(neuron=0, neuron_correlation=0.5)
    features["similar"], features["similar_cosines"] = [[1]] * size, [[0.25]] * size
    numbers = np.arange(size)
    edges = pd.DataFrame({"source": [0, 0, 1], "target": [1, 2, 2], "weight": [0.9, 0.2, 0.3], "count": [5, 6, 7]})
    edges = edges.assign(q=[0.5, 0.01, 0.2], lift=[1.0, 2.0, 3.0], significant=[False, True, False])
    return Tables(
        features,
        found.examples,
        found.tokens,
        pd.DataFrame({"feature": numbers, "degree": [2, 2, 2, 0, 0], "live": numbers < 4}),
        edges,
        pd.DataFrame({"feature": numbers, "community": [0, 0, 0, -1, -1]}),
        **meaning_tables(),
    )


class Reader(HTMLParser):
    """Collects tags and text."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_card_holds_the_tables_of_its_feature(tables):
    made = Cards(tables, spell)
    first, second = made.card(0), made.card(1)
    assert (first["feature"], first["degree"], first["community"], first["lens"]) == (0, 2, 0, None)
    assert (first["effects"], first["explanation"], first["contexts"], first["rules"]) == (None, None, [], [])
    assert (second["lens"]["kurtosis"], second["lens"]["top"][0]) == (3.5, {"text": HOSTILE[0].decode(), "logit": 2.0})
    assert [rule["text"] for rule in second["rules"]] == [HOSTILE[2].decode(), (HOSTILE[3] + HOSTILE[4]).decode()]
    assert (second["contexts"][0]["context"], second["steering"][0]["label"]) == ("dna", "dna")
    assert second["explanation"]["carried_by"] == "token"
    assert first["similar"] == [{"feature": 1, "cosine": 0.25}]
    assert sum(entry["count"] for entry in first["labels"]) == first["count"]
    assert [entry["mass"] for entry in first["tokens"]] == sorted((e["mass"] for e in first["tokens"]), reverse=True)
    for example in first["examples"]:
        assert example["activations"][example["place"]] == pytest.approx(example["activation"])
        assert len(example["pieces"]) == len(example["activations"])


def test_neighbours_are_the_significant_ones_first_then_by_weight(tables):
    found = Neighbours(tables.edges)
    assert [(entry["feature"], entry["significant"]) for entry in found.of(0)] == [(2, True), (1, False)]
    assert found.of(0)[0]["count"] == 6
    assert found.of(3) == []
    assert len(Neighbours(tables.edges, 1).of(0)) == 1


@pytest.mark.parametrize("feature", range(5))
def test_hostile_text_in_a_card_is_text(tables, feature):
    card = Cards(tables, spell).card(feature)
    block = card_block("<b>title</b> {{< meta x >}}", "feature-1", "explorer.html#feature=1", card, plain_facts(card))
    command = [pypandoc.get_pandoc_path(), "--from=markdown", "--to=html5", "--wrap=none"]
    page = subprocess.run(command, input=block, capture_output=True, text=True, check=True).stdout
    reader = Reader()
    reader.feed(page)
    assert {tag for tag, _ in reader.tags} <= {"section", "h4", "dl", "dt", "dd", "p", "ul", "li", "span", "bdi", "a"}
    assert all(set(attrs) <= {"class", "id", "title", "href"} for _, attrs in reader.tags)
    assert "<b>title</b> {{< meta x >}}" in reader.text
    assert "{{<" not in block
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
    assert "\x1b" not in page
    if card["dead"]:
        assert "It is dead" in reader.text
    else:
        assert max(len(word) for word in reader.text.split("x")) < 2000
        assert "x" * 41 not in page


def test_a_dead_feature_has_a_card_that_says_so(tables):
    card = Cards(tables, spell).card(4)
    assert card["dead"]
    assert card["examples"] == card["tokens"] == card["labels"] == []


def test_tokens_are_shaded_by_their_activation(tables):
    card = Cards(tables, spell).card(1)
    card["examples"] = [
        {"kind": "top", "activation": 4.0, "pieces": ["a", "b", "c"], "activations": [0.0, 4.0, 1.0], "place": 1}
    ]
    card["largest"] = 4.0
    block = card_block("t", "feature-1", "#", card, [])
    assert '<bdi>a<span class="a5 peak" title="4.00">b</span><span class="a2" title="1.00">c</span></bdi>' in block


def test_characters_of_several_tokens_belong_to_the_last_of_them():
    alef = "\N{HEBREW LETTER ALEF}".encode()
    assert spell_together([b"a", alef[:1], alef[1:] + b"b"]) == ["a", "", "\N{HEBREW LETTER ALEF}b"]
    assert spell_together([alef[1:], b"c"]) == ["\N{REPLACEMENT CHARACTER}", "c"]
    assert spell_together([b"c", alef[:1]]) == ["c", "\N{REPLACEMENT CHARACTER}"]
    assert spell_together([]) == []
    assert spell_alone(alef[:1], 7) == "\\xd7"
    assert spell_alone(b"", 7) == "<7>"


def test_a_piece_is_shown_on_one_line_and_cut():
    assert show_piece("a b\nc\td", 40) == "a b\N{RETURN SYMBOL}c\N{RIGHTWARDS ARROW TO BAR}d"
    assert show_piece("abc", 2) == "ab\N{HORIZONTAL ELLIPSIS}"
    assert unescape(re.sub("[^ -~]", "", show_piece("\x00", 5))) == "\\x00"


def test_the_gallery_takes_named_features_and_then_even_quantiles_of_frequency():
    features = pd.DataFrame({"feature": range(9), "count": [50, 10, 90, 3, 40, 20, 80, 70, 60]})
    rows = np.eye(9, dtype=np.float32)
    found = choose_gallery(features, rows, {"base64": 7, "dna": 7}, 2, 0.7, least=5)
    # With at least 5 active tokens, from the least frequent: 1 5 4 0 | 8 7 6 2; of each what is nearest its middle.
    assert found["feature"].tolist() == [7, 5, 6]
    assert found["reason"].tolist() == ["base64, dna", "frequency", "frequency"]
    assert found["quantile"].tolist()[1:] == [1 / 8, 6 / 8]
    assert np.isnan(found["quantile"][0])


def test_the_gallery_leaves_out_what_is_too_like_a_feature_it_has():
    features = pd.DataFrame({"feature": range(4), "count": [10, 20, 30, 40]})
    rows = np.array([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    assert choose_gallery(features, rows, {"x": 0}, 1, 0.7, 1)["feature"].tolist() == [0, 2]
    # The first part holds nothing else.
    assert choose_gallery(features, rows, {"x": 0}, 2, 0.7, 1)["feature"].tolist() == [0, 2]
    assert choose_gallery(features.iloc[:0], rows, {}, 3, 0.7, 1)["feature"].tolist() == []
