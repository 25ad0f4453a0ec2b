"""What the numbers say, as sentences.

Every sentence is chosen by the numbers, so that it holds for any outcome; figures and report share them. An observed
correlation is compared with the null through its interval. Numbers that differ from the null's by no more than `NEAR`
are called about as large, since the null is one sample. Two modes are claimed only where the dip test (Hartigan &
Hartigan 1985) and the Bayesian information criterion (Schwarz 1978) agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from coact.comparison.columns import Column
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    coverage,
    defined,
    dictionaries,
    few,
    listed,
    number,
    p_value,
    percent,
    plural,
    sentence,
    spread,
)

DIP_LEVEL = 0.05
NEAR = 0.05
Statistics = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Tally:
    """Names of the columns in which a value is below, above or equal to (within) what it is held against."""

    below: tuple[str, ...]
    above: tuple[str, ...]
    same: tuple[str, ...]

    @property
    def total(self) -> int:
        """Columns in which the comparison is defined."""
        return len(self.below) + len(self.above) + len(self.same)


def tally(names: Sequence[str], values: Sequence[float | None], others: Sequence[float | None]) -> Tally:
    """Compare numbers one by one, the same where they differ by at most `NEAR` of the other.

    Pairs in which one is not defined are left out.
    """
    bands = [{"low": value, "high": value} if defined(value) else None for value in values]
    edges = [abs(other) * NEAR if defined(other) else 0.0 for other in others]
    widened = [
        {"low": band["low"] - edge, "high": band["high"] + edge} if band else None
        for band, edge in zip(bands, edges, strict=True)
    ]
    return tally_intervals(names, widened, others)


def tally_intervals(
    names: Sequence[str], found: Sequence[dict[str, Any] | None], others: Sequence[float | None]
) -> Tally:
    """Compare intervals {low, high} with numbers: wholly below, wholly above, or holding them."""
    triples = [
        (name, estimate["low"], estimate["high"], other)
        for name, estimate, other in zip(names, found, others, strict=True)
        if estimate and defined(estimate["low"]) and defined(estimate["high"]) and defined(other)
    ]
    return Tally(
        tuple(name for name, _, high, other in triples if high < other),
        tuple(name for name, low, _, other in triples if low > other),
        tuple(name for name, low, high, other in triples if low <= other <= high),
    )


def versus(found: Tally, more: str, less: str, same: str) -> str:
    """A clause on a tally: "<more> in all 7 dictionaries", "<less> in 5 of 7 dictionaries and <same> in 2"."""
    if found.total == 0:
        return f"a comparison with the null sample is {NOT_DEFINED}"
    parts = [(names, text) for names, text in ((found.above, more), (found.below, less), (found.same, same)) if names]
    parts.sort(key=lambda part: -len(part[0]))
    first = f"{parts[0][1]} in {dictionaries(len(parts[0][0]), found.total)}"
    return listed([first, *(f"{text} in {len(names)}{few(names)}" for names, text in parts[1:])])


def values_of(statistics: Statistics, key: str, scope: str = "live", source: str = "observed") -> list[float | None]:
    """A statistic of every column; of one with an interval, its value."""
    found = [entry[source][scope][key] for entry in statistics]
    return [value["value"] if isinstance(value, dict) else value for value in found]


def edges_sentence(columns: Sequence[Column], statistics: Statistics) -> str:
    """Edges of the graphs against those of the null sample."""
    observed = values_of(statistics, "edges", "all")
    null = values_of(statistics, "edges", "all", "null")
    found = tally([column.name for column in columns], observed, null)
    ratios = [value / other for value, other in zip(observed, null, strict=True) if defined(value) and other]
    clause = versus(found, "more edges", "fewer edges", f"about as many edges (within {percent(NEAR, 1)})")
    return f"Held against the null sample, the graph has {clause}; edges over null edges: {spread(ratios)}."


def clustering_sentence(columns: Sequence[Column], statistics: Statistics) -> str:
    """Average clustering of live features against the null sample."""
    observed = values_of(statistics, "average_clustering")
    null = values_of(statistics, "average_clustering", source="null")
    found = tally([column.name for column in columns], observed, null)
    clause = versus(found, "higher", "lower", f"about the same (within {percent(NEAR, 1)})")
    return (
        f"Held against the null sample, average clustering of live features is {clause};"
        f" {spread(observed)} observed, {spread(null)} in the null."
    )


def correlation_conclusion(columns: Sequence[Column], statistics: Statistics) -> str:
    """How degree and held-out frequency of live features are correlated, and whether the null gives as much."""
    names = [column.name for column in columns]
    found = [entry["observed"]["live"]["pearson"] for entry in statistics]
    signs = tally_intervals(names, found, [0.0] * len(names))
    if signs.total == 0:
        return f"The correlation of degree and frequency is {NOT_DEFINED} here."
    if signs.above:
        start = f"Degree rises with frequency in {dictionaries(len(signs.above), signs.total)}"
    elif signs.below:
        start = f"Degree falls with frequency in {dictionaries(len(signs.below), signs.total)}"
    else:
        start = "Degree and frequency show no clear correlation"
    chance = tally_intervals(names, found, values_of(statistics, "pearson", source="null"))
    if chance.total == 0:
        return f"{start}; a comparison with the null is {NOT_DEFINED}."
    gives = "what the features' marginals give by chance"
    if not chance.above:
        end = f"nowhere does r exceed {gives}"
    elif len(chance.above) == chance.total:
        end = f"everywhere r exceeds {gives}"
    else:
        end = f"r exceeds {gives} in {dictionaries(len(chance.above), chance.total, chance.above)}"
    return f"{start}; {end}."


def correlation_sentence(columns: Sequence[Column], statistics: Statistics, confidence: float) -> str:
    """The correlations of live features in numbers, with the place of the null in their intervals."""
    found = [entry["observed"]["live"]["pearson"] for entry in statistics]
    null = values_of(statistics, "pearson", source="null")
    chance = tally_intervals([column.name for column in columns], found, null)
    sizes = [estimate["n"] for estimate in found if estimate]
    text = (
        f"Pearson's r of live features is {spread(values_of(statistics, 'pearson'))} (n = {spread(sizes, count)}"
        f" features), in the null sample {spread(null)}."
    )
    if chance.total == 0:
        return text
    clause = versus(chance, "above it", "below it", "compatible with it")
    return f"{text} Held against the null by its {coverage(confidence)} interval, r is {clause}."


def bimodal(entry: dict[str, Any], quantity: str, source: str = "observed") -> bool:
    """Whether both tests find two modes in the log of "degree" or "frequency" of live features."""
    scope = entry[source]["live"]
    dip, mixture = scope[f"dip_log_{quantity}"], scope[f"mixture_log_{quantity}"]
    return bool(dip and mixture and dip["p"] < DIP_LEVEL and mixture["preferred"] == 2)


def bimodality_sentence(columns: Sequence[Column], statistics: Statistics, quantity: str) -> str:
    """In how many columns the log of "degree" or "frequency" of live features has two modes, by both tests."""
    scopes = [entry["observed"]["live"] for entry in statistics]
    tested = [
        column.name
        for column, scope in zip(columns, scopes, strict=True)
        if scope[f"dip_log_{quantity}"] and scope[f"mixture_log_{quantity}"]
    ]
    if not tested:
        return f"Whether log {quantity} has two modes is {NOT_DEFINED}: too few distinct values."
    two = [column.name for column, entry in zip(columns, statistics, strict=True) if bimodal(entry, quantity)]
    if not two:
        return f"Two modes in log {quantity} are supported in {dictionaries(0, len(tested))}."
    return f"Two modes in log {quantity} are supported in {dictionaries(len(two), len(tested), two)}."


def bimodality_detail(statistics: Statistics, quantity: str) -> str:
    """What each of the two tests says by itself."""
    scopes = [entry["observed"]["live"] for entry in statistics]
    dips = [scope[f"dip_log_{quantity}"]["p"] for scope in scopes if scope[f"dip_log_{quantity}"]]
    fits = [scope[f"mixture_log_{quantity}"] for scope in scopes if scope[f"mixture_log_{quantity}"]]
    rejected = sum(p < DIP_LEVEL for p in dips)
    mixtures = sum(fit["preferred"] == 2 for fit in fits)
    return (
        f"Support needs both tests: the dip test rejects a single mode (p < {number(DIP_LEVEL, 1)}) in {rejected} of"
        f" {len(dips)} (smallest p {p_value(min(dips, default=None))}), and BIC prefers two normal components in"
        f" {mixtures} of {len(fits)}."
    )


def quality_conclusion(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> str:
    """Reconstruction of the SAEs on trained models, on held-out tokens."""
    trained = [pair for pair in _trained(columns, evaluations) if defined(pair[1]["fvu"])]
    if not trained:
        return "No dictionary was trained on a trained model in this study, or no FVU is defined."
    best, entry = min(trained, key=lambda pair: pair[1]["fvu"])
    sparsity = f"at an L0 of {number(entry['l0'])}"
    if len(trained) == 1:
        return f"{best.name} leaves {percent(entry['fvu'])} of the held-out variance unexplained {sparsity}."
    rest = spread((other["fvu"] for column, other in trained if column != best), percent)
    return (
        f"Of {plural(len(trained), 'SAE')} on trained models, {best.name} leaves the least of the held-out variance"
        f" unexplained: {percent(entry['fvu'])} {sparsity}, the others {rest}."
    )


def recovered_sentence(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> str:
    """Loss recovered by the SAEs on trained models; an untrained one has next to nothing to recover."""
    trained = _trained(columns, evaluations)
    zero = spread(entry["loss_recovered_zero"] for _, entry in trained)
    mean = spread(entry["loss_recovered_mean"] for _, entry in trained)
    return (
        f"Spliced into their model, the SAEs on trained models recover {zero} of the loss against zero-ablation and"
        f" {mean} against mean-ablation."
    )


def _trained(columns: Sequence[Column], evaluations: Sequence[dict[str, Any]]) -> list[tuple[Column, dict[str, Any]]]:
    pairs = zip(columns, evaluations, strict=True)
    return [(column, entry) for column, entry in pairs if not column.control and entry["architecture"] != "identity"]


def seeds_sentence(columns: Sequence[Column], values: Sequence[float | None], what: str, form: Any = number) -> str:
    """How far columns that differ only in their seed lie apart."""
    groups = _groups(columns, values, lambda column: (column.model, column.recipe, column.expansion))
    parts = [
        f"{spread([value for _, value in members], form)} ({listed([column.name for column, _ in members])})"
        for members in groups
    ]
    if not parts:
        return f"No dictionary was trained with a second seed, so the spread of {what} between seeds is not known."
    return sentence(f"{what} between seeds: {'; '.join(parts)}.")


def width_sentence(columns: Sequence[Column], values: Sequence[float | None], what: str, form: Any = number) -> str:
    """A number along the expansion factors of dictionaries that differ in width, and perhaps seed, only."""
    parts = []
    for members in _groups(columns, values, lambda column: (column.model, column.recipe)):
        factors = sorted({column.expansion for column, _ in members if column.expansion is not None})
        if len(factors) < 2:
            continue
        by_factor = [[value for column, value in members if column.expansion == factor] for factor in factors]
        steps = [f"{spread(found, form)} at x{factor:g}" for factor, found in zip(factors, by_factor, strict=True)]
        parts.append(f"{listed(steps)} ({members[0][0].sae.partition('-')[0]} on {members[0][0].model})")
    if not parts:
        return f"No two dictionaries of the study differ in width alone: no comparison across widths ({what})."
    return sentence(f"{what} by expansion factor: {'; '.join(parts)}.")


def _groups(
    columns: Sequence[Column], values: Sequence[float | None], key: Callable[[Column], tuple[Any, ...]]
) -> list[list[tuple[Column, float | None]]]:
    """Columns of known recipe with their values, grouped by `key`; groups of one are left out."""
    groups: dict[tuple[Any, ...], list[tuple[Column, float | None]]] = {}
    for column, value in zip(columns, values, strict=True):
        if column.recipe:
            groups.setdefault(key(column), []).append((column, value))
    return [members for members in groups.values() if len(members) > 1]


def controls_sentence(columns: Sequence[Column], statistics: Statistics) -> str:
    """Edges over null edges of the controls, beside those of the dictionaries trained on trained models."""
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for column, entry in zip(columns, statistics, strict=True):
        null = entry["null"]["all"]["edges"]
        if null:
            ratios[column.control].append(entry["observed"]["all"]["edges"] / null)
    controls, others = ratios[True], ratios[False]
    if not controls or not others:
        return "The study has no control columns with which to compare, or nothing but controls."
    text = (
        f"Edges over null edges are {spread(others)} for SAEs on trained models, {spread(controls)} for the controls."
    )
    if max(others) < min(controls):
        return f"{text} Relative to chance, every such SAE's graph thus has fewer edges than every control's."
    if min(others) > max(controls):
        return f"{text} Relative to chance, every control's graph thus has fewer edges than every such SAE's."
    return f"{text} The ranges overlap, so this ratio alone does not tell SAEs on trained models from the controls."


def model_sentence(models: Sequence[dict[str, Any]]) -> str:
    """Held-out cross-entropy of the models against the baselines."""
    parts = []
    for model in models:
        values = [model[key] for key in ("cross_entropy", "unigram", "bigram")]
        if not all(defined(value) for value in values):
            parts.append(f"for {model['model']} the comparison is {NOT_DEFINED}")
            continue
        entropy, unigram, bigram = values
        parts.append(
            f"{model['model']} ({model['kind']}) reaches {number(entropy)} nats per token,"
            f" {_relation(entropy, unigram, bigram)} the unigram ({number(unigram)}) and the bigram baseline"
            f" ({number(bigram)})"
        )
    return f"On held-out text, {'; '.join(parts)}."


def _relation(value: float, *others: float) -> str:
    if value < min(others):
        return "below both"
    return "between" if value < max(others) else "above both"
