"""Steering: labels by hand, clamping, and continuations against a plain loop without a cache."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coact.artefacts import read_table, write_table
from coact.corpus.tokens import TokenStream
from coact.errors import ConfigError
from coact.interpretation.labels import (
    NO_LABEL,
    TokenClassifier,
    choose_features,
    features_of_labels,
    fit_classifier,
    measure_classifier,
    usual_label,
)
from coact.interpretation.readout import make_readout
from coact.interpretation.steering import CONDITIONS, clamp, draw, measure_steering, neutral_prompts, summarize_steering
from coact.models.bridge import patched_logits
from coact.sae.neurons import neuron_dictionary
from test_interpretation_effects import make_batch
from test_interpretation_readout import draw_contexts, make_gpt2_bridge, make_tokenizer
from test_sae import random_sae


def make_stream(tokens, labels, names, documents=None):
    tokens, labels = np.array(tokens, np.int32), np.array(labels, np.int16)
    documents = np.where(labels < 0, -1, 0) if documents is None else np.array(documents)
    return TokenStream(tokens, documents.astype(np.int32), labels, names)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def bridge(tokenizer):
    bridge = make_gpt2_bridge(tokenizer, 2)
    bridge.ln_final.weight.mul_(8)  # surer of its tokens than 16 dimensions would let it be
    return bridge


@pytest.fixture(scope="module")
def planted(bridge):
    """An SAE at the end of the residual stream whose feature 1 writes token 42, and a classifier for that token."""
    sae = neuron_dictionary(16)
    unembedding = bridge.W_U.detach()
    row = (unembedding[:, 42] - unembedding.mean(1)) / bridge.ln_final.weight.detach()
    with torch.no_grad():
        sae.W_dec[1] = row / row.norm()
    vocabulary = unembedding.shape[1]
    scores = np.full((vocabulary, 2), [0.1, -1.0])
    scores[42] = [-1.0, 3.0]
    return sae, TokenClassifier(scores, ["text", "planted"])


HOOK = "blocks.1.hook_resid_post"


def steer(bridge, sae, classifier, pairs, largest, multiple=2.0, hook=HOOK, samples=4, tokens=6):
    contexts, documents = draw_contexts(bridge)
    readout = make_readout(bridge, hook, contexts, documents)
    prompts = contexts[:samples, :3].astype(np.int64)
    settings = {"tokens": tokens, "multiple": multiple, "seed": 0}
    return measure_steering(bridge, hook, readout, sae, pairs, largest, classifier, prompts, **settings), prompts


def test_a_feature_that_writes_a_token_gives_texts_of_its_label(bridge, planted):
    table, _ = steer(bridge, *planted, [(1, 1)], {1: 1000.0})
    row = table.iloc[0]
    assert (row["label"], row["clamped_at"], row["samples"], row["tokens"]) == ("planted", 2000.0, 4, 6)
    assert row["steered_share_samples"] == row["steered_share_tokens"] == 1
    assert row["steered_log_ratio"] == pytest.approx(3.0)
    assert row["unsteered_share_samples"] < 1
    assert row["unsteered_cross_entropy"] < row["steered_cross_entropy"]
    assert [text.tolist() for text in row["steered_texts"]] == [[42] * 6] * 2


def test_continuations_are_those_of_a_plain_loop(bridge, planted):
    sae = neuron_dictionary(24)
    hook, samples, tokens = "blocks.0.mlp.hook_post", 3, 5
    table, prompts = steer(bridge, sae, planted[1], [(7, 1)], {7: 3.0}, hook=hook, samples=samples, tokens=tokens)
    uniform = np.random.default_rng(0).random((samples, tokens))

    def hold(value):
        value = value.clone()
        # The dictionary's feature is the neuron's positive part; what is negative stays, as its error does.
        value[..., 7] = 6.0 + value[..., 7].clamp_max(0)
        return value

    for condition, patch in (("steered", hold), ("unsteered", lambda value: value)):
        for sample in range(2):
            text = torch.from_numpy(prompts[[sample]])
            for step in range(tokens):
                reached = patched_logits(bridge, text, hook, patch)[0, -1].double().softmax(0).cumsum(0)
                following = int((reached <= uniform[sample, step] * reached[-1]).sum())
                text = torch.cat([text, torch.tensor([[following]])], 1)
            assert table[f"{condition}_texts"][0][sample].tolist() == text[0, 3:].tolist()


@torch.no_grad()
def test_clamping_changes_one_feature_of_each_context_and_keeps_the_error():
    sae, value = random_sae("relu"), torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0))
    features, levels = torch.tensor([0, 3, 3]), torch.tensor([2.0, 0.0, 7.0])
    found = clamp(sae, features, levels)(value)
    for context in range(3):
        feature = int(features[context])
        for token in range(5):
            now = sae.encode(value[context, token][None])[0, feature]
            expected = value[context, token] + (levels[context] - now) * sae.W_dec[feature]
            torch.testing.assert_close(found[context, token], expected)


def test_a_pairs_texts_do_not_depend_on_the_other_pairs(bridge, planted):
    sae, classifier = planted
    alone, _ = steer(bridge, sae, classifier, [(2, 0)], {2: 1.0})
    among, _ = steer(bridge, sae, classifier, [(5, 0), (2, 0)], {2: 1.0, 5: 4.0})
    for condition in CONDITIONS:
        for one, other in zip(alone[f"{condition}_texts"][0], among[f"{condition}_texts"][1], strict=True):
            assert one.tolist() == other.tolist()


def test_a_feature_without_activations_is_not_steered(bridge, planted, tmp_path):
    table, _ = steer(bridge, *planted, [(3, 0), (1, 1)], {1: 1000.0, 3: float("nan")})
    measured = [name for name in table if name.startswith(CONDITIONS) and not name.endswith("texts")]
    assert table.loc[0, ["clamped_at", *measured]].isna().all()
    assert all(table.loc[0, f"{condition}_texts"] == [] for condition in CONDITIONS)
    assert table.loc[1, measured].notna().all()
    stream = make_stream([[42, 42, 0, 0]], [[1, 1, 0, 0]], ["text", "planted"])
    summary = summarize_steering(table, planted[1], stream, 2)
    assert (summary["pairs"], summary["measured"], summary["pairs_above"]["unsteered"]) == (2, 1, 1)
    assert summary["classifier"]["planted"]["recall"] == 1
    write_table(table, tmp_path / "steering.parquet", {})
    assert read_table(tmp_path / "steering.parquet")["steered_texts"][1][0].tolist() == [42] * 6


def test_where_the_model_changes_its_logits_afterwards_nothing_is_steered(bridge, planted):
    contexts, documents = draw_contexts(bridge)
    readout = dataclasses.replace(make_readout(bridge, HOOK, contexts, documents), exact=False)
    prompts, settings = contexts[:2, :3].astype(np.int64), {"tokens": 2, "multiple": 1.0, "seed": 0}
    sae, classifier = planted
    table = measure_steering(bridge, HOOK, readout, sae, [(1, 1)], {1: 1.0}, classifier, prompts, **settings)
    assert table[["clamped_at", "steered_share_samples", "unsteered_share_samples"]].isna().all(axis=None)


def test_no_pairs_give_an_empty_table_with_the_same_columns(bridge, planted):
    full, _ = steer(bridge, *planted, [(1, 1)], {1: 1.0})
    empty, _ = steer(bridge, *planted, [], {})
    assert len(empty) == 0
    assert empty.dtypes.equals(full.dtypes)


def test_texts_longer_than_the_models_contexts_are_refused(bridge, planted):
    with pytest.raises(ConfigError, match="prompts of 3 tokens and 14 more are longer than the model's 16"):
        steer(bridge, *planted, [(1, 1)], {1: 1.0}, tokens=14)


def test_drawing_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]] * 5))
    uniform = torch.tensor([0.0, 0.49, 0.51, 0.76, 0.999999], dtype=torch.float64)
    assert draw(logits, uniform).tolist() == [0, 0, 1, 2, 2]


@given(uniform=st.floats(0, 1, exclude_max=True), zero=st.integers(0, 3))
def test_a_token_without_probability_is_never_drawn(uniform, zero):
    logits = torch.zeros(1, 4)
    logits[0, zero] = -torch.inf
    assert draw(logits, torch.tensor([uniform], dtype=torch.float64)).item() != zero


DOCUMENTS = [[-1, 0, 0, 0, -1, 1, 1, 1], [-1, 2, 2, -1, 3, 3, 3, 3]]
LABELS = [[-1, 0, 0, 0, -1, 1, 1, 1], [-1, 0, 0, -1, 0, 0, 0, 0]]
TOKENS = [[9, 10, 11, 12, 8, 20, 21, 22], [9, 30, 31, 8, 40, 41, 42, 43]]


def test_prompts_are_bos_and_the_starts_of_documents_of_the_labels():
    stream = make_stream(TOKENS, LABELS, ["text", "code"], DOCUMENTS)
    found = {tuple(row) for row in neutral_prompts(stream, 50, 3, [0], seed=0)}
    assert found == {(9, 10, 11, 12), (9, 40, 41, 42)}  # document 1 has another label, document 2 is too short
    assert neutral_prompts(stream, 2, 3, [1], seed=0).tolist() == [[9, 20, 21, 22]] * 2
    assert neutral_prompts(stream, 3, 0, [0], seed=0).tolist() == [[9]] * 3


def test_prompts_without_bos_are_the_starts_alone():
    stream = make_stream([[10, 11, 8, 20, 21]], [[0, 0, -1, 0, 0]], ["text"], [[0, 0, -1, 1, 1]])
    assert neutral_prompts(stream, 2, 2, [0], seed=0).tolist() == [[20, 21]] * 2
    with pytest.raises(ConfigError, match="prompt_tokens is 0, but"):
        neutral_prompts(stream, 2, 0, [0], seed=0)


def test_prompts_longer_than_every_document_are_refused():
    with pytest.raises(ConfigError, match="prompt_tokens is 5, but no document"):
        neutral_prompts(make_stream(TOKENS, LABELS, ["text", "code"], DOCUMENTS), 2, 5, [0], seed=0)


def test_scores_by_hand():
    # Label 0: token 0 three times, token 1 once; label 1: token 1 four times; label 2 has no tokens.
    stream = make_stream([[0, 0, 0, 1, 1, 1, 1, 1, 3]], [[0, 0, 0, 0, 1, 1, 1, 1, -1]], ["a", "b", "c"])
    classifier = fit_classifier(stream, 5)
    share = np.array([3 / 8, 5 / 8])
    for label, counts in enumerate(([3, 1], [0, 4])):
        expected = np.log((np.array(counts) + 100 * share) / 104 / share)
        np.testing.assert_allclose(classifier.scores[:2, label], expected)
    assert (classifier.scores[2:, :2] == 0).all()  # token 3 stands at a special position only
    assert classifier.judge(np.array([[0, 0], [1, 1], [3, 4]])).tolist() == [0, 1, NO_LABEL]
    assert np.isneginf(classifier.scores[:, 2]).all()


def test_the_mixture_of_all_labels_has_none():
    classifier = TokenClassifier(np.array([[1.0, -2.0], [-2.0, 1.0]]), ["a", "b"])
    assert classifier.judge(np.array([[0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])).tolist() == [-1, -1, 0, 1]


def test_the_judge_is_measured_on_windows_of_one_label():
    classifier = TokenClassifier(np.array([[1.0, -1.0], [-1.0, 1.0]]), ["a", "b"])
    stream = make_stream([[0, 0, 1, 1, 0, 0, 0, 1, 0]], [[0, 0, 0, 0, 1, 1, 1, 0, 0]], ["a", "b"])
    found = measure_classifier(classifier, stream, 2)  # 00/a right, 11/a taken for b, 00/b taken for a, 0 and 1 mixed
    assert found["a"] == {"windows": 2, "recall": 0.5, "false_positives": 1.0}
    assert found["b"] == {"windows": 1, "recall": 0.0, "false_positives": 0.5}
    nothing = measure_classifier(classifier, make_stream([[0, 1]], [[0, 1]], ["a", "b"]), 2)
    assert nothing["a"]["windows"] == 0
    assert np.isnan(nothing["a"]["recall"])


def test_the_feature_of_a_label_has_the_largest_cosine_with_it():
    generator = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 1, 1, -1, 0, 1, 0, 0])
    dense = np.where(generator.random((10, 5)) < 0.6, generator.random((10, 5)), 0)
    dense[:, 3] = 0
    stream = make_stream(np.zeros((2, 5)), labels.reshape(2, 5), ["a", "b", "absent"])
    found = features_of_labels([make_batch(dense[:5]), make_batch(dense[5:])], stream)
    norms = np.maximum(np.linalg.norm(dense, axis=0), 1e-9)
    expected = [int((dense[labels == label].sum(0) / norms).argmax()) for label in (0, 1)]
    assert found == dict(enumerate(expected))
    assert features_of_labels([], stream) == {}


def test_a_feature_that_fires_everywhere_does_not_follow_a_label():
    # Feature 0 has the larger mass on label "a", 2 x 2 against 2 x 1, but feature 1 fires there alone.
    dense = np.array([[2.0, 1.0], [2.0, 1.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    stream = make_stream([[0] * 6], [[0, 0, 1, 1, 1, 1]], ["a", "b"])
    assert features_of_labels([make_batch(dense)], stream) == {0: 1, 1: 0}


def test_the_usual_label_has_the_most_tokens():
    assert usual_label(make_stream([[0] * 5], [[-1, -1, -1, 1, 0]], ["a", "b"])) == 0
    assert usual_label(make_stream([[0] * 5], [[-1, 1, 0, 1, -1]], ["a", "b"])) == 1


def test_chosen_features_are_those_of_labels_and_live_others():
    fired = np.ones(8, bool)
    fired[[2, 6]] = False
    found = choose_features({0: 5, 1: 3, 2: 5}, fired, 2, seed=0)
    assert found[:2] == [5, 3]
    assert len(found) == len(set(found)) == 4
    assert set(found[2:]) < {0, 1, 4, 7}
    assert sorted(choose_features({0: 5}, fired, 99, seed=0)) == [0, 1, 3, 4, 5, 7]
    assert choose_features({}, np.zeros(3, bool), 5, seed=0) == []
