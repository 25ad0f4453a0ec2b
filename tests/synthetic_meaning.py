"""What interpretation finds in a study of any columns: the same plain numbers for all, to check sentences by."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.splitting import SPLITTING
from coact.interpretation.ultralow import COLUMNS
from coact.report.meaning import Meaning

# context: F1 on training tokens, on held-out tokens, of the best neuron, of the probe; held-out tokens, documents
CONTEXTS = {
    "docstrings": (0.40, 0.40, 0.75, 0.93, 182_000, 60),
    "arabic": (0.90, 0.88, 0.60, 0.99, 3_500, 8),
    "dna": (0.98, 0.95, 0.50, 0.94, 780, 3),
    "numbers": (0.50, 0.10, 0.20, 0.30, 1_850, 6),
    "hebrew": (0.80, None, None, None, 0, 0),
}
ORDINARY = ["docstrings"]
MEASURES = ("cross_entropy", "kl", "correct_logit", "lens_logits")
REASON = "the hook point is not on the residual stream"


def make_meaning(columns: Sequence[Column]) -> Meaning:
    """Tables and summaries of these columns; controls detect, gather and steer less."""
    return Meaning(
        lens=[pd.DataFrame({"feature": [0, 1, 2], "std": [0.04, 0.06, 0.09]}) for _ in columns],
        effects=[make_effects() for _ in columns],
        steering=[make_steering(column.control) for column in columns],
        effect_summaries=[make_summary(column.control) for column in columns],
        purity=[make_purity(column.control) for column in columns],
        explanations=[make_explanations(column.control) for column in columns],
        chain_summaries=[make_chain_summary(column.control) for column in columns],
        chains=[make_chains() for _ in columns],
        neighbours=[make_neighbours() for _ in columns],
        features=[pd.DataFrame({"feature": range(512), "count": [0] * 12 + [50] * 500}) for _ in columns],
        contexts=pd.concat([make_contexts(column) for column in columns], ignore_index=True),
        seeds=make_seeds(columns),
        proxies={column.model: make_proxies() for column in columns},
        ordinary=ORDINARY,
        gallery=make_gallery(columns[0].name),
        splitting=make_splitting([column.name for column in columns]),
        absorption=[make_absorption() for _ in columns],
        absorption_summaries=[make_absorption_summary(0.2 if column.control else 0.5) for column in columns],
        maps=[make_map(column) for column in columns],
        ultralow=pd.concat([make_ultralow(column) for column in columns], ignore_index=True),
    )


def make_absorption() -> pd.DataFrame:
    """absorption.parquet: arabic is absorbed in part by feature 7, DNA not at all, base64 is not measured."""
    numbers = ["silent", "absorbed", "absorbed_null", "fraction", "fraction_null"]
    rows = [
        ("arabic", "label", 0.95, 1000, [3, 4], 0.9, 0.1, 0.05, 0.0, 0.7, 0.01, 7, 0.8),
        ("dna", "label", 0.9, 500, [5], 0.6, 0.0, 0.0, 0.0, 0.3, 0.01, -1, np.nan),
        ("base64", "label", 0.4, 0, [6], 0.3, *[np.nan] * len(numbers), -1, np.nan),
    ]
    names = ["context", "kind", "probe_f1", "tokens", "main", "main_f1", *numbers, "absorber", "absorber_share"]
    return pd.DataFrame(rows, columns=names)


def make_absorption_summary(fraction: float) -> dict[str, Any]:
    """absorption.json of two contexts of three."""
    null = {"mean": 0.01, "low": 0.0, "high": 0.02, "p": 0.0099}
    found = {"contexts": 3, "measured": 2, "main_features": 1.5, "silent": 0.05}
    return found | {"absorbed": {"value": 0.025, **null}, "fraction": {"value": fraction, **null}}


def unabsorbed() -> dict[str, Any]:
    """absorption.json where no context is measured."""
    nothing = dict.fromkeys(("value", "mean", "low", "high", "p"))
    found = {"contexts": 3, "measured": 0, "main_features": None, "silent": None}
    return found | {"absorbed": nothing, "fraction": nothing}


def make_map(column: Column) -> dict[str, Any]:
    """map.json; neurons have no map, and a control's does not follow the graph."""
    found = {"live": 500, "features": 500, "dimensions": 512, "neighbours": 15, "reason": ""}
    found |= {"preserved": 0.4, "preserved_random": 0.15, "preserved_chance": 0.03}
    near = {"value": 0.3, "mean": 0.3 if column.control else 0.1, "low": 0.08, "high": 0.12,
            "p": 0.5 if column.control else 0.005}  # fmt: skip
    trait = {"features": 400, "map": near, "decoder": {**near, "value": 0.5}}
    found |= dict.fromkeys(("community", "edge", "context"), trait)
    return found if column.expansion is not None else unmapped("all pairs of decoder rows have the same cosine")


