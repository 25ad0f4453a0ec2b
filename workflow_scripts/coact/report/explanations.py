"""Whether rules of the text predict features, and which features hand over to one another: tables and sentences."""

from collections.abc import Sequence

import pandas as pd

from coact.comparison.wording import (
    MOST_NAMES,
    NOT_DEFINED,
    count,
    defined,
    dictionaries,
    listed,
    number,
    plural,
)
from coact.report.markup import pipe_table
from coact.report.meaning import beside_controls, shares_beside_controls
from coact.report.results import Results

LEVELS = ("label", "token", "bigram", "none")
KINDS = {
    "edges": "edges",
    "beyond_independence": "beyond independence",
    "beyond_shifts": "beyond shifts",
    "beyond_shifts_asymmetric": "asymmetric",
    "handovers": "hand-overs",
    "chains": "chains",
    "chains_of_three_or_more": "of three or more",
    "cycles": "cycles",
    "positional_chains": "positional",
}
SCORES = ("dictionary", "features", "median r", "random directions", "shuffled rule", "sample: median r",
          "random directions", "shuffled rule", "carried by label", "token", "bigram", "no one level")  # fmt: skip
CHAINS = ("dictionary", *KINDS.values(), "listed, not positional", "carry over", "probability, training", "held-out")
NONE = "none"
NO_CHAIN = "No trained dictionary has a chain that is not positional"


def explanation_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    return {"_explanations.md": _scores(results), "_chains.md": _chains(results)}


def explanation_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        "explanations_sentence": explanations_sentence(results),
        "sample_sentence": sample_sentence(results),
        "carried_sentence": carried_sentence(results),
        "chains_sentence": chains_sentence(results),
        "positional_sentence": positional_sentence(results),
        "carry_over_sentence": carry_over_sentence(results),
        "random_as_good_sentence": random_as_good_sentence(results),
        "controls_predicted_sentence": controls_predicted_sentence(results),
        "controls_chain_sentence": controls_chain_sentence(results),
    }


def _medians(results: Results, measure: str = "correlation", part: str = "features") -> list[float | None]:
    """The median of a measure in each column, of its features or of its random directions."""
    return [found[part]["measures"][measure]["q50"] for found in results.meaning.explanations]


def _scores(results: Results) -> str:
    rows = []
    for column, found in zip(results.columns, results.meaning.explanations, strict=True):
        features, directions = found["features"], found["directions"]
        cells = []
        for measure in ("correlation", "sample_correlation"):
            medians = [part["measures"][measure]["q50"] for part in (features, directions)]
            cells += [number(value) for value in (*medians, features["measures"][f"{measure}_shuffled"]["q50"])]
        carried = [count(features["carried_by"][level]) for level in LEVELS]
        rows.append([column.name, f"{count(features['measured'])} of {count(features['n'])}", *cells, *carried])
    caption = (
        "Held-out correlation of predicted with true activations: how many features have one, medians of features, of"
        " random directions and of the rule of another feature, on all tokens and on samples of largest activations and"
        " uniformly drawn tokens; and number of features by the coarsest level that alone comes close to the rule"
    )
    return pipe_table(SCORES, rows, caption, "tbl-explanations")


def explanations_sentence(results: Results) -> str:
    """Medians of features, of random directions and of shuffled rules, and what features are ahead by."""
    features, directions = _medians(results), _medians(results, part="directions")
    told = beside_controls(results.columns, features)
    if not told:
        return f"How well rules predict features is {NOT_DEFINED}: no feature has a correlation."
    shuffled = beside_controls(results.columns, _medians(results, "correlation_shuffled"))
    text = f"On all held-out tokens the median correlation is {told}"
    if shuffled:
        text += f"; with the rule of another feature it is {shuffled}"
    gaps = beside_controls(results.columns, _less(features, directions))
    if not gaps:
        return f"{text}. No random directions are there to compare."
    return f"{text}. Less the median of the dictionary's own random directions it is {gaps}."


