"""How the graph, and what is found about it, depends on choices: sets, special positions, width and seed.

In: sensitivity.parquet of every column. Out: tables of observed values beside those of the null model `tokens`, and
sentences. A *finding* is a comparison of a graph with its null: edges over null edges, average clustering minus the
null's, Pearson's r of degree and frequency minus the null's. There is one null replicate for every graph, so numbers
that differ by at most `coact.comparison.findings.NEAR` are called about the same.
"""

from collections.abc import Sequence

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.findings import Tally, tally
from coact.comparison.wording import NOT_DEFINED, few, listed, number, spread

MEASURED = ["edges", "mean_degree", "pearson", "average_clustering"]
KEYS = ["rule", "include_special", "batches"]
# Finding -> what it is called, what it compares, and what that is called.
FINDINGS = {
    "edge_share": ("edges over null edges", "edges", "edges"),
    "clustering_gap": ("clustering minus the null's", "average_clustering", "clustering"),
    "pearson_gap": ("r minus the null's", "pearson", "r"),
}
# Finding -> what graphs above, below and about at their null have.
SIDES = {
    "edge_share": ("more edges", "fewer edges", "about as many edges"),
    "clustering_gap": ("more clustering", "less clustering", "about the same clustering"),
    "pearson_gap": ("a higher r", "a lower r", "about the same r"),
}
LEAST_SPAN = 0.001


