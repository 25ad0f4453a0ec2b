"""Contexts across dictionaries: neurons, seeds, probes, the untrained model; the two figures."""

import numpy as np
import pandas as pd
import pytest

from coact.artefacts import write_tensors
from coact.comparison.columns import Column
from coact.comparison.contexts import Found, compare_contexts, representative, untrained_of
from coact.figures.contexts import context_heatmap, contexts
from coact.figures.save import save_drawing
from coact.interpretation.activity import Tokens
from coact.interpretation.contexts import measure_contexts
from coact.interpretation.memberships import Memberships
from test_interpretation_contexts import sparse

NAMES = ["docs", "dna", "hebrew"]
COLUMNS = [
    Column("main", "topk-x2-s0", False, 2.0, "topk", "bpe"),
    Column("main", "topk-x2-s1", False, 2.0, "topk", "bpe"),
    Column("main", "topk-x2-s2", False, 2.0, "topk", "bpe"),
    Column("main", "neurons", True, None, "neurons", "bpe"),
    Column("untrained", "relu-x2-s0", True, 2.0, "relu", "bpe", "initial"),
    Column("untrained", "topk-x2-s0", True, 2.0, "topk", "bpe", "initial"),
]
TOKENS = 240


def make_contexts(seed, names=NAMES):
    """Half of 12 documents is dna; hebrew has no token; every tenth token is special."""
    rng = np.random.default_rng(seed)
    documents = np.repeat(np.arange(12), TOKENS // 12)
    counted = np.arange(TOKENS) % 10 != 0
    dna = rng.permutation(12)[documents] < 6
    marks = np.stack([~dna, dna, np.zeros(TOKENS, bool)]) & counted
    return Memberships(names, ["label"] * 3, marks, counted), np.where(counted, documents, -1)


def make_dense(contexts, seed, noise):
    """Feature 1 fires on dna and on some of the rest, feature 0 on docs; feature 2 is noise, feature 3 is dead."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((TOKENS, 4))
    for feature, mark in ((0, contexts.marks[0]), (1, contexts.marks[1])):
        dense[:, feature] = np.where(mark ^ (rng.random(TOKENS) < noise), rng.random(TOKENS) + 1, 0)
    dense[:, 2] = rng.random(TOKENS)
    return dense.astype(np.float32)


def write(path, dense, contexts, documents, shards=2):
    """Feature shards; special positions are active there as everywhere."""
    paths = []
    for number, part in enumerate(np.array_split(np.arange(TOKENS), shards)):
        batch = sparse(dense[part], None, documents[part])
        arrays = {"indptr": batch.indptr, "indices": batch.indices, "values": batch.values}
        arrays |= {"kept": contexts.counted[part], "documents": batch.documents}
        paths.append(path / f"heldout-{number}.safetensors")
        write_tensors(arrays, paths[-1], {}, {"n_features": str(dense.shape[1])})
    return paths


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Columns, what they have, contexts by model, and dense held-out activations."""
    train, heldout = make_contexts(0), make_contexts(1)
    found, held = [], []
    for place, column in enumerate(COLUMNS):
        noise = 0.45 if column.model == "untrained" else 0.02 + 0.04 * place
        dense = [make_dense(part[0], seed, noise) for part, seed in ((train, 50 + place), (heldout, 7))]
        if column.sae == "topk-x2-s1":  # the dna feature is number 3 here
            dense = [part[:, [0, 3, 2, 1]] for part in dense]
        ids = np.arange(TOKENS) % 5
        parts = [
            Tokens(lambda d=d, p=p: [sparse(d, p[0].counted, p[1])], ids, p[0])
            for d, p in zip(dense, (train, heldout), strict=True)
        ]
        best, features = measure_contexts(*parts, keep=2, pseudocount=1.0, samples=20, seed=0)
        decoder = np.diag([3.0, 4.0, 1.0, 0.0]).astype(np.float32)
        decoder[1, 0] = 3.0
        paths = write(tmp_path_factory.mktemp(f"features{place}"), dense[1], *heldout)
        found.append(Found(best, features, decoder, paths))
        held.append(dense[1])
    return found, dict.fromkeys(("main", "untrained"), heldout[0]), held


@pytest.fixture(scope="module")
def compared(study):
    probes = {"main": pd.DataFrame({"context": ["docs", "dna"], "f1": [0.9, 1.0], "auc": [0.95, 1.0]})}
    return compare_contexts(COLUMNS, study[0], probes, study[1])


def row(table, place, context="dna"):
    column = COLUMNS[place]
    mine = table[(table["model"] == column.model) & (table["sae"] == column.sae) & (table["context"] == context)]
    assert len(mine) == 1
    return mine.iloc[0]


def correlation(study, one, feature_one, other, feature_other):
    kept = study[1]["main"].counted
    return np.corrcoef(study[2][one][kept, feature_one], study[2][other][kept, feature_other])[0, 1]


def test_every_column_has_its_best_feature_with_its_measures(study, compared):
    assert len(compared.table) == len(COLUMNS) * len(NAMES)
    best = study[0][0].best
    own = best[(best["context"] == "dna") & (best["rank"] == 1)].iloc[0]
    for name in ("feature", "threshold", "f1", "auc", "proxy_correlation", "f1_low"):
        assert row(compared.table, 0)[name] == own[name]


def test_the_nearest_neuron_is_found_by_correlation_over_counted_tokens(study, compared):
    found = row(compared.table, 0)
    assert (found["feature"], found["neuron"], found["best_neuron"]) == (1, 1, 1)
    assert found["neuron_correlation"] == pytest.approx(correlation(study, 0, 1, 3, 1), abs=1e-6)
    assert found["best_neuron_f1"] == row(compared.table, 3)["f1"]
    assert found["decoder_peak"] == pytest.approx(4 / 5)
    assert row(compared.table, 3)["neuron"] == row(compared.table, 5)["neuron"] == -1  # controls are not tested


def test_the_match_in_another_seed_is_measured_for_the_same_context(study, compared):
    seeds = compared.seeds
    mine = seeds[(seeds["sae"] == "topk-x2-s0") & (seeds["context"] == "dna")].set_index("other")
    assert mine.loc["topk-x2-s1", ["feature", "match"]].tolist() == [1, 3]
    assert mine.loc["topk-x2-s2", "match"] == 1
    assert mine.loc["topk-x2-s1", "correlation"] == pytest.approx(correlation(study, 0, 1, 1, 3), abs=1e-6)
    assert mine.loc["topk-x2-s1", "f1"] == pytest.approx(row(compared.table, 1)["f1"])
    assert mine.loc["topk-x2-s1", "threshold"] == pytest.approx(row(compared.table, 1)["threshold"])
    found, least = row(compared.table, 0), mine["correlation"].idxmin()
    assert found["seed_sae"] == least
    assert found["seed_f1"] == mine.loc[least, "f1"]
    assert set(seeds["sae"]) == {"topk-x2-s0", "topk-x2-s1", "topk-x2-s2"}


def test_controls_stand_beside_a_column_and_the_untrained_one_is_of_its_own_recipe(compared):
    found = row(compared.table, 0)
    assert (found["probe_f1"], found["probe_auc"]) == (1.0, 1.0)
    assert found["untrained_sae"] == "topk-x2-s0"
    assert found["untrained_f1"] == row(compared.table, 5)["f1"]
    assert found["untrained_f1"] < found["f1"]
    assert row(compared.table, 3)["untrained_sae"] == ""
    assert np.isnan(row(compared.table, 4)["probe_f1"])


def test_of_untrained_models_the_one_with_initial_weights_comes_first():
    shuffled = Column("shuffled", "topk-x2-s0", True, 2.0, "topk", "bpe", "shuffled")
    assert untrained_of([COLUMNS[0], shuffled, COLUMNS[5]], 0) == 2
    assert untrained_of([COLUMNS[0], shuffled], 0) == 1
    assert untrained_of([COLUMNS[0], COLUMNS[4], shuffled], 0) == 2  # its own recipe, though shuffled
    assert untrained_of([shuffled, COLUMNS[5]], 0) is None


def test_a_context_without_tokens_has_a_row_without_numbers(compared):
    found = row(compared.table, 0, "hebrew")
    assert (found["tokens"], found["feature"], found["neuron"], found["seed_feature"]) == (0, -1, -1, -1)
    measured = ["f1", "neuron_correlation", "seed_correlation", "seed_f1", "best_neuron_f1", "decoder_peak"]
    assert pd.isna(found[measured]).all()


def test_a_feature_is_not_tested_where_its_context_has_no_held_out_tokens(study):
    found = Found(study[0][0].best.copy(), study[0][0].features, study[0][0].decoder, study[0][0].heldout)
    found.best.loc[found.best["context"] == "dna", "tokens"] = 0
    table, seeds = compare_contexts(COLUMNS, [found, *study[0][1:]], {}, study[1])
    own = row(table, 0)
    assert (own["feature"], own["neuron"], own["seed_feature"]) == (1, -1, -1)
    assert pd.isna(own[["neuron_correlation", "seed_correlation", "seed_f1"]]).all()
    assert "dna" not in set(seeds.loc[seeds["sae"] == "topk-x2-s0", "context"])


def test_one_column_alone_has_no_tests_and_no_controls(study):
    table, seeds = compare_contexts(COLUMNS[:1], study[0][:1], {}, study[1])
    assert len(seeds) == 0
    assert seeds["match"].dtype == np.int32
    assert table[["neuron_correlation", "seed_f1", "probe_f1", "untrained_f1", "best_neuron_f1"]].isna().all(axis=None)
    assert (table[["neuron", "seed_feature", "best_neuron"]] == -1).all(axis=None)
    assert set(table["untrained_sae"]) == {""}


def test_a_match_that_was_never_active_in_the_context_detects_nothing_of_it(study):
    known = study[0][1].features
    cut = known[~((known["feature"] == 3) & (known["context"].astype(str) == "dna"))]
    other = Found(study[0][1].best, cut, study[0][1].decoder, study[0][1].heldout)
    _, seeds = compare_contexts(COLUMNS[:2], [study[0][0], other], {}, study[1])
    found = seeds[(seeds["sae"] == "topk-x2-s0") & (seeds["context"] == "dna")].iloc[0]
    assert (found["match"], found["threshold"], found["f1"]) == (3, np.inf, 0.0)


def test_the_column_shown_is_chosen_by_training_tokens_and_is_no_control(compared):
    table = compared.table.copy()
    assert representative(COLUMNS, table, ["docs"]) == 0
    table.loc[(table["sae"] == "topk-x2-s2") & (table["context"] == "dna"), ["f1_train", "f1"]] = [1.0, 0.0]
    assert representative(COLUMNS, table, ["docs"]) == 2
    table.loc[(table["sae"] == "neurons") & (table["context"] == "dna"), "f1_train"] = 2.0
    assert representative(COLUMNS, table, ["docs"]) == 2


def test_the_figure_has_a_row_per_context_by_f1_and_says_what_is_not_measured(compared, tmp_path):
    drawing = contexts(COLUMNS, compared.table, ["docs"])
    left = drawing.figure.axes[0]
    order = [label.get_text().split()[0] for label in left.get_yticklabels()]
    f1 = [row(compared.table, 0, name)["f1"] for name in order]
    assert order[-1] == "hebrew"
    assert f1[0] >= f1[1]
    assert [text.get_text() for text in left.texts] == ["not measured (0 tokens)"]
    assert "1 context not measured (0 held-out tokens): hebrew." in drawing.caption["details"]
    assert drawing.caption["conclusion"].endswith("and than a linear probe in 1 of 2 (not dna).")
    data = drawing.data.set_index(["context", "detector"])
    assert data.loc[("dna", "neuron"), "f1"] == row(compared.table, 3)["f1"]
    assert data.loc[("dna", "probe"), "f1"] == 1.0
    assert len(data.loc[[("dna", "other SAE")]]) == 2
    files = {name: tmp_path / f"a.{name}" for name in ("svg", "png", "csv", "caption")}
    save_drawing(drawing, **files, dpi=60, stamp={})
    assert "best neuron" in files["svg"].read_text()


def test_the_heatmap_has_the_lift_of_every_chosen_feature_in_every_context(study, compared):
    best, features = ([getattr(found, name) for found in study[0]] for name in ("best", "features"))
    drawing = context_heatmap(COLUMNS, compared.table, best, features, ["docs"])
    chosen = best[0][best[0]["feature"] >= 0]
    assert len(drawing.data) == len(chosen) * len(NAMES)
    cell = drawing.data.set_index(["best_for", "rank", "context"]).loc[("dna", 1, "dna")]
    known = features[0].set_index(["feature", "context"]).loc[(1, "dna")]
    assert (cell["feature"], cell["lift"], cell["heldout"]) == (1, known["lift"], known["heldout"])
    assert drawing.data[drawing.data["context"] == "hebrew"]["lift"].isna().all()
    drawing.figure.draw_without_rendering()


def test_hostile_names_are_text_and_nothing_measured_is_said(study, compared):
    table = compared.table.assign(context=compared.table["context"].replace({"dna": "$\\frac{<b>$"}))
    table[["tokens", "documents"]] = 0
    table[["f1", "f1_low", "f1_high", "precision", "sensitivity", "probe_f1"]] = np.nan
    drawing = contexts(COLUMNS, table, ["docs"])
    drawing.figure.draw_without_rendering()
    assert drawing.caption["conclusion"].startswith("No context has held-out tokens")
    alone = contexts(COLUMNS[:1], table, ["docs"])
    alone.figure.draw_without_rendering()
