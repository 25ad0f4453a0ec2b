"""Plausible artefacts of a study of any number of columns, for tests of comparison, figures and report."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from coact.comparison.columns import Column
from coact.comparison.nulls import NULL_NAMES
from coact.config import complete
from coact.figures import FIGURES
from coact.figures.save import words
from coact.report import Results
from coact.report.tables import COMPARED, RESAMPLED
from coact.sae.truth.settings import RANDOM, TRAINED
from coact.sae.truth.table import SCORES, SHARED, collect
from coact.study import TESTED_NULLS, Study, check
from synthetic_meaning import make_meaning
from synthetic_pairs import make_best, make_pairs
from synthetic_sensitivity import make_rarefaction, make_sensitivity

PLAN = [
    Column("main", "topk-x4-s0", False, 4, "topk"),
    Column("main", "topk-x4-s1", False, 4, "topk"),
    Column("main", "relu-x4-s0", False, 4, "relu"),
    Column("main", "neurons", True, None, "neurons"),
    Column("untrained", "topk-x4-s0", True, 4, "topk"),
    Column("main", "topk-x8-s0", False, 8, "topk"),
    Column("main", "relu-x8-s0", False, 8, "relu"),
    Column("main", "topk-x16-s0", False, 16, "topk"),
    Column("main", "relu-x16-s0", False, 16, "relu"),
    Column("pretrained_stories", "topk-x4-s0", False, 4, "topk"),
    Column("pretrained_stories", "a_long_family_name-x4-s0", False, 4, "long"),
    Column("untrained", "relu-x4-s0", True, 4, "relu"),
]
GRAPH_TOKENS, HELDOUT_TOKENS = 800_000, 130_000


@dataclass
class Artefacts:
    """What one column of a study has."""

    column: Column
    evaluation: dict[str, Any]
    statistics: dict[str, Any]
    nodes: pd.DataFrame
    null_nodes: pd.DataFrame
    edges: pd.DataFrame
    history: pd.DataFrame
    density: pd.DataFrame
    sensitivity: pd.DataFrame
    rarefaction: pd.DataFrame


def make_columns(number: int, features: int = 512) -> list[Artefacts]:
    """Artefacts of the first `number` columns of `PLAN`."""
    return [make_column(column, features, seed) for seed, column in enumerate(PLAN[:number])]


def make_column(column: Column, features: int = 512, seed: int = 0) -> Artefacts:
    """Artefacts of one column: frequencies from two modes, edges drawn in proportion to frequency."""
    rng = np.random.default_rng(seed)
    factor = {"x8": 2, "x16": 4}.get(column.sae.split("-")[1] if "-" in column.sae else "", 1)
    features = features * factor // (4 if column.sae == "neurons" else 1)
    high = rng.random(features) < 0.45
    frequency = np.clip(10 ** np.where(high, rng.normal(-1.9, 0.35, features), rng.normal(-3.3, 0.5, features)), 0, 0.9)
    frequency[rng.random(features) < (0.0 if column.control else 0.03)] = 0.0
    counts = rng.poisson(frequency * GRAPH_TOKENS)
    heldout = rng.binomial(HELDOUT_TOKENS, np.minimum(frequency * 10 ** rng.normal(0, 0.05, features), 1))
    live = counts / GRAPH_TOKENS >= 1e-5
    edges = _edges(rng, frequency, round((18 if not column.control else 30) * features))
    null_edges = _edges(rng, frequency, round((80 if not column.control else 45) * features))
    degree, null_degree = (
        np.bincount(np.r_[pairs[:, 0], pairs[:, 1]], minlength=features) for pairs in (edges, null_edges)
    )
    nodes = pd.DataFrame(
        {
            "feature": np.arange(features),
            "degree": degree,
            "strength": degree * 0.3,
            "frequency": counts / GRAPH_TOKENS,
            "frequency_heldout": heldout / HELDOUT_TOKENS,
            "topk_count": counts // 4,
            "live": live,
        }
    )
    null_nodes = pd.DataFrame({"feature": np.arange(features), "degree": null_degree})
    table = pd.DataFrame({"source": edges[:, 0], "target": edges[:, 1], "count": 1, "weight": 0.3})
    density = pd.DataFrame({"feature": np.arange(features), "count": heldout, "frequency": heldout / HELDOUT_TOKENS})
    return Artefacts(
        column,
        _evaluation(column, rng, features, float((heldout == 0).mean())),
        _statistics(column, nodes, null_nodes, len(edges), len(null_edges)),
        nodes,
        null_nodes,
        table,
        _history(column, rng),
        density,
        make_sensitivity(nodes, null_nodes),
        make_rarefaction(nodes, null_nodes, seed=seed),
    )


def _edges(rng: np.random.Generator, frequency: np.ndarray, pairs: int) -> np.ndarray:
    weight = np.sqrt(frequency) / max(np.sqrt(frequency).sum(), 1e-9)
    drawn = np.sort(rng.choice(len(frequency), (pairs, 2), p=weight), axis=1)
    return np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)


def _evaluation(column: Column, rng: np.random.Generator, features: int, dead: float) -> dict[str, Any]:
    identity = column.sae == "neurons"
    fvu = 0.0 if identity else float(rng.uniform(0.08, 0.4))
    clean, zero, mean = 4.09, 6.9, 6.1
    spliced = clean + fvu * 0.9
    l0 = float(rng.uniform(14, 40))
    parts = {"q05": 0.5, "q25": 0.8, "q50": 1.0, "q75": 1.2, "q95": 1.6, "max": 3.0}
    return {
        "model": column.model,
        "sae": column.sae,
        "architecture": "identity" if identity else column.sae.split("-")[0].replace("a_long_family_name", "topk"),
        "d_in": 512,
        "d_sae": features,
        "tokens": HELDOUT_TOKENS,
        "fvu": fvu,
        "l0": l0,
        "l0_distribution": {"sd": 0.3 * l0, **{key: int(part * l0) for key, part in parts.items()}},
        "dead_share": dead,
        "ultralow_share": None,
        "smallest_frequency": 1 / HELDOUT_TOKENS,
        "cosine": 1 - fvu / 2,
        "norm_ratio": 1 - fvu / 3,
        "reconstruction_bias": 1 - fvu / 10,
        "encoder_norm": 1.0,
        "decoder_norm": 1.0,
        "encoder_decoder_cosine": 0.8,
        "cross_entropy": {"clean": clean, "spliced": spliced, "zero": zero, "mean": mean},
        "kl_divergence": 0.9 * fvu,
        "loss_recovered_zero": (zero - spliced) / (zero - clean),
        "loss_recovered_mean": (mean - spliced) / (mean - clean),
        "config": {"seed": 0},
    }


def _history(column: Column, rng: np.random.Generator) -> pd.DataFrame:
    names = ["step", "tokens", "loss", "reconstruction", "sparsity", "l0", "fvu", "dead_share", "learning_rate"]
    if column.sae == "neurons":
        return pd.DataFrame({name: np.zeros(0) for name in names})
    step = np.arange(5, 1025, 5)
    fvu = 0.12 + 0.8 * np.exp(-step / rng.uniform(60, 200)) + rng.normal(0, 0.004, len(step))
    l0 = 16 + 200 * np.exp(-step / 80) if "relu" in column.sae else np.full(len(step), 16.0)
    values = [step, step * 1024, fvu * 520, fvu * 512, l0 * 0.2, l0, fvu, 0.02 * step / 1024, 1e-3 + 0 * step]
    return pd.DataFrame(dict(zip(names, values, strict=True)))


def _interval(value: float, n: int) -> dict[str, float] | None:
    if n < 4 or not np.isfinite(value):
        return None
    half = 1.96 / np.sqrt(n - 3)
    low, high = np.tanh(np.arctanh(np.clip(value, -0.999, 0.999)) + np.array([-half, half]))
    return {"value": float(value), "low": float(low), "high": float(high), "n": n}


def _statistics(
    column: Column, nodes: pd.DataFrame, null_nodes: pd.DataFrame, edges: int, null_edges: int
) -> dict[str, Any]:
    null = nodes.assign(degree=null_nodes["degree"])
    observed = _described(nodes, edges, 0.31)
    return {
        "model": column.model,
        "sae": column.sae,
        "k": 4,
        "batches": 50,
        "tokens": GRAPH_TOKENS,
        "documents": 1234,
        "longest_document": GRAPH_TOKENS // 10,
        "observed": observed,
        "null": _described(null, null_edges, 0.22),
        "nulls": {scope: compared(edges, null_edges) for scope in ("all", "live")},
        "tested": {
            "edges": edges,
            "fdr": 0.05,
            "tokens": {"significant": edges // 2, "significant_share": 0.5, "repelled": 1234},
            "documents": {"significant": edges // 4, "significant_share": 0.25, "repelled": 567},
        },
        "corrected": {null: corrected(observed["quadrants"]) for null in TESTED_NULLS},
        "listed_features": listed_features(observed["quadrants"]),
    }


def corrected(quadrants: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Odd quadrants beside a null model: the first feature of each remains."""
    beside = {
        name: [
            {"feature": odd["feature"], "degree": odd["degree"], "mean": 80.0, "sd": 2.0, "score": -1.2, "rank": 0.1}
            for odd in records
        ]
        for name, records in quadrants.items()
    }
    return {
        "ranked": 400,
        "n_below": 390,
        "n_above": 0,
        "below": beside["low_degree_high_frequency"],
        "above": [],
        **{
            name: {
                "listed": len(records),
                "settled": 0,
                "remain": min(len(records), 1),
                "features": [{**record, "remains": place == 0} for place, record in enumerate(records)],
            }
            for name, records in beside.items()
        },
    }