def unmapped(reason: str) -> dict[str, Any]:
    """map.json of a dictionary without a map."""
    nothing = dict.fromkeys(("value", "mean", "low", "high", "p"))
    trait = {"features": 0, "map": nothing, "decoder": nothing}
    found = {"live": 512, "features": 0, "dimensions": 512, "neighbours": 15, "reason": reason}
    found |= dict.fromkeys(("preserved", "preserved_random", "preserved_chance"))
    return found | dict.fromkeys(("community", "edge", "context"), trait)


def make_ultralow(column: Column) -> pd.DataFrame:
    """comparison/ultralow.parquet of one column; controls have one rare feature, which has no measures."""
    both = {"tokens": 130_000, "exchangeable": 0, "in_sets": 0}
    # value; mean, low, high and p of random draws
    measures = {"alike": (0.2, 0.1, 0.08, 0.12, 0.001), "length": (0.5, 0.4, 0.35, 0.45, 0.001),
                "degree": (0.5, 0.6, 0.4, 0.8, 0.9), "isolated": (0.9, 0.9, 0.9, 0.9, 1.0),
                "inside": (0.02, 0.01, 0.0, 0.03, 0.2)}  # fmt: skip
    parts = ("", "_mean", "_low", "_high", "_p")
    measured = {f"{name}{part}": value for name, values in measures.items()
                for part, value in zip(parts, values, strict=True)}  # fmt: skip
    no_neighbours = {name: np.nan for name in measured if name.startswith("inside")}
    rows = [
        {"group": "silent", "cutoff": 0.0, **both, "features": 0}
        if column.control
        else {"group": "silent", "cutoff": 0.0, **both, "features": 25, **measured, **no_neighbours},
        {"group": "rare", "cutoff": 10 / 130_000, **both, "features": 1}
        if column.control
        else {"group": "rare", "cutoff": 10 / 130_000, **both, "features": 80, "in_sets": 8, **measured},
        {"group": "lower_mode", "cutoff": np.nan, **both, "features": 0},
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return table.assign(model=column.model, sae=column.sae)


def make_contexts(column: Column) -> pd.DataFrame:
    """comparison/contexts.parquet of one column."""
    rows = []
    for place, (name, (train, f1, neuron, probe, tokens, documents)) in enumerate(CONTEXTS.items()):
        own = neuron if column.expansion is None else f1
        own = None if own is None else own / (4 if column.control else 1)
        rows.append(
            {
                "model": column.model,
                "sae": column.sae,
                "control": column.control,
                "context": name,
                "kind": "label",
                "feature": place,
                "tokens_train": 1000,
                "f1_train": train,
                "tokens": tokens,
                "documents": documents,
                **dict.fromkeys(("f1", "precision", "sensitivity", "specificity", "auc"), own),
                "f1_low": own - 0.01 if own and documents >= 5 else None,
                "f1_high": own + 0.01 if own and documents >= 5 else None,
                "neuron_correlation": None if f1 is None or column.control else -0.5,
                "seed_correlation": None if f1 is None or column.control else 0.8,
                "seed_f1": None if f1 is None or column.control else f1 - 0.1,
                "best_neuron_f1": None if column.expansion is None else neuron,
                "probe_f1": probe,
                "untrained_f1": None if f1 is None else 0.1,
            }
        )
    numbers = [name for name in rows[0] if name.startswith(("f1", "neuron", "seed", "best", "probe", "untrained"))]
    numbers += ["precision", "sensitivity", "specificity", "auc"]
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, np.float64))


def make_seeds(columns: Sequence[Column]) -> pd.DataFrame:
    """comparison/context_seeds.parquet: a match for each best feature of dictionaries that are no controls."""
    rows = [
        {"model": column.model, "sae": column.sae, "context": name, "correlation": 0.8, "f1": values[1] - 0.1}
        for column in columns
        for name, values in CONTEXTS.items()
        if not column.control and values[1] is not None
    ]
    return pd.DataFrame(rows, columns=["model", "sae", "context", "correlation", "f1"])


def make_proxies() -> pd.DataFrame:
    """proxies.parquet: of both splits, numbers are everywhere."""
    rows = [("arabic", 1.0, "heldout"), ("numbers", 0.08, "heldout"), ("numbers", 0.9, "train")]
    return pd.DataFrame(rows, columns=["label", "precision", "split"])


