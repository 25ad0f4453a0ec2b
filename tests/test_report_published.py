"""Published numbers beside ours in the report."""

import copy

import pytest

from coact.config import complete
from coact.errors import ConfigError
from coact.report.published import published_tables
from coact.study import Study
from synthetic_artefacts import make_results
from test_config import BASE

PUBLISHED = {"source": "A <b>study</b>", "differences": "They kept BOS.", "numbers": {}}


def tables(numbers, number=2):
    results = make_results(number)
    config = copy.deepcopy(results.study.config)
    config["published"] = numbers and {**PUBLISHED, "numbers": numbers}
    object.__setattr__(results, "study", Study(config))
    return results, published_tables(results)["_published.md"]


def test_without_published_numbers_the_report_says_so():
    assert "names no published numbers" in tables(None)[1]


def test_numbers_stand_beside_ours_and_the_null():
    results = make_results(1)
    edges = results.statistics[0]["observed"]["all"]["edges"]
    null = results.statistics[0]["null"]["all"]["edges"]
    sae = results.columns[0].sae
    _, text = tables({sae: {"edges": round(edges * 1.02), "mean_degree": 1e6, "loss_recovered_zero": 0.911}}, 1)
    assert "A &lt;b&gt;study" in text or "A \\<b" in text
    assert "They kept BOS." in text
    assert "Within 5% of the numbers here lie 1 of 3, within 5% of those of the null model" in text.replace("\\", "")
    row = next(line for line in text.splitlines() if "| edges |" in line)
    assert f"{edges:,}" in row
    assert f"{null:,}" in row
    assert "2.0%" in row.replace("\\", "")
    recovered = next(line for line in text.splitlines() if "loss recovered" in line)
    assert "91.1%" in recovered
    assert "not defined" in recovered  # which the null does not have


def test_dictionaries_without_published_numbers_have_no_row():
    assert "names no published numbers" in tables({"someone_else": {"edges": 3}})[1]


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ({"numbers": {}}, "published: key 'source' is missing"),
        (PUBLISHED | {"numbers": {"topk": {"edges": 0.5}}}, "published.numbers.topk.edges"),
        (PUBLISHED | {"numbers": {"topk": {"nodes": 5}}}, "nodes"),
    ],
)
def test_wrong_keys_are_named(published, message):
    with pytest.raises(ConfigError, match=message):
        complete(BASE | {"published": published})
