"""Numbers as text, the same way in every table, caption and sentence. All results are plain text, not markup."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

NOT_DEFINED = "not defined"
MINUS = "\N{MINUS SIGN}"
MOST_NAMES = 3
TO = "\N{EN DASH}"
TIMES = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"
SUPERSCRIPTS = str.maketrans(
    "-0123456789",
    "\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT ZERO}\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
    "\N{SUPERSCRIPT FOUR}\N{SUPERSCRIPT FIVE}\N{SUPERSCRIPT SIX}\N{SUPERSCRIPT SEVEN}\N{SUPERSCRIPT EIGHT}"
    "\N{SUPERSCRIPT NINE}",
)


def defined(value: Any) -> bool:
    """Whether `value` is a finite number."""
    return value is not None and math.isfinite(value)


def count(value: float | None) -> str:
    """A whole number with thousands separators: 12,345."""
    return f"{round(value):,}".replace("-", MINUS) if defined(value) else NOT_DEFINED


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits: 0.0123, 1,230, 1.23 x 10^-5 (with superscripts) below 0.001."""
    if not defined(value):
        return NOT_DEFINED
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(float(f"{abs(value):.{digits - 1}e}")))
    if exponent < -3:
        return f"{value / 10**exponent:.{digits - 1}f}{TIMES}{power(exponent)}".replace("-", MINUS)
    shown = round(value, digits - 1 - exponent)
    return f"{shown:,.{max(0, digits - 1 - exponent)}f}".replace("-", MINUS)


def power(exponent: int) -> str:
    """A power of ten with a superscript exponent."""
    return f"10{str(exponent).translate(SUPERSCRIPTS)}"


def percent(share: float | None, digits: int = 3) -> str:
    """A share as a percentage."""
    return f"{number(100 * share, digits)}%" if defined(share) else NOT_DEFINED


def coverage(confidence: float) -> str:
    """The coverage of an interval: 95%, 99.9%."""
    return f"{100 * confidence:.6g}%"


def estimate(found: dict[str, Any] | None, digits: int = 3) -> str:
    """A statistic {value, low, high} with its interval: 0.750 [0.731, 0.768]."""
    if found is None or not defined(found["value"]):
        return NOT_DEFINED
    if not (defined(found.get("low")) and defined(found.get("high"))):
        return f"{number(found['value'], digits)} [interval {NOT_DEFINED}]"
    return f"{number(found['value'], digits)} [{number(found['low'], digits)}, {number(found['high'], digits)}]"


def p_value(value: float | None) -> str:
    """A p value with its relation: = 0.0312, or < 0.001."""
    if not defined(value):
        return NOT_DEFINED
    return "< 0.001" if value < 0.001 else f"= {number(value, 2)}"


def spread(values: Iterable[float | None], form: Any = number) -> str:
    """The smallest and the largest of the defined values as text: 0.41-0.75 (with an en dash), or the one value."""
    known = sorted(value for value in values if defined(value))
    if not known:
        return NOT_DEFINED
    low, high = form(known[0]), form(known[-1])
    if low == high:
        return low
    return f"{low} to {high}" if MINUS in low + high or TIMES in low + high else f"{low}{TO}{high}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join(([", ".join(names[:-1])] if len(names) > 1 else []) + list(names[-1:]))


def plural(number_of: int, noun: str, many: str | None = None) -> str:
    """A count with its noun: 1 feature, 2 features, 3 dictionaries."""
    return f"{number_of:,} {noun if number_of == 1 else many or noun + 's'}"


def dictionaries(number_of: int, total: int, names: Sequence[str] = ()) -> str:
    """How many of the dictionaries: "the one dictionary", "all 7 dictionaries", "none of the 7 dictionaries", ...

    `names` of the dictionaries meant are added where they are few, and not all.
    """
    if total == 1:
        return "the one dictionary" if number_of else "no dictionary"
    if number_of == total:
        return "both dictionaries" if total == 2 else f"all {total} dictionaries"
    if number_of == 0:
        return f"none of the {total} dictionaries"
    return f"{number_of} of {total} dictionaries{few(names)}"


def few(names: Sequence[str]) -> str:
    """Names in brackets after a blank, or nothing where there are none or too many to read."""
    return f" ({listed(names)})" if 0 < len(names) <= MOST_NAMES else ""


def sentence(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]
