"""Statistics of a graph under resampling of documents, against graphs counted anew from the documents drawn."""

import json

import numpy as np
import pandas as pd
import pytest

from coact.graph import resampling
from coact.graph.pairs import edges_of_sets
from coact.graph.resampling import RANGES, count_documents, document_intervals
from coact.graph.sets import TokenSets
from coact.graph.statistics import describe_scope

OPTIONS = {"samples": 40, "confidence": 0.9, "seed": 3}
FEATURES = 40


def sets_of(rows):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return TokenSets(indptr, np.array([feature for row in rows for feature in sorted(row)], np.int32))


def make_text(documents=12, tokens=15, seed=0, features=FEATURES):
    """Sets whose features depend on their document, and the documents, special positions among them."""
    generator = np.random.default_rng(seed)
    base, topics = 1 / (1 + np.arange(features)), generator.gamma(0.4, 1, (4, features))
    rows, owners = [], []
    for document in range(documents):
        weight = base * topics[generator.integers(4)] + 1e-9
        for place in range(tokens):
            size = 1 if place == 0 else generator.integers(0, 5)
            rows.append(generator.choice(features, size, replace=False, p=weight / weight.sum()).tolist())
            owners.append(-1 if place == 0 else 7 * document)
    return rows, np.array(owners)


def make_nodes(rows, live=None):
    count = np.bincount([feature for row in rows for feature in row], minlength=FEATURES)
    frequency = (count + 1) / (len(rows) + 1)
    heldout = np.random.default_rng(9).permutation(frequency)
    alive = np.ones(FEATURES, bool) if live is None else live
    return pd.DataFrame({"frequency": frequency, "frequency_heldout": heldout, "live": alive})


def described(rows, nodes):
    """The statistics of the graph of `rows`, by the functions that describe observed graphs."""
    edges = edges_of_sets(sets_of(rows))
    source, target = edges["source"].to_numpy(), edges["target"].to_numpy()
    live = nodes["live"].to_numpy()
    inside, place = live[source] & live[target], np.cumsum(live) - 1
    scopes = {"all": (nodes, source, target), "live": (nodes[live], place[source[inside]], place[target[inside]])}
    found = {scope: describe_scope(*part, bootstrap=10, confidence=0.9, seed=0) for scope, part in scopes.items()}
    values = {scope: {name: figures[name] for name in RANGES} for scope, figures in found.items()}
    return {
        scope: {name: value["value"] if isinstance(value, dict) else value for name, value in figures.items()}
        for scope, figures in values.items()
    }


@pytest.mark.parametrize("some_live", [False, True])
def test_intervals_are_those_of_graphs_counted_anew(some_live, monkeypatch):
    monkeypatch.setattr(resampling, "PAIRS_AT_ONCE", 50)
    rows, documents = make_text()
    nodes = make_nodes(rows, np.arange(FEATURES) % 3 > 0 if some_live else None)
    found = document_intervals(nodes, edges_of_sets(sets_of(rows)), sets_of(rows), documents, **OPTIONS)
    observed, distinct = described(rows, nodes), np.unique(documents[documents >= 0])
    generator, samples = np.random.default_rng(OPTIONS["seed"]), []
    for _ in range(OPTIONS["samples"]):
        drawn = distinct[generator.integers(0, len(distinct), len(distinct))]
        kept = (documents < 0) | np.isin(documents, drawn)
        samples.append(described([row if keep else [] for row, keep in zip(rows, kept, strict=True)], nodes))
    for scope, figures in observed.items():
        for name, value in figures.items():
            values = np.array([sample[scope][name] for sample in samples])
            low, high = value + np.quantile(values - values.mean(), [0.05, 0.95])
            expected = {"low": low, "high": high, "sd": values.std(ddof=1), "samples": len(values)}
            assert found[scope][name] == pytest.approx(expected), (scope, name)
    assert found["live"]["edges"] != found["all"]["edges"] or not some_live


def test_the_same_seed_gives_the_same_and_another_one_others():
    rows, documents = make_text()
    inputs = make_nodes(rows), edges_of_sets(sets_of(rows)), sets_of(rows), documents
    first = document_intervals(*inputs, **OPTIONS)
    assert json.dumps(first, allow_nan=False) == json.dumps(document_intervals(*inputs, **OPTIONS))
    assert first["all"]["edges"] != document_intervals(*inputs, **{**OPTIONS, "seed": 4})["all"]["edges"]


