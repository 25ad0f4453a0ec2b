"""The report's tables, as Markdown files that the prose includes."""

from typing import Any

import yaml

from coact.comparison.nulls import NULL_NAMES
from coact.comparison.wording import NOT_DEFINED, count, estimate, number, p_value, percent
from coact.report.frontier import frontier_tables
from coact.report.ground_truth import ground_truth_tables
from coact.report.interpretation import meaning_tables
from coact.report.markup import code_block, pipe_table
from coact.report.pairs import pair_tables
from coact.report.proportion import proportion_tables
from coact.report.published import published_tables
from coact.report.results import Results
from coact.report.sensitivity import sensitivity_tables
from coact.study import TESTED_NULLS

SIZES_SHOWN = 4
DIGEST_SHOWN = 16
SOURCES = ("observed", "null")
SUMMARY = (
    "dictionary",
    "live / features",
    "FVU",
    "L0",
    "dead",
    "loss recovered, zero / mean",
    "edges",
    "edges, null",
    "r",
    "r, null",
)
QUALITY = (
    "dictionary",
    "architecture",
    "inputs",
    "features",
    "FVU",
    "L0",
    "dead",
    "CE clean",
    "CE spliced",
    "CE zero",
    "CE mean",
    "recovered, zero",
    "recovered, mean",
    "tokens",
)
CORPUS = (
    "source",
    "kind",
    "from",
    "share",
    "documents, training / held out",
    "bytes, training / held out",
    "duplicates",
    "SHA-256, training",
    "SHA-256, held out",
)
DESCRIPTIVE = {
    "nodes": ("nodes", count),
    "edges": ("edges", count),
    "mean_degree": ("mean degree", number),
    "median_degree": ("median", number),
    "max_degree": ("largest", count),
    "density": ("density", number),
    "components": ("components", count),
    "largest_component": ("largest component", count),
    "isolated": ("isolated", count),
    "average_clustering": ("clustering", number),
}
COMPARED = {
    "edges": "edges",
    "components": "components",
    "average_clustering": "clustering",
    "assortativity": "assortativity",
    "modularity": "modularity",
    "communities": "communities",
    "pearson": "Pearson, degree and frequency",
    "spearman": "Spearman, degree and frequency",
    "log_degree_sd": "log degree, standard deviation",
    "log_degree_skewness": "log degree, skewness",
    "dip_log_degree": "log degree, dip",
    "bic_gain_log_degree": "log degree, BIC gain of two modes",
}
RESAMPLED = {
    "edges": "edges",
    "mean_degree": "mean degree",
    "density": "density",
    "average_clustering": "clustering",
    "assortativity": "assortativity",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "pearson_log": "Pearson of logs, graph's tokens",
}
CORRELATIONS = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "pearson_graph": "Pearson, graph's tokens",
    "spearman_graph": "Spearman, graph's tokens",
    "pearson_log": "Pearson of logs, graph's tokens",
}


def report_tables(results: Results) -> dict[str, str]:
    """File name -> Markdown of everything that the prose includes."""
    return {
        "_summary.md": _summary(results),
        "_models.md": _models(results),
        "_quality.md": _quality(results),
        **frontier_tables(results),
        **ground_truth_tables(results),
        **published_tables(results),
        "_descriptive_all.md": _descriptive(results, "all"),
        "_descriptive_live.md": _descriptive(results, "live"),
        "_correlations.md": _correlations(results),
        "_bimodality.md": _bimodality(results),
        "_nulls.md": _nulls(results),
        "_tested.md": _tested(results),
        **pair_tables(results),
        **sensitivity_tables(results),
        "_resampled.md": _resampled(results),
        **proportion_tables(results),
        **meaning_tables(results),
        "_corpus.md": _corpus(results),
        "_tokens.md": _tokens(results),
        "_versions.md": _versions(results),
        "_config.md": code_block(yaml.safe_dump(results.study.config, sort_keys=False, allow_unicode=True), "yaml"),
    }


def _pairs(results: Results) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    names = [column.name for column in results.columns]
    return list(zip(names, results.evaluations, results.statistics, strict=True))


def _summary(results: Results) -> str:
    rows = []
    for name, evaluation, entry in _pairs(results):
        live, null = entry["observed"]["live"], entry["null"]
        rows.append(
            [
                name,
                f"{count(live['nodes'])} / {count(evaluation['d_sae'])}",
                number(evaluation["fvu"]),
                number(evaluation["l0"]),
                percent(evaluation["dead_share"], 2),
                " / ".join(number(evaluation[f"loss_recovered_{kind}"]) for kind in ("zero", "mean")),
                count(entry["observed"]["all"]["edges"]),
                count(null["all"]["edges"]),
                estimate(live["pearson"]),
                _value(null["live"]["pearson"]),
            ]
        )
    caption = "The study at a glance; r is Pearson's correlation of degree and frequency over live features"
    return pipe_table(SUMMARY, rows, caption, "tbl-summary")


