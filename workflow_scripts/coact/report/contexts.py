"""Which contexts features detect: the table and the sentences.

Contexts are those of `shown_contexts`; the dictionary shown is that of the figure (`representative`).
"""

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.contexts import representative
from coact.comparison.wording import NOT_DEFINED, count, defined, number, percent, plural, sentence, spread
from coact.interpretation.detection import LEAST_DOCUMENTS
from coact.interpretation.memberships import shown_contexts
from coact.report.markup import Link, feature_link, pipe_table
from coact.report.meaning import beside_controls, contexts_listed, of_contexts
from coact.report.results import Results

NEAR = 0.005  # two F1 that differ by no more are equal, as in the figure
LEAST_PRECISION = 0.5
NONE_LOOKED_FOR = "No contexts were looked for in this study."
HEADER = (
    "context",
    "held-out tokens / documents",
    "feature",
    "F1",
    "F1, best neuron",
    "F1, probe",
    "F1, untrained model",
    "best neuron worse",
    "largest |r| with a neuron",
    "precision / sensitivity",
    "specificity",
    "AUC",
)
SEED_HEADER = ("r with another seed", "F1, its match")


def shown_column(results: Results) -> Column | None:
    """The dictionary shown for all; None where no contexts were looked for."""
    found = results.meaning
    if found.contexts.empty:
        return None
    return results.columns[representative(results.columns, found.contexts, found.ordinary)]


def context_rows(results: Results, column: Column | None) -> pd.DataFrame:
    """The best features of a column, a row per context shown, by context; no rows for None."""
    found = results.meaning.contexts
    if column is None:
        return found.iloc[:0].set_index("context")
    own = found[(found["model"] == column.model) & (found["sae"] == column.sae)].set_index("context")
    shown = shown_contexts(found, results.meaning.ordinary)
    return own.loc[[name for name in shown if name in own.index]]


def better(one: pd.Series, other: pd.Series) -> tuple[list[str], list[str]]:
    """Contexts where the one F1 is higher by more than `NEAR`, and all in which both are known."""
    known = one.notna() & other.notna()
    return list(one.index[known & (one > other + NEAR)]), list(one.index[known])


def context_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    column = shown_column(results)
    found = context_rows(results, column)
    order = found["f1"].fillna(-1).sort_values(ascending=False, kind="stable").index
    seeded = bool(found["seed_correlation"].notna().any())
    header = HEADER + SEED_HEADER * seeded
    rows = [_row(name, found.loc[name], seeded, column) for name in order]
    caption = (
        f"Contexts and the features of {column.name if column else 'no dictionary'} that detect them best: feature and"
        f" threshold chosen on training tokens, measured on held-out ones; in brackets 95% intervals over documents,"
        f" where there are {LEAST_DOCUMENTS} or more of them"
    )
    return {"_contexts.md": pipe_table(header, rows, caption, "tbl-contexts")}


def _row(name: str, row: pd.Series, seeded: bool, column: Column) -> list[str | Link]:
    place = f"{count(row['tokens'])} / {count(row['documents'])}"
    feature = feature_link(column.name, row["feature"]) if row["feature"] >= 0 else "none"
    if not defined(row["f1"]):
        why = "no feature is active here in training text" if row["tokens"] else "not measured (0 tokens)"
        return [name, place, feature, why] + [""] * (len(HEADER) + len(SEED_HEADER) * seeded - 4)
    r, neuron = row["neuron_correlation"], row["best_neuron_f1"]
    cells = [
        _f1(row),
        number(neuron),
        number(row["probe_f1"]),
        number(row["untrained_f1"]),
        ("yes" if neuron < row["f1"] - NEAR else "no") if defined(neuron) else NOT_DEFINED,
        number(abs(r)) if defined(r) else NOT_DEFINED,
        f"{number(row['precision'])} / {number(row['sensitivity'])}",
        number(row["specificity"], 5),
        number(row["auc"]),
    ]
    seed = [number(row["seed_correlation"]), number(row["seed_f1"])] if seeded else []
    return [name, place, feature, *cells, *seed]


def _f1(row: pd.Series) -> str:
    if row["documents"] < LEAST_DOCUMENTS:
        return f"{number(row['f1'])} (few documents)"
    if not (defined(row["f1_low"]) and defined(row["f1_high"])):
        return number(row["f1"])
    return f"{number(row['f1'])} [{number(row['f1_low'])}, {number(row['f1_high'])}]"


def context_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        "contexts_sentence": contexts_sentence(results),
        "detection_sentence": detection_sentence(results),
        "neuron_sentence": neuron_sentence(results),
        "context_seeds_sentence": seeds_sentence(results),
        "proxies_sentence": proxies_sentence(results),
    }


