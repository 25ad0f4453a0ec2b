"""What features do in the model: logit lens, ablation and steering, as tables and sentences."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.gain import ablated_gain, ratio
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    coverage,
    defined,
    dictionaries,
    listed,
    number,
    percent,
    plural,
    spread,
)
from coact.report.markup import pipe_table
from coact.report.meaning import Meaning, beside_controls, shares_beside_controls
from coact.report.results import Results

LENS = ("dictionary", "features", "kurtosis", "kurtosis, random", "above random, kurtosis", "above random, largest",
        "gain over random")  # fmt: skip
EFFECTS = ("dictionary", "features", "tokens", "KL", "KL, random", "above random", "gain squared", "cross-entropy",
           "cross-entropy, random", "lowers it", "r, direct", "r, gradient", "lens overlap")  # fmt: skip
STEERING = ("dictionary", "features", "texts, steered", "random", "unsteered", "tokens, steered", "random",
            "unsteered", "CE, steered", "random", "unsteered", "more than random", "never")  # fmt: skip
CONDITIONS = ("steered", "random", "unsteered")
Value = float | None


def effect_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown."""
    found = results.meaning
    places = range(len(results.columns))
    tables = {
        "_lens.md": (LENS, _lens_cells, "Logits of decoder rows, taken at unit norm: excess kurtosis (median), and the"
                     " shares of features above 95% of random directions", "tbl-lens"),
        "_effects.md": (EFFECTS, _effect_cells, "Features taken away where they fire: changes in the predictions"
                        " (medians over features; cross-entropy in nats per token), beside random directions of the"
                        " same norm; correlations of attribution with the effect over all tokens", "tbl-effects"),
        "_steering.md": (STEERING, _steering_cells, "Continuations with the features of labels held high: shares of"
                         " texts, and of tokens, judged to be of the label, and cross-entropy (CE) of the texts under"
                         " the unchanged model, means over features", "tbl-steering"),
    }  # fmt: skip
    return {
        name: pipe_table(
            header,
            [[results.columns[place].name, *_padded(cells(found, place), len(header) - 1)] for place in places],
            caption,
            identifier,
        )
        for name, (header, cells, caption, identifier) in tables.items()
    }


def _padded(cells: list[str], size: int) -> list[str]:
    return cells if cells else [NOT_DEFINED] + [""] * (size - 1)


def effect_texts(results: Results) -> dict[str, str]:
    """Sentences by their keys in the prose."""
    return {
        "undefined_lens_sentence": undefined_sentence(results),
        "lens_sentence": lens_sentence(results),
        "effects_sentence": effects_sentence(results),
        "gain_sentence": gain_sentence(results),
        "harmless_sentence": harmless_sentence(results),
        "attribution_sentence": attribution_sentence(results),
        "steering_sentence": steering_sentence(results),
        "steering_cost_sentence": steering_cost_sentence(results),
        "judge_sentence": judge_sentence(results),
    }


def _lens_cells(found: Meaning, place: int) -> list[str]:
    lens = found.effect_summaries[place]["lens"]
    if not lens["defined"]:
        return []
    kurtosis = lens["quantiles"]["kurtosis"]
    cells = [count(lens["features"]), *(number(kurtosis[name]["q50"]) for name in ("features", "random"))]
    cells += [percent(lens["share_significant"][name]) for name in ("kurtosis", "largest")]
    std = lens["quantiles"]["std"]
    return [*cells, number(ratio(std["features"]["q50"], std["random"]["q50"]))]


def _effect_cells(found: Meaning, place: int) -> list[str]:
    summary = found.effect_summaries[place]["effects"]
    if not summary["measured"]:
        return []
    median, correlation = summary["median"], summary["correlation"]
    gain = _gain(found, place)
    lowers, measured = lowering(found.effects[place])
    return [
        count(summary["measured"]),
        count(summary["tokens"]),
        number(median["ablation_kl"]),
        number(median["ablation_random_kl"]),
        percent(summary["share_above_random"]["ablation"]),
        number(gain**2) if defined(gain) else NOT_DEFINED,
        number(median["ablation_cross_entropy"]),
        number(median["ablation_random_cross_entropy"]),
        f"{lowers} of {measured}",
        *(number(correlation[name]["pooled"]) for name in ("direct", "gradient")),
        percent(median["lens_overlap"]),
    ]