def make_purity(control: bool) -> dict[str, Any]:
    """purity.json; in a control permutations are as pure."""
    found = {
        "value": 0.6,
        "features": {"mean": 0.5, "deviation": 0.02, "p": 0.001},
        "frequency": {"mean": 0.6 if control else 0.5, "deviation": 0.02, "p": 0.7 if control else 0.001},
    }
    scope = {"features": 400, "communities": 9, "contexts": 4, "purity": found, "nmi": found}
    scopes = {"all_contexts": scope, "without_ordinary": {**scope, "features": 100}}
    near = {"neighbours": 10, "same": 5, "share": 0.5, "p": 0.0001}
    none = {"neighbours": 0, "same": 0, "share": None, "p": None}
    common = {"live": 500, "same_live": 5, "expected": 0.01, "expected_by_count": 0.02}
    return {
        "heldout": scopes,
        "train": scopes,
        "neighbours": [
            {"context": "arabic", "feature": 1, "own": "arabic", **common, "all": near, "significant": near},
            {"context": "dna", "feature": 2, "own": None, **common, "all": near, "significant": {**near, "p": 0.5}},
            {"context": "numbers", "feature": 3, "own": "numbers", **common, "all": none, "significant": none},
        ],
    }


def make_neighbours() -> pd.DataFrame:
    """context_neighbours.parquet."""
    rows = [("arabic", 7, 0.3, "arabic"), ("arabic", 8, 0.9, ""), ("dna", 9, 0.5, "dna")]
    return pd.DataFrame(rows, columns=["context", "neighbour", "weight", "neighbour_context"])


def make_explanations(control: bool) -> dict[str, Any]:
    """explanations.json: features of a control are the easier ones, and there random directions are as easy."""
    own = {"correlation": 0.8 if control else 0.6, "correlation_shuffled": 0.05}
    own |= {"sample_correlation": 0.9, "sample_correlation_shuffled": 0.1}
    random = {**own, "correlation": 0.8 if control else 0.5, "sample_correlation": 0.7}
    carried = {"label": 10, "token": 60, "bigram": 20, "none": 10}
    common = {"n": 128, "silent_train": 12, "silent_heldout": 20, "measured": 108, "tokens": 65_000}
    return {
        part: {**common, "measures": {name: {"q50": value} for name, value in medians.items()}, "carried_by": carried}
        for part, medians in (("features", own), ("directions", random))
    }


def unexplained() -> dict[str, Any]:
    """explanations.json where no feature is active, and there are no directions."""
    nothing = make_explanations(False)["features"]
    nothing = {
        **dict.fromkeys(nothing, 0),
        "measures": {name: {"q50": None} for name in nothing["measures"]},
        "carried_by": dict.fromkeys(nothing["carried_by"], 0),
    }
    return {"features": nothing, "directions": nothing}


def make_chain_summary(control: bool) -> dict[str, Any]:
    """chains.json; fewer chains in a control."""
    observed = {
        "edges": 20_000,
        "beyond_independence": 900,
        "beyond_shifts": 700,
        "beyond_shifts_asymmetric": 300,
        "handovers": 90,
        "chains": 4 if control else 12,
        "chains_of_three_or_more": 2 if control else 5,
        "cycles": 1,
        "positional_chains": 3,
    }
    shifted = {**dict.fromkeys(observed, 0), "edges": 21_000, "beyond_shifts": 6}
    return {"tokens": 320_000, "tokens_heldout": 65_000, "observed": observed, "shifted": shifted}


def make_chains() -> pd.DataFrame:
    """chains.parquet: one chain carries over, one does not, one is not measured on held-out text, one is positional."""
    rows = [
        (False, 0.8, 10, 20, 0.5, 0.5),
        (False, 0.4, 0, 10, 0.5, 0.0),
        (False, 0.9, 0, 0, 0.0, np.nan),
        (True, 0.99, 50, 50, 50.0, 1.0),
    ]
    names = ["positional", "probability", "count_heldout", "starts_heldout", "expected_heldout", "probability_heldout"]
    return pd.DataFrame(rows, columns=names)


def make_effects() -> pd.DataFrame:
    """effects.parquet: of two measured features one lowers the cross-entropy by its absence."""
    return pd.DataFrame({"feature": [1, 2, 5], "tokens": [100, 50, 0], "ablation_cross_entropy": [0.01, -0.02, np.nan]})


def make_steering(control: bool) -> pd.DataFrame:
    """steering.parquet: of three measured features one steers, none in a control."""
    return pd.DataFrame({"feature": range(4), "steered_share_samples": [0.0 if control else 0.75, 0.0, 0.0, np.nan]})


