"""From prose, variables, tables and figures to one HTML page, by Quarto where it is found and else by Pandoc.

The page is put together in a scratch folder; nothing is written beside the prose. Both ways read the same source:
its shortcodes {{< meta key >}} and {{< include file >}} are Quarto's own, and are resolved here for Pandoc.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import yaml

from coact.artefacts import atomic
from coact.errors import StudyError
from coact.report.markup import escape

PAGE = "index.qmd"
META = re.compile(r"\{\{<\s*meta\s+(\S+)\s*>\}\}")
INCLUDE = re.compile(r"^\{\{<\s*include\s+(\S+)\s*>\}\}[ \t]*$", re.MULTILINE)
SHORTCODE = re.compile(r"\{\{<.*?>\}\}")
IMAGE = re.compile(r"\]\(([^)\s]+)\)\{#fig-")
TELLING = re.compile(r"error|warning", re.IGNORECASE)
LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}


def render(
    report_folder: str | Path,
    scratch: str | Path,
    variables: Mapping[str, str],
    includes: Mapping[str, str],
    figures: Mapping[str, str | Path],
    output: str | Path,
) -> str:
    """Render the report to one self-contained HTML file.

    Args:
        report_folder: index.qmd, references.bib, styles and the filter for Pandoc; left as it is.
        scratch: a folder to work in; what is in it is deleted first.
        variables: key -> plain text for {{< meta key >}}; `renderer` is added here. `title` is the page's title.
        includes: file name -> Markdown for {{< include file >}}.
        figures: file name within the page's folder `figures` -> path of the picture.
        output: path of the page.
    Returns:
        The renderer and its version.
    Raises:
        StudyError: the prose asks for a key, a file or a picture that is not there; the renderer fails or warns; or
            the page would load something from elsewhere.
    """
    scratch, output = Path(scratch), Path(output)
    quarto = shutil.which("quarto")
    renderer = _version([quarto, "--version"], "Quarto") if quarto else _version([_pandoc(), "--version"], "Pandoc")
    texts = {**variables, "renderer": renderer}
    _prepare(Path(report_folder), scratch, texts, includes, figures)
    _check_source(scratch, texts, includes)
    page = scratch / "index.html"
    if quarto:
        _run([quarto, "render", PAGE, "--to", "html"], scratch, page)
    else:
        _render_with_pandoc(scratch, texts, includes, page)
    _check_page(page)
    with atomic(output) as part:
        shutil.copyfile(page, part)
    return renderer


def _prepare(
    report_folder: Path,
    scratch: Path,
    variables: Mapping[str, str],
    includes: Mapping[str, str],
    figures: Mapping[str, str | Path],
) -> None:
    if not (report_folder / PAGE).is_file():
        raise StudyError(f"{report_folder}: has no {PAGE}; expected the report's prose there")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(report_folder, scratch)
    for name, text in includes.items():
        (scratch / name).write_text(text, encoding="utf-8")
    (scratch / "figures").mkdir(exist_ok=True)
    for name, path in figures.items():
        if not Path(path).is_file():
            raise StudyError(f"{path}: no such file; expected the picture of a figure")
        shutil.copyfile(path, scratch / "figures" / name)
    settings = {"project": {"type": "default", "render": [PAGE]}}
    settings |= {key: escape(text) for key, text in variables.items()}
    (scratch / "_quarto.yml").write_text(
        yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=2**20), encoding="utf-8"
    )


def _check_source(scratch: Path, variables: Mapping[str, str], includes: Mapping[str, str]) -> None:
    """Refuse shortcodes that cannot be resolved and pictures that are not there, before any renderer runs."""
    source = (scratch / PAGE).read_text(encoding="utf-8")
    for key in META.findall(source):
        if key not in variables:
            raise StudyError(f"{PAGE}: asks for {{{{< meta {key} >}}}}, but the study gives no such variable")
    for name in INCLUDE.findall(source):
        if name not in includes:
            raise StudyError(f"{PAGE}: includes {name}, but the study makes no such file")
    for shortcode in SHORTCODE.findall(INCLUDE.sub("", META.sub("", source))):
        raise StudyError(
            f"{PAGE}: {shortcode} is not understood; expected meta with a key, or include on a line of its own"
        )
    for path in IMAGE.findall(source):
        if not (scratch / path).is_file():
            raise StudyError(f"{PAGE}: shows {path}, but the study makes no such figure")


def _render_with_pandoc(scratch: Path, variables: Mapping[str, str], includes: Mapping[str, str], page: Path) -> None:
    source = (scratch / PAGE).read_text(encoding="utf-8")
    resolved = META.sub(lambda match: escape(variables[match.group(1)]), source)
    resolved = INCLUDE.sub(lambda match: includes[match.group(1)].rstrip("\n") + "\n", resolved)
    (scratch / "index.md").write_text(resolved, encoding="utf-8")
    command = [_pandoc(), "index.md", f"--output={page.name}", "--from=markdown", "--to=html5", "--standalone"]
    command += [
        "--embed-resources",
        "--mathml",
        "--wrap=none",
        "--toc",
        "--toc-depth=2",
        "--section-divs",
        "--css=styles.css",
    ]
    command += [
        "--syntax-highlighting=none",
        "--lua-filter=crossref.lua",
        "--citeproc",
        f"--metadata=title:{variables.get('title', '')}",
    ]
    # No templates or defaults of the user, and a warning (a citation that is missing, say) is an error.
    command += [f"--data-dir={scratch.resolve()}", "--fail-if-warnings"]
    _run(command, scratch, page)


def _pandoc() -> str:
    import pypandoc

    return pypandoc.get_pandoc_path()


def _version(command: list[str], name: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise StudyError(f"{name} does not say its version ({' '.join(command)}: {error})") from None
    found = re.search(r"\d+(?:\.\d+)+", answer)
    return f"{name} {found.group()}" if found else name


def _run(command: list[str], folder: Path, page: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    if result.returncode or not page.is_file():
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        print(result.stdout + result.stderr)
        first = next((place for place, line in enumerate(lines) if TELLING.search(line)), len(lines) - 1)
        telling = " ".join(lines[first : first + (2 if lines[first].endswith(":") else 1)])
        raise StudyError(f"{Path(command[0]).name} did not render the report (status {result.returncode}): {telling}")


class _Loads(HTMLParser):
    """Collects what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag whose target is neither in the page (an anchor) nor in the tag itself (a data URI)."""
        target = dict(attrs).get(LOADED.get(tag, ""))
        if target and not target.startswith(("data:", "#")):
            self.found.append(f"<{tag}> {target[:80]}")


def _check_page(page: Path) -> None:
    """Refuse a page that is not self-contained."""
    loads = _Loads()
    loads.feed(page.read_text(encoding="utf-8"))
    if loads.found:
        raise StudyError(f"{page.name}: not self-contained, it would load {loads.found[0]}")
