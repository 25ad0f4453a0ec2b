"""Whether the graph gathers contexts: tables and sentences of communities and of neighbours."""

import math
from typing import Any

from coact.comparison.columns import Column
from coact.comparison.wording import NOT_DEFINED, count, defined, dictionaries, number, p_value, percent, plural, spread
from coact.report.contexts import shown_column
from coact.report.markup import feature_link, pipe_table
from coact.report.meaning import beside_controls, of_contexts
from coact.report.results import Results

LEVEL = 0.05
SCOPES = {"all_contexts": "all", "without_ordinary": "without ordinary text"}
PURITY = ("dictionary", "contexts", "features", "communities", "contexts found", "purity", "permuted",
          "permuted, like frequency", "p", "NMI", "NMI, like frequency")  # fmt: skip
NEIGHBOURS = ("context", "its own context", "feature", "neighbours", "same context", "expected", "by top-k count",
              "p", "significant", "same context, significant", "p, significant", "heaviest neighbours")  # fmt: skip
HEAVIEST = 4


def purity_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    return {"_purity.md": _purity(results), "_context_neighbours.md": _neighbours(results)}


def purity_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        "purity_sentence": purity_sentence(results),
        "neighbours_sentence": neighbours_sentence(results),
    }


def _purity(results: Results) -> str:
    rows = []
    for column, found in zip(results.columns, results.meaning.purity, strict=True):
        for scope, title in SCOPES.items():
            entry = found["heldout"][scope]
            sizes = [count(entry[key]) for key in ("features", "communities", "contexts")]
            rows.append([column.name, title, *sizes, *_cells(entry["purity"]), *_cells(entry["nmi"])[::2]])
    caption = (
        "Communities and the contexts of their features, by held-out tokens: purity and normalised mutual information"
        " (NMI), beside the means over permutations of contexts among features, at random and among features of about"
        " equal frequency; p of the latter"
    )
    return pipe_table(PURITY, rows, caption, "tbl-purity", 2)


def _cells(found: dict[str, Any]) -> list[str]:
    value = number(found["value"])
    if not defined(found["value"]):
        return [value, "", "", ""]
    nulls = [number(found[null]["mean"]) for null in ("features", "frequency")]
    return [value, *nulls, p_value(found["frequency"]["p"]).removeprefix("= ")]


def purity_sentence(results: Results) -> str:
    """In how many dictionaries communities gather contexts, with and without ordinary text."""
    parts = []
    for scope in SCOPES:
        tested = [
            (column, entry)
            for column, found in zip(results.columns, results.meaning.purity, strict=True)
            if defined((entry := found["heldout"][scope]["purity"])["value"]) and defined(entry["frequency"]["p"])
        ]
        above = [column for column, entry in tested if entry["frequency"]["p"] < LEVEL]
        gaps = beside_controls([column for column, _ in tested], [_gap(entry) for _, entry in tested])
        parts.append((above, [column for column, _ in tested], gaps))
    (above, tested_all, gaps), (above_rest, tested_rest, gaps_rest) = parts
    if not tested_all:
        return f"Whether communities gather contexts is {NOT_DEFINED}: no community has features with a context."
    text = (
        "Communities are purer than permutations of contexts among features of about equal frequency would be (p <"
        f" {number(LEVEL, 1)}) in {_with_controls(above, tested_all)}; purity less their mean is {gaps}."
    )
    if not tested_rest:
        return f"{text} Without the features of ordinary text none is left to compare."
    return (
        f"{text} Without the features of ordinary text the same holds in {_with_controls(above_rest, tested_rest)},"
        f" with a difference of {gaps_rest}."
    )


def _gap(found: dict[str, Any]) -> float:
    """What permutations leave of a purity; 0 where all are as pure, whose mean may be off by a last digit."""
    value, mean = found["value"], found["frequency"]["mean"]
    return 0.0 if math.isclose(value, mean, rel_tol=1e-12) else value - mean


def _with_controls(found: list[Column], tested: list[Column]) -> str:
    """How many of the dictionaries, and how many controls are among them."""
    told = dictionaries(len(found), len(tested))
    if len(tested) == 1 or not found or not any(column.control for column in tested):
        return told
    controls = sum(column.control for column in found)
    return f"{told}, {plural(controls, 'control') if controls else 'no control'} among them"


def _shown(results: Results) -> tuple[Column | None, list[dict[str, Any]]]:
    column = shown_column(results)
    if column is None:
        return None, []
    place = [other.name for other in results.columns].index(column.name)
    return column, results.meaning.purity[place]["neighbours"]


def neighbours_sentence(results: Results) -> str:
    """Whether neighbours of the best features share their context more often than live features do."""
    column, entries = _shown(results)
    tested = [entry for entry in entries if entry["significant"]["neighbours"] and defined(entry["significant"]["p"])]
    if column is None or not tested:
        return "No best feature has significant neighbours to look at."
    above = [entry for entry in tested if entry["significant"]["p"] < LEVEL]
    shares = [entry["significant"]["share"] for entry in tested]
    expected = [entry["expected"] for entry in tested]
    if len(tested) == 1:
        return (
            f"Of the significant neighbours of the one such feature of {column.name}, {percent(shares[0])} have its"
            f" context, of live features {percent(expected[0])} (p {p_value(tested[0]['significant']['p'])})."
        )
    return (
        f"In {column.name} the best features of {of_contexts(len(above), len(tested))} have more significant"
        f" neighbours of the same context than live features drawn at random would be (p < {number(LEVEL, 1)} each,"
        f" hypergeometric): {spread(shares, percent)} of the neighbours, {spread(expected, percent)} of live features."
    )


def _neighbours(results: Results) -> str:
    column, entries = _shown(results)
    rows = []
    if column is not None:
        table = results.meaning.neighbours[[other.name for other in results.columns].index(column.name)]
        for entry in entries:
            near = table[table["context"] == entry["context"]].nlargest(HEAVIEST, "weight")
            heaviest = ", ".join(
                f"{feature} ({context or 'none'})"
                for feature, context in zip(near["neighbour"], near["neighbour_context"], strict=True)
            )
            cells = [entry["context"], entry["own"] or "none", feature_link(column.name, entry["feature"])]
            cells += [*_near(entry["all"])[:2], percent(entry["expected"]), percent(entry["expected_by_count"])]
            cells += [_near(entry["all"])[2], *_near(entry["significant"]), heaviest]
            rows.append(cells)
    caption = (
        f"Neighbours of the best features of {column.name if column else 'no dictionary'} in the graph: how many have"
        " the context that the feature was chosen for, beside the share among live features and that in proportion to"
        " their top-k count; p hypergeometric, each by itself"
    )
    return pipe_table(NEIGHBOURS, rows, caption, "tbl-context-neighbours", 2, 1)


def _near(found: dict[str, Any]) -> list[str]:
    """neighbours, share of the same context, p."""
    if not found["neighbours"]:
        return ["0", "", ""]
    return [count(found["neighbours"]), percent(found["share"]), p_value(found["p"]).removeprefix("= ")]
