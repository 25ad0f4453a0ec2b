"""Numbers and dates."""

import datetime
from collections.abc import Callable
from email.utils import format_datetime

import numpy as np

from coact.corpus.passages.draws import draw_length, fill, pick

DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%y",
    "%d.%m.%Y",
    "%B %d, %Y",
    "%A, %d %B %Y",
    "%d %b %Y",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%b %d %H:%M:%S",
    "%Y%m%d",
    "%H:%M, %d %B %Y",
    "%d/%b/%Y:%H:%M:%S +0000",
)
RFC_LAYOUT = "RFC 5322: date and time"  # as in the headers of emails
FIRST_SECOND = datetime.datetime(1950, 1, 1, tzinfo=datetime.UTC)
SECONDS = 3_000_000_000


def make_numbers(rng: np.random.Generator) -> str:
    """Numbers of one format: lists, tables, matrices or sequences."""
    length = draw_length(rng)
    style = int(rng.integers(4))
    if style == 0:
        number = _draw_format(rng)
        return fill(number, pick(rng, (" ", ", ", "\n", "; ", "\t")), length)
    if style == 1:
        columns = [_draw_format(rng) for _ in range(rng.integers(2, 7))]
        separator, width = pick(rng, ((",", 0), ("\t", 0), ("  ", 10), (" | ", 8), (" & ", 0)))
        return fill(lambda: separator.join(column().rjust(width) for column in columns), "\n", length)
    if style == 2:
        number, size = _draw_format(rng), int(rng.integers(2, 9))
        return "[" + fill(lambda: "[" + ", ".join(number() for _ in range(size)) + "]", ",\n ", length) + "]"
    state, step = int(rng.integers(1000)), int(rng.integers(1, 100))

    def count() -> str:
        nonlocal state
        state += step
        return str(state)

    return fill(count, pick(rng, (", ", " ", "\n")), length)


def make_dates(rng: np.random.Generator) -> str:
    """Dates and times in English formats: one format a passage, scattered, consecutive, or as ranges."""
    length, layout = draw_length(rng), pick(rng, (*DATE_FORMATS, RFC_LAYOUT))
    moment = FIRST_SECOND + datetime.timedelta(seconds=int(rng.integers(SECONDS)))
    shortest = 60 if ":" in layout else 86400  # seconds, so that dates without a time differ
    pace = float(np.exp(rng.uniform(np.log(shortest), np.log(86400 * 60))))
    consecutive = rng.random() < 0.5

    def make() -> str:
        nonlocal moment
        if consecutive:
            moment += datetime.timedelta(seconds=int(rng.exponential(pace)))
            date = moment
        else:
            date = FIRST_SECOND + datetime.timedelta(seconds=int(rng.integers(SECONDS)))
        return format_datetime(date) if layout == RFC_LAYOUT else date.strftime(layout)

    if rng.random() < 0.2:
        link = pick(rng, (" - ", " to ", "/"))
        return fill(lambda: make() + link + make(), "\n", length)
    return fill(make, pick(rng, ("\n", "\n", "; ", " | ")), length)


def _draw_format(rng: np.random.Generator) -> Callable[[], str]:
    """A way to write numbers, with a scale of its own."""
    scale = float(10 ** rng.uniform(0, 6))
    digits = int(rng.integers(1, 7))
    formats = (
        lambda: str(int(rng.exponential(scale))),
        lambda: f"{int(rng.exponential(scale * 100)):,}",
        lambda: f"{rng.normal(0, scale):.{digits}f}",
        lambda: f"{rng.random():.{digits}f}",
        lambda: f"{rng.normal(0, scale):.{digits}e}",
        lambda: f"{rng.random() * 100:.1f}%",
        lambda: f"{rng.integers(-99, 100):+d}",
        lambda: f"${rng.exponential(scale):,.2f}",
        lambda: f"{rng.integers(1, 1000)}/{rng.integers(1, 1000)}",
    )
    return pick(rng, formats)
