"""How the graph depends on choices: tables and sentences of that section of the report."""

import pandas as pd

from coact.comparison.rarefaction import DEGREES, Rarefied, rarefied, rarefied_sentence
from coact.comparison.saturation import saturation_sentence, text_sentence
from coact.comparison.sensitivity import effects_sentence, own_curve, reversals_sentence, rule_name, whole_grid
from coact.comparison.wording import count, estimate, listed, number, plural
from coact.report.markup import pipe_table
from coact.report.results import Results

PAIRS = {"edges": ("edges", count), "average_clustering": ("clustering", number), "pearson": ("r", number)}
LABELS = ("degree", "degree, null", "rarefied degree", "rarefied degree, null")


def sensitivity_texts(results: Results) -> dict[str, str]:
    """Key -> plain text of the numbers and sentences."""
    graph, varied = results.study.config["graph"], results.study.config["sensitivity"]
    columns, choices = results.columns, (graph["k"], graph["include_bos"])
    grids, curves = _grids(results), [own_curve(table, *choices) for table in results.sensitivity]
    return {
        "rarefaction_tokens": count(varied["rarefaction_tokens"]),
        "varied_sets": _sets(grids),
        "saturation_sentence": saturation_sentence(curves),
        "text_sentence": text_sentence(columns, curves),
        "effects_sentence": effects_sentence(columns, grids, graph["k"]),
        "reversals_sentence": reversals_sentence(columns, grids, *choices),
        "rarefied_sentence": rarefied_sentence(columns, _rarefied(results)),
    }


def sensitivity_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown of the tables."""
    return {"_sensitivity.md": _sensitivity(results), "_rarefaction.md": _rarefaction(results)}


def _grids(results: Results) -> list[pd.DataFrame]:
    return [whole_grid(table) for table in results.sensitivity]


def _sets(grids: list[pd.DataFrame]) -> str:
    """The rules for sets, in words."""
    rules = pd.concat([grid[["k", "threshold"]] for grid in grids]).drop_duplicates()
    return listed([rule_name(*rule) for rule in rules.itertuples(index=False)])


def _rarefied(results: Results) -> list[Rarefied]:
    settings = {key: results.study.config["statistics"][key] for key in ("bootstrap", "confidence", "seed")}
    return [rarefied(table, **settings) for table in results.rarefaction]


def _sensitivity(results: Results) -> str:
    header = ["dictionary", "sets", "special positions"]
    header += [f"{title}{suffix}" for title, _ in PAIRS.values() for suffix in ("", ", null")]
    rows = [
        [column.name, rule_name(row["k"], row["threshold"]), "kept" if row["include_special"] else "left out"]
        + [form(row[f"{key}{suffix}"]) for key, (_, form) in PAIRS.items() for suffix in ("", "_null")]
        for column, grid in zip(results.columns, _grids(results), strict=True)
        for row in grid.to_dict("records")
    ]
    caption = (
        "Graphs of live features by what makes a token's set, beside one sample of the null; r is Pearson's correlation"
        " of degree and held-out frequency"
    )
    return pipe_table(header, rows, caption, "tbl-sensitivity", 3)


def _rarefaction(results: Results) -> str:
    header = ["dictionary", "features / live", *(f"r of {label}" for label in LABELS)]
    header += [f"factor, {label}" for label in LABELS]
    rows = [
        [column.name, f"{count(found.features)} / {count(found.live)}"]
        + [estimate(found.pearson[key]) for key in DEGREES]
        + [number(found.ratios[key]) for key in DEGREES]
        for column, found in zip(results.columns, _rarefied(results), strict=True)
    ]
    tokens = results.study.config["sensitivity"]["rarefaction_tokens"]
    caption = (
        f"Degree and degree rarefied to {plural(tokens, 'token')}, over live features with so many: Pearson's r with"
        " held-out frequency, with bootstrap intervals over features, and the factor by which the median changes from"
        " the rarest to the most frequent quarter"
    )
    return pipe_table(header, rows, caption, "tbl-rarefaction")
