"""Patching and attribution, held against plain loops over the model and against backward differentiation."""

import dataclasses

import numpy as np
import pytest
import torch

from coact.artefacts import read_table, write_table
from coact.corpus.tokens import TokenStream
from coact.errors import ArtefactError
from coact.features.batches import SparseBatch
from coact.interpretation.effect_sums import CONDITIONS, pearson
from coact.interpretation.effects import measure_effects
from coact.interpretation.firings import Firings, collect_firings, largest_activations, typical_activations
from coact.interpretation.readout import make_readout
from coact.models.bridge import patched_logits
from test_interpretation_readout import LENGTH, draw_contexts, make_gpt2_bridge, make_tokenizer

HOOK = "blocks.0.mlp.hook_post"
SETTINGS = {"contexts": 8, "added_tokens": 3, "multiple": 2.0, "top": 5, "batch_contexts": 3, "seed": 0}


@pytest.fixture(scope="module")
def bridges(tmp_path_factory):
    tokenizer = make_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return {layers: make_gpt2_bridge(tokenizer, layers) for layers in (1, 2)}


def make_stream(bridge, contexts=6):
    tokens, documents = draw_contexts(bridge, contexts)
    documents[:, 8] = -1  # a separator: it is not predicted
    return TokenStream(tokens, documents.astype(np.int32), np.zeros_like(documents, np.int16), ["text"])


def fire(*places, value=1.0):
    """Firings at (context, token) pairs."""
    return Firings(
        np.array([LENGTH * context + token for context, token in places], np.int64),
        np.full(len(places), value, np.float32),
    )


@pytest.fixture(scope="module")
def decoder():
    return torch.randn(4, 24, generator=torch.Generator().manual_seed(0))


def run(bridge, decoder, firings, hook=HOOK, typical=1.0, lens_tokens=None, **changes):
    stream = make_stream(bridge)
    readout = make_readout(bridge, hook, stream.tokens, stream.documents)
    typical = dict.fromkeys(firings, typical)
    lens_tokens = lens_tokens or {feature: np.array([5, 6], np.int32) for feature in firings}
    return measure_effects(
        bridge, hook, readout, decoder, firings, typical, stream, lens_tokens, **(SETTINGS | changes)
    )


def plain_logits(bridge, context, hook=HOOK, step=None):
    """(length, vocabulary) logits of one context, with a step (length, width) added at the hook."""
    tokens = torch.from_numpy(make_stream(bridge).tokens[[context]].astype(np.int64))
    with torch.no_grad():
        return patched_logits(bridge, tokens, hook, lambda v: v if step is None else v + step)[0].double(), tokens[0]


@pytest.mark.parametrize("layers", [1, 2])
def test_ablation_is_what_a_plain_loop_finds(bridges, decoder, layers):
    bridge, places = bridges[layers], [(1, 3), (1, 10), (4, 5)]
    table, _ = run(bridge, decoder, {2: fire(*places, value=1.5)})
    changes, elsewhere, lens = [], [], []
    for context, active in ((1, [3, 10]), (4, [5])):
        step = torch.zeros(LENGTH, 24)
        step[active] = -1.5 * decoder[2]
        clean, tokens = plain_logits(bridge, context)
        patched, _ = plain_logits(bridge, context, step=step)
        for token in range(min(active), LENGTH - 1):
            if token + 1 == 8:
                continue
            before, after = clean[token].log_softmax(0), patched[token].log_softmax(0)
            kl = (before.exp() * (before - after)).sum().item()
            entropy = (before - after)[tokens[token + 1]].item()
            (changes if token in active else elsewhere).append((entropy, kl))
            if token in active:
                change = patched[token] - clean[token]
                lens.append((change[[5, 6]].mean() - change.mean()).item())
    row = table.iloc[0]
    assert (row["contexts"], row["tokens"], row["tokens_elsewhere"]) == (2, 3, len(elsewhere))
    found = row[["ablation_cross_entropy", "ablation_kl"]].tolist()
    np.testing.assert_allclose(found, np.mean(changes, 0), rtol=1e-3, atol=1e-5)
    found = row[["ablation_cross_entropy_elsewhere", "ablation_kl_elsewhere"]].tolist()
    np.testing.assert_allclose(found, np.mean(elsewhere, 0), rtol=1e-3, atol=1e-5)
    assert row["ablation_lens_logits"] == pytest.approx(np.mean(lens), rel=1e-3)
    assert row["effect"] == pytest.approx(-row["ablation_correct_logit"])


def test_in_the_last_mlp_nothing_happens_elsewhere_but_in_an_earlier_one_it_does(bridges, decoder):
    firings = {0: fire((0, 2), (3, 9))}
    last, earlier = (run(bridges[layers], decoder, firings)[0].iloc[0] for layers in (1, 2))
    for condition in CONDITIONS:
        assert last[f"{condition}_kl_elsewhere"] == 0
        assert earlier[f"{condition}_kl_elsewhere"] > 0
        assert min(last[f"{condition}_kl"], earlier[f"{condition}_kl"]) > 0


