"""Progress of long work: a bar on a terminal, a line per interval in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
INTERVAL_S = 10.0

log = logging.getLogger("coact")
_terminal: TextIO | None = sys.stderr if sys.stderr.isatty() else None


def set_terminal(stream: TextIO | None) -> None:
    """Choose where bars are drawn; None means that there is no terminal."""
    global _terminal
    _terminal = stream


class Progress:
    """Counts units of work and shows them.

    Args:
        total: units in all.
        what: a few words on the work.
        unit: name of the unit, for example "tokens".
    """

    def __init__(self, total: int, what: str, unit: str) -> None:
        self.total, self.what, self.unit, self.done = total, what, unit, 0
        self._start = self._last = time.monotonic()
        self._figures = ""
        self._bar = None
        if _terminal is not None:
            self._bar = tqdm(total=total, desc=what, unit=unit, unit_scale=True, file=_terminal, leave=False)

    def update(self, units: int, **figures: float) -> None:
        """Add `units`; `figures` (for example loss=3.2) are shown beside the count."""
        self.done += units
        if figures:
            self._figures = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if self._bar is not None:
            self._bar.update(units)
            self._bar.set_postfix_str(self._figures, refresh=False)
        now = time.monotonic()
        if now - self._last >= INTERVAL_S:
            self._last = now
            self._write_line(now)

    def close(self) -> None:
        """End the bar and write the last line."""
        if self._bar is not None:
            self._bar.close()
        self._write_line(time.monotonic())

    def _write_line(self, now: float) -> None:
        rate = self.done / max(now - self._start, 1e-9)
        tail = f"; {self._figures}" if self._figures else ""
        log.info(
            "%s: %s of %s %s, %s/s%s", self.what, f"{self.done:,}", f"{self.total:,}", self.unit, f"{rate:,.0f}", tail
        )


def tracked(items: Iterable[Item], total: int, what: str, unit: str) -> Iterator[Item]:
    """Yield `items`, one unit of progress each."""
    progress = Progress(total, what, unit)
    for item in items:
        yield item
        progress.update(1)
    progress.close()
