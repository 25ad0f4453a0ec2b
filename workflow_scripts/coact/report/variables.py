"""The numbers and sentences that the prose takes up, as a flat dictionary of plain texts."""

from typing import Any

from coact.comparison import findings, nulls, proportion
from coact.comparison.wording import (
    NOT_DEFINED,
    count,
    coverage,
    defined,
    listed,
    number,
    percent,
    plural,
    sentence,
    spread,
)
from coact.report.frontier import frontier_texts
from coact.report.interpretation import meaning_texts
from coact.report.pairs import pair_texts
from coact.report.results import Results
from coact.report.sensitivity import sensitivity_texts

HASH_SHOWN = 16


def report_variables(results: Results) -> dict[str, str]:
    """Key -> plain text for every number, sentence and caption of the prose.

    Counts have thousands separators, other numbers three significant digits; what is None is "not defined".
    """
    return {
        "title": results.study.config["title"],
        **_settings(results),
        **_seeds(results),
        **_sentences(results),
        **frontier_texts(results),
        **sensitivity_texts(results),
        **pair_texts(results),
        **meaning_texts(results),
        **_captions(results),
    }


def _left_out(failed: dict[str, str]) -> str:
    """Sources that could not be had, and why."""
    if not failed:
        return "All sources of the configuration gave text."
    return " ".join(f"Source {name} was left out: {reason}." for name, reason in failed.items())


def _settings(results: Results) -> dict[str, str]:
    config, study = results.study.config, results.study
    graph, activations, corpus = config["graph"], config["activations"], config["corpus"]
    train = next(iter(results.tokens.values()))["splits"]["train"] if results.tokens else {}
    tokens = [entry["tokens"] for entry in results.statistics]
    return {
        "config_digest": results.config_hash[:HASH_SHOWN],
        "column_count": plural(len(results.columns), "column"),
        "model_names": listed(list(config["models"])),
        "left_out_sentence": _left_out(results.corpus["left_out"]),
        "hook_point": listed(list(dict.fromkeys(study.hook_of(model) for model in config["models"]))),
        "storage_dtype": activations["dtype"],
        "context_length": count(corpus["context_length"]),
        "vocabulary_size": count(train.get("vocabulary")),
        "train_stream_tokens": count(corpus["train_tokens"]),
        "heldout_stream_tokens": count(corpus["heldout_tokens"]),
        "heldout_share": percent(corpus["heldout_share"]),
        "packing_sentence": _packing(corpus["packing"]),
        "captured_train_tokens": count(study.captured_tokens("train")),
        "captured_heldout_tokens": count(study.captured_tokens("heldout")),
        "graph_k": count(graph["k"]),
        "graph_batches": count(graph["batches"]),
        "batch_contexts": count(graph["batch_contexts"]),
        "batch_tokens": count(study.batch_tokens),
        "graph_tokens": spread(tokens, count),
        "graph_stream": _stream(study.graph_split),
        "frequency_stream": _stream(study.frequency_split),
        "bos_sentence": _bos(graph["include_bos"]),
        "live_cutoff": number(graph["live_frequency"]),
        "null_sweeps": count(config["nulls"]["sweeps"]),
        "null_sweeps_between": count(config["nulls"]["sweeps_between"]),
        "permutations": count(config["comparison"]["permutations"]),
        "null_replicates": plural(config["nulls"]["replicates"], "replicate"),
        "fdr": percent(config["nulls"]["fdr"]),
        "bootstrap_samples": count(config["statistics"]["bootstrap"]),
        "document_samples": count(config["statistics"]["document_samples"]),
        "interval_coverage": coverage(config["statistics"]["confidence"]),
        "listed_features": count(config["statistics"]["listed"]),
        "near_margin": percent(findings.NEAR, 1),
        "dip_level": number(findings.DIP_LEVEL, 1),
    }


def _stream(split: str) -> str:
    return "training stream" if split == "train" else "held-out stream"


