"""What the explorer shows of a feature, short: its card, and its line in the list.

In: cards. Out: plain JSON. Texts of the corpus are spelled so that nothing in them acts; the page sets them as text.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from coact.interpretation.cards import ENDS
from coact.spelling import show_piece, show_token

DIGITS = 4  # significant ones
PIECE_CHARACTERS = 40
TOKENS_LISTED = 5
NUMBERS = ("count", "frequency", "largest", "degree", "live", "community")


def record(card: dict[str, Any], graph: dict[str, Any]) -> dict[str, Any]:
    """All that the page shows of a feature.

    Args:
        card: of `coact.interpretation.cards.Cards`.
        graph: of `Neighbourhoods.around`.
    """
    lists = {name: _shown(card[name]) for name in ("tokens", "bigrams", "rules")}
    lens = card["lens"]
    if lens:
        lens = {**lens, **{end: _shown(lens[end]) for end in ENDS}}
    examples = [{**example, "pieces": [_piece(text) for text in example["pieces"]]} for example in card["examples"]]
    without_neighbours = {name: value for name, value in card.items() if name != "neighbours"}  # the graph has them
    return short({**without_neighbours, **lists, "lens": lens, "examples": examples, "graph": graph})


def line(card: dict[str, Any]) -> dict[str, Any]:
    """What the list of features shows of one, and is searched and sorted by."""
    best = [entry["context"] for entry in card["contexts"] if entry["rank"] == 0]
    labels = card["labels"]
    return short(
        {
            **{name: card[name] for name in NUMBERS},
            "kurtosis": card["lens"]["kurtosis"] if card["lens"] else None,
            "predicted": card["explanation"]["correlation"] if card["explanation"] else None,
            "label": max(labels, key=lambda entry: entry["count"])["label"] if labels else "",
            "contexts": ", ".join(best),
            "tokens": " ".join(show_token(entry["text"]) for entry in card["tokens"][:TOKENS_LISTED]),
        }
    )


def short(value: Any) -> Any:
    """`value` as plain JSON types, numbers with `DIGITS` significant digits; what is not finite is None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            return None
        return int(value) if value.is_integer() else float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: short(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [short(item) for item in value]
    return short(value.tolist())  # of NumPy, an array or a scalar


def _shown(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "text": show_token(entry["text"])} for entry in entries]


@lru_cache(1 << 16)
def _piece(text: str) -> str:
    return show_piece(text, PIECE_CHARACTERS)
