"""What the report says of pairs of dictionaries: tables as Markdown, and sentences."""

import pandas as pd

from coact.comparison.agreement import (
    compared_sentence,
    matched_conclusion,
    matched_detail,
    universality_conclusion,
    universality_sentence,
)
from coact.comparison.wording import count, number, percent
from coact.report.markup import pipe_table
from coact.report.results import Results

MATCHED = {
    "edge_jaccard": "shared edges, Jaccard",
    "degree_spearman": "degree, Spearman",
    "weight_spearman_common": "weight of shared edges, Spearman",
    "community_ami": "communities, AMI",
}
# Medians of Bricken et al. 2023, Towards Monosemanticity, of dictionaries and neurons of two models.
REPORTED = {"universality_features": "0.72", "universality_neurons": "0.46"}
PAIRS = ("dictionaries", "differ in", "matched by", "features", "similarity", "same partner", *MATCHED.values())
BEST = ("features of", "looked for in", "differ in", "features", "correlation", "tokens shifted", "above it")
BEST_DECODER = ("cosine", "entries shuffled", "above it")


def pair_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    most_pairs = results.study.config["comparison"]["most_pairs"]
    return {
        **REPORTED,
        "matched_conclusion": matched_conclusion(results.pairs),
        "matched_detail": matched_detail(results.pairs),
        "compared_sentence": compared_sentence(results.columns, results.pairs, most_pairs),
        "universality_conclusion": universality_conclusion(results.columns, results.best),
        "universality_sentence": universality_sentence(results.columns, results.best),
    }


def pair_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    return {"_pairs.md": _agreement(results.pairs), "_best.md": _best(results.best)}


def _agreement(pairs: pd.DataFrame) -> str:
    rows = []
    for (a, b, differ, matching), found in pairs.groupby(["a", "b", "differ", "matching"], sort=False):
        entry = found.set_index(["measure", "null"])
        first = entry.iloc[0]
        row = [f"{a}, {b}", differ, matching, count(first["matched"]), number(first["mean_similarity"])]
        row.append(percent(first["same_partner"]))
        for measure in MATCHED:
            nulls = [entry.loc[(measure, null), "null_mean"] for null in ("random", "frequency")]
            value = entry.loc[(measure, "random"), "value"]
            row.append(f"{number(value)} ({number(nulls[0])}, {number(nulls[1])})")
        rows.append(row)
    caption = (
        "Graphs of two dictionaries on features matched by decoder rows (cosine) or by activations (correlation); in"
        " brackets the means over random matchings, and over those among features of about equal top-k count"
    )
    return pipe_table(PAIRS, rows, caption, "tbl-pairs", 3)


def _best(best: pd.DataFrame) -> str:
    rows = []
    for (a, b, differ), found in best.groupby(["a", "b", "differ"], sort=False):
        by = {row["matching"]: row for _, row in found.iterrows()}
        features = count(by["activations"]["features"]) if "activations" in by else ""
        cells = [cell for matching in ("activations", "decoder") for cell in _best_cells(by.get(matching))]
        rows.append([a, b, differ, features, *cells])
    header = (*BEST, *BEST_DECODER)
    caption = (
        "The largest similarity of each live feature with any of another dictionary: median with quartiles, the median"
        " where the two dictionaries are without relation, and the share of features above the latter's 95th percentile"
    )
    return pipe_table(header, rows, caption, "tbl-best", 3)


def _best_cells(row: pd.Series | None) -> list[str]:
    if row is None:
        return [""] * 3
    found = f"{number(row['median'])} [{number(row['q25'])}, {number(row['q75'])}]"
    return [found, number(row["null_median"]), percent(row["above_null"])]
