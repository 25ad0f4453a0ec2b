"""The explorer's data: graphs, records, files and the page that holds the index."""

import base64
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from coact.explorer.files import as_script, contents, write_column
from coact.explorer.neighbourhoods import Neighbourhoods
from coact.explorer.page import make_page
from coact.explorer.records import line, record, short
from coact.interpretation.cards import Cards
from conftest import ROOT
from synthetic_cards import HOSTILE, make_tables, spell

PAGE = ROOT / "report" / "explorer"
FEATURES = 9


@pytest.fixture(scope="module")
def tables():
    return make_tables(FEATURES)


@pytest.fixture(scope="module")
def graphs(tables):
    return graphs_of(tables)


def graphs_of(tables, neighbours=3, members=4, most_edges=4):
    return Neighbourhoods(tables.edges, tables.communities["community"].to_numpy(), neighbours, members, most_edges)


def edge_between(edges, a, b):
    return edges[(edges["source"] == min(a, b)) & (edges["target"] == max(a, b))].iloc[0]


def test_the_graph_around_a_feature_has_its_neighbours_and_the_edges_among_them(tables, graphs):
    found = graphs.around(3)
    nodes = [node[0] for node in found["nodes"]]
    linked = tables.edges[(tables.edges["source"] == 3) | (tables.edges["target"] == 3)]
    best = linked.sort_values(["significant", "weight"], ascending=False).head(3)
    assert nodes == [3, *(best["source"] + best["target"] - 3)]
    for a, b, weight, count, q, lift, significant in found["edges"]:
        edge = edge_between(tables.edges, nodes[a], nodes[b])
        assert (weight, count, q, lift, significant) == tuple(edge[["weight", "count", "q", "lift", "significant"]])
    assert sum(0 in edge[:2] for edge in found["edges"]) == 3
    assert len(found["edges"]) <= 4


def test_edges_of_the_feature_itself_are_drawn_however_few_may_be(tables):
    found = graphs_of(tables, neighbours=4, most_edges=1).around(3)
    assert len(found["edges"]) == len(found["nodes"]) - 1
    assert all(0 in edge[:2] for edge in found["edges"])


def test_a_community_is_its_strongest_members(tables, graphs):
    strength = np.zeros(FEATURES)
    for end in ("source", "target"):
        np.add.at(strength, tables.edges[end], tables.edges["weight"])
    members = np.flatnonzero(tables.communities["community"] == 0)
    found = [node[0] for node in graphs.within(0)["nodes"]]
    assert found == sorted(members, key=lambda feature: -strength[feature])[:4]
    assert graphs.communities == [4, 4]


def test_nodes_have_places_of_their_own_alike_on_every_run(tables, graphs):
    places = np.array([node[1:] for node in graphs.around(4)["nodes"]])
    assert np.abs(places).max() == 1
    assert len(np.unique(places, axis=0)) == len(places)
    assert graphs_of(tables).around(4) == graphs.around(4)


def test_a_feature_without_edges_stands_alone(graphs):
    assert graphs.around(FEATURES - 1) == {"nodes": [[FEATURES - 1, 0.0, 0.0]], "edges": []}


def test_a_graph_without_edges_has_no_communities(tables):
    empty = Neighbourhoods(tables.edges.iloc[:0], np.full(3, -1), 2, 2, 2)
    assert (empty.communities, len(empty.around(1)["nodes"])) == ([], 1)


def test_numbers_are_short_and_plain():
    value = {"a": np.array([1.0, np.nan, 0.123456]), "b": np.int64(3), "c": (True, None, "0.123456")}
    assert short(value) == {"a": [1, None, 0.1235], "b": 3, "c": [True, None, "0.123456"]}


def test_a_record_spells_out_what_is_not_to_act(tables, graphs):
    cards = Cards(tables, spell)
    text = json.dumps([record(cards.card(feature), graphs.around(feature)) for feature in range(FEATURES)])
    assert "\\u202e" not in text.replace("\\\\u202e", "")  # the override itself; its name is shown
    assert "\\u001b" not in text
    assert "x" * 41 not in text


def test_the_line_of_a_dead_feature_is_empty(tables):
    found = line(Cards(tables, spell).card(FEATURES - 1))
    assert (found["count"], found["tokens"], found["label"], found["kurtosis"]) == (0, "", "", None)


def test_a_column_is_written_and_read_again(tables, graphs, tmp_path):
    write_column(tmp_path, "main/topk", Cards(tables, spell), graphs, FEATURES, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "community-00000.js",
        "community-00001.js",
        "features-00000.js",
        "features-00001.js",
        "features-00002.js",
        "index.json",
    ]
    (index,) = contents([tmp_path])
    assert (index["features"], index["per_file"], index["communities"]) == (FEATURES, 4, [4, 4])
    assert {len(values) for values in index["lines"].values()} == {FEATURES}
    call = (tmp_path / "features-00001.js").read_text()
    key, records = re.fullmatch(r"explorer\.receive\((\"[^\"]*\"),(.*)\);\n", call, re.DOTALL).groups()
    assert json.loads(key) == "main/topk/features-00001"
    assert [found["feature"] for found in json.loads(records)] == [4, 5, 6, 7]


def test_a_script_holds_no_markup():
    text = as_script({"a": "</script><!--&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"})
    assert not re.search("[<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}]", text)
    assert json.loads(text) == {"a": "</script><!--&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"}


def test_the_page_allows_its_own_scripts_and_no_others():
    page = make_page(PAGE, "<script>t</script>%%", [], 0)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 3
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)[1]
    assert re.findall("'sha256-([^']+)'", policy) == digests
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "http" not in policy
    assert "&lt;script&gt;t&lt;/script&gt;%%" in page


def test_a_dictionary_of_one_feature_has_a_page(tmp_path):
    tables = make_tables(2)
    one = pd.DataFrame({"feature": [0], "community": [-1]})
    graphs = Neighbourhoods(tables.edges.iloc[:0], one["community"].to_numpy(), 2, 2, 2)
    write_column(tmp_path, "main/one", Cards(tables, spell), graphs, 1, 32)
    (index,) = contents([tmp_path])
    assert index["communities"] == []
    assert len(index["lines"]["tokens"]) == 1


def test_hostile_texts_are_those_that_the_cards_are_tested_with():
    assert any(b"<script>" in text for text in HOSTILE)
    assert any(len(text) == 10_000 for text in HOSTILE)