def listed_features(quadrants: dict[str, list[dict[str, Any]]], token: str = " the") -> list[dict[str, Any]]:
    """What the features of the quadrants are active on."""
    return [
        {
            "feature": feature,
            "active": 1000,
            "chosen": 10,
            "labels": [{"label": "docstrings", "share": 0.7, "corpus_share": 0.69}],
            "tokens": [{"token": token, "share": 0.6}, {"token": "\n", "share": 0.1}],
        }
        for feature in sorted({odd["feature"] for records in quadrants.values() for odd in records})
    ]


def compared(edges: int, null_edges: int) -> dict[str, Any]:
    """Statistics beside three null models: the observed values lie above, below and within."""
    names = COMPARED | RESAMPLED
    means = dict.fromkeys(names, 0.1) | {"edges": null_edges, "pearson": 0.7, "components": 3, "communities": 9}
    observed = dict.fromkeys(names, 0.31) | {"edges": edges, "pearson": 0.705, "components": 3, "communities": 4}
    return {
        name: {
            "observed": observed[name],
            "observed_interval": {
                "low": 0.9 * observed[name],
                "high": 1.05 * observed[name],
                "sd": 0.04 * observed[name],
                "samples": 200,
            }
            if name in RESAMPLED
            else None,
            **{
                null: {"mean": mean, "sd": 0.01 * mean, "low": 0.97 * mean, "high": 1.03 * mean, "replicates": 5}
                for null in NULL_NAMES
            },
        }
        for name, mean in means.items()
    }


