"""What sentences say of pairs of dictionaries."""

import numpy as np
import pytest

from coact.comparison.agreement import (
    compared_sentence,
    kind_of_pair,
    matched_conclusion,
    matched_detail,
    universality_conclusion,
    universality_sentence,
)
from coact.comparison.columns import Column
from coact.comparison.wording import number
from synthetic_pairs import make_best, make_pairs

COLUMNS = [
    Column("main", "a-x2-s0", False, 2.0, "topk", "corpus"),
    Column("main", "a-x2-s1", False, 2.0, "topk", "corpus"),
    Column("main", "a-x4-s0", False, 4.0, "topk", "corpus"),
    Column("main", "neurons", True, None, "neurons", "corpus"),
    Column("untrained", "a-x2-s0", True, 2.0, "topk", "corpus", "initial"),
]


def test_seeds_are_told_by_both_matchings_beside_the_matching_within_frequencies():
    pairs = make_pairs(COLUMNS)
    assert matched_conclusion(pairs) == (
        "Between dictionaries that differ in their seed only, 40.0% of the edges are in both graphs on features"
        " matched by decoder rows and 50.0% on features matched by activations (Jaccard), where matchings among"
        " features of about equal frequency give 20.0% and 20.0%."
    )
    detail = matched_detail(pairs)
    assert detail.startswith("For the shared edges p is 0.00500 by decoder rows and 0.00500 by activations; the AMI of")
    assert "is 0.400 by decoder rows, against 0.200 (p 0.00500), and 0.500 by activations, against" in detail
    assert detail.endswith("the two matchings give 25.0% of the features the same partner.")
    alone = pairs[pairs["matching"] == "activations"].assign(same_partner=np.nan)
    assert "decoder" not in matched_conclusion(alone) + matched_detail(alone)


def test_without_two_seeds_nothing_is_claimed():
    pairs = make_pairs(COLUMNS)
    for none in (pairs[pairs["differ"] == "width"], pairs.iloc[:0], pairs.assign(value=np.nan, same_partner=np.nan)):
        assert matched_conclusion(none).endswith("is not defined here.")
        assert matched_detail(none) == "Neither is how far their communities agree."


def test_universality_is_told_by_what_differs():
    text = universality_sentence(COLUMNS, make_best(COLUMNS))
    assert "is 0.720 (another seed), 0.610 (another width), 0.460 (the neurons) and 0.130 (an untrained model);" in text
    assert text.endswith("it is 0.720 between seeds, and 0.0500 with the entries of rows in a random order.")
    assert "is not defined" in universality_sentence(COLUMNS, make_best(COLUMNS).iloc[:0])


def test_features_among_neurons_are_not_neurons_among_features():
    best = make_best(COLUMNS)
    back = (best["differ"] == "neurons") & (best["a"] == "main/neurons")
    best.loc[back, "median"] = 0.99
    assert "0.990" not in universality_sentence(COLUMNS, best)


def on(model, sae="a-x2-s0", weights="trained"):
    expansion = None if sae == "neurons" else 2.0
    return Column(model, sae, weights != "trained" or expansion is None, expansion, sae, "corpus", weights)


def test_neurons_of_two_models_are_told_apart_from_dictionaries():
    columns = [on("one", "neurons"), on("other", "neurons")]
    best = make_best(columns).assign(differ="model", matching="activations")
    text = universality_sentence(columns, best)
    assert "is 0.720 (neurons of two trained models);" in text
    assert universality_conclusion(columns, best).startswith("The study has neither like dictionaries on two trained")
    columns[1] = on("other", "neurons", weights="initial")
    assert "(neurons, of an untrained model);" in universality_sentence(columns, best)


@pytest.mark.parametrize(
    ("features", "neurons", "words"),
    [
        (0.7, 0.4, "features are more universal than neurons"),
        (0.3, 0.5, "features are less universal than neurons"),
        (0.5, 0.5, "neither are clearly more universal"),
    ],
)
def test_features_of_two_trained_models_stand_beside_their_neurons(features, neurons, words):
    columns = [on("main"), on("twin"), on("none", weights="initial"), on("main", "neurons"), on("twin", "neurons")]
    names = [column.name for column in columns]
    rows = [(0, 1, features), (1, 0, features), (0, 2, 0.01), (2, 0, 0.01), (3, 4, neurons), (4, 3, neurons)]
    best = (
        make_best(columns).iloc[[0] * len(rows)].reset_index(drop=True).assign(differ="model", matching="activations")
    )
    for column, place in (("a", 0), ("b", 1)):
        best[column] = [names[row[place]] for row in rows]
    best["median"] = [row[2] for row in rows]
    text = universality_conclusion(columns, best)
    assert text.startswith("Between two trained models the median feature correlates with its best counterpart at")
    assert text.endswith(f", the median neuron at {number(neurons)}: {words}.")
    assert universality_conclusion(columns, best[best["a"] != "main/neurons"].iloc[:2]).endswith(f"{number(features)}.")
    kinds = [kind_of_pair({column.name: column for column in columns}, *row) for row in
             best[["a", "b", "differ"]].itertuples(index=False)]  # fmt: skip
    assert kinds == ["model", "model", "untrained", "untrained", "both", "both"]


def test_seeds_are_held_against_an_untrained_model():
    more = universality_conclusion(COLUMNS, make_best(COLUMNS))
    assert "at 0.720, in one on an untrained model at 0.130: two seeds share more than the text" in more
    same = make_best(COLUMNS, {"seed": 0.5, "width": 0.5, "neurons": 0.4, "model": 0.6})
    assert "two seeds do not clearly share more" in universality_conclusion(COLUMNS, same)
    assert universality_conclusion(COLUMNS, same[same["differ"] != "model"]).startswith("The study has neither")


def test_pairs_that_are_left_out_are_counted():
    pairs = make_pairs(COLUMNS)
    # Of five columns, six pairs of the four on main and two of main and untrained.
    text = compared_sentence(COLUMNS, pairs, 1 << 28)
    assert text.startswith("4 pairs of dictionaries are compared; 4 are left out, with more than 268,435,456 pairs")
    assert compared_sentence(COLUMNS[:2], pairs.iloc[:1], 9) == "1 pair of dictionaries is compared."