def test_addition_is_made_where_the_feature_does_not_fire_and_the_prediction_counts(bridges, decoder):
    # Of the 16 tokens, BOS, the separator, the one before it, the last one and the firing one are out: 11 are left.
    table, _ = run(bridges[1], decoder, {1: fire((0, 5))}, typical=0.7, added_tokens=100)
    clean, _ = plain_logits(bridges[1], 0)
    patched, _ = plain_logits(bridges[1], 0, step=2.0 * 0.7 * decoder[1].expand(LENGTH, 24))
    rows = [token for token in range(1, LENGTH - 1) if token not in (5, 7, 8)]
    before, after = clean[rows].log_softmax(1), patched[rows].log_softmax(1)
    assert table["added_tokens"][0] == len(rows) == 11
    expected = (before.exp() * (before - after)).sum(1).mean().item()
    assert table["addition_kl"][0] == pytest.approx(expected, rel=1e-3)
    assert table["typical_activation"][0] == pytest.approx(0.7)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_is_that_of_backward_differentiation(bridges, decoder, layers):
    bridge, active, value = bridges[layers], [2, 4, 11], 0.8
    table, _ = run(bridge, decoder, {3: fire(*[(5, token) for token in active], value=value)})
    tokens = torch.from_numpy(make_stream(bridge).tokens[[5]].astype(np.int64))
    leaf = []

    def watch(activation, hook):
        leaf.append(activation.detach().requires_grad_())
        return leaf[0]

    with torch.enable_grad():
        logits = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=[(HOOK, watch)])[0]
        found = []
        for token in active:
            centred = logits[token, tokens[0, token + 1]] - logits[token].mean()
            gradient = torch.autograd.grad(centred, leaf[0], retain_graph=True)[0][0]
            found.append(sum((gradient[source] @ decoder[3]).item() * value for source in active))
    assert table["gradient"][0] == pytest.approx(np.mean(found), rel=1e-3)


def test_a_small_effect_is_its_gradient_and_a_large_one_is_not(bridges, decoder):
    places = [(context, token) for context in range(6) for token in (1, 2, 3, 4, 5, 6, 10, 11, 12)]
    small, summary = run(bridges[2], decoder, {0: fire(*places, value=0.01)})
    large, _ = run(bridges[2], decoder, {0: fire(*places, value=10.0)})
    assert small["gradient"][0] == pytest.approx(small["effect"][0], rel=0.1)
    assert small["gradient_correlation"][0] > 0.999 > large["gradient_correlation"][0]
    assert summary["correlation"]["gradient"]["pooled"] == pytest.approx(small["gradient_correlation"][0])


def test_direct_attribution_is_the_readout_at_the_tokens_own_scale(bridges, decoder):
    bridge, value, token = bridges[1], 0.5, 6
    table, _ = run(bridge, decoder, {1: fire((2, token), value=value)})
    stream = make_stream(bridge)
    readout = make_readout(bridge, HOOK, stream.tokens, stream.documents)
    scale = []
    tokens = torch.from_numpy(stream.tokens[[2]].astype(np.int64))
    with torch.no_grad():
        bridge.run_with_hooks(tokens, fwd_hooks=[("ln_final.hook_scale", lambda v, hook: scale.append(v[0, token, 0]))])
    logits = readout.logits(decoder[[1]])[0] / readout.inverse_scale / scale[0]
    expected = value * (logits[stream.tokens[2, token + 1]] - logits.mean())
    assert table["direct"][0] == pytest.approx(expected.item(), rel=1e-4)


def test_a_feature_that_writes_a_token_promotes_it(bridges):
    bridge = bridges[1]
    hook, token = "blocks.0.hook_resid_post", 42
    unembedding = bridge.W_U.detach()
    row = (unembedding[:, token] - unembedding.mean(1)) / bridge.ln_final.weight.detach()
    table, _ = run(
        bridge, row[None], {0: fire((0, 3), (1, 4))}, hook=hook, lens_tokens={0: np.array([token, 0], np.int32)}
    )
    assert table["promoted_tokens"][0][0] == token
    assert table["promoted_logits"][0][0] > 0 > table["suppressed_logits"][0][0]
    assert table["lens_overlap"][0] in (0.5, 1.0)
    assert table["addition_lens_logits"][0] > 0 > table["ablation_lens_logits"][0]


def test_a_dead_feature_is_not_measured_and_does_not_disturb_others(bridges, decoder, tmp_path):
    one, _ = run(bridges[1], decoder, {2: fire((1, 3), (2, 4))})
    both, summary = run(bridges[1], decoder, {0: fire(), 2: fire((1, 3), (2, 4))})
    assert both.loc[0, ["contexts", "tokens", "added_tokens"]].tolist() == [0, 0, 0]
    measured = [name for name in both if name.startswith(("ablation", "addition", "effect", "direct", "gradient"))]
    assert both.loc[0, measured].isna().all()
    assert len(both["promoted_tokens"][0]) == 0
    np.testing.assert_allclose(both.loc[1, measured].astype(float), one.loc[0, measured].astype(float), rtol=1e-4)
    assert (summary["features"], summary["measured"]) == (2, 1)
    write_table(both, tmp_path / "effects.parquet", {})
    assert read_table(tmp_path / "effects.parquet")["promoted_tokens"][1].dtype == np.int32


