"""The jobs of a study from features to the report, with what each takes."""

from collections.abc import Iterator, Sequence

from coact.comparison.columns import columns_of, comparable
from coact.costs import disk, memory
from coact.costs.dictionaries import Dictionary, forward_memory
from coact.costs.edges import most_edges
from coact.costs.jobs import Job, Measure
from coact.costs.reference import SECONDS
from coact.study import NULLS, SPLITS, Study

LIGHT = "coact.graph.build"


def edges_of(study: Study, one: Dictionary, tokens: int | None = None) -> int:
    """Edges at most of a dictionary's graph, or of one of so many tokens."""
    graph = study.config["graph"]
    tokens = sum(study.encoded_tokens(study.graph_split)) if tokens is None else tokens
    return most_edges(tokens, one.d_sae, min(graph["k"], max(2, round(one.l0))))


def graph_jobs(study: Study, dictionaries: Sequence[Dictionary]) -> Iterator[Job]:
    """Graphs and their null models."""
    for one in dictionaries:
        yield from _counts(study, one)
        yield from _graph(study, one)


def _counts(study: Study, one: Dictionary) -> Iterator[Job]:
    k, sizes = study.config["graph"]["k"], study.encoded_tokens(study.graph_split)
    for tokens in sorted(set(sizes), reverse=True):
        edges = edges_of(study, one, tokens)
        yield Job(
            "graphs",
            "count_pairs",
            one.model,
            one.sae,
            sizes.count(tokens),
            tokens=tokens,
            disk=disk.set_bytes(tokens, k) + 28 * edges,
            memory=memory.count_pairs(study.batch_tokens, one.l0, tokens, k, edges),
            imports=LIGHT,
            work=((Measure("count pairs", d_sae=one.d_sae, l0=one.l0), tokens),),
            key="activations.shard_tokens",
        )


def _graph(study: Study, one: Dictionary) -> Iterator[Job]:
    config, edges = study.config, edges_of(study, one)
    k, tokens = config["graph"]["k"], sum(study.encoded_tokens(study.graph_split))
    heldout, shard = study.captured_tokens("heldout"), max(study.encoded_tokens(study.graph_split))
    common = {"stage": "graphs", "model": one.model, "sae": one.sae, "tokens": tokens, "key": "graph.batches"}
    described, counted = memory.describe_graph(tokens, k, edges), round(32 * one.l0 * min(heldout, shard))
    yield Job(
        rule="build_graph",
        disk=disk.set_bytes(tokens, k) + disk.graph_bytes(edges, one.d_sae, len(NULLS) * len(study.null_parts())),
        memory=memory.build_graph(tokens, k, edges),
        seconds=SECONDS["build_graph"].of(tokens=tokens, edges=edges),
        **common,
    )
    yield from _nulls(study, common, tokens, edges)
    rules = 1 + len(config["sensitivity"]["k"]) + len(config["sensitivity"]["thresholds"])
    yield Job(
        rule="measure_sensitivity",
        memory=memory.count_pairs(study.batch_tokens, one.l0, tokens, k, edges * rules),
        seconds=SECONDS["measure_sensitivity"].of(tokens=tokens, entries=tokens * one.l0),
        **common,
    )
    for rule, peak, seconds in (
        ("describe_graph", described, SECONDS["describe_graph"].of(edges=edges)),
        ("find_communities", described + counted, SECONDS["find_communities"].of(edges=edges)),
        ("export_graph", memory.LIGHT + memory.EDGE_COLUMNS * edges, SECONDS["export_graph"].of(edges=edges)),
    ):  # fmt: skip
        yield Job(rule=rule, memory=peak, seconds=seconds, **common)


def _nulls(study: Study, common: dict, tokens: int, edges: int) -> Iterator[Job]:
    """The jobs of null models. Two of the three resample: `sweeps`, and `sweeps_between` for each further replicate."""
    chain, k = study.config["nulls"], study.config["graph"]["k"]
    for replicates in sorted(set(study.null_parts()), reverse=True):
        number = study.null_parts().count(replicates)
        swept = tokens * (chain["sweeps"] + (replicates - 1) * chain["sweeps_between"])
        seconds = SECONDS["sample_null"].of(edges=edges * replicates)
        for resampled, nulls in ((True, 2), (False, len(NULLS) - 2)):
            yield Job(
                rule="sample_null",
                number=number * nulls,
                memory=memory.sample_null(tokens, k, edges),
                work=((Measure("resample", l0=k), swept),) if resampled else (),
                seconds=seconds,
                **common,
            )