def _value(found: dict[str, Any] | None) -> str:
    return number(found["value"]) if found else NOT_DEFINED


def _models(results: Results) -> str:
    header = ["model", "kind", "parameters", "cross-entropy", "unigram", "bigram", "held-out tokens"]
    rows = [
        [entry["model"], entry["kind"], count(entry["parameters"])]
        + [number(entry[key]) for key in ("cross_entropy", "unigram", "bigram")]
        + [count(entry["tokens"])]
        for entry in results.models
    ]
    return pipe_table(header, rows, "Models and baselines: cross-entropy, nats per held-out token", "tbl-models", 2)


def _quality(results: Results) -> str:
    rows = []
    for name, entry, _ in _pairs(results):
        row = [name, entry["architecture"], count(entry["d_in"]), count(entry["d_sae"]), number(entry["fvu"])]
        row += [number(entry["l0"]), percent(entry["dead_share"])]
        row += [number(entry["cross_entropy"][key]) for key in ("clean", "spliced", "zero", "mean")]
        row += [number(entry[f"loss_recovered_{key}"]) for key in ("zero", "mean")]
        rows.append([*row, count(entry["tokens"])])
    caption = "Dictionaries on held-out tokens; CE is the model's cross-entropy, nats per token"
    return pipe_table(QUALITY, rows, caption, "tbl-quality", 2)


def _descriptive(results: Results, scope: str) -> str:
    header = ["dictionary", "graph", *(title for title, _ in DESCRIPTIVE.values()), "sizes of components"]
    rows = []
    for name, _, entry in _pairs(results):
        for source in SOURCES:
            found = entry[source][scope]
            cells = [form(found[key]) for key, (_, form) in DESCRIPTIVE.items()]
            rows.append([name, source, *cells, _sizes(found["component_sizes"])])
    which = "all features" if scope == "all" else "the subgraph of live features"
    caption = f"Graphs of {which}, observed and one sample of the null"
    return pipe_table(header, rows, caption, f"tbl-descriptive-{scope}", 2)


def _sizes(sizes: list[list[int]]) -> str:
    """Component sizes, the largest first: "1 of 498, 14 of 1"."""
    ordered = sorted(sizes, key=lambda pair: -pair[0])
    shown = [f"{count(how_many)} of {count(size)}" for size, how_many in ordered[:SIZES_SHOWN]]
    return ", ".join(shown) + (", \N{HORIZONTAL ELLIPSIS}" if len(ordered) > SIZES_SHOWN else "")


def _correlations(results: Results) -> str:
    header = ["dictionary", "features", "graph", *CORRELATIONS.values(), "n"]
    rows = []
    for name, _, entry in _pairs(results):
        for scope in ("all", "live"):
            for source in SOURCES:
                found = entry[source][scope]
                n = found["pearson"]["n"] if found["pearson"] else None
                rows.append([name, scope, source, *(estimate(found[key]) for key in CORRELATIONS), count(n)])
    caption = (
        "Correlation of degree with frequency, on tokens outside the graph unless said otherwise; brackets are"
        " bootstrap intervals over features"
    )
    return pipe_table(header, rows, caption, "tbl-correlations", 3)


def _bimodality(results: Results) -> str:
    header = ["dictionary", "graph", "quantity", "dip", "p", "n", "BIC, one", "BIC, two", "components", "weights"]
    rows = []
    for name, _, entry in _pairs(results):
        for source in SOURCES:
            found = entry[source]["live"]
            rows.append([name, source, "degree", *_dip_cells(found["dip_degree"]), *[""] * 4])
            # Frequencies are the observed ones in the null too.
            for key in ("degree", "frequency") if source == "observed" else ("degree",):
                tests = [*_dip_cells(found[f"dip_log_{key}"]), *_mixture_cells(found[f"mixture_log_{key}"])]
                rows.append([name, source, f"log {key}", *tests])
    caption = (
        "Tests for two modes, live features: Hartigan's dip, and one normal component against two by BIC (lower is"
        " better)"
    )
    return pipe_table(header, rows, caption, "tbl-bimodality", 3)


def _nulls(results: Results) -> str:
    header = ["dictionary", "statistic", "observed", *NULL_NAMES.values()]
    rows = []
    for name, _, entry in _pairs(results):
        for key, title in COMPARED.items():
            found = entry["nulls"]["live"][key]
            drawn = [estimate({"value": found[null]["mean"], **found[null]}) for null in NULL_NAMES]
            own = {"value": found["observed"], **found["observed_interval"]} if found["observed_interval"] else None
            rows.append([name, title, estimate(own) if own else number(found["observed"]), *drawn])
    caption = (
        "Graphs of live features, in brackets the interval under resampling of documents where there is one, beside"
        " three null models: mean of the replicates and interval for one further replicate"
    )
    return pipe_table(header, rows, caption, "tbl-nulls", 2)


