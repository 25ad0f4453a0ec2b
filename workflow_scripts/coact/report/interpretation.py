"""What features mean: all tables and sentences of that section, and what in them speaks against the usual story."""

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.splitting import WIDTH, widths_of
from coact.comparison.wording import NOT_DEFINED, count, listed, number, percent, plural, sentence, spread
from coact.interpretation.detection import LEAST_DOCUMENTS
from coact.report.absorption import absorption_tables, absorption_texts
from coact.report.contexts import (
    NEAR,
    NONE_LOOKED_FOR,
    better,
    context_rows,
    context_tables,
    context_texts,
    shown_column,
    weak_contexts,
)
from coact.report.effects import effect_tables, effect_texts, never_steering
from coact.report.explanations import explanation_tables, explanation_texts
from coact.report.gallery import gallery_tables
from coact.report.maps import map_tables, map_texts
from coact.report.meaning import MOST_CONTEXTS, contexts_listed, of_contexts, shares_beside_controls
from coact.report.purity import purity_tables, purity_texts
from coact.report.results import Results
from coact.report.splitting import splitting_tables, splitting_texts
from coact.report.ultralow import ultralow_tables, ultralow_texts

FALL = 0.1


def meaning_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    return {
        **context_tables(results),
        **purity_tables(results),
        **map_tables(results),
        **ultralow_tables(results),
        **explanation_tables(results),
        **effect_tables(results),
        **splitting_tables(results),
        **absorption_tables(results),
        **gallery_tables(results),
    }


def meaning_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        **context_texts(results),
        **purity_texts(results),
        **map_texts(results),
        **ultralow_texts(results),
        **explanation_texts(results),
        **effect_texts(results),
        **splitting_texts(results),
        **absorption_texts(results),
        "neurons_win_sentence": neurons_win_sentence(results),
        "probes_win_sentence": probes_win_sentence(results),
        "wider_sentence": wider_sentence(results),
        "weak_sentence": weak_sentence(results),
        "ordinary_sentence": ordinary_sentence(results),
        "never_steer_sentence": never_steer_sentence(results),
        "fall_sentence": fall_sentence(results),
    }


def _trained(results: Results) -> list[Column]:
    return [column for column in results.columns if not column.control]


def neurons_win_sentence(results: Results) -> str:
    """How often a single neuron detects a context better than the best feature."""
    tallies = []
    for column in _trained(results):
        rows = context_rows(results, column)
        wins, compared = better(rows["best_neuron_f1"], rows["f1"])
        if compared:
            tallies.append((column, wins, len(compared)))
    if not tallies:
        return "No dictionary can be held against neurons here."
    shares = [len(wins) / total for _, wins, total in tallies]
    if not any(shares):
        return "No neuron detects a context better than the best feature of any dictionary does."
    worst, wins, total = max(tallies, key=lambda tally: len(tally[1]) / tally[2])
    if len(tallies) == 1:
        return (
            f"The best neuron is better than the best feature of {worst.name} in {of_contexts(len(wins), total)}"
            f" ({contexts_listed(wins)})."
        )
    return (
        f"The best neuron is better than a dictionary's best feature in {spread(shares, percent)} of the contexts,"
        f" depending on the dictionary; in {worst.name} it is so for {contexts_listed(wins)}."
    )


def probes_win_sentence(results: Results) -> str:
    """How often a linear probe is better than the best feature of every dictionary on its model."""
    wins, total = 0, 0
    for model in dict.fromkeys(column.model for column in _trained(results)):
        tables = [context_rows(results, column) for column in _trained(results) if column.model == model]
        best = pd.concat([table["f1"] for table in tables], axis=1).max(axis=1)
        won, compared = better(tables[0]["probe_f1"].reindex(best.index), best)
        wins, total = wins + len(won), total + len(compared)
    if not total:
        return "No feature can be held against a linear probe here."
    return (
        f"A linear probe on the activations is better than the best feature of every dictionary in"
        f" {of_contexts(wins, total)}: what a probe finds there along one direction, no feature has to itself."
        if wins
        else f"A linear probe on the activations is nowhere better than the best feature of all dictionaries"
        f" ({plural(total, 'context')})."
    )


