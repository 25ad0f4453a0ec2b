"""Whether features split in wider dictionaries, beside seeds of one width: table and sentences."""

from typing import Any

import pandas as pd

from coact.comparison.splitting import SEED, WIDTH
from coact.comparison.wording import NOT_DEFINED, count, number, p_value, percent, plural, spread
from coact.report.markup import pipe_table
from coact.report.results import Results

LEVEL = 0.05
HEADER = ("narrower, wider", "differ in", "live features", "descending", "by chance", "parent's number",
          "children: none / one / two / more", "coverage", "expected", "covered", "expected", "pairs of siblings",
          "linked", "by chance", "p")  # fmt: skip


def splitting_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    rows = [
        [
            f"{row['narrow_name']}, {row['wide_name']}",
            row["differ"],
            f"{count(row['narrow'])}, {count(row['wide'])}",
            percent(row["descending"]),
            percent(row["null_descending"]),
            percent(row["same_place"]),
            " / ".join(count(number_of) for number_of in row["children"]),
            *(percent(row[key]) for key in ("coverage", "expected_coverage", "covered", "expected_covered")),
            count(row["siblings"]),
            *_linked(row),
        ]
        for row in results.meaning.splitting.to_dict("records")
    ]
    caption = (
        "Features of wider dictionaries and their parents in the next narrower one, and the same between seeds."
        " Coverage: of a descendant's tokens, those with its parent (median), and what independence would give;"
        " covered: of a parent's tokens, those with any of its two or more descendants (median); linked: siblings"
        " joined by an edge, beside descendants exchanged among those of about equal top-k count"
    )
    return {"_splitting.md": pipe_table(HEADER, rows, caption, "tbl-splitting", 2)}


def _linked(row: dict[str, Any]) -> list[str]:
    if not row["siblings"]:
        return [""] * 3
    return [percent(row["linked"]), percent(row["null_linked"]), p_value(row["linked_p"]).removeprefix("= ")]


def splitting_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    table = results.meaning.splitting
    return {
        "splitting_sentence": splitting_sentence(table),
        "seeds_split_sentence": seeds_split_sentence(table),
        "siblings_sentence": siblings_sentence(table),
    }


def _of_widths(table: pd.DataFrame) -> pd.DataFrame:
    """Pairs of two widths in which features can descend."""
    return table[(table["differ"] != SEED) & table["descending"].notna()]


def _several(table: pd.DataFrame) -> list[float]:
    """Share of the narrower dictionary's features with two descendants or more, of each pair."""
    return [sum(children[2:]) / sum(children) for children in table["children"] if sum(children)]


def splitting_sentence(table: pd.DataFrame) -> str:
    """How many features descend, and how many parents have several children."""
    if not (table["differ"] != SEED).any():
        return "No two dictionaries of one recipe differ in width, so whether features split is not known."
    known = _of_widths(table)
    if known.empty:
        return f"Whether features split is {NOT_DEFINED}: a dictionary has no live features."
    pairs = "the one pair of widths" if len(known) == 1 else plural(len(known), "pair of widths", "pairs of widths")
    return (
        f"In {pairs}, {spread(known['descending'], percent)} of the wider dictionary's features descend from one of the"
        f" narrower ({spread(known['null_descending'], percent)} where entries are shuffled), and"
        f" {spread(_several(known), percent)} of the narrower one's have two descendants or more. A descendant fires"
        f" together with its parent on {spread(known['coverage'], percent)} of its tokens (median), where independence"
        f" would give {spread(known['expected_coverage'], percent)}."
    )


def seeds_split_sentence(table: pd.DataFrame) -> str:
    """How much of this is there between seeds of one width, and how much comes from a common start."""
    known, alike = _of_widths(table), table[table["differ"] == SEED]
    parts = []
    if len(known) and len(several := _several(alike)):
        parts.append(
            "Between dictionaries of one width and other seeds, where there is nothing to split,"
            f" {spread(several, percent)} of features have two descendants or more."
        )
    elif len(known):
        parts.append("There are no two seeds of one width to show how many features have several descendants anyway.")
    started = known.loc[known["differ"] == WIDTH, "same_place"].dropna()
    if len(started):
        parts.append(
            "Dictionaries that began with the same rows would be alike number by number:"
            f" {spread(started, percent)} of descendants have the number of their parent."
        )
    return " ".join(parts) or f"A comparison with seeds of one width is {NOT_DEFINED}."


def siblings_sentence(table: pd.DataFrame) -> str:
    """Whether descendants of one parent are linked in the graph."""
    known = _of_widths(table).dropna(subset="linked")
    if known.empty:
        return "No two features descend from one parent, so whether siblings are linked is not known."
    above, total = int((known["linked_p"] < LEVEL).sum()), int(known["siblings"].sum())
    if total == 1:
        return f"The one pair of siblings is {'linked' if known['linked'].iloc[0] else 'not linked'} in the graph."
    text = (
        f"Of {plural(total, 'pair')} of siblings {spread(known['linked'], percent)} are linked in the graph, of"
        f" descendants exchanged among those of about equal top-k count {spread(known['null_linked'], percent)}"
    )
    if len(known) == 1:
        return f"{text} (p {p_value(known['linked_p'].iloc[0])})."
    return f"{text}; more than by chance (p < {number(LEVEL, 1)}) in {above} of {len(known)} pairs of widths."