def test_documents_that_are_alike_leave_nothing_to_vary():
    rows = [[0, 1], [1, 2, 3], [0, 3]] * 5
    found = document_intervals(
        make_nodes(rows), edges_of_sets(sets_of(rows)), sets_of(rows), np.repeat(np.arange(5), 3), **OPTIONS
    )
    assert found["all"]["edges"] == {"low": 5.0, "high": 5.0, "sd": 0.0, "samples": 40}
    assert found["live"]["pearson"]["low"] == pytest.approx(found["live"]["pearson"]["high"])


def test_special_positions_are_in_every_sample():
    # The edge 0-1 is held by a special position and by one document of two, 2-3 by the other document alone.
    rows, documents = [[0, 1], [0, 1], [2, 3]], np.array([-1, 4, 9])
    nodes = make_nodes(rows)
    found = document_intervals(nodes, edges_of_sets(sets_of(rows)), sets_of(rows), documents, **OPTIONS)
    assert found["all"]["edges"]["low"] >= 1
    without = document_intervals(nodes, edges_of_sets(sets_of(rows)), sets_of(rows), np.array([4, 4, 9]), **OPTIONS)
    assert without["all"]["edges"]["sd"] >= found["all"]["edges"]["sd"]


def test_intervals_stay_within_what_is_possible():
    rows, documents = [[0, 1]] * 4 + [[feature, feature + 1] for feature in range(2, 30)], np.array([0] * 4 + [1] * 28)
    found = document_intervals(
        make_nodes(rows), edges_of_sets(sets_of(rows)), sets_of(rows), documents, **{**OPTIONS, "confidence": 0.999}
    )
    for scope in found.values():
        for name, interval in scope.items():
            if interval:
                least, largest = RANGES[name]
                assert least <= interval["low"] <= interval["high"] <= largest, name


@pytest.mark.parametrize(
    ("rows", "documents", "samples"),
    [
        ([[0, 1], [1, 2]], [3, 3], 40),  # one document
        ([[0, 1], [1, 2]], [-1, -1], 40),  # special positions alone
        ([[0, 1], [1, 2]], [3, 4], 0),  # no samples wanted
        ([], [], 40),  # no token
    ],
)
def test_where_documents_cannot_be_drawn_nothing_is_defined(rows, documents, samples):
    sets = sets_of(rows)
    found = document_intervals(
        make_nodes(rows), edges_of_sets(sets), sets, np.array(documents, int), samples=samples, confidence=0.9, seed=0
    )
    assert found == {scope: dict.fromkeys(RANGES) for scope in ("all", "live")}


def test_statistics_that_are_mostly_undefined_have_no_interval():
    # Without the one document that has an edge, degrees do not vary; with it, all ends have degree 1.
    rows, documents = [[0, 1], [], [], []], np.arange(4)
    found = document_intervals(make_nodes(rows), edges_of_sets(sets_of(rows)), sets_of(rows), documents, **OPTIONS)[
        "all"
    ]
    assert found["assortativity"] is None
    assert found["edges"]["samples"] == 40


def test_the_spread_of_the_samples_is_about_that_of_fresh_documents():
    """The yardstick: graphs of new documents from the same topics."""
    topics = np.random.default_rng(0).gamma(0.4, 1, (6, FEATURES)) / (1 + np.arange(FEATURES))

    def text(seed):
        generator = np.random.default_rng(seed)
        weight = np.log(topics[generator.integers(6, size=40)] + 1e-9).repeat(12, axis=0)
        drawn = np.sort(np.argsort(-(weight + generator.gumbel(size=weight.shape)), axis=1)[:, :3], axis=1)
        return drawn.tolist(), np.arange(40).repeat(12)

    nodes = make_nodes(text(0)[0])
    fresh = [described(text(seed)[0], nodes)["all"] for seed in range(40)]
    options = {"samples": 40, "confidence": 0.95, "seed": 0}
    own = []
    for seed in range(5):
        rows, documents = text(seed)
        own.append(document_intervals(nodes, edges_of_sets(sets_of(rows)), sets_of(rows), documents, **options)["all"])
    for name in ("edges", "average_clustering", "pearson"):
        ratio = np.mean([found[name]["sd"] for found in own]) / np.std([values[name] for values in fresh])
        assert 0.6 < ratio < 1.6, name


def test_documents_are_counted():
    assert count_documents(np.array([-1, 5, 5, 5, 2, -1])) == {"tokens": 6, "documents": 2, "longest_document": 3}
    assert count_documents(np.array([-1])) == {"tokens": 1, "documents": 0, "longest_document": 0}