def make_summary(control: bool) -> dict[str, Any]:
    """effects.json."""
    quantiles = {"features": {"q50": 0.08}, "random": {"q50": 0.02}}
    deviations = {"features": {"q50": 0.06}, "random": {"q50": 0.03}}
    mean = {"steered": 0.0 if control else 0.25, "random": 0.01, "unsteered": 0.0}
    return {
        "lens": {
            "defined": True,
            "reason": "",
            "features": 3,
            "quantiles": {"kurtosis": quantiles, "std": deviations},
            "share_significant": {"kurtosis": 0.05 if control else 0.12, "largest": 0.8},
            "significance": 0.05,
        },
        "effects": {
            "features": 3,
            "measured": 2,
            "tokens": 150,
            "median": {
                **{f"ablation_{measure}": 0.03 for measure in MEASURES},
                **{f"ablation_random_{measure}": 0.01 for measure in MEASURES},
                "lens_overlap": 0.6,
            },
            "share_above_random": {"ablation": 0.5 if control else 1.0, "addition": 0.5},
            "correlation": {"direct": {"pooled": 0.5}, "gradient": {"pooled": 0.97}},
        },
        "steering": {
            "pairs": 4,
            "measured": 3,
            "mean": {
                f"{condition}_{measure}": 5.0 if measure == "cross_entropy" else share
                for condition, share in mean.items()
                for measure in ("share_samples", "share_tokens", "cross_entropy")
            },
            "pairs_above": {"random": 1, "unsteered": 1},
            "classifier": {
                "arabic": {"windows": 10, "recall": 0.9, "false_positives": 0.0},
                "hebrew": {"windows": 0, "recall": None, "false_positives": None},
            },
        },
    }


def undefined_summary(reason: str = REASON) -> dict[str, Any]:
    """effects.json of a dictionary without a linear path to the logits."""
    nothing = {"features": 0, "measured": 0, "tokens": 0, "mean": {}, "median": {}}
    steering = {"pairs": 0, "measured": 0, "mean": {}, "pairs_above": {}, "classifier": {}}
    return {"lens": {"defined": False, "reason": reason}, "effects": nothing, "steering": steering}


def make_splitting(names: Sequence[str]) -> pd.DataFrame:
    """comparison/splitting.parquet: each column beside the next, the last such pair differs in the seed alone."""
    common = {"narrow": 500, "wide": 950, "descending": 0.6, "null_descending": 0.001, "same_place": 0.3,
              "children": [100, 250, 100, 50], "coverage": 0.64, "expected_coverage": 0.03, "covered": 0.65,
              "expected_covered": 0.06, "siblings": 210, "linked": 0.9, "null_linked": 0.14,
              "linked_p": 0.005}  # fmt: skip
    pairs = list(pairwise(names))
    rows = [
        {"narrow_name": one, "wide_name": other, "differ": "seed" if place else "width", **common}
        for place, (one, other) in enumerate(pairs[:2])
    ]
    return pd.DataFrame(rows, columns=list(SPLITTING)).astype(SPLITTING)


def make_gallery(column: str, piece: str = "سلام") -> dict[str, Any]:
    """gallery.json: one feature chosen for a context, one drawn by frequency."""
    features = [(3, "arabic", None), (14, "frequency", 0.375)]
    return {
        "column": column,
        "features": [
            {"feature": feature, "reason": reason, "quantile": quantile, "card": make_card(feature, piece)}
            for feature, reason, quantile in features
        ],
    }


def make_card(feature: int, piece: str) -> dict[str, Any]:
    """A card as `coact.interpretation.cards.Cards` gives it."""
    example = {"activation": 2.0, "place": 1, "pieces": ["a ", piece, " b"], "activations": [0.0, 2.0, 0.5]}
    return {
        "feature": feature,
        "dead": False,
        "count": 50,
        "frequency": 0.01,
        "largest": 2.0,
        "labels": [{"label": "arabic", "count": 40, "lift": 12.0}],
        "neighbours": [{"feature": 9, "weight": 0.5, "count": 7, "q": 0.01}],
        "tokens": [{"text": piece}],
        "bigrams": [{"text": f"a {piece}"}],
        "degree": 12,
        "community": 1,
        "neuron": 4,
        "neuron_correlation": 0.4,
        "examples": [{**example, "kind": "top"}, {**example, "kind": "quantile"}],
        "lens": {
            "kurtosis": 3.5,
            "p_kurtosis": 0.01,
            "top": [{"text": piece, "logit": 1.5}],
            "bottom": [{"text": "the", "logit": -1.0}],
        },
        "explanation": {"correlation": 0.6, "correlation_shuffled": 0.1},
        "effects": {"ablation_kl": 0.05, "ablation_random_kl": None},
    }
