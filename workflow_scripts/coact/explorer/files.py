"""The files of a column: scripts with cards and with communities, and what the page itself holds of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coact.artefacts import write_json
from coact.explorer.neighbourhoods import Neighbourhoods
from coact.explorer.records import line, record, short
from coact.interpretation.cards import Cards

INDEX = "index.json"


def write_column(folder: Path, name: str, cards: Cards, graphs: Neighbourhoods, features: int, per_file: int) -> None:
    """Write the files of a column.

    features-<n>.js holds the records of `per_file` features, community-<n>.js the graph of a community, index.json the
    number of features, those of a file, the sizes of communities and, by name, lists of what the features' lines say.

    Args:
        folder: exists, is empty.
        name: model/sae, which the scripts call their data by.
        features: number of features.
        per_file: features of a file.
    """
    lines: dict[str, list[Any]] = {}
    for number, first in enumerate(range(0, features, per_file)):
        records = []
        for feature in range(first, min(features, first + per_file)):
            card = cards.card(feature)
            records.append(record(card, graphs.around(feature)))
            for key, value in line(card).items():
                lines.setdefault(key, []).append(value)
        _write_script(folder, name, f"features-{number:05d}", records)
    for community in range(len(graphs.communities)):
        _write_script(folder, name, f"community-{community:05d}", short(graphs.within(community)))
    index = {"features": features, "per_file": per_file, "communities": graphs.communities, "lines": lines}
    write_json(index, folder / INDEX)


def _write_script(folder: Path, name: str, part: str, value: Any) -> None:
    text = f"explorer.receive({as_script(f'{name}/{part}')},{as_script(value)});\n"
    (folder / f"{part}.js").write_text(text, encoding="utf-8")


def as_script(value: Any) -> str:
    """JSON that is safe within a script and within HTML: no text of it can end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def contents(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """The index of every column's folder."""
    return [json.loads((folder / INDEX).read_text(encoding="utf-8")) for folder in folders]
