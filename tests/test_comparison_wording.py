"""Numbers as text."""

import math

import pytest

from coact.comparison import wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not defined"),
        (math.nan, "not defined"),
        (math.inf, "not defined"),
        (0, "0"),
        (1, "1.00"),
        (0.12345, "0.123"),
        (0.00123, "0.00123"),
        (0.9996, "1.00"),
        (999.6, "1,000"),
        (12345, "12,300"),
        (-2.5, "\N{MINUS SIGN}2.50"),
        (0.0000123, "1.23\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}10\N{SUPERSCRIPT MINUS}"
         "\N{SUPERSCRIPT FIVE}"),
    ],
)  # fmt: skip
def test_number_has_three_significant_digits(value, shown):
    assert wording.number(value) == shown


def test_count_and_percent():
    assert wording.count(1234567) == "1,234,567"
    assert wording.count(None) == "not defined"
    assert wording.percent(0.0172) == "1.72%"
    assert wording.percent(None) == "not defined"
    assert wording.coverage(0.95) == "95%"


def test_estimate_names_what_is_not_defined():
    assert wording.estimate({"value": 0.75, "low": 0.7, "high": 0.8, "n": 9}) == "0.750 [0.700, 0.800]"
    assert wording.estimate({"value": 0.75, "low": None, "high": None, "n": 9}) == "0.750 [interval not defined]"
    assert wording.estimate(None) == "not defined"


def test_p_value_below_the_shown_digits():
    assert wording.p_value(0.0004) == "< 0.001"
    assert wording.p_value(0.031) == "= 0.031"


def test_spread_of_none_one_and_many():
    assert wording.spread([]) == "not defined"
    assert wording.spread([None, math.nan]) == "not defined"
    assert wording.spread([2.0, 2.0, None]) == "2.00"
    assert wording.spread([3, 1, 2], wording.count) == "1\N{EN DASH}3"
    assert wording.spread([-1.0, 1.0]) == "\N{MINUS SIGN}1.00 to 1.00"


def test_dictionaries_in_words():
    assert wording.dictionaries(1, 1) == "the one dictionary"
    assert wording.dictionaries(0, 1) == "no dictionary"
    assert wording.dictionaries(2, 2) == "both dictionaries"
    assert wording.dictionaries(3, 3) == "all 3 dictionaries"
    assert wording.dictionaries(0, 3) == "none of the 3 dictionaries"
    assert wording.dictionaries(2, 3, ["a", "b"]) == "2 of 3 dictionaries (a and b)"