def _packing(packing: str) -> str:
    if packing == "joined":
        return "Documents follow one another in the contexts, an end-of-text token after each."
    return "A context never holds two documents; the tail of a document that does not fill a context is left out."


def _bos(included: bool) -> str:
    if included:
        return "Positions of the begin-of-text token and of separators between documents are kept like any other."
    return "Positions of the begin-of-text token and of separators between documents are left out throughout."


def _seeds(results: Results) -> dict[str, str]:
    config = results.study.config
    models = [f"{name} {model['seed']}" for name, model in config["models"].items() if "seed" in model]
    families = config["saes"].items()
    saes = [
        f"{name} {listed([str(seed) for seed in family['seeds']])}" for name, family in families if "seeds" in family
    ]
    parts = [f"corpus {config['corpus']['seed']}", f"null {config['nulls']['seed']}",
             f"bootstrap {config['statistics']['seed']}"]  # fmt: skip
    parts += [f"models: {', '.join(models)}"] if models else []
    parts += [f"SAEs: {', '.join(saes)}"] if saes else []
    return {"seeds_sentence": sentence(f"seeds: {'; '.join(parts)}.")}


def _sentences(results: Results) -> dict[str, str]:
    columns, statistics, evaluations = results.columns, results.statistics, results.evaluations
    confidence = results.study.config["statistics"]["confidence"]
    edges = findings.values_of(statistics, "edges", "all")
    degree = findings.values_of(statistics, "mean_degree")
    pearson = findings.values_of(statistics, "pearson")
    return {
        "model_sentence": findings.model_sentence(results.models),
        "quality_sentence": findings.quality_conclusion(columns, evaluations),
        "recovered_sentence": findings.recovered_sentence(columns, evaluations),
        "dead_sentence": _dead(results),
        "live_sentence": _live(results),
        "edges_sentence": findings.edges_sentence(columns, statistics),
        "clustering_sentence": findings.clustering_sentence(columns, statistics),
        "components_sentence": _components(results),
        "degree_modes_sentence": findings.bimodality_sentence(columns, statistics, "degree"),
        "degree_modes_detail": findings.bimodality_detail(statistics, "degree"),
        "null_modes_sentence": _null_modes(results),
        "frequency_modes_sentence": findings.bimodality_sentence(columns, statistics, "frequency"),
        "frequency_modes_detail": findings.bimodality_detail(statistics, "frequency"),
        "correlation_conclusion": findings.correlation_conclusion(columns, statistics),
        "correlation_sentence": findings.correlation_sentence(columns, statistics, confidence),
        "correlation_difference": _difference(results),
        "all_sentence": _all_features(results),
        "width_edges_sentence": findings.width_sentence(columns, edges, "edges", count),
        "width_degree_sentence": findings.width_sentence(columns, degree, "mean degree of live features"),
        "width_pearson_sentence": findings.width_sentence(columns, pearson, "Pearson's r of live features"),
        "seed_edges_sentence": findings.seeds_sentence(columns, edges, "edges", count),
        "seed_pearson_sentence": findings.seeds_sentence(columns, pearson, "Pearson's r of live features"),
        "controls_sentence": findings.controls_sentence(columns, statistics),
        "quadrants_sentence": _quadrants(results),
        "remaining_sentence": proportion.remaining_sentence(statistics),
        "sides_sentence": proportion.sides_sentence(statistics),
        "texts_sentence": proportion.texts_sentence(statistics),
        **_null_sentences(results),
    }


