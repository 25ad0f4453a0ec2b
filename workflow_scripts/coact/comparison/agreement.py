"""What the comparison of dictionaries says, in sentences: of graphs on matched features, and of single features."""

from collections.abc import Mapping, Sequence

import pandas as pd

from coact.comparison.columns import Column, comparable
from coact.comparison.wording import NOT_DEFINED, count, listed, percent, plural, sentence, spread

MATCHED_BY = {"decoder": "by decoder rows", "activations": "by activations"}
OTHERS = {
    "model": "another trained model",
    "both": "neurons of two trained models",
    "seed": "another seed",
    "width": "another width",
    "recipe": "another recipe",
    "neurons": "the neurons",
    "untrained": "an untrained model",
    "both_untrained": "neurons, of an untrained model",
}


def matched_conclusion(pairs: pd.DataFrame) -> str:
    """How many edges the graphs of two seeds share, by each matching.

    Args:
        pairs: of comparison/pairs.parquet.
    """
    found = _seeds(pairs, "edge_jaccard")
    if not found:
        return f"How similar the graphs of two seeds are is {NOT_DEFINED} here."
    (first, rows), *others = found.items()
    shared = [f"{spread(rows['value'], percent)} of the edges are in both graphs on features matched {first}"]
    shared += [f"{spread(rows['value'], percent)} on features matched {by}" for by, rows in others]
    chance = listed([spread(rows["null_mean"], percent) for rows in found.values()])
    return (
        f"Between dictionaries that differ in their seed only, {listed(shared)} (Jaccard), where matchings among"
        f" features of about equal frequency give {chance}."
    )


def matched_detail(pairs: pd.DataFrame) -> str:
    """p of the shared edges of two seeds, their communities, and whether the two matchings agree."""
    edges, groups = _seeds(pairs, "edge_jaccard"), _seeds(pairs, "community_ami")
    texts = []
    if edges:
        chance = [f"{spread(rows['p'])} {by}" for by, rows in edges.items()]
        texts.append(f"for the shared edges p is {listed(chance)}")
    if groups:
        agree = [
            f"{spread(rows['value'])} {by}, against {spread(rows['null_mean'])} (p {spread(rows['p'])})"
            for by, rows in groups.items()
        ]
        texts.append(f"the AMI of communities is {', and '.join(agree)}")
    same = pairs.loc[(pairs["differ"] == "seed"), "same_partner"]
    if same.notna().any():
        texts.append(f"the two matchings give {spread(same, percent)} of the features the same partner")
    return sentence("; ".join(texts) + ".") if texts else "Neither is how far their communities agree."


def _seeds(pairs: pd.DataFrame, measure: str) -> dict[str, pd.DataFrame]:
    """By what features are matched -> rows of dictionaries that differ in their seed only, the null of equal frequency.

    Only where the measure is defined.
    """
    rows = pairs[(pairs["differ"] == "seed") & (pairs["measure"] == measure) & (pairs["null"] == "frequency")]
    parts = {text: rows[(rows["matching"] == name) & rows["value"].notna()] for name, text in MATCHED_BY.items()}
    return {text: part for text, part in parts.items() if len(part)}


def universality_conclusion(columns: Sequence[Column], best: pd.DataFrame) -> str:
    """Whether features are found again in another trained model, beside neurons; whether seeds share more than text.

    Args:
        columns: of the study.
        best: of comparison/best_matches.parquet.
    """
    medians = _medians(columns, best, "activations")
    parts = []
    if "model" in medians:
        parts.append(_of_models(medians))
    if {"seed", "untrained"} <= set(medians):
        parts.append(_of_seeds(medians["seed"], medians["untrained"]))
    return " ".join(parts) or (
        "The study has neither like dictionaries on two trained models nor two seeds on one model beside a like"
        " dictionary on an untrained model to hold them against."
    )


