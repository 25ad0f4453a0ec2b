"""Sentences are chosen by the numbers."""

import pytest

from coact.comparison import findings
from coact.comparison.columns import Column, columns_of
from coact.comparison.wording import count
from synthetic_artefacts import make_study

A, B, C = Column("m", "a-x4-s0", False, 4, "a"), Column("m", "a-x4-s1", False, 4, "a"), Column("m", "n", True)


def correlated(value, low, high, null):
    """Statistics of which only the correlation is known."""
    estimate = None if value is None else {"value": value, "low": low, "high": high, "n": 100}
    chance = None if null is None else {"value": null, "low": null, "high": null, "n": 100}
    return {"observed": {"live": {"pearson": estimate}}, "null": {"live": {"pearson": chance}}}


@pytest.mark.parametrize(
    ("entries", "parts"),
    [
        ([correlated(0.5, 0.4, 0.6, 0.55)], ["rises", "the one dictionary", "nowhere does r exceed"]),
        ([correlated(0.5, 0.4, 0.6, 0.7)], ["rises", "nowhere does r exceed"]),
        ([correlated(0.5, 0.4, 0.6, 0.3)], ["rises", "everywhere r exceeds"]),
        ([correlated(-0.5, -0.6, -0.4, -0.55)], ["falls", "nowhere does r exceed"]),
        ([correlated(0.0, -0.1, 0.1, 0.0)], ["no clear correlation"]),
        ([correlated(None, None, None, None)], ["not defined"]),
        ([correlated(0.5, None, None, 0.5)], ["not defined"]),
        ([correlated(0.5, 0.4, 0.6, None)], ["rises", "not defined"]),
        (
            [correlated(0.5, 0.4, 0.6, 0.3), correlated(0.5, 0.4, 0.6, 0.5)],
            ["both dictionaries", "marginals give by chance in 1 of 2 dictionaries (m/a-x4-s0)"],
        ),
    ],
)
def test_correlation_conclusion(entries, parts):
    text = findings.correlation_conclusion([A, B][: len(entries)], entries)
    assert all(part in text for part in parts), text


def test_correlation_sentence_places_the_null_in_the_interval():
    entries = [correlated(0.5, 0.4, 0.6, 0.55), correlated(0.2, 0.1, 0.3, 0.4)]
    text = findings.correlation_sentence([A, B], entries, 0.95)
    assert "0.200\N{EN DASH}0.500 (n = 100 features)" in text
    assert "below it in 1 of 2 dictionaries and compatible with it in 1 (m/a-x4-s0)" in text


def counted(edges, null):
    """Statistics of which only the number of edges is known."""
    return {"observed": {"all": {"edges": edges}}, "null": {"all": {"edges": null}}}


@pytest.mark.parametrize(
    ("entries", "part"),
    [
        ([counted(5, 10), counted(1, 10)], "has fewer edges in both dictionaries; edges over null edges: 0.100"),
        ([counted(20, 10), counted(11, 10)], "has more edges in both dictionaries"),
        ([counted(100, 100), counted(104, 100)], "has about as many edges (within 5%) in both dictionaries"),
        ([counted(100, 100), counted(94, 100)], "about as many edges (within 5%) in 1 (m/a-x4-s0)"),
        ([counted(None, 10), counted(9, None)], "a comparison with the null sample is not defined"),
    ],
)
def test_edges_sentence(entries, part):
    assert part in findings.edges_sentence([A, B], entries)


def shaped(p, preferred):
    """Statistics of which only the tests for two modes of degree are known."""
    tests = {"dip_log_degree": {"statistic": 0.1, "p": p, "n": 50}, "mixture_log_degree": {"preferred": preferred}}
    return {"observed": {"live": tests}}


@pytest.mark.parametrize(("entry", "two"), [(shaped(0.01, 2), True), (shaped(0.2, 2), False), (shaped(0.01, 1), False)])
def test_two_modes_need_both_tests(entry, two):
    assert findings.bimodal(entry, "degree") is two
    text = findings.bimodality_sentence([A], [entry], "degree")
    assert ("in the one dictionary" in text) is two
    assert ("in no dictionary" in text) is not two


