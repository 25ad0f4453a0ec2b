"""Communities and contexts: whose context is whose, purity beside its nulls, neighbours."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from sklearn.metrics import normalized_mutual_info_score

from coact.errors import StudyError
from coact.interpretation.purity import (
    assign_contexts,
    community_purity,
    measure_purity,
    neighbour_summary,
    neighbours_of,
)

DRAWN = {"permutations": 200, "bins": 4, "seed": 0}
LEAST = {"least_share": 0.2, "least_tokens": 10}


def cells(*rows):
    """A table of features by contexts, the same for both splits: (feature, context, tokens, share, lift)."""
    table = pd.DataFrame(rows, columns=["feature", "context", "train", "share_train", "lift_train"])
    return table.assign(heldout=table["train"], share=table["share_train"], lift=table["lift_train"])


def test_the_context_of_a_feature_is_the_most_specific_of_those_it_fires_on():
    table = cells(
        (0, "docs", 700, 0.7, 1.0),
        (0, "dna", 300, 0.3, 40.0),  # more specific
        (1, "docs", 900, 0.9, 1.2),
        (1, "dna", 100, 0.1, 9.0),  # too small a share
        (2, "dna", 9, 1.0, 90.0),  # too few tokens
        (4, "docs", 50, 0.5, 2.0),
        (4, "dna", 50, 0.5, 2.0),  # equal: the first
        (5, "other", 50, 1.0, 7.0),  # a context that does not count
    )
    assert assign_contexts(table, ["docs", "dna"], 6, split="train", **LEAST).tolist() == [1, 0, -1, -1, 0, -1]


def test_purity_and_information_of_a_case_by_hand():
    communities, contexts = np.array([0, 0, 0, 1, 1, -1, 1]), np.array([0, 0, 1, 1, 1, 1, -1])
    found = community_purity(communities, contexts, np.arange(7.0), **DRAWN)
    assert (found["features"], found["communities"], found["contexts"]) == (5, 2, 2)
    assert found["purity"]["value"] == 4 / 5
    assert found["nmi"]["value"] == pytest.approx(normalized_mutual_info_score([0, 0, 0, 1, 1], [0, 0, 1, 1, 1]))


def test_gathered_contexts_stand_out_from_the_nulls_and_scattered_ones_do_not():
    rng = np.random.default_rng(0)
    contexts = np.repeat(np.arange(4), 30)
    found = community_purity(contexts, contexts, rng.random(120), **DRAWN)
    assert found["purity"]["value"] == found["nmi"]["value"] == 1
    for null in ("features", "frequency"):
        assert found["purity"][null]["p"] == 1 / 201
        assert found["purity"][null]["z"] > 10
    p = [
        community_purity(rng.permutation(contexts), contexts, rng.random(120), **DRAWN)["nmi"]["features"]["p"]
        for _ in range(40)
    ]
    assert 0.3 < np.mean(p) < 0.7


def test_contexts_that_follow_frequency_alone_do_not_stand_out_within_bins_of_frequency():
    """Communities and contexts are both halves by frequency: one null finds them agreeing, the other does not."""
    frequency = np.arange(80.0)
    halves = (frequency >= 40).astype(int)
    found = community_purity(halves, halves, frequency, **DRAWN)["purity"]
    assert found["features"]["p"] == 1 / 201
    assert (found["frequency"]["p"], found["frequency"]["mean"], found["frequency"]["z"]) == (1.0, 1.0, None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), max_size=30), st.integers(0, 9))
def test_information_agrees_with_sklearn_and_nulls_keep_what_is_fixed(pairs, seed):
    communities, contexts = np.array(pairs, int).reshape(-1, 2).T
    found = community_purity(communities, contexts, np.ones(len(pairs)), permutations=9, bins=3, seed=seed)
    inside = (communities >= 0) & (contexts >= 0)
    one, other = communities[inside], contexts[inside]
    if not inside.any():
        assert found["purity"]["value"] is None
        assert found["nmi"]["features"] == {"mean": None, "deviation": None, "z": None, "p": None}
        return
    largest = max(np.bincount(other)) / inside.sum()
    assert largest - 1e-9 <= found["purity"]["value"] <= 1
    assert largest - 1e-9 <= found["purity"]["features"]["mean"] <= 1
    if len(set(one)) > 1 or len(set(other)) > 1:
        assert found["nmi"]["value"] == pytest.approx(normalized_mutual_info_score(one, other), abs=1e-9)
    else:
        assert found["nmi"]["value"] is None


def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    rng = np.random.default_rng(1)
    communities, contexts, frequency = rng.integers(0, 4, 50), rng.integers(0, 3, 50), rng.random(50)
    found = [
        community_purity(communities, contexts, frequency, permutations=50, bins=5, seed=seed) for seed in (0, 0, 1)
    ]
    assert found[0] == found[1]
    assert found[0]["nmi"]["features"]["mean"] != found[2]["nmi"]["features"]["mean"]


def make_graph():
    """Feature 0 is the best of dna; 1 and 2 are of dna too, 3 and 4 of docs, 5 is not live."""
    nodes = pd.DataFrame(
        {
            "feature": range(6),
            "live": [True] * 5 + [False],
            "frequency": np.arange(6.0),
            "topk_count": [10, 20, 20, 40, 20, 5],
        }
    )
    edges = pd.DataFrame(
        {
            "source": [0, 0, 1, 0],
            "target": [1, 3, 2, 5],
            "count": [7, 3, 9, 1],
            "weight": [0.5, 0.8, 0.9, 0.1],
            "q": [0.01, 0.5, 0.0, 1.0],
            "significant": [True, False, True, False],
        }
    )
    return nodes, edges, np.array([1, 1, 1, 0, 0, -1]), ["docs", "dna"]


def test_neighbours_are_live_and_the_heaviest_first():
    nodes, edges, contexts, names = make_graph()
    table = neighbours_of({"dna": 0}, edges, nodes, contexts, names)
    assert table["neighbour"].tolist() == [3, 1]
    assert table["weight"].tolist() == [0.8, 0.5]
    assert table["neighbour_context"].tolist() == ["docs", "dna"]
    assert table["same"].tolist() == [False, True]
    assert neighbours_of({"dna": 2}, edges, nodes, contexts, names)["neighbour"].tolist() == [1]
    assert len(neighbours_of({}, edges, nodes, contexts, names)) == 0


def test_the_share_of_neighbours_stands_beside_what_live_features_have():
    nodes, edges, contexts, names = make_graph()
    table = neighbours_of({"dna": 0, "docs": 5}, edges, nodes, contexts, names)
    dna, docs = neighbour_summary({"dna": 0, "docs": 5}, table, nodes, contexts, names)
    assert (dna["live"], dna["same_live"], dna["expected"], dna["own"]) == (4, 2, 0.5, "dna")
    assert dna["expected_by_count"] == pytest.approx(40 / 100)
    assert dna["all"] == {"neighbours": 2, "same": 1, "share": 0.5, "p": pytest.approx(hypergeom.sf(0, 4, 2, 2))}
    assert dna["significant"] == {"neighbours": 1, "same": 1, "share": 1.0, "p": pytest.approx(0.5)}
    assert docs["own"] is None
    assert docs["significant"] == {"neighbours": 0, "same": 0, "share": None, "p": None}


def measure(nodes, edges, communities, table, best):
    return measure_purity(
        table, best, nodes, communities, edges, names=["docs", "dna"], ordinary=["docs"], **LEAST, **DRAWN
    )


def test_a_summary_holds_both_splits_with_and_without_ordinary_contexts():
    nodes, edges, contexts, _ = make_graph()
    table = cells(*((f, ["docs", "dna"][c], 50, 0.9, 5.0) for f, c in enumerate(contexts) if c >= 0))
    table.loc[table["feature"] == 4, "heldout"] = 0
    best = pd.DataFrame({"context": ["docs", "dna", "thai"], "rank": 1, "feature": [3, 0, -1]})
    summary, features, neighbours = measure(nodes, edges, np.array([0, 0, 0, 1, 1, -1]), table, best)
    assert (summary["train"]["with_context"], summary["heldout"]["without_context"]) == (5, 1)
    assert summary["train"]["all_contexts"]["purity"]["value"] == 1
    assert summary["train"]["without_ordinary"]["features"] == 3
    assert [record["context"] for record in summary["neighbours"]] == ["dna"]
    assert features["context_train"].tolist() == ["dna", "dna", "dna", "docs", "docs"]
    assert features["context"].tolist() == ["dna", "dna", "dna", "docs", ""]
    assert set(neighbours["context"]) == {"dna"}


def test_one_feature_alone_is_no_crash():
    nodes, edges, _, _ = make_graph()
    best = pd.DataFrame({"context": ["dna"], "rank": [1], "feature": [0]})
    summary, _, neighbours = measure(nodes[:1], edges[:0], np.array([-1]), cells((0, "dna", 50, 1.0, 5.0)), best)
    assert summary["train"]["all_contexts"]["purity"]["value"] is None
    assert summary["neighbours"][0]["expected"] is None
    assert not len(neighbours)


def test_nodes_and_communities_of_other_features_are_refused():
    nodes, edges, _, _ = make_graph()
    best = pd.DataFrame({"context": ["dna"], "rank": [1], "feature": [0]})
    with pytest.raises(StudyError, match="communities of 2 features found; expected 6"):
        measure(nodes, edges, np.array([0, 1]), cells(), best)
