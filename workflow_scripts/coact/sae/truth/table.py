"""The scores of all SAEs: one table, and the same on a terminal."""

import math
from collections.abc import Mapping
from typing import Any, TextIO

import pandas as pd

from coact.sae.truth.settings import KINDS, RANDOM, TRAINED
from coact.terminal import open_console, print_table

# The same for an SAE and its random dictionary.
SHARED = ("truths", "d_sae", "tokens", "l0_true", "noise_share")
SCORES = (
    "found",
    "found_share",
    *(f"found_{kind}" for kind in KINDS),
    "mmcs",
    "mmcs_back",
    "fvu",
    "l0",
    "dead_share",
    "f1",
    "parents",
    "silent_with_child",
    "silent_alone",
    "merged_share",
)
INTEGERS = ("truths", "d_sae", "tokens", "found", "found_random", "parents", "parents_random")
COLUMNS = ("sae", "architecture", *SHARED, *(f"{name}{suffix}" for name in SCORES for suffix in ("", "_random")))
HEADINGS = (
    "SAE",
    "found",
    "single/group/\nroot/child",
    "max cosine\nto SAE",
    "FVU",
    "L0",
    "F1 of\nfiring",
    "dead",
    "silent:\nchild/alone",
    "merged",
)
LEGEND = (
    "In brackets: a random dictionary with as many features and about the same L0. found: true features with an SAE\n"
    "feature of their own at a cosine above the threshold; and shares of single ones, of those in correlated groups,\n"
    "of roots of hierarchies and of children. silent: share of tokens on which the SAE feature of a found parent is\n"
    "silent, where a child fires and where none does. merged: share of those in groups. -: not defined."
)


def collect(records: Mapping[str, dict[str, Any]], architectures: Mapping[str, str]) -> pd.DataFrame:
    """One row per SAE.

    Args:
        records: SAE -> scores per dictionary (`coact.sae.truth.recovery.recover`), None where not defined.
        architectures: SAE -> architecture.
    Returns:
        `COLUMNS`: for every score one of the SAE, and one of the random dictionary with the suffix "_random"; NaN where
        not defined.
    """
    rows = [{"sae": sae, "architecture": architectures[sae], **_row(record)} for sae, record in records.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = {name: "int64" if name in INTEGERS else "float64" for name in COLUMNS[2:]}
    return table.astype({"sae": "str", "architecture": "str", **numbers})


def _row(record: dict[str, Any]) -> dict[str, Any]:
    trained, null = ({key: _number(value) for key, value in record[name].items()} for name in (TRAINED, RANDOM))
    row = {name: trained[name] for name in SHARED}
    for name in SCORES:
        row |= {name: trained[name], f"{name}_random": null[name]}
    return row


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def print_recovery(table: pd.DataFrame, file: TextIO | None = None) -> None:
    """Print the scores, one line per SAE, 120 characters wide; plain text where the output is no terminal.

    Args:
        table: of `collect`.
        file: where to print; None means standard output.
    """
    from rich.text import Text

    console = open_console(file)
    if len(table):
        first = table.iloc[0]
        console.print(
            Text(
                f"{first['truths']:,} true features, {first['l0_true']:.3g} on a token;"
                f" noise is {first['noise_share']:.2%} of the variance"
            )
        )
    print_table(console, HEADINGS, ((row["sae"], _cells(row)) for row in table.to_dict("records")), LEGEND)


def _cells(row: dict[str, Any]) -> list[str]:
    def beside(name: str, form: str) -> str:
        return f"{_text(row[name], form)} ({_text(row[f'{name}_random'], form)})"

    return [
        f"{row['found']} ({row['found_random']})",
        "/".join(_text(100 * row[f"found_{kind}"], ".0f") for kind in KINDS) + "%",
        beside("mmcs", ".2f"),
        beside("fvu", ".2f"),
        _text(row["l0"], ".3g"),
        beside("f1", ".2f"),
        _text(row["dead_share"], ".1%"),
        f"{_text(row['silent_with_child'], '.2f')}/{_text(row['silent_alone'], '.2f')}",
        beside("merged_share", ".2f"),
    ]


def _text(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"