def _resampled(results: Results) -> str:
    header = ["dictionary", "features", "documents", "samples", *RESAMPLED.values()]
    rows = []
    for name, _, entry in _pairs(results):
        for scope in ("all", "live"):
            found = [entry["nulls"][scope][key] for key in RESAMPLED]
            samples = max((own["samples"] for record in found if (own := record["observed_interval"])), default=0)
            cells = [estimate({"value": record["observed"], **(record["observed_interval"] or {})}) for record in found]
            rows.append([name, scope, count(entry["documents"]), count(samples), *cells])
    caption = "Statistics of the graphs with their intervals under resampling of documents"
    return pipe_table(header, rows, caption, "tbl-resampled", 2)


def _tested(results: Results) -> str:
    header = ["dictionary", "edges"]
    header += [f"{what}, {null}" for null in TESTED_NULLS for what in ("significant", "share", "repelled")]
    rows = []
    for name, _, entry in _pairs(results):
        tested = entry["tested"]
        cells = [
            cell
            for null in TESTED_NULLS
            for cell in (
                count(tested[null]["significant"]),
                percent(tested[null]["significant_share"]),
                count(tested[null]["repelled"]),
            )
        ]
        rows.append([name, count(tested["edges"]), *cells])
    caption = "Edges that are more than chance, and pairs of features that share fewer tokens than by chance"
    return pipe_table(header, rows, caption, "tbl-tested")


def _dip_cells(dip: dict[str, Any] | None) -> list[str]:
    if dip is None:
        return [NOT_DEFINED] * 3
    return [number(dip["statistic"]), p_value(dip["p"]).removeprefix("= "), count(dip["n"])]


def _mixture_cells(mixture: dict[str, Any] | None) -> list[str]:
    if mixture is None:
        return [NOT_DEFINED] * 4
    weights = " / ".join(number(weight, 2) for weight in mixture["weights"])
    return [number(mixture["bic_one"], 5), number(mixture["bic_two"], 5), count(mixture["preferred"]), weights]


def _corpus(results: Results) -> str:
    rows = []
    for name, source in results.corpus["sources"].items():
        splits = [source["train"], source["heldout"]]
        row = [name, source["kind"], _origin(source), percent(source["share"])]
        row += [" / ".join(count(split[key]) for split in splits) for key in ("documents", "bytes")]
        rows.append([*row, count(source["duplicates_dropped"]), *(split["sha256"][:DIGEST_SHOWN] for split in splits)])
    caption = f"Sources of the corpus; digests are of the texts, their first {DIGEST_SHOWN} digits"
    return pipe_table(CORPUS, rows, caption, "tbl-corpus", 3)


def _origin(source: dict[str, Any]) -> str:
    parts = [source["content"]] if "content" in source else []
    parts += [f"{count(source['files'])} files"] if "files" in source else []
    parts += [", ".join(source["contexts"])] if "contexts" in source else []
    if source.get("tokens_of"):
        parts.append(f"token ids of {source['tokens_of']}, {percent(source['same_share'])} of which come back")
    packages: dict[str, Any] = {}
    for name, version in source.get("packages", {}).items():
        packages |= version if isinstance(version, dict) else {name: version}
    parts += [", ".join(f"{name} {version}" for name, version in sorted(packages.items()))] if packages else []
    return "; ".join(parts)


def _tokens(results: Results) -> str:
    header = ["tokenizer", "source", "training tokens", "held-out tokens", "training documents", "held-out documents"]
    rows = []
    for tokenizer, manifest in results.tokens.items():
        splits = [manifest["splits"][split] for split in ("train", "heldout")]
        names = dict.fromkeys(name for split in splits for name in split["sources"])
        for name in names:
            found = [split["sources"].get(name, {}) for split in splits]
            rows.append(
                [tokenizer, name, *(count(entry.get(key)) for key in ("tokens", "documents") for entry in found)]
            )
        special = [count(split["special_positions"]) for split in splits]
        rows.append([tokenizer, "BOS and separators", *special, "", ""])
        rows.append([tokenizer, "all", *(count(split["tokens"]) for split in splits), "", ""])
    return pipe_table(header, rows, "Tokens by source", "tbl-tokens", 2)


def _versions(results: Results) -> str:
    return pipe_table(["package", "version"], list(results.versions.items()), "Versions", "tbl-versions", 2)