def _of_models(medians: dict[str, list[float]]) -> str:
    """Features of two trained models, and their neurons if there are such."""
    features, neurons = medians["model"], medians.get("both")
    text = f"Between two trained models the median feature correlates with its best counterpart at {spread(features)}"
    if not neurons:
        return f"{text}."
    text += f", the median neuron at {spread(neurons)}"
    if min(features) > max(neurons):
        return f"{text}: features are more universal than neurons."
    if max(features) < min(neurons):
        return f"{text}: features are less universal than neurons."
    return f"{text}: neither are clearly more universal."


def _of_seeds(seeds: list[float], untrained: list[float]) -> str:
    text = (
        "The median feature correlates with its best counterpart in a dictionary of another seed at"
        f" {spread(seeds)}, in one on an untrained model at {spread(untrained)}"
    )
    if min(seeds) > max(untrained):
        return f"{text}: two seeds share more than the text that both have read."
    return f"{text}: two seeds do not clearly share more than the text that both have read."


def universality_sentence(columns: Sequence[Column], best: pd.DataFrame) -> str:
    """Medians of the largest correlations by what dictionaries differ in, and of the largest cosines."""
    medians = _medians(columns, best, "activations")
    if not medians:
        return f"How alike the features of two dictionaries are is {NOT_DEFINED} here."
    parts = [f"{spread(medians[differ])} ({name})" for differ, name in OTHERS.items() if differ in medians]
    null = best.loc[best["matching"] == "activations", "null_median"]
    text = (
        f"For the median feature the largest correlation with any feature of another dictionary is {listed(parts)};"
        f" with the tokens of one of them shifted it is {spread(null)}."
    )
    cosines = _medians(columns, best, "decoder")
    if "seed" not in cosines:
        return text
    null = best.loc[(best["matching"] == "decoder") & (best["differ"] == "seed"), "null_median"]
    return (
        f"{text} By the cosine of decoder rows it is {spread(cosines['seed'])} between seeds, and {spread(null)} with"
        " the entries of rows in a random order."
    )


def kind_of_pair(columns: Mapping[str, Column], one: str, other: str, differ: str) -> str:
    """What two dictionaries differ in, as a key of `OTHERS`.

    Args:
        columns: by their names; a dictionary that is not among them counts as trained.
    """
    if differ != "model":
        return differ
    known = [columns[name] for name in (one, other) if name in columns]
    untrained = any(column.untrained for column in known)
    if len(known) == 2 and all(column.expansion is None for column in known):
        return "both_untrained" if untrained else "both"
    return "untrained" if untrained else "model"


def _medians(columns: Sequence[Column], best: pd.DataFrame, matching: str) -> dict[str, list[float]]:
    """Key of `OTHERS`, in its order -> the defined medians, one per pair and direction.

    "neurons" has the features of trained dictionaries, each with its best neuron; "untrained" those on trained models.
    """
    named = {column.name: column for column in columns}
    rows = best[(best["matching"] == matching) & best["median"].notna()]
    found: dict[str, list[float]] = {key: [] for key in OTHERS}
    for one, other, differ, median in rows[["a", "b", "differ", "median"]].itertuples(index=False):
        of_neurons = differ == "neurons" and one in named and named[one].expansion is None
        kind = kind_of_pair(named, one, other, differ)
        if not of_neurons and not (kind == "untrained" and one in named and named[one].untrained):
            found[kind].append(median)
    return {key: values for key, values in found.items() if values}


def compared_sentence(columns: Sequence[Column], pairs: pd.DataFrame, most_pairs: int) -> str:
    """How many pairs of dictionaries are compared, and how many are too large for it."""
    found = len(pairs[["a", "b"]].drop_duplicates())
    left_out = len(comparable(columns)) - found
    text = f"{plural(found, 'pair')} of dictionaries {'is' if found == 1 else 'are'} compared"
    if left_out <= 0:
        return f"{text}."
    return f"{text}; {count(left_out)} are left out, with more than {count(most_pairs)} pairs of features."
