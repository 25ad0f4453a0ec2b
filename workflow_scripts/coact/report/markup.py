"""Plain text and tables as Markdown that Quarto and Pandoc read alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

MARKUP = re.compile(r'[\\`*_{}\[\]<>|$~^#@&"]')
BLANKS = re.compile(r"[ \t\r\n\f\v]+")
DOTS = re.compile(r"\.(?=\.)|(?<=\.)\.")
HYPHENS = re.compile(r"-(?=-)|(?<=-)-")
START = re.compile(r"^(?:[-+:(%=!]|\d+(?=[.)](?:\s|$)))")


@dataclass(frozen=True)
class Link:
    """A text that leads somewhere; `address` is a URL, percent-encoded."""

    text: str
    address: str


def feature_address(column: str, feature: int) -> str:
    """Where the explorer, which stands beside the report, shows a feature of a column (model/sae)."""
    return f"explorer.html#feature={feature}&sae={quote(column)}"


def feature_link(column: str, feature: int) -> Link:
    """A feature's number, leading to its card in the explorer."""
    return Link(str(feature), feature_address(column, feature))


def escape(text: object) -> str:
    """`text` as Markdown that shows it as it is, on one line: no markup, HTML, shortcode, citation or list.

    A `Link` becomes a link.
    """
    if isinstance(text, Link):
        return f"[{escape(text.text)}]({text.address})"
    plain = BLANKS.sub(" ", str(text)).strip(" ")
    shown = MARKUP.sub(r"\\\g<0>", plain)
    shown = HYPHENS.sub(r"\\-", DOTS.sub(r"\\.", shown))
    begin = START.match(shown)
    if begin is None:
        return shown
    # A number that begins a line and is followed by a dot would begin a list.
    end = begin.end()
    return f"{shown[:end]}\\{shown[end:]}" if begin.group()[-1].isdigit() else f"\\{shown}"


def pipe_table(
    header: Sequence[object],
    rows: Sequence[Sequence[object]],
    caption: str,
    identifier: str,
    text_columns: int = 1,
    text_last: int = 0,
) -> str:
    """A Markdown table in a block that scrolls sideways where the page is too narrow.

    Args:
        header, rows: cells, shown as they are; without rows there is one that says "none".
        caption: plain text.
        identifier: begins with tbl-, what the prose refers to.
        text_columns, text_last: so many columns from the left, and from the right, hold text, the others numbers, set
            to the right.
    """
    shown = rows or [["none"] + [""] * (len(header) - 1)]
    lines = ["| " + " | ".join(escape(cell) for cell in header) + " |"]
    numbers = len(header) - text_columns - text_last
    lines.append("|" + "|".join([":---"] * text_columns + ["---:"] * numbers + [":---"] * text_last) + "|")
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in shown]
    body = "\n".join(lines)
    return f'::: {{.scroll tabindex="0"}}\n{body}\n\n: {escape(caption)} {{#{identifier}}}\n:::\n'


def code_block(text: str, language: str) -> str:
    """A block of code, shown as it is; Quarto looks for no shortcodes in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f'{fence} {{.{language} shortcodes="false"}}\n{text.rstrip()}\n{fence}\n'