def _less(ones: Sequence[float | None], others: Sequence[float | None]) -> list[float | None]:
    """Differences, where both are defined."""
    return [one - other if defined(one) and defined(other) else None for one, other in zip(ones, others, strict=True)]


def sample_sentence(results: Results) -> str:
    """The same on samples as the papers take them."""
    told = beside_controls(results.columns, _medians(results, "sample_correlation"))
    if not told:
        return f"The correlation on such a sample is {NOT_DEFINED} here."
    directions = beside_controls(results.columns, _medians(results, "sample_correlation", "directions"))
    return f"There the median is {told}{f', of random directions {directions}' if directions else ''}."


def carried_sentence(results: Results) -> str:
    """Which level of the rule carries it, as shares of the features with a correlation above 0."""
    parts = []
    for level, words in (("token", "the token"), ("label", "the label of the text")):
        carried = [found["features"]["carried_by"] for found in results.meaning.explanations]
        tallies = [(numbers[level], sum(numbers[name] for name in LEVELS)) for numbers in carried]
        parts.append((words, shares_beside_controls(results.columns, tallies)))
    if not parts[0][1]:
        return "No feature has a correlation above zero, so there is nothing to be carried."
    (token, of_token), (label, of_label) = parts
    return (
        f"Of the features with a correlation above zero {token} alone carries {of_token}; {label} alone carries"
        f" {of_label}."
    )


def random_as_good_sentence(results: Results) -> str:
    """In which trained dictionaries random directions are predicted as well as features."""
    gaps = _less(_medians(results), _medians(results, part="directions"))
    known = [
        (column, gap) for column, gap in zip(results.columns, gaps, strict=True) if not column.control and defined(gap)
    ]
    if not known:
        return "No trained dictionary can be held against random directions here."
    reached = [column.name for column, gap in known if gap <= 0]
    return (
        "The median random direction, as often active as the median feature, is predicted as well as the median feature"
        f" or better in {dictionaries(len(reached), len(known), reached)}."
    )


def controls_predicted_sentence(results: Results) -> str:
    """Whether neurons and dictionaries on an untrained model are easier to predict than features."""
    known = [pair for pair in zip(results.columns, _medians(results), strict=True) if defined(pair[1])]
    trained = [value for column, value in known if not column.control]
    controls = [(column, value) for column, value in known if column.control]
    if not (trained and controls):
        return "No neurons or other controls can be held against features here."
    above = [(column, sum(value > other for other in trained)) for column, value in controls]
    if len(above) <= MOST_NAMES:
        (first, wins), *others = [(column.name, _of_trained(wins, len(trained))) for column, wins in above]
        parts = [f"that of {name} above that of {wins}" for name, wins in others]
        return f"The median of {listed([f'{first} is above that of {wins}', *parts])}."
    some = sum(wins > 0 for _, wins in above)
    return (
        f"Of {count(len(above))} controls, {count(some)} have a higher median than at least one SAE on a trained model."
    )


def _of_trained(wins: int, total: int) -> str:
    if total == 1:
        return "the SAE on a trained model" if wins else "no SAE on a trained model"
    if wins in (0, total):
        return (
            f"{('both' if total == 2 else f'all {total}') if wins else f'none of the {total}'} SAEs on trained models"
        )
    return f"{wins} of {total} SAEs on trained models"


def _chains(results: Results) -> str:
    rows = []
    for column, found, table in zip(
        results.columns, results.meaning.chain_summaries, results.meaning.chains, strict=True
    ):
        cells = [f"{count(found['observed'][kind])} / {count(found['shifted'][kind])}" for kind in KINDS]
        listing = _listed_chains(table)
        measured, over = _carried_over(listing)
        medians = [listing[name].dropna().median() for name in ("probability", "probability_heldout")]
        cells += [count(len(listing)), f"{over} of {measured}" if measured else "none measured" if len(listing) else ""]
        cells += [number(value) if len(listing) else "" for value in medians]
        rows.append([column.name, *cells])
    caption = (
        "Directed edges from the features of a token to those of the next, and chains of them: in the text / in shifted"
        " text, which goes through all of it as the text does. Carry over: of the chains listed, that are not"
        " positional and can be measured on held-out tokens, those walked there more often than under shifts;"
        " probability: medians of walking a whole chain"
    )
    return pipe_table(CHAINS, rows, caption, "tbl-chains")


