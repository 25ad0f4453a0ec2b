"""Numbers that others have published of the same dictionaries, beside those of this study."""

from typing import Any

from coact.comparison.columns import Column
from coact.comparison.wording import NOT_DEFINED, count, defined, number, percent
from coact.report.markup import escape, pipe_table
from coact.report.results import Results

CLOSE = 0.05  # relative difference up to which numbers are said to agree
HEADER = ("dictionary", "number", "published", "here", "difference", "in its null")
# Key in the configuration -> what it is called, and how it is written.
NUMBERS = {
    "edges": ("edges", count),
    "mean_degree": ("mean degree", number),
    "density": ("density", number),
    "components": ("components", count),
    "largest_component": ("largest component", count),
    "average_clustering": ("mean clustering", number),
    "pearson": ("Pearson r of degree and frequency", number),
    "loss_recovered_zero": ("loss recovered (zero ablation)", percent),
}


def published_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown: the section's text, and its table where numbers are given."""
    rows = _rows(results)
    if not rows:
        return {"_published.md": "The configuration names no published numbers of these dictionaries (`published`)."}
    published = results.study.config["published"]
    cells = [
        [column.name, title, form(theirs), form(ours), _difference(theirs, ours), form(null)]
        for column, title, form, theirs, ours, null in rows
    ]
    close = sum(_is_close(theirs, ours) for *_, theirs, ours, _ in rows)
    beyond = sum(_is_close(theirs, null) for *_, theirs, _, null in rows)
    text = (
        f"Published by {escape(published['source'])}. Within {percent(CLOSE, 1)} of the numbers here lie {close} of"
        f" {len(rows)}, within {percent(CLOSE, 1)} of those of the null model, which knows the margins alone, {beyond}."
        f" {escape(published['differences'])}"
    )
    caption = "Published numbers beside those of this study, of all features, and of the token null's first replicate"
    return {"_published.md": f"{text.strip()}\n\n{pipe_table(HEADER, cells, caption, 'tbl-published', 2)}"}


def _rows(results: Results) -> list[tuple[Column, str, Any, float, float | None, float | None]]:
    """Dictionary, title, form, and the number as published, here and in the null."""
    published = results.study.config["published"]
    rows = []
    for column, evaluation, statistics in zip(results.columns, results.evaluations, results.statistics, strict=True):
        theirs = ((published or {}).get("numbers") or {}).get(column.sae) or {}
        for key, (title, form) in NUMBERS.items():
            if theirs.get(key) is not None:
                ours, null = (_value(statistics[source]["all"].get(key)) for source in ("observed", "null"))
                rows.append((column, title, form, theirs[key], evaluation.get(key) if ours is None else ours, null))
    return rows


def _value(found: Any) -> float | None:
    return found.get("value") if isinstance(found, dict) else found


def _is_close(theirs: float, ours: float | None) -> bool:
    return defined(ours) and abs(ours - theirs) <= CLOSE * abs(theirs)  # type: ignore[operator]


def _difference(theirs: float, ours: float | None) -> str:
    if not defined(ours) or not theirs:
        return NOT_DEFINED
    share = ours / theirs - 1  # type: ignore[operator]
    return f"{'+' if share > 0 else ''}{percent(share, 2)}"
