"""What a map of features shows, beside random directions and exchanged features: table and sentences."""

from typing import Any

from coact.comparison.columns import Column
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    defined,
    dictionaries,
    listed,
    number,
    p_value,
    percent,
)
from coact.report.markup import pipe_table
from coact.report.meaning import beside_controls
from coact.report.results import Results

LEVEL = 0.05
TRAITS = {"community": "same community", "edge": "joined by an edge", "context": "same context"}
HEADER = ("dictionary", "live features", "mapped", "kept", "random directions", "by chance",
          *(f"{name}{part}" for name in TRAITS.values() for part in ("", ", exchanged", ", p", ", decoder rows")),
          "why not")  # fmt: skip


def map_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    rows = []
    for column, found in zip(results.columns, results.meaning.maps, strict=True):
        kept = [_percent(found[key]) for key in ("preserved", "preserved_random", "preserved_chance")]
        traits = [cell for trait in TRAITS for cell in _cells(found[trait])]
        rows.append([column.name, count(found["live"]), count(found["features"]), *kept, *traits, found["reason"]])
    caption = (
        "Maps of live features. Kept: of a feature's nearest decoder rows, the share that is nearest in the map, beside"
        " as many random directions, mapped likewise, and places at random. Then, of nearest features in the map, the"
        " share that is of the same community, joined by an edge, of the same context (of features of a context other"
        " than ordinary text), the mean of the same with features exchanged for others of about equal top-k count, and"
        " the share among the nearest decoder rows themselves"
    )
    return {"_map.md": pipe_table(HEADER, rows, caption, "tbl-map", 1, 1)}


def _cells(found: dict[str, Any]) -> list[str]:
    """value, mean of the exchanged, p, value among decoder rows."""
    own, rows = found["map"], found["decoder"]
    p = p_value(own["p"]).removeprefix("= ") if defined(own["p"]) else ""
    return [_percent(own["value"]), _percent(own["mean"]), p, _percent(rows["value"])]


def _percent(share: float | None) -> str:
    return percent(share) if defined(share) else ""


def map_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {"map_sentence": map_sentence(results), "map_graph_sentence": map_graph_sentence(results)}


def map_sentence(results: Results) -> str:
    """How much of the neighbourhoods of decoder rows maps keep, beside random directions; which have no map."""
    columns, maps = results.columns, results.meaning.maps
    kept = beside_controls(columns, [found["preserved"] for found in maps], percent)
    without = [(column, found["reason"]) for column, found in zip(columns, maps, strict=True) if found["reason"]]
    if kept:
        random = beside_controls(columns, [found["preserved_random"] for found in maps], percent)
        text = (
            f"Of a feature's {maps[0]['neighbours']} nearest decoder rows, the share that is nearest in the map too is"
            f" {kept}; of random directions, mapped likewise, it is {random}."
        )
    else:
        text = f"What a map keeps is {NOT_DEFINED}: no dictionary has a map of more features than are compared."
    if not without:
        return text
    reasons = dict.fromkeys(reason for _, reason in without)
    told = [f"{listed([column.name for column, why in without if why == reason])}: {reason}" for reason in reasons]
    return f"{text} There is no map of {'; '.join(told)}."


def map_graph_sentence(results: Results) -> str:
    """Whether neighbours in the map share a community or an edge more often than exchanged features do."""
    parts = [_trait_part(results, trait, verb) for trait, verb in (
        ("community", "are of one community"), ("edge", "are joined by an edge"))]  # fmt: skip
    known = [part for part in parts if part]
    if not known:
        return f"Whether maps follow the graph is {NOT_DEFINED} here."
    return " ".join(known)


def _trait_part(results: Results, trait: str, verb: str) -> str:
    entries: list[tuple[Column, dict[str, Any]]] = [
        (column, found[trait])
        for column, found in zip(results.columns, results.meaning.maps, strict=True)
        if defined(found[trait]["map"]["p"])
    ]
    if not entries:
        return ""
    columns = [column for column, _ in entries]
    above = sum(entry["map"]["p"] < LEVEL for _, entry in entries)
    values, means, rows = (
        beside_controls(columns, [entry[which][key] for _, entry in entries], percent)
        for which, key in (("map", "value"), ("map", "mean"), ("decoder", "value"))
    )
    return (
        f"Neighbours in the map {verb} more often than features exchanged for others of about equal top-k count (p <"
        f" {number(LEVEL, 1)}) in {dictionaries(above, len(entries))}: {values}, exchanged {means}, and {rows} among"
        " the nearest decoder rows themselves."
    )
