"""Tables on a terminal: one line per SAE, the same width everywhere, plain text where the output is no terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH = 120
FIRST_COLUMN = 16  # least width of the names, which are folded where room is short


def open_console(file: TextIO | None = None) -> "Console":
    """A console of at most `WIDTH` columns; None means standard output."""
    from rich.console import Console

    console = Console(file=file, highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def print_table(
    console: "Console", headings: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], legend: str
) -> None:
    """Print a table and its legend; columns stand two blanks apart where the width allows it, else one.

    Args:
        console: of `open_console`.
        headings: of the name, and of each cell.
        rows: name and cells of each row.
        legend: what stands below.
    """
    from rich.measure import Measurement
    from rich.text import Text

    rows = list(rows)
    wide = _draw(headings, rows, gap=2)
    # A measurement is never above the width it is taken at.
    needed = Measurement.get(console, console.options.update_width(2 * console.width), wide).maximum
    console.print(wide if needed <= console.width else _draw(headings, rows, gap=1))
    console.print(Text(legend))


def _draw(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], gap: int) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, gap - 1, 0, 0), header_style="bold")
    shown.add_column(headings[0], overflow="fold", min_width=FIRST_COLUMN)
    for title in headings[1:]:
        shown.add_column(Text(title), justify="right", no_wrap=True)
    for name, cells in rows:
        shown.add_row(Text(name), *map(Text, cells))
    return shown