def test_no_features_at_all_give_an_empty_table(bridges, decoder):
    table, summary = run(bridges[1], decoder, {})
    assert len(table) == summary["measured"] == 0
    assert np.isnan(summary["share_above_random"]["ablation"])


def test_without_a_linear_path_all_but_direct_attribution_is_measured(bridges, decoder):
    table, summary = run(bridges[1], decoder, {0: fire((0, 1), (0, 2), (0, 3))}, hook="blocks.0.mlp.hook_pre")
    assert table["ablation_kl"][0] > 0
    assert np.isfinite(table["gradient"][0])
    assert np.isnan(table["direct"][0])
    assert np.isnan(summary["correlation"]["direct"]["pooled"])


def test_where_the_model_changes_its_logits_afterwards_nothing_is_measured(bridges, decoder):
    stream = make_stream(bridges[1])
    readout = make_readout(bridges[1], HOOK, stream.tokens, stream.documents)
    inexact = dataclasses.replace(readout, exact=False, reason="a soft cap")
    given = {0: fire((0, 1))}, {0: 1.0}, stream, {0: np.array([5], np.int32)}
    table, summary = measure_effects(bridges[1], HOOK, inexact, decoder, *given, **SETTINGS)
    assert summary["measured"] == 0
    assert table[["ablation_kl", "addition_kl", "gradient"]].isna().all(axis=None)


def test_a_feature_without_a_typical_activation_is_not_added(bridges, decoder):
    table, _ = run(bridges[1], decoder, {0: fire((0, 1))}, typical=float("nan"))
    assert table["added_tokens"][0] == 0
    assert np.isnan(table["addition_kl"][0])
    assert table["ablation_kl"][0] > 0


def test_without_lens_tokens_their_logits_are_not_defined(bridges, decoder):
    table, _ = run(bridges[1], decoder, {0: fire((0, 1))}, lens_tokens={0: np.zeros(0, np.int32)})
    assert table[["ablation_lens_logits", "addition_random_lens_logits", "lens_overlap"]].isna().all(axis=None)


def test_the_same_seed_gives_the_same_table_and_another_one_other_random_directions(bridges, decoder):
    firings = {0: fire((0, 1), (3, 4))}
    one, same, other = (run(bridges[1], decoder, firings, seed=seed)[0] for seed in (0, 0, 1))
    assert one.equals(same)
    assert one["ablation_kl"][0] == pytest.approx(other["ablation_kl"][0], rel=1e-4)
    assert one["ablation_random_kl"][0] != other["ablation_random_kl"][0]


def test_contexts_are_drawn_by_the_activation_in_them(bridges, decoder):
    # Context 3 holds nearly all of the activation, so it is the one that is drawn, whatever the seed.
    values = np.array([1e-6, 1e-6, 1e-6, 5.0, 1e-6, 1e-6], np.float32)
    firings = Firings(np.arange(6) * LENGTH + 2, values)
    alone, _ = run(bridges[1], decoder, {0: fire((3, 2), value=5.0)})
    for seed in range(4):
        table, _ = run(bridges[1], decoder, {0: firings}, contexts=1, seed=seed)
        assert table["ablation_kl"][0] == pytest.approx(alone["ablation_kl"][0], rel=1e-4)


def make_batch(dense, kept=None):
    rows, columns = np.nonzero(dense)
    kept = np.ones(len(dense), bool) if kept is None else kept
    return SparseBatch(
        np.concatenate([[0], np.cumsum((dense > 0).sum(1))]),
        columns.astype(np.int32),
        dense[rows, columns].astype(np.float32),
        dense.shape[1],
        kept,
        np.zeros(len(dense), np.int32),
    )


def test_firings_are_the_columns_of_the_dense_matrix():
    generator = np.random.default_rng(0)
    dense = np.where(generator.random((50, 6)) < 0.3, generator.random((50, 6)), 0)
    dense[:, 4] = 0
    found = collect_firings([make_batch(dense[:20]), make_batch(dense[20:])], [5, 0, 4])
    assert list(found) == [5, 0, 4]
    for feature, firings in found.items():
        np.testing.assert_array_equal(firings.positions, np.flatnonzero(dense[:, feature]))
        np.testing.assert_array_equal(firings.values, dense[firings.positions, feature].astype(np.float32))
    assert typical_activations(found)[5] == pytest.approx(np.median(found[5].values))
    assert largest_activations(found)[0] == found[0].values.max()
    assert np.isnan(typical_activations(found)[4])
    assert np.isnan(largest_activations(found)[4])


def test_firings_of_a_feature_that_is_not_there_are_refused():
    with pytest.raises(ArtefactError, match="found 3 features, expected feature 7"):
        collect_firings([make_batch(np.ones((2, 3)))], [0, 7])


def test_correlation_is_numpys_and_not_defined_without_variance():
    x, y = np.random.default_rng(0).normal(size=(2, 20))
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert np.isnan(pearson(x, np.ones(20)))
    assert np.isnan(pearson(x[:2], y[:2]))