def _described(nodes: pd.DataFrame, edges: int, clustering: float) -> dict[str, Any]:
    live = nodes[nodes["live"]]
    return {
        "all": scope(nodes, edges, clustering),
        "live": scope(live, edges, clustering),
        "quadrants": _quadrants(live),
    }


def scope(nodes: pd.DataFrame, edges: int, clustering: float) -> dict[str, Any]:
    """The statistics of a graph over some of its nodes."""
    n, degree = len(nodes), nodes["degree"].to_numpy()
    isolated = int((degree == 0).sum())
    correlations = {
        f"{name}{suffix}": _interval(nodes["degree"].corr(nodes[column], method=name), n)
        for name in ("pearson", "spearman")
        for suffix, column in (("", "frequency_heldout"), ("_graph", "frequency"))
    }
    modes = {"bic_one": 1510.0, "bic_two": 1400.0, "preferred": 2, "means": [1.1, 2.2], "weights": [0.6, 0.4]}
    return {
        "nodes": n,
        "edges": edges,
        "mean_degree": float(degree.mean()) if n else None,
        "median_degree": float(np.median(degree)) if n else None,
        "max_degree": int(degree.max()) if n else None,
        "density": 2 * edges / (n * (n - 1)) if n > 1 else None,
        "components": isolated + 1,
        "largest_component": n - isolated,
        "isolated": isolated,
        "component_sizes": [[n - isolated, 1], [1, isolated]],
        "average_clustering": clustering,
        **correlations,
        "pearson_log": correlations["spearman"],
        "dip_degree": {"statistic": 0.02, "p": 0.4, "n": n},
        "dip_log_degree": {"statistic": 0.03, "p": 0.012 if clustering > 0.3 else 0.4, "n": n},
        "dip_log_frequency": {"statistic": 0.04, "p": 0.0004, "n": n},
        "mixture_log_degree": modes,
        "mixture_log_frequency": {**modes, "means": [-3.3, -1.9]},
    }


