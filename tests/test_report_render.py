"""The page: resolved, self-contained, by Quarto where it is found and by Pandoc otherwise."""

import os
import re
import stat
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from coact.errors import StudyError
from coact.report import render, report_tables, report_variables
from synthetic_artefacts import make_captions, make_corpus, make_results, make_study

REPORT = Path(__file__).parents[1] / "report"
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>drawn</text></svg>'

# Stands in for Quarto: answers --version, and otherwise copies what it was given into the page.
QUARTO = """#!{python}
import sys
from pathlib import Path
if sys.argv[1:] == ["--version"]:
    print("1.6.40")
    raise SystemExit
assert sys.argv[1:] == ["render", "index.qmd", "--to", "html"], sys.argv
if "{mode}" == "fail":
    print("ERROR: no such engine", file=sys.stderr)
    raise SystemExit(1)
names = sorted(str(path) for path in Path().rglob("*") if path.is_file())
Path("index.html").write_text("<html>{body}" + " ".join(names) + Path("_quarto.yml").read_text() + "</html>")
"""


@pytest.fixture
def without_quarto(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def with_quarto(monkeypatch, tmp_path):
    def install(mode="good", body=""):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "quarto"
        program.write_text(QUARTO.format(python=sys.executable, mode=mode, body=body))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


def make_page(folder, results=None, report=REPORT, figures=None, **changes):
    results = make_results(3) if results is None else results
    picture = folder / "picture.svg"
    picture.write_text(PICTURE)
    arguments = {
        "report_folder": report,
        "scratch": folder / "scratch",
        "variables": report_variables(results),
        "includes": report_tables(results),
        "figures": {f"{name}.svg": picture for name in make_captions()} if figures is None else figures,
        "output": folder / "report.html",
    }
    renderer = render(**{**arguments, **changes})
    return renderer, (folder / "report.html").read_text(encoding="utf-8")


class Loads(HTMLParser):
    """What a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.found, self.ids, self.links = [], set(), set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if tag == "a" and attrs.get("href", "").startswith("#"):
            self.links.add(attrs["href"][1:])
        if tag != "a":
            self.found += [value for key, value in attrs.items() if key in ("src", "href", "data", "srcset")]


def test_page_by_pandoc_is_whole_and_self_contained(tmp_path, without_quarto):
    before = {path: path.read_bytes() for path in REPORT.rglob("*") if path.is_file()}
    renderer, page = make_page(tmp_path)
    assert re.fullmatch(r"Pandoc \d+(\.\d+)+", renderer)
    assert renderer in page
    loads = Loads()
    loads.feed(page)
    assert [target for target in loads.found if not target.startswith(("data:", "#"))] == []
    assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", page)
    assert loads.links <= loads.ids
    assert "{{<" not in page
    assert "?meta" not in page
    assert "<math" in page
    assert re.search(r"Figure\s1:", page)
    assert re.search(r"Table\s1:", page)
    assert "Towards Monosemanticity" in page
    assert 'aria-label="Picture of degree_frequency."' in page
    assert {path: path.read_bytes() for path in REPORT.rglob("*") if path.is_file()} == before


def test_page_is_the_same_on_a_second_run(tmp_path, without_quarto):
    assert make_page(tmp_path)[1] == make_page(tmp_path)[1]


def test_hostile_texts_are_shown_and_not_obeyed(tmp_path, without_quarto):
    hostile = "<script>alert('x')</script> `a` | {{< include /etc/passwd >}} [l](http://x.y)"
    captions = make_captions()
    captions["degree_frequency"] = {"conclusion": hostile, "details": hostile, "alt": f'" onload="x {hostile}'}
    results = make_results(2, captions, study=make_study(hostile), corpus=make_corpus(hostile, hostile))
    _, page = make_page(tmp_path, results)
    assert "<script" not in page
    assert 'onload="x' not in page
    assert 'href="http://x.y"' not in page
    assert "&lt;script&gt;" in page
    assert "/etc/passwd" in page
    assert "root:" not in page


def write_report(folder, text):
    folder.mkdir()
    for name in ("styles.css", "crossref.lua", "references.bib"):
        (folder / name).write_bytes((REPORT / name).read_bytes())
    (folder / "index.qmd").write_text(f"---\nbibliography: references.bib\n---\n\n{text}\n")
    return folder


@pytest.mark.parametrize("quarto", [False, True])
@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{{< meta no_such_key >}}", "no_such_key"),
        ("{{< include _nothing.md >}}", "_nothing.md"),
        ("{{< video x.mp4 >}}", "video x.mp4"),
        ("![c](figures/none.svg){#fig-x}", "figures/none.svg"),
    ],
)
def test_what_cannot_be_resolved_is_named(tmp_path, request, quarto, text, part):
    request.getfixturevalue("with_quarto")() if quarto else request.getfixturevalue("without_quarto")
    with pytest.raises(StudyError, match=re.escape(part)):
        make_page(tmp_path, report=write_report(tmp_path / "prose", text))
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("text", ["A citation [@nobody1999].", "See @fig-nothing."])
def test_dangling_references_are_errors(tmp_path, without_quarto, text):
    with pytest.raises(StudyError, match=r"nobody1999|fig-nothing"):
        make_page(tmp_path, report=write_report(tmp_path / "prose", text))


def test_missing_prose_or_picture_is_named(tmp_path, without_quarto):
    with pytest.raises(StudyError, match=r"index\.qmd"):
        make_page(tmp_path, report=tmp_path / "nowhere")
    with pytest.raises(StudyError, match=r"gone\.svg"):
        make_page(tmp_path, figures={"degree_frequency.svg": tmp_path / "gone.svg"})


def test_page_by_quarto(tmp_path, with_quarto):
    with_quarto()
    before = sorted(path.name for path in REPORT.iterdir())
    renderer, page = make_page(tmp_path)
    assert renderer == "Quarto 1.6.40"
    assert "figures/degree_frequency.svg" in page
    assert "_summary.md" in page
    settings = yaml.safe_load((tmp_path / "scratch" / "_quarto.yml").read_text())
    assert settings["renderer"] == "Quarto 1.6.40"
    assert all(isinstance(value, str) for key, value in settings.items() if key != "project")
    assert sorted(path.name for path in REPORT.iterdir()) == before


def test_quarto_that_fails_is_an_error_with_its_words(tmp_path, with_quarto):
    with_quarto("fail")
    with pytest.raises(StudyError, match="ERROR: no such engine"):
        make_page(tmp_path)


def test_page_that_would_load_something_is_refused(tmp_path, with_quarto):
    with_quarto(body="<script src='https://cdn.example/x.js'></script>")
    with pytest.raises(StudyError, match="self-contained"):
        make_page(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_prose_runs_nothing_and_types_no_result():
    source = (REPORT / "index.qmd").read_text(encoding="utf-8")
    assert "engine: markdown" in source
    assert not re.search(r"^```[ \t]*\{", source, re.MULTILINE)
    text = re.sub(r"\{\{<.*?>\}\}|\{#.*?\}|\[?@[\w-]+\]?|\$\$.*?\$\$|\$.*?\$|```.*?```|^---.*?^---", "", source,
                  flags=re.DOTALL | re.MULTILINE)  # fmt: skip
    text = re.sub(r"^\d+\. |SHA-256|\bL1\b", "", text, flags=re.MULTILINE)
    assert re.findall(r"\d[\d.,]*", text) == []
