"""What reaches the prose: variables and included tables."""

import pytest

from coact.report import report_tables, report_variables
from synthetic_artefacts import make_captions, make_columns, make_corpus, make_results


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


def test_none_is_not_defined():
    columns = make_columns(1)
    entry = columns[0].statistics
    for source in ("observed", "null"):
        live = dict.fromkeys(entry[source]["live"])
        entry[source]["live"] = {**live, "component_sizes": []}
        entry[source]["quadrants"] = {"low_degree_high_frequency": [], "high_degree_low_frequency": []}
    evaluation = {**columns[0].evaluation, "fvu": None, "loss_recovered_mean": None}
    results = make_results(1, statistics=[entry], evaluations=[evaluation])
    tables, variables = report_tables(results), report_variables(results)
    for name in ("_summary.md", "_quality.md", "_descriptive_live.md", "_correlations.md", "_bimodality.md"):
        assert "not defined" in tables[name]
    assert "none" in tables["_low_degree.md"]
    assert "not defined" in variables["correlation_sentence"]
    assert not [key for key, value in variables.items() if "None" in value or "nan" in value.split()]


def test_names_from_outside_are_escaped():
    hostile = "x|<b>`{{< meta title >}}"
    tables = report_tables(make_results(1, corpus=make_corpus(hostile, hostile)))
    row = next(line for line in tables["_corpus.md"].splitlines() if "installed" in line)
    assert "<b>" not in row
    assert "{{<" not in row
    assert row.count(" | ") == tables["_corpus.md"].splitlines()[1].count(" | ")


def test_captions_reach_the_variables():
    variables = report_variables(make_results(1, make_captions()))
    assert variables["feature_density_alt"] == "Picture of feature_density."