def _quadrants(live: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    odd = live.assign(
        degree_rank=live["degree"].rank(pct=True), frequency_rank=live["frequency_heldout"].rank(pct=True)
    )
    fields = ["feature", "degree", "frequency_heldout", "degree_rank", "frequency_rank", "rank_gap"]
    gap = odd["frequency_rank"] - odd["degree_rank"]
    return {
        "low_degree_high_frequency": odd.assign(rank_gap=gap).nlargest(3, "rank_gap")[fields].to_dict("records"),
        "high_degree_low_frequency": odd.assign(rank_gap=-gap).nlargest(3, "rank_gap")[fields].to_dict("records"),
    }


def make_models() -> list[dict[str, Any]]:
    """evaluation.json of the models."""
    return [
        {"model": "main", "kind": "trained", "parameters": 750_000, "tokens": HELDOUT_TOKENS, "cross_entropy": 4.09,
         "unigram": 6.66, "bigram": 4.46},
        {"model": "untrained", "kind": "untrained", "parameters": 750_000, "tokens": HELDOUT_TOKENS,
         "cross_entropy": 8.35, "unigram": 6.66, "bigram": 4.46},
    ]  # fmt: skip


def make_study(title: str = "Co-activation graphs, synthetic") -> Study:
    """A small study; its columns are not those of `PLAN`."""
    return check(
        complete(
            {
                "title": title,
                "corpus": {"sources": [{"name": "probes", "kind": "probes", "share": 1}]},
                "models": {"main": {"kind": "trained"}, "untrained": {"kind": "untrained", "like": "main"}},
                "activations": {},
                "saes": {
                    "topk": {"kind": "trained", "architecture": "topk", "seeds": [0, 1]},
                    "neurons": {"kind": "neurons"},
                },
                "graph": {},
            }
        )
    )


def make_corpus(name: str = "docstrings", package: str = "numpy") -> dict[str, Any]:
    """manifest.json of a corpus of two sources."""
    split = {"documents": 1234, "bytes": 5_678_901, "sha256": "ab" * 32}
    common = {"train": split, "heldout": {**split, "documents": 137}, "duplicates_dropped": 12, "read_to_end": False}
    installed = {"kind": "installed", "share": 0.85, "content": "docstrings", "packages": {"np": {package: "2.4.6"}}}
    probes = {"kind": "probes", "share": 0.15, "contexts": ["arabic", "dna"], "packages": {"babel": "2.17"}}
    return {
        "seed": 0,
        "heldout_share": 0.1,
        "labels": [name, "arabic"],
        "left_out": {},
        "sources": {name: {**installed, **common}, "probes": {**probes, **common}},
    }


def make_tokens() -> dict[str, Any]:
    """manifest.json of the tokens of `make_corpus`."""
    sources = {
        "docstrings": {"documents": 900, "tokens": 3_366_000},
        "probes": {"documents": 80, "tokens": 594_000},
    }
    split = {"tokens": 4_000_000, "vocabulary": 4096, "special_positions": 40_000, "sources": sources}
    return {"tokenizer": "corpus", "splits": {"train": split, "heldout": split}}


def make_captions() -> dict[str, dict[str, str]]:
    """Words of all figures of the report."""
    return {name: words(f"Conclusion of {name}.", f"Details of {name}.", f"Picture of {name}.") for name in FIGURES}


def make_recovery() -> pd.DataFrame:
    """Scores of two SAEs on planted directions; one found nothing."""
    trained = {**dict.fromkeys(SHARED, 256), "l0_true": 4.5, "noise_share": 0.01, **dict.fromkeys(SCORES, 0.5)}
    random = {**trained, **dict.fromkeys(SCORES, 0.25)}
    nothing = {**trained, "found": 0, "found_share": 0.0, "f1": None}
    records = {"topk-x4-s0": {TRAINED: trained, RANDOM: random}, "relu-x4-s0": {TRAINED: nothing, RANDOM: random}}
    return collect(
        {sae: {name: whole(scores) for name, scores in record.items()} for sae, record in records.items()},
        {"topk-x4-s0": "topk", "relu-x4-s0": "relu"},
    )


def whole(scores: dict[str, Any]) -> dict[str, Any]:
    """Scores whose counts are whole numbers."""
    return scores | {name: int(scores[name]) for name in ("found", "parents")}


def make_results(number: int, captions: dict[str, dict[str, str]] | None = None, **changes: Any) -> Results:
    """What a report is written from, for the first `number` columns of `PLAN`."""
    columns = make_columns(number)
    return replace(
        Results(
            study=make_study(),
            columns=[entry.column for entry in columns],
            evaluations=[entry.evaluation for entry in columns],
            statistics=[entry.statistics for entry in columns],
            sensitivity=[entry.sensitivity for entry in columns],
            rarefaction=[entry.rarefaction for entry in columns],
            pairs=make_pairs([entry.column for entry in columns]),
            best=make_best([entry.column for entry in columns]),
            recovery=collect({}, {}),
            meaning=make_meaning([entry.column for entry in columns]),
            models=make_models(),
            corpus=make_corpus(),
            tokens={"corpus": make_tokens()},
            captions=make_captions() if captions is None else captions,
            versions={"python": "3.11.7", "torch": "2.13.0"},
            config_hash="0123456789abcdef" * 4,
        ),
        **changes,
    )