def _steering_cells(found: Meaning, place: int) -> list[str]:
    summary = found.effect_summaries[place]["steering"]
    if not summary["measured"]:
        return []
    mean = summary["mean"]
    cells = [count(summary["measured"])]
    for measure, form in (("share_samples", percent), ("share_tokens", percent), ("cross_entropy", number)):
        cells += [form(mean[f"{condition}_{measure}"]) for condition in CONDITIONS]
    never, measured = never_steering(found.steering[place])
    return [*cells, f"{summary['pairs_above']['random']} of {measured}", f"{never} of {measured}"]


def _gain(found: Meaning, place: int) -> float:
    return ablated_gain(found.lens[place], found.effects[place], found.effect_summaries[place]["lens"])


def lowering(effects: pd.DataFrame) -> tuple[int, int]:
    """Features whose ablation lowers the cross-entropy, and all that are measured."""
    known = effects["ablation_cross_entropy"].dropna()
    return int((known < 0).sum()), len(known)


def never_steering(steering: pd.DataFrame) -> tuple[int, int]:
    """Features none of whose texts has their label, and all that are measured."""
    known = steering["steered_share_samples"].dropna()
    return int((known == 0).sum()), len(known)


def _told(results: Results, part: str, value: Callable[[dict[str, Any]], Value], form: Any = number) -> str:
    """Values of one part of the summaries beside controls; "" where none is defined."""
    found = [
        value(summary[part]) if summary[part].get("defined", summary[part].get("measured")) else None
        for summary in results.meaning.effect_summaries
    ]
    return beside_controls(results.columns, found, form)


def undefined_sentence(results: Results) -> str:
    """Where there is no linear path to the logits, and why."""
    reasons: dict[str, list[Column]] = {}
    for column, summary in zip(results.columns, results.meaning.effect_summaries, strict=True):
        if not summary["lens"]["defined"]:
            reasons.setdefault(summary["lens"]["reason"] or "no reason is given", []).append(column)
    total = len(results.columns)
    if not reasons:
        return "The path from the hook point to the logits is linear but for the scale of the final normalisation."
    parts = [
        f"{dictionaries(len(columns), total, [column.name for column in columns])} ({reason})"
        for reason, columns in reasons.items()
    ]
    return f"There is no linear path from the hook point to the logits for {listed(parts)}: no lens is defined there."


def lens_sentence(results: Results) -> str:
    """Whether logits of features are more peaked than those of random directions."""
    told = _told(results, "lens", lambda lens: lens["share_significant"]["kurtosis"], percent)
    if not told:
        return "The logit lens is not defined in this study."
    defined_lenses = [found["lens"] for found in results.meaning.effect_summaries if found["lens"]["defined"]]
    random = [lens["quantiles"]["kurtosis"]["random"]["q50"] for lens in defined_lenses]
    level = defined_lenses[0]["significance"]
    medians = _told(results, "lens", lambda lens: lens["quantiles"]["kurtosis"]["features"]["q50"])
    return (
        f"The share of features whose logits have a higher kurtosis than {coverage(1 - level)} of random directions,"
        f" of which chance gives {coverage(level)}, is {told}. The median kurtosis is {medians}, of random directions"
        f" {spread(random)}."
    )


def effects_sentence(results: Results) -> str:
    """Whether ablating features changes predictions more than ablating random directions."""
    told = _told(results, "effects", lambda effects: effects["share_above_random"]["ablation"], percent)
    if not told:
        return "What features do in the model could not be measured in this study."
    return (
        "The share of features that change the predictions (KL divergence) more by their absence than a random"
        f" direction of the same norm does, taken away at the same tokens, is {told}."
    )


