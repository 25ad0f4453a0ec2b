"""The page: markup, styles and scripts in one file, with what the list of features needs.

Nothing is loaded from a network: a Content-Security-Policy names the page's own scripts by their digests and allows
besides only scripts beside the page, so that a text of the corpus could not run even where one were taken for markup.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from coact.explorer.files import as_script

LIBRARY = ("bokeh.min.js", "bokeh-api.min.js")  # BokehJS, from the Python package
SCRIPTS = ("data.js", "list.js", "graph.js", "card.js", "main.js")
POLICY = (
    "default-src 'none'; script-src file: 'self' {digests}; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)


def make_page(folder: Path, title: str, columns: Sequence[dict[str, Any]], start: int) -> str:
    """The page as text.

    Args:
        folder: explorer.html, explorer.css and `SCRIPTS`.
        title: of the study, plain text.
        columns: name (model/sae), control, and what the column's index says.
        start: place of the column that is shown first.
    """
    library = files("bokeh") / "server" / "static" / "js"
    parts = [(library / name).read_text(encoding="utf-8") for name in LIBRARY]
    own = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts.append(f'"use strict";\n(() => {{\n{own}\n}})();')
    # Within a script's text this spelling means the same, and does not end the element.
    scripts = [part.replace("</script", "<\\/script") for part in parts]
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    values = {
        "POLICY": POLICY.format(digests=digests),
        "TITLE": escape(title),
        "STYLE": (folder / "explorer.css").read_text(encoding="utf-8"),
        "INDEX": as_script({"title": title, "start": start, "columns": list(columns)}),
        "SCRIPTS": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    pieces = (folder / "explorer.html").read_text(encoding="utf-8").split("%%")
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