def weak_contexts(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Contexts without held-out tokens, and those that rest on few documents."""
    few = (rows["tokens"] > 0) & (rows["documents"] < LEAST_DOCUMENTS)
    return list(rows.index[rows["tokens"] == 0]), list(rows.index[few])


def contexts_sentence(results: Results) -> str:
    """Which dictionary is shown, and which contexts of it are measured."""
    column = shown_column(results)
    if column is None:
        return NONE_LOOKED_FOR
    rows = context_rows(results, column)
    if rows.empty:
        return f"The dictionary shown is {column.name}; training text has none of the contexts."
    measured = int(rows["f1"].notna().sum())
    silent = list(rows.index[(rows["tokens"] > 0) & rows["f1"].isna()])
    text = f"The dictionary shown is {column.name}; the best feature is measured in {of_contexts(measured, len(rows))}."
    if silent:
        text += f" In training text of {contexts_listed(silent)} no feature is active."
    return text


def detection_sentence(results: Results) -> str:
    """How well the best features detect, in every dictionary."""
    medians = [context_rows(results, column)["f1"].median() for column in results.columns]
    told = beside_controls(results.columns, medians)
    if not told:
        return "No best feature is measured on held-out tokens."
    return f"The median F1 of the best features over contexts is {told}."


def neuron_sentence(results: Results) -> str:
    """Whether the best features are neurons: how well neurons do, and how much they are correlated."""
    column = shown_column(results)
    rows = context_rows(results, column)
    wins, compared = better(rows["f1"], rows["best_neuron_f1"])
    if not compared:
        return "There are no neurons to hold these features against, so whether they are neurons is not known."
    r = rows["neuron_correlation"].abs()
    text = f"The best neuron is worse than the best feature in {of_contexts(len(wins), len(compared))}"
    if not r.notna().any():
        return f"{text}; correlations with neurons are {NOT_DEFINED}."
    if r.notna().sum() == 1:
        return f"{text}; the feature's largest |r| with any neuron is {number(r.max())}."
    return f"{text}; the largest |r| of these features with any neuron is {spread(r)} (median {number(r.median())})."


def seeds_sentence(results: Results) -> str:
    """Whether a dictionary of another seed has the same features."""
    found = results.meaning
    seeds = found.seeds[found.seeds["context"].isin(shown_contexts(found.contexts, found.ordinary))]
    keys = ["model", "sae", "context"]
    pairs = seeds.merge(found.contexts[[*keys, "f1"]], on=keys, suffixes=("_match", ""))
    pairs = pairs.dropna(subset=["correlation", "f1", "f1_match"])
    if pairs.empty:
        return "No dictionary has a twin of another seed, so whether another seed finds the same features is not known."
    columns = len(pairs[["model", "sae"]].drop_duplicates())
    worse = int((pairs["f1_match"] < pairs["f1"] - NEAR).sum())
    if len(pairs) == 1:
        first = pairs.iloc[0]
        return (
            "The one feature that is looked for in another seed has a match there of r ="
            f" {number(first['correlation'])}; the match's F1 is"
            f" {number(first['f1_match'])}, the feature's own {number(first['f1'])}."
        )
    return (
        "In a dictionary that differs in the seed alone, the match by activation has r ="
        f" {spread(pairs['correlation'])} (median {number(pairs['correlation'].median())};"
        f" {plural(len(pairs), 'match', 'matches')} of"
        f" {plural(columns, 'dictionary', 'dictionaries')}); matches detect their context with a median F1 of"
        f" {number(pairs['f1_match'].median())}, the features themselves with {number(pairs['f1'].median())}, and"
        f" {worse} of the matches {'is' if worse == 1 else 'are'} worse."
    )


def proxies_sentence(results: Results) -> str:
    """How far the labels of contexts and the characters of their text agree, on held-out tokens."""
    column = shown_column(results)
    found = results.meaning.proxies.get(column.model) if column else None
    if found is not None and "split" in found:
        found = found[found["split"] == "heldout"]
    if found is None or found["precision"].notna().sum() == 0:
        return "No label can be told by the characters of the text as well."
    found = found.dropna(subset=["precision"])
    low = list(found.loc[found["precision"] < LEAST_PRECISION, "label"])
    text = (
        f"{sentence(plural(len(found), 'label'))} can be told by the characters of the text as well. Of the tokens with"
        f" such characters the label has {spread(found['precision'], percent)}"
    )
    if not low:
        return f"{text}."
    return (
        f"{text}, less than half for {contexts_listed(low)}: a feature of such characters fires elsewhere too, and is"
        " imprecise by this measure through no fault of its own."
    )