def beside_null(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of sensitivity.parquet, observed and null side by side; k before thresholds, all ascending.

    Returns:
        rule, k, threshold, include_special, batches, each of `MEASURED` as observed and with the suffix _null, and
        the `FINDINGS`; NaN where not defined.
    """
    null = table.loc[table["graph"] == "null", [*KEYS, *MEASURED]]
    found = table.loc[table["graph"] == "observed", [*KEYS, "k", "threshold", *MEASURED]]
    found = found.merge(null, how="left", on=KEYS, suffixes=("", "_null"), validate="one_to_one")
    found["edge_share"] = found["edges"] / found["edges_null"].where(found["edges_null"] > 0)
    # Without an edge clustering is 0 by definition, which compares nothing.
    some = (found["edges"] > 0) | (found["edges_null"] > 0)
    found["clustering_gap"] = (found["average_clustering"] - found["average_clustering_null"]).where(some)
    found["pearson_gap"] = found["pearson"] - found["pearson_null"]
    # Rules with a threshold have k = 0 and go last.
    order = found.assign(last=found["k"] == 0).sort_values(["last", "k", "threshold", "include_special", "batches"])
    return found.loc[order.index].reset_index(drop=True)


def own_curve(table: pd.DataFrame, k: int, include_bos: bool) -> pd.DataFrame:
    """The rows of `beside_null` for the study's own choices, one for each number of batches."""
    found = beside_null(table)
    return found[is_own(found, k, include_bos)].reset_index(drop=True)


def is_own(rows: pd.DataFrame, k: int, include_bos: bool) -> pd.Series:
    """Which rows are of the study's own choices."""
    return (rows["k"] == k) & (rows["include_special"] == include_bos)


def whole_grid(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `beside_null` at the largest number of batches, one for each rule and choice of special positions."""
    found = beside_null(table)
    return found[found["batches"] == found["batches"].max()].reset_index(drop=True)


def joined(columns: Sequence[Column], grids: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The grids of all columns in one table, with place, model, recipe and expansion of the column."""
    parts = [
        grid.assign(place=place, model=column.model, recipe=column.recipe, expansion=column.expansion)
        for place, (column, grid) in enumerate(zip(columns, grids, strict=True))
    ]
    return pd.concat(parts, ignore_index=True).astype({"expansion": float})


def rule_name(k: int, threshold: float) -> str:
    """A rule for sets in words: k = 4, or above 2."""
    return f"k = {k}" if k else f"above {threshold:g}"


def sides(cells: pd.DataFrame, finding: str) -> Tally:
    """Rows of `joined`, by their index as text, in which the graph lies above, below or about at its null."""
    known, compared = cells.dropna(subset=[finding]), FINDINGS[finding][1]
    return tally([str(row) for row in known.index], known[compared].tolist(), known[f"{compared}_null"].tolist())


def effects(columns: Sequence[Column], grids: Sequence[pd.DataFrame], finding: str, k: int) -> dict[str, float]:
    """How far a finding moves when one choice is varied and the others stay as they are.

    Args:
        columns, grids: the columns and, in the same order, `whole_grid` of each.
        k: the study's own.

    Returns:
        Choice -> median, over all combinations of the others, of the largest minus the smallest value, the largest
        first. Widths are compared by the means over their seeds. Choices that are not varied are left out.
    """
    cells = joined(columns, grids)
    known = cells[cells["recipe"] != ""]
    rules = ["rule", "include_special"]
    varied = {
        "k": (cells[cells["k"] > 0], ["place", "include_special"], "k"),
        "a threshold instead of k": (cells[cells["k"].isin([0, k])], ["place", "include_special"], "rule"),
        "special positions": (cells, ["place", "rule"], "include_special"),
        "width": (known, ["model", "recipe", *rules], "expansion"),
        "seed": (known, ["model", "recipe", "expansion", *rules], "place"),
    }
    spans = {name: _spans(part, by, over, finding) for name, (part, by, over) in varied.items()}
    medians = {name: float(found.median()) for name, found in spans.items() if len(found)}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def _spans(cells: pd.DataFrame, by: list[str], over: str, finding: str) -> pd.Series:
    """Largest minus smallest of a finding over the values of `over`, in every group that has two or more."""
    values = cells.dropna(subset=[finding]).groupby([*by, over])[finding].mean()
    groups = values.groupby(level=by)
    return (groups.max() - groups.min())[groups.size() > 1]


def sensitivity_conclusion(columns: Sequence[Column], grids: Sequence[pd.DataFrame], k: int) -> str:
    """On which side of the null the graphs of the whole grid are, and what moves the findings most."""
    cells = joined(columns, grids)
    clauses = [clause for finding in FINDINGS if (clause := _clause(sides(cells, finding), SIDES[finding]))]
    if not clauses:
        return f"How the findings depend on the choices made is {NOT_DEFINED}: no graph can be held against a null."
    most: dict[str, list[str]] = {}
    for finding, (name, _, _) in FINDINGS.items():
        for factor in list(effects(columns, grids, finding, k))[:1]:
            most.setdefault(factor, []).append(name)
    text = f"Held against their null, graphs of the grid have {'; '.join(clauses)}."
    movers = listed([f"{factor} ({', '.join(names)})" for factor, names in most.items()])
    return f"{text} What moves these most is {movers}." if movers else text


def _clause(found: Tally, words: tuple[str, str, str]) -> str:
    """Such as "fewer edges in all 14", or "a higher r in 9 of 14, a lower r in 3 and about the same r in 2"."""
    counted = zip((found.above, found.below, found.same), words, strict=True)
    parts = sorted(((len(rows), text) for rows, text in counted if rows), key=lambda part: -part[0])
    if not parts:
        return ""
    if len(parts) == 1:
        return f"{parts[0][1]} in {f'all {found.total}' if found.total > 1 else 'the one case'}"
    first = f"{parts[0][1]} in {parts[0][0]} of {found.total}"
    return listed([first, *(f"{text} in {number_of}" for number_of, text in parts[1:])])


def effects_sentence(columns: Sequence[Column], grids: Sequence[pd.DataFrame], k: int) -> str:
    """The range of every finding over the grid, and how far each choice moves it."""
    cells = joined(columns, grids)
    parts = []
    for finding, (name, _, _) in FINDINGS.items():
        moved = [f"{factor} {_small(span)}" for factor, span in effects(columns, grids, finding, k).items()]
        parts.append(f"{name} {spread(cells[finding], _two)} ({', '.join(moved) if moved else 'no choice is varied'})")
    return (
        "Range over the grid and, in brackets, how far one choice moves it while the others stay (median of largest"
        f" minus smallest): {'; '.join(parts)}."
    )


def reversals_sentence(columns: Sequence[Column], grids: Sequence[pd.DataFrame], k: int, include_bos: bool) -> str:
    """How often a graph of the grid lies on the other side of its null than the study's own graph of the dictionary."""
    cells = joined(columns, grids)
    own = is_own(cells, k, include_bos)
    parts, compared = [], 0
    for finding, (_, _, name) in FINDINGS.items():
        found = sides(cells, finding)
        side = pd.Series(0, cells.index)
        side[[int(row) for row in found.above]] = 1
        side[[int(row) for row in found.below]] = -1
        study = cells["place"].map(dict(zip(cells.loc[own, "place"], side[own], strict=True)))
        turned = cells[side * study < 0]
        rules = [rule_name(*rule) for rule in turned[["k", "threshold"]].drop_duplicates().itertuples(index=False)]
        others = int((~own & (side != 0) & (study != 0)).sum())
        compared += others
        parts.append(f"for {name} in {len(turned)} of {others}{few(rules)}")
    if not compared:
        return "No other graph of the grid can be compared with the study's own."
    return (
        "How often another graph of the grid is on the other side of its null than the study's own graph of the same"
        f" dictionary: {listed(parts)}."
    )


def _small(span: float) -> str:
    return f"under {number(LEAST_SPAN, 1)}" if span < LEAST_SPAN else number(span, 2)


def _two(value: float) -> str:
    return number(value, 2)
