"""Summary table, metrics and what is printed."""

import io
import json

from coact.comparison.summary import metrics, print_quality, print_summary, summarize
from synthetic_artefacts import make_columns


def rows(number):
    return [
        (entry.column.model, entry.column.sae, entry.evaluation, entry.statistics) for entry in make_columns(number)
    ]


def test_summary_takes_the_numbers_over():
    found = rows(3)
    table = summarize(found)
    assert len(table) == 3
    first, (_, _, evaluation, statistics) = table.iloc[0], found[0]
    assert first["fvu"] == evaluation["fvu"]
    assert first["edges_all"] == statistics["observed"]["all"]["edges"]
    assert first["edges_all_null"] == statistics["null"]["all"]["edges"]
    assert first["pearson_live_low"] == statistics["observed"]["live"]["pearson"]["low"]
    assert first["pearson_live_null"] == statistics["null"]["live"]["pearson"]["value"]


def test_metrics_are_one_flat_level_of_numbers():
    found = rows(2)
    found[0][3]["observed"]["live"]["pearson"] = None
    flat = metrics(summarize(found))
    assert list(flat) == ["main/topk-x4-s0", "main/topk-x4-s1"]
    assert all(type(value) in (int, float) for values in flat.values() for value in values.values())
    assert "pearson_live" not in flat["main/topk-x4-s0"]
    assert "pearson_live" in flat["main/topk-x4-s1"]
    json.dumps(flat, allow_nan=False)


def test_print_fits_and_is_plain_text_outside_a_terminal():
    found = rows(12)
    found[1][3]["observed"]["live"]["pearson"] = None
    found[1][2]["fvu"] = None
    stream = io.StringIO()
    print_summary(summarize(found), "results/report/report.html", stream)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 120
    assert "\x1b" not in text
    assert "main/topk-x4-s0" in text
    assert "r [interval]" in text
    assert text.rstrip().endswith("Report: results/report/report.html")


def test_the_quality_of_saes_is_printed_before_there_are_graphs():
    evaluations = [{"model": model, "sae": sae, **evaluation} for model, sae, evaluation, _ in rows(3)]
    stream = io.StringIO()
    print_quality(evaluations, stream)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 120
    assert all(f"{entry['model']}/{entry['sae']}" in text for entry in evaluations)
