"""Plain text stays plain text in Markdown."""

import re
import subprocess

import pypandoc
import pytest

from coact.report.markup import code_block, escape, pipe_table
from coact.spelling import END_ISOLATE, ISOLATE, show_token

HOSTILE = [
    "a | b",
    "<script>alert(1)</script>",
    "`code` and ``more``",
    "{{< meta title >}} {{{< x >}}}",
    "*bold* _it_ ~~no~~ ^up^ $x$ # @bricken2023 [a](b) ![c](d)",
    "- item",
    "+ item",
    "12. item",
    "(1) item",
    "::: {.box}",
    "a\n\n# b",
    "&lt; &amp; \\n",
    "one -- two --- three...",
    'say "x"',
    "% title",
    "",
]


def to_html(markdown):
    command = [pypandoc.get_pandoc_path(), "--from=markdown", "--to=html5", "--wrap=none"]
    return subprocess.run(command, input=markdown, capture_output=True, text=True, check=True).stdout


def to_plain(html):
    from html import unescape

    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_is_shown_as_it_is(text):
    html = to_html(escape(text))
    assert to_plain(html) == " ".join(text.split())
    assert re.sub(r"</?p>", "", html).count("<") == 0
    assert "{{<" not in escape(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_in_an_attribute(text):
    html = to_html(f'[x]{{data-text="{escape(text)}"}}')
    assert html.startswith("<p><span")
    assert html.count("<") == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_cells_are_shown_as_they_are(text):
    html = to_html(pipe_table(["name", "value"], [[text, "1"]], text, "tbl-x"))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html, re.DOTALL)
    assert [to_plain(cell) for cell in cells] == [" ".join(text.split()), "1"]
    assert '<table id="tbl-x">' in html
    assert not re.search(r"<(script|img|a|em|strong|code|h1|li)\b", html)


def test_code_block_keeps_fences_and_shortcodes():
    text = "a: '```'\nb: '{{< meta x >}}'\n"
    html = to_html(code_block(text, "text"))
    assert to_plain(html) == text.strip()


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "\N{OPEN BOX}the"),
        ("\n\t", "\N{RETURN SYMBOL}\N{RIGHTWARDS ARROW TO BAR}"),
        ("\u202ecba\x07", "\\u202ecba\\x07"),
        ("-" * 40, "-" * 12 + "\N{HORIZONTAL ELLIPSIS}"),
        ("שלום", "שלום"),
    ],
)
def test_tokens_are_shown_with_their_blanks(token, shown):
    assert (
        show_token(token)
        == f"{ISOLATE}\N{LEFT DOUBLE QUOTATION MARK}{shown}\N{RIGHT DOUBLE QUOTATION MARK}{END_ISOLATE}"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_tokens_are_shown_and_not_obeyed(text):
    html = to_html(pipe_table(["token", "n", "text"], [[show_token(text), "1", show_token(text)]], "c", "tbl-x", 1, 1))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html, re.DOTALL)
    assert [to_plain(cell) for cell in cells] == [show_token(text), "1", show_token(text)]
    assert not re.search(r"<(script|img|a|em|strong|code|h1|li)\b", html)


def test_columns_of_text_at_the_right_are_set_to_the_left():
    assert "|:---|---:|:---|:---|" in pipe_table(list("abcd"), [], "caption", "tbl-x", 1, 2)