def interpretation_jobs(study: Study, dictionaries: Sequence[Dictionary]) -> Iterator[Job]:
    """What features mean."""
    k, encoded = study.config["graph"]["k"], {split: study.encoded_tokens(split) for split in SPLITS}
    shard, tokens = max(map(max, encoded.values())), sum(map(sum, encoded.values()))
    for name in study.tokenizers():
        seconds = SECONDS["mark_contexts"].of(tokens=tokens)
        yield Job(
            "interpretation", "mark_contexts", name, tokens=tokens, memory=memory.LIGHT + 2 * disk.MARK_BYTES * tokens,
            disk=disk.MARK_BYTES * tokens, seconds=seconds, key="graph.batches",
        )  # fmt: skip
    for name in study.config["models"]:
        sample = study.config["interpretation"]["probes"]["tokens"]
        peak = memory.TORCH + 4 * (study.width_of(name) or 0) * sample * 3
        yield Job(
            "interpretation", "probe_contexts", name, tokens=tokens, memory=peak, key="interpretation.probes.tokens",
            seconds=SECONDS["probe_contexts"].of(),
        )  # fmt: skip
    for one in dictionaries:
        edges = edges_of(study, one)
        heldout = sum(encoded["heldout"]) * one.l0
        read = memory.read_features(shard, one.l0, one.d_in, one.d_sae)
        explained = memory.explain_features(shard, tokens, one.l0, one.d_in, one.d_sae)
        chained = memory.find_chains(tokens, k, shard, one.l0, edges)
        mapped = memory.TORCH + memory.sae_weights(one.d_in, one.d_sae) + memory.EDGE_COLUMNS * edges
        entries = tokens * one.l0
        by_shard, by_graph = "activations.shard_tokens", "graph.batches"
        peaks = {
            "describe_features": (read, by_shard, {"entries": heldout}),
            "measure_contexts": (read, by_shard, {"entries": entries}),
            "measure_absorption": (read, by_shard, {"entries": entries}),
            "measure_effects": (read + forward_memory(study, one.model), by_shard, {"entries": entries}),
            "explain_features": (explained, by_graph, {"entries": entries}),
            "find_chains": (chained, by_graph, {"edges": edges}),
            "map_features": (mapped, one.key, {"features": one.d_sae}),
        }
        for rule, (peak, key, sizes) in peaks.items():
            yield Job(
                "interpretation", rule, one.model, one.sae, tokens=tokens, memory=peak, key=key,
                disk=disk.INTERPRETATION_BYTES * one.d_sae if rule == "describe_features" else 0, disk_key=one.key,
                gpu=rule == "measure_effects", seconds=SECONDS[rule].of(**sizes),
            )  # fmt: skip


def comparison_jobs(study: Study, dictionaries: Sequence[Dictionary]) -> Iterator[Job]:
    """Dictionaries beside one another."""
    if not dictionaries:
        return
    most, widths = study.config["comparison"]["most_pairs"], {(one.model, one.sae): one.d_sae for one in dictionaries}
    columns = [column for column in columns_of(study) if (column.model, column.sae) in widths]
    sizes = [widths[column.model, column.sae] for column in columns]
    pairs = [number for pair in comparable(columns) if (number := sizes[pair.a] * sizes[pair.b]) <= most]
    shard = max(study.encoded_tokens(study.frequency_split))
    peak = memory.compare_graphs(shard, max(one.l0 for one in dictionaries), max(pairs, default=0))
    seconds = SECONDS["compare_graphs"].of(pairs=sum(pairs))
    yield Job("comparison", "compare_graphs", memory=peak, seconds=seconds, key="comparison.most_pairs")
    edges, features = sum(edges_of(study, one) for one in dictionaries), sum(one.d_sae for one in dictionaries)
    most = max(dictionaries, key=lambda one: one.d_in * one.d_sae)
    heldout = sum(study.encoded_tokens("heldout"))
    tables = memory.LIGHT + memory.EDGE_COLUMNS * edges
    read = memory.read_features(max(study.encoded_tokens("heldout")), max(one.l0 for one in dictionaries), 0, 0)
    by_graph, by_shard, by_width = "graph.batches", "activations.shard_tokens", most.key
    rules = {
        "compare_contexts": (read, by_shard, {"entries": heldout * sum(one.l0 for one in dictionaries)}),
        "measure_splitting": (tables, by_graph, {"edges": edges}),
        "measure_ultralow": (
            memory.TORCH + memory.sae_weights(most.d_in, most.d_sae),
            by_width,
            {"features": features},
        ),
        "make_gallery": (memory.LIGHT, "", {}),
        "summarize_study": (memory.LIGHT, "", {}),
    }
    for rule, (peak, key, amounts) in rules.items():
        yield Job("comparison", rule, memory=peak, seconds=SECONDS[rule].of(**amounts), key=key)


def page_jobs(study: Study, dictionaries: Sequence[Dictionary]) -> Iterator[Job]:
    """Figures, explorer and report."""
    for rule in ("plot_graphs", "plot_dictionaries", "plot_meaning", "plot_behaviour"):
        yield Job("pages", rule, memory=memory.LIGHT, seconds=SECONDS[rule].of())
    for one in dictionaries:
        yield Job(
            "pages", "export_features", one.model, one.sae, disk=disk.CARD_BYTES * one.d_sae, key=one.key,
            memory=memory.LIGHT + memory.EDGE_COLUMNS * edges_of(study, one) + disk.CARD_BYTES * one.d_sae,
            seconds=SECONDS["export_features"].of(features=one.d_sae),
        )  # fmt: skip
    for rule in ("make_explorer", "render_report"):
        yield Job("pages", rule, memory=memory.LIGHT, seconds=SECONDS[rule].of())