def _listed_chains(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["positional"].astype(bool)]


def _carried_over(table: pd.DataFrame) -> tuple[int, int]:
    """Chains whose first feature is active on held-out tokens, and those walked there more often than under shifts."""
    measured = table[table["starts_heldout"] > 0]
    return len(measured), int((measured["count_heldout"] > measured["expected_heldout"]).sum())


def _numbers(results: Results, kind: str, text: str = "observed") -> str:
    values = [found[text][kind] for found in results.meaning.chain_summaries]
    return beside_controls(results.columns, values, count) if any(values) else NONE


def chains_sentence(results: Results) -> str:
    """Edges beyond shifts and chains, in the text and in shifted text."""
    edges, chance = (_numbers(results, "beyond_shifts", text) for text in ("observed", "shifted"))
    text = f"Directed edges beyond shifts number {edges}; in shifted text, where all are by chance, {chance}."
    chains, spurious = (_numbers(results, "chains", text) for text in ("observed", "shifted"))
    longer = _numbers(results, "chains_of_three_or_more")
    return f"{text} Chains number {chains}, in shifted text {spurious}; those of three features or more {longer}."


def positional_sentence(results: Results) -> str:
    """How many chains are of the place in the context alone."""
    found = _numbers(results, "positional_chains")
    return "There are no positional chains." if found == NONE else f"Positional chains number {found}."


def carry_over_sentence(results: Results) -> str:
    """How many of the chains listed are found in held-out text again, and how their probability falls."""
    tables = [
        _listed_chains(table)
        for column, table in zip(results.columns, results.meaning.chains, strict=True)
        if not column.control
    ]
    joined = pd.concat(tables) if tables else pd.DataFrame()
    if joined.empty:
        return f"{NO_CHAIN}, so there is none to look for in other documents."
    measured, over = _carried_over(joined)
    if not measured:
        return "On held-out tokens no chain of a trained dictionary can be measured."
    known = joined[joined["starts_heldout"] > 0]
    if len(joined) == 1:
        verb = "is" if over else "is not"
        start = (
            f"The one chain of trained dictionaries {verb} walked in held-out text more often than under shifts; its"
        )
        probability = "probability"
    else:
        lost = len(joined) - measured
        rest = f" ({count(lost)} more cannot be measured)" if lost else ""
        start = (
            f"Of {plural(measured, 'chain')} of trained dictionaries, the strongest of each{rest},"
            f" {count(measured - over)} {'is' if measured - over == 1 else 'are'} walked in held-out text no more often"
            " than under shifts; the"
        )
        probability = "median probability" if measured > 1 else "probability"
    return (
        f"{start} {probability} of walking a whole chain is {number(known['probability'].median())} on training tokens,"
        f" by which chains are chosen, and {number(known['probability_heldout'].median())} on held-out ones."
    )


def controls_chain_sentence(results: Results) -> str:
    """Whether neurons and dictionaries on an untrained model have chains as well."""
    controls = [
        (column, found["observed"])
        for column, found in zip(results.columns, results.meaning.chain_summaries, strict=True)
        if column.control
    ]
    if not controls:
        return "No control is there whose chains could be compared."
    found = [(column, numbers) for column, numbers in controls if numbers["chains"]]
    if not found:
        return f"No control has chains ({plural(len(controls), 'control')})."
    if len(found) > MOST_NAMES:
        return f"Of {count(len(controls))} controls, {count(len(found))} have chains as well."
    parts = [f"{column.name} has {plural(numbers['chains'], 'chain')}" for column, numbers in found]
    return f"Controls have chains as well: {listed(parts)}."
