"""Sentences on features out of proportion follow the numbers."""

import copy

from coact.comparison.proportion import remaining_sentence, sides_sentence, texts_sentence
from synthetic_artefacts import make_columns


def statistics(number=2):
    return [copy.deepcopy(entry.statistics) for entry in make_columns(number, features=128)]


def test_what_remains_is_counted_over_the_dictionaries():
    text = remaining_sentence(statistics())
    assert text.startswith("Of 6 listed features of low degree and high frequency, 0 have a degree that the margins")
    assert "and 2 (null: tokens) and 2 (null: within documents) remain out of proportion." in text
    assert "Of 6 listed features of high degree" in text
    nothing = statistics(1)
    for corrected in nothing[0]["corrected"].values():
        for name in ("low_degree_high_frequency", "high_degree_low_frequency"):
            corrected[name] = {"listed": 0, "settled": 0, "remain": 0, "features": []}
    assert remaining_sentence(nothing).endswith("is not defined: none is listed.")


def test_the_sides_are_told_in_shares():
    text = sides_sentence(statistics(1))
    assert "97.5% lie below and 0% above (null: tokens)" in text
    entry = statistics(1)
    for corrected in entry[0]["corrected"].values():
        corrected |= {"ranked": 0, "n_below": 0, "n_above": 0}
    assert "is not defined" in sides_sentence(entry)


def test_texts_are_told_in_counts():
    entries = statistics(1)
    low = [odd["feature"] for odd in entries[0]["observed"]["quadrants"]["low_degree_high_frequency"]]
    records = {record["feature"]: record for record in entries[0]["listed_features"]}
    assert "0 are in no top-k set at all; 3 have more than half" in texts_sentence(entries)
    records[low[0]] |= {"chosen": 0, "labels": [{"label": "dna", "share": 0.9, "corpus_share": 0.01}]}
    records[low[1]]["tokens"] = [{"token": "a", "share": 0.5}]
    text = texts_sentence(entries)
    assert "Of 3 listed features of low degree and high frequency, 1 are in no top-k set at all" in text
    assert "2 have more than half of their activations on one token, and 1 on one label" in text
    entries[0]["observed"]["quadrants"]["low_degree_high_frequency"] = []
    assert texts_sentence(entries) == "No live feature of high frequency has a low degree."