def wider_sentence(results: Results) -> str:
    """Whether wider dictionaries detect contexts worse than narrower ones."""
    told, worse = [], 0
    for narrow, wide, differ in widths_of(results.columns):
        if differ != WIDTH:
            continue
        pair = [results.columns[place] for place in (narrow, wide)]
        one, other = (context_rows(results, column)["f1"] for column in pair)
        known = one.index[one.notna()].intersection(other.index[other.notna()])
        if not len(known):
            continue
        means = one[known].mean(), other[known].mean()
        worse += means[1] < means[0] - NEAR
        told.append(f"{number(means[0])} in {pair[0].name} and {number(means[1])} in {pair[1].name}")
    if not told:
        return "No two dictionaries that differ in width alone can be compared by what they detect."
    if len(told) == 1:
        end = "the wider dictionary is worse" if worse else "the wider dictionary is not worse"
    else:
        end = f"the wider dictionary is worse in {worse} of {len(told)} pairs"
    return f"The mean held-out F1 over contexts is {'; '.join(told)}: {end}."


def weak_sentence(results: Results) -> str:
    """Contexts that are not measured, or on few documents."""
    column = shown_column(results)
    if column is None:
        return NONE_LOOKED_FOR
    rows = context_rows(results, column)
    if rows.empty:
        return "Training text has none of the contexts."
    absent, few = weak_contexts(rows)
    parts = []
    if absent:
        verb = "has no held-out tokens and is" if len(absent) == 1 else "have no held-out tokens and are"
        parts.append(f"{_named(absent)} {verb} not measured")
    if few:
        verb = "rests" if len(few) == 1 else "rest"
        parts.append(f"{_named(few)} {verb} on fewer than {count(LEAST_DOCUMENTS)} documents")
    if not parts:
        return f"All contexts have held-out tokens, of {count(LEAST_DOCUMENTS)} documents or more."
    text = sentence(listed(parts))
    if few:
        text += f", so that what is said of {'it' if len(few) == 1 else 'them'} may be true of one text only"
    return f"{text}."


def _named(names: list[str]) -> str:
    """ "the context a", "the contexts a and b", "9 contexts"."""
    listing = contexts_listed(names)
    return listing if len(names) > MOST_CONTEXTS else f"the {'context' if len(names) == 1 else 'contexts'} {listing}"


def ordinary_sentence(results: Results) -> str:
    """How many features have a context other than ordinary text."""
    if not results.meaning.ordinary:
        return "No label of the corpus counts as ordinary text."
    scopes = [found["heldout"] for found in results.meaning.purity]
    tallies = [tuple(scope[name]["features"] for name in ("without_ordinary", "all_contexts")) for scope in scopes]
    told = shares_beside_controls(results.columns, tallies)
    if not told:
        return f"The share of features with a context other than ordinary text is {NOT_DEFINED}."
    return (
        f"Of the features that have a context and a community, those whose context is other than ordinary text"
        f" ({listed(list(results.meaning.ordinary))}) are {told}."
    )


def never_steer_sentence(results: Results) -> str:
    """How many features of labels never make the model write their label."""
    told = shares_beside_controls(results.columns, [never_steering(table) for table in results.meaning.steering])
    if not told:
        return f"Whether features steer the model is {NOT_DEFINED} here."
    return f"The share of labels' features that never make the model write a text of the label is {told}."


def fall_sentence(results: Results) -> str:
    """Features that detect their context much worse on held-out than on training tokens."""
    parts = [context_rows(results, column).assign(name=column.name) for column in _trained(results)]
    rows = pd.concat(parts).dropna(subset=["f1", "f1_train"]) if parts else pd.DataFrame()
    if rows.empty:
        return f"How F1 falls from training to held-out tokens is {NOT_DEFINED}."
    falls = (rows["f1_train"] - rows["f1"]).to_numpy()
    many = int((falls > FALL).sum())
    if not many:
        return f"No feature's F1 falls by more than {number(FALL, 1)} from training to held-out tokens."
    row = rows.iloc[int(falls.argmax())]
    verb = "falls" if many == 1 else "fall"
    return (
        f"Of {plural(len(rows), 'best feature')}, {count(many)} {verb} by more than {number(FALL, 1)} in F1 from"
        f" training to held-out tokens, most the one for {rows.index[int(falls.argmax())]} in {row['name']}, from"
        f" {number(row['f1_train'])} to {number(row['f1'])}."
    )