def _null_sentences(results: Results) -> dict[str, str]:
    statistics = results.statistics
    found = {
        "nulls_conclusion": nulls.nulls_conclusion(results.columns, statistics),
        "significance_sentence": nulls.significance_sentence(statistics),
        "modes_sentence": nulls.modes_sentence(statistics),
        "documents_sentence": nulls.documents_sentence(statistics),
        "resampled_sentence": nulls.resampled_sentence(statistics),
    }
    names = {"pearson": "pearson's r of live features", "average_clustering": "clustering", "modularity": "modularity",
             "assortativity": "assortativity",
             "bic_gain_log_degree": "the BIC gain of two components for log degree"}  # fmt: skip
    for statistic, name in names.items():
        for null in nulls.NULL_NAMES:
            found[f"{statistic}_{null}_sentence"] = nulls.null_sentence(statistics, statistic, name, null)
    for null in nulls.NULL_NAMES:
        found[f"edges_{null}_sentence"] = nulls.null_sentence(statistics, "edges", "the number of edges", null, count)
    return found


def _dead(results: Results) -> str:
    dead = [entry["dead_share"] for entry in results.evaluations]
    return f"The share of features that never fire on the held-out tokens is {spread(dead, percent)}."


def _live(results: Results) -> str:
    live = findings.values_of(results.statistics, "nodes")
    total = findings.values_of(results.statistics, "nodes", "all")
    shares = [part / whole for part, whole in zip(live, total, strict=True) if defined(part) and whole]
    return f"Live features are {spread(live, count)} of {spread(total, count)}, or {spread(shares, percent)}."


def _components(results: Results) -> str:
    shares = {}
    for source in ("observed", "null"):
        parts = findings.values_of(results.statistics, "largest_component", source=source)
        nodes = findings.values_of(results.statistics, "nodes", source=source)
        shares[source] = [part / whole for part, whole in zip(parts, nodes, strict=True) if defined(part) and whole]
    return (
        f"The largest component holds {spread(shares['observed'], percent)} of the live features, in the null sample"
        f" {spread(shares['null'], percent)}."
    )


def _null_modes(results: Results) -> str:
    tested = [entry for entry in results.statistics if entry["null"]["live"]["dip_log_degree"]]
    both = sum(findings.bimodal(entry, "degree") and findings.bimodal(entry, "degree", "null") for entry in tested)
    two = sum(findings.bimodal(entry, "degree") for entry in tested)
    if not tested:
        return f"For the null sample this is {NOT_DEFINED}."
    if not two:
        return "There is thus no pair of modes for the null to explain."
    if both == two:
        return "The null sample shows two modes wherever the graph does, so that they follow from the marginals."
    if not both:
        return "The null sample shows two modes in none of these, so that they are not a matter of the marginals alone."
    return f"The null sample shows two modes in {both} of these {two}; there they may follow from the marginals alone."


def _difference(results: Results) -> str:
    observed = findings.values_of(results.statistics, "pearson")
    null = findings.values_of(results.statistics, "pearson", source="null")
    pairs = zip(observed, null, strict=True)
    gaps = [value - chance for value, chance in pairs if defined(value) and defined(chance)]
    return f"Observed r minus the null's r is {spread(gaps, lambda gap: number(gap, 2))}."


def _all_features(results: Results) -> str:
    over_all = findings.values_of(results.statistics, "pearson", "all")
    live = findings.values_of(results.statistics, "pearson")
    return f"Over all features r is {spread(over_all)}, over live ones {spread(live)}."


def _quadrants(results: Results) -> str:
    def gaps(key: str) -> list[float]:
        """Largest gap of a quadrant in percentile points, per column that has features in it."""
        found: list[list[dict[str, Any]]] = [entry["observed"]["quadrants"][key] for entry in results.statistics]
        return [100 * odd[0]["rank_gap"] for odd in found if odd]

    low, high = gaps("low_degree_high_frequency"), gaps("high_degree_low_frequency")
    if not low and not high:
        return "No live feature has a degree out of proportion to its frequency."
    return (
        f"The largest gap between the percentile of a feature's frequency and that of its degree is {spread(low)}"
        f" points per dictionary, in the converse direction {spread(high)}."
    )


def _captions(results: Results) -> dict[str, str]:
    return {
        f"{name}_{part}": words[part]
        for name, words in results.captions.items()
        for part in ("conclusion", "details", "alt")
    }