def gain_sentence(results: Results) -> str:
    """How much of these effects the gain of the readout alone would give."""
    found = results.meaning
    gains, ratios = [], []
    for place, summary in enumerate(found.effect_summaries):
        median = summary["effects"]["median"] if summary["effects"]["measured"] else {}
        times = ratio(median.get("ablation_kl"), median.get("ablation_random_kl"))
        gain = _gain(found, place)
        both = defined(times) and defined(gain)
        ratios.append(times if both else None)
        gains.append(gain**2 if both else None)
    told = beside_controls(results.columns, ratios)
    if not told:
        return f"How strongly features are read out, beside random directions, is {NOT_DEFINED} here."
    return (
        f"The median KL divergence over that of random directions is {told}; the square of the gain, which a stronger"
        f" readout alone would give, is {beside_controls(results.columns, gains)}."
    )


def harmless_sentence(results: Results) -> str:
    """How many ablations lower the cross-entropy."""
    told = shares_beside_controls(results.columns, [lowering(table) for table in results.meaning.effects])
    if not told:
        return f"Whether predictions are worse without features is {NOT_DEFINED} here."
    return f"The share of features without which the cross-entropy is lower than with them is {told}."


def attribution_sentence(results: Results) -> str:
    """How well attributions foretell the effects of ablation."""
    direct = _told(results, "effects", lambda effects: effects["correlation"]["direct"]["pooled"])
    gradient = _told(results, "effects", lambda effects: effects["correlation"]["gradient"]["pooled"])
    if not direct and not gradient:
        return f"How well attribution foretells ablation is {NOT_DEFINED} here."
    return (
        "The correlation of attribution with what ablation takes from the logit of the correct token is"
        f" {direct or NOT_DEFINED} by the linear path alone, {gradient or NOT_DEFINED} by the gradient."
    )


def steering_sentence(results: Results) -> str:
    """How often steered texts have the label, beside random directions and no steering."""
    parts = [
        _told(results, "steering", lambda found, condition=condition: found["mean"][f"{condition}_share_samples"],
              percent)
        for condition in CONDITIONS
    ]  # fmt: skip
    if not parts[0]:
        return "No feature could be held high to see what the model then writes."
    return (
        f"With the feature held high, the mean share of texts judged to be of the label is {parts[0]}; with a random"
        f" direction instead it is {parts[1] or NOT_DEFINED}; without either it is {parts[2] or NOT_DEFINED}."
    )


def steering_cost_sentence(results: Results) -> str:
    """How odd the model finds texts that are written under steering."""
    parts = [
        _told(results, "steering", lambda found, condition=condition: found["mean"][f"{condition}_cross_entropy"])
        for condition in ("steered", "unsteered")
    ]
    if not all(parts):
        return f"How odd the model finds such texts is {NOT_DEFINED}."
    return (
        f"Under the unchanged model, steered texts have a cross-entropy of {parts[0]} (nats per token), unsteered ones"
        f" of {parts[1]}."
    )


def judge_sentence(results: Results) -> str:
    """How good the judge of texts is on held-out text."""
    found = [
        entry
        for summary in results.meaning.effect_summaries
        for entry in summary["steering"].get("classifier", {}).values()
        if defined(entry["recall"])
    ]
    if not found:
        return f"How good the judge is on held-out text is {NOT_DEFINED}."
    labels = max(
        sum(defined(entry["recall"]) for entry in summary["steering"].get("classifier", {}).values())
        for summary in results.meaning.effect_summaries
    )
    return (
        "On held-out text of the same length the judge finds"
        f" {spread((entry['recall'] for entry in found), percent)} of a label's windows ({plural(labels, 'label')}),"
        f" and takes {spread((entry['false_positives'] for entry in found), percent)} of the windows of others for it."
    )
