"""Writing a figure: SVG, PNG, its data as CSV, its caption as JSON, all or none."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from coact.artefacts import atomic
from coact.figures.style import PAGE_WIDTH, style


class Drawing(NamedTuple):
    """A figure, the numbers that it shows, and its words.

    `caption` is of `words`.
    """

    figure: Figure
    data: pd.DataFrame
    caption: dict[str, str]


def words(conclusion: str, details: str, alt: str) -> dict[str, str]:
    """The words of a figure, plain text.

    Args:
        conclusion: what the figure shows, the sentence that the caption leads with.
        details: the rest of the caption: what is drawn, n, uncertainty.
        alt: what the picture looks like, for those who cannot see it.
    Returns:
        The three, and caption, the whole of it.
    """
    return {"conclusion": conclusion, "details": details, "caption": f"{conclusion} {details}", "alt": alt}


def nothing(text: str, columns: Sequence[str], conclusion: str, details: str) -> Drawing:
    """A figure that says that there is nothing to draw.

    Args:
        text: what the picture says.
        columns: of its data, which have no rows.
        conclusion, details: see `words`.
    """
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 0.6))
        figure.text(0.5, 0.5, text, ha="center", va="center")
    return Drawing(figure, pd.DataFrame(columns=list(columns)), words(conclusion, details, "No data."))


def save_drawing(
    drawing: Drawing,
    *,
    svg: str | Path,
    png: str | Path,
    csv: str | Path,
    caption: str | Path,
    dpi: int,
    stamp: dict[str, Any],
) -> None:
    """Write the four files of a figure; they get their names together, when all are whole.

    The same drawing gives the same bytes: no dates, no versions, and identifiers in the SVG from a fixed salt.
    Text in the SVG stays text.

    Args:
        dpi: resolution of the PNG and of pictures within the SVG, dots per inch.
        stamp: what made the figure, kept beside the caption.
    """
    with contextlib.ExitStack() as stack:
        parts = {path: stack.enter_context(atomic(path)) for path in (svg, png, csv, caption)}
        stack.enter_context(style())
        drawing.figure.savefig(parts[svg], format="svg", dpi=dpi, metadata={"Date": None, "Creator": None})
        drawing.figure.savefig(parts[png], format="png", dpi=dpi, metadata={"Software": None})
        drawing.data.to_csv(parts[csv], index=False, float_format="%.6g", lineterminator="\n")
        text = json.dumps({**drawing.caption, "stamp": stamp}, indent=2, ensure_ascii=False)
        parts[caption].write_text(text + "\n", encoding="utf-8")


def make_figure(
    draw: Callable[..., Drawing],
    *inputs: Any,
    paths: Mapping[str, Sequence[str]],
    dpi: int,
    stamp: dict[str, Any],
) -> None:
    """Draw one figure of a family and write its files. A traceback says which figure it was.

    Args:
        draw: the function of the figure, called like it.
        inputs: its arguments.
        paths: svg, png, csv and caption of all figures of the family; files are called like their figure.
        dpi, stamp: as in `save_drawing`.
    """
    name = draw.__name__
    try:
        own = {kind: {Path(path).stem: path for path in files}[name] for kind, files in paths.items()}
        save_drawing(draw(*inputs), **own, dpi=dpi, stamp=stamp)
    except Exception as error:
        error.add_note(f"in figure {name}")
        raise