def test_modes_without_tests_are_not_defined():
    entry = {"observed": {"live": {"dip_log_degree": None, "mixture_log_degree": None}}}
    assert "not defined" in findings.bimodality_sentence([A], [entry], "degree")
    assert "0 of 0" in findings.bimodality_detail([entry], "degree")


def test_seeds_and_widths_are_compared_within_one_recipe():
    wide = Column("m", "a-x8-s0", False, 8, "a")
    other = Column("m", "b-x8-s0", False, 8, "b")
    text = findings.seeds_sentence([A, B, wide, other], [10, 12, 50, 7], "edges", count)
    assert text == "Edges between seeds: 10\N{EN DASH}12 (m/a-x4-s0 and m/a-x4-s1)."
    text = findings.width_sentence([A, B, wide, other], [10, 12, 50, 7], "edges", count)
    assert text == "Edges by expansion factor: 10\N{EN DASH}12 at x4 and 50 at x8 (a on m)."
    assert "not known" in findings.seeds_sentence([A, wide], [1, 2], "edges")
    assert "no comparison" in findings.width_sentence([A, B], [1, 2], "edges")


@pytest.mark.parametrize(
    ("control", "part"),
    [
        (9, "every such SAE's graph thus has fewer edges"),
        (1, "every control's graph thus has fewer edges"),
        (5, "The ranges overlap"),
    ],
)
def test_controls_sentence(control, part):
    entries = [counted(4, 10), counted(6, 10), counted(control, 10)]
    assert part in findings.controls_sentence([A, B, C], entries)


def test_quality_leaves_controls_and_neurons_out():
    entry = {"architecture": "topk", "fvu": 0.2, "l0": 16.0, "loss_recovered_zero": 0.9, "loss_recovered_mean": 0.8}
    better = {**entry, "fvu": 0.1, "loss_recovered_zero": 5.0}
    neurons = {**entry, "architecture": "identity", "fvu": 0.0}
    assert findings.quality_conclusion([A, C], [entry, better]).startswith("m/a-x4-s0 leaves 20.0%")
    assert "5.00" not in findings.recovered_sentence([A, C], [entry, better])
    assert "2 SAEs on trained models, m/a-x4-s1 leaves the least" in findings.quality_conclusion(
        [A, B], [entry, better]
    )
    assert "No dictionary" in findings.quality_conclusion([A], [neurons])


def test_model_sentence_says_where_the_model_stands():
    model = {"model": "m", "kind": "trained", "unigram": 6.0, "bigram": 4.0}
    for entropy, words in ((3.0, "below both"), (5.0, "between"), (7.0, "above both")):
        assert f"{words} the unigram (6.00)" in findings.model_sentence([{**model, "cross_entropy": entropy}])
    assert "not defined" in findings.model_sentence([{**model, "cross_entropy": None}])


def test_columns_of_a_study_know_controls_and_recipes():
    columns = {column.name: column for column in columns_of(make_study())}
    assert list(columns) == ["main/topk-x4-s0", "main/topk-x4-s1", "main/neurons", "untrained/topk-x4-s0",
                             "untrained/topk-x4-s1", "untrained/neurons"]  # fmt: skip
    assert [column.control for column in columns.values()] == [False, False, True, True, True, True]
    first, second = columns["main/topk-x4-s0"], columns["main/topk-x4-s1"]
    assert (first.recipe, first.expansion) == (second.recipe, second.expansion)
    assert columns["main/neurons"].expansion is None


@pytest.mark.parametrize(("setting", "value"), [("snapshot_steps", [0, 10]), ("checkpoint_minutes", 1)])
def test_settings_that_change_no_sae_make_no_other_recipe(setting, value):
    study = make_study()
    study.config["saes"]["topk"][setting] = value
    assert columns_of(study)[0].recipe == columns_of(make_study())[0].recipe
