"""What reaches the prose: variables and included tables."""

import pytest

from coact.figures.save import words
from coact.report import report_tables, report_variables
from synthetic_artefacts import (
    corrected,
    listed_features,
    make_captions,
    make_columns,
    make_corpus,
    make_recovery,
    make_results,
)


@pytest.fixture(scope="module")
def results():
    return make_results(4)


def test_variables_are_plain_texts(results):
    variables = report_variables(results)
    assert all(isinstance(value, str) and value for value in variables.values())
    assert variables["graph_tokens"] == "800,000"
    assert variables["batch_tokens"] == "16,384"
    assert variables["interval_coverage"] == "95%"
    assert variables["degree_frequency_conclusion"] == "Conclusion of degree_frequency."


def test_tables_hold_the_numbers(results):
    tables = report_tables(results)
    evaluation, statistics = results.evaluations[0], results.statistics[0]
    assert f"{statistics['observed']['all']['edges']:,}" in tables["_summary.md"]
    assert f"{evaluation['fvu']:.3f}" in tables["_quality.md"]
    assert "main/topk-x4-s0" in tables["_descriptive_live.md"].replace("\\", "")
    assert tables["_descriptive_all.md"].count("| null |") == 4
    assert "seeds:" in tables["_config.md"]


def test_known_directions_are_reported_where_there_are_any(results):
    assert "No directions were planted" in report_tables(results)["_ground_truth.md"]
    captions = make_captions() | {"recovery": words("Half is found.", "n = 2.", "Lines.")}
    planted = report_tables(make_results(1, captions, recovery=make_recovery()))["_ground_truth.md"]
    assert "256 known directions" in planted
    assert "![**Half is found.** n = 2.](figures/recovery.svg)" in planted.replace("\\", "")
    rows = [line.split(" | ") for line in planted.splitlines() if "-x4-s0" in line]
    assert [row[2] for row in rows] == ["50.0% (25.0%)", "0% (25.0%)"]
    assert rows[1][4] == ""


def test_none_is_not_defined():
    columns = make_columns(1)
    entry = columns[0].statistics
    for source in ("observed", "null"):
        live = dict.fromkeys(entry[source]["live"])
        entry[source]["live"] = {**live, "component_sizes": []}
        entry[source]["quadrants"] = {"low_degree_high_frequency": [], "high_degree_low_frequency": []}
    entry["corrected"] = {null: corrected(entry["observed"]["quadrants"]) for null in entry["corrected"]}
    for compared in entry["nulls"].values():
        for found in compared.values():
            found["observed_interval"] = None
    evaluation = {**columns[0].evaluation, "fvu": None, "loss_recovered_mean": None}
    results = make_results(1, statistics=[entry], evaluations=[evaluation])
    tables, variables = report_tables(results), report_variables(results)
    for name in ("_summary.md", "_quality.md", "_descriptive_live.md", "_correlations.md", "_bimodality.md"):
        assert "not defined" in tables[name]
    assert "none" in tables["_low_degree.md"]
    assert "none" in tables["_corrected.md"]
    assert "interval not defined" in tables["_resampled.md"]
    assert "without an interval" not in tables["_nulls.md"]
    assert "not defined" in variables["correlation_sentence"]
    assert not [key for key, value in variables.items() if "None" in value or "nan" in value.split()]


def test_names_from_outside_are_escaped():
    hostile = "x|<b>`{{< meta title >}}"
    tables = report_tables(make_results(1, corpus=make_corpus(hostile, hostile)))
    row = next(line for line in tables["_corpus.md"].splitlines() if "installed" in line)
    assert "<b>" not in row
    assert "{{<" not in row
    assert row.count(" | ") == tables["_corpus.md"].splitlines()[1].count(" | ")


def test_a_source_of_token_ids_says_how_many_come_back():
    corpus = make_corpus()
    corpus["sources"]["docstrings"] |= {"kind": "huggingface", "tokens_of": "main", "same_share": 0.9981}
    assert (
        "; token ids of main, 99.8% of which come back; " in report_tables(make_results(1, corpus=corpus))["_corpus.md"]
    )
    corpus["sources"]["docstrings"]["tokens_of"] = None
    assert "token ids" not in report_tables(make_results(1, corpus=corpus))["_corpus.md"]


def test_captions_reach_the_variables():
    variables = report_variables(make_results(1, make_captions()))
    assert variables["feature_density_alt"] == "Picture of feature_density."


def test_observed_values_have_their_intervals_over_documents(results):
    tables = report_tables(results)
    own = results.statistics[0]["nulls"]["live"]["average_clustering"]
    assert own["observed"] == 0.31
    for name in ("_nulls.md", "_resampled.md"):
        assert r"0.310 \[0.279, 0.326\]" in tables[name]
    assert "1,234" in tables["_resampled.md"]
    assert r"| 0.310 |" in tables["_nulls.md"]  # the modularity, which has none


def test_features_out_of_proportion_are_shown_with_what_remains(results):
    tables = report_tables(results)
    odd = results.statistics[0]["observed"]["quadrants"]["low_degree_high_frequency"][0]
    row = next(line for line in tables["_low_degree.md"].splitlines() if f"| {odd['feature']} |" in line)
    assert "| yes / yes | 10 / 1,000 |" in row
    assert "docstrings 70%" in row
    assert "\N{OPEN BOX}the" in row
    assert tables["_remaining.md"].count("| 390 |") == 8
    assert "| below |" in tables["_corrected.md"]
    assert "| above |" not in tables["_corrected.md"]


def test_tokens_of_the_corpus_are_escaped():
    entry = make_columns(1)[0].statistics
    entry["listed_features"] = listed_features(entry["observed"]["quadrants"], "|<b>{{< x >}}")
    tables = report_tables(make_results(1, statistics=[entry]))
    for name in ("_low_degree.md", "_high_degree.md", "_corrected.md"):
        assert "<b>" not in tables[name]
        assert "{{<" not in tables[name]
        lines = [line for line in tables[name].splitlines() if line.startswith("| main")]
        assert {line.count(" | ") for line in lines} == {tables[name].splitlines()[1].count(" | ")}


def test_sensitivity_is_tabled_by_dictionary_rule_and_special_positions(results):
    tables, variables = report_tables(results), report_variables(results)
    lines = [line for line in tables["_sensitivity.md"].splitlines() if line.startswith("| main")]
    assert len(lines) == 4 * 4 * 2  # dictionaries, rules, special positions
    grid = results.sensitivity[0].query("batches == 50 and rule == 'k8' and include_special").set_index("graph")
    cells = [cell.strip().replace("\\", "") for cell in lines[5].strip("|").split("|")]
    assert cells[:3] == ["main/topk-x4-s0", "k = 8", "kept"]
    assert cells[3:5] == [f"{grid.loc[graph, 'edges']:,}" for graph in ("observed", "null")]
    assert variables["varied_sets"] == "k = 2, k = 4, k = 8 and above 2"
    assert variables["rarefaction_tokens"] == "100"
    assert "tbl-rarefaction" in tables["_rarefaction.md"]
    assert f"/ {len(results.rarefaction[0]):,} |" in tables["_rarefaction.md"]
