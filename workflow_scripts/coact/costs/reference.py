"""Seconds of jobs that are not calibrated, as the default study took them.

They are from Snakemake's benchmark files of one run on a machine with two cores, two jobs at a time. Rates are
differences between jobs on dictionaries of few and of many active features or edges, divided by the difference in
entries or edges. Where all jobs are alike, all but the start is put down to what the job goes over.
"""

from dataclasses import dataclass

# What `coact.plan.calibration.reference_work` took on that machine, on one thread: how fast another machine is.
WORK_SECONDS = 0.0223


# Operations per second that the study's own code reached there on one thread, start and reading included: a product of
# matrices alone is three times as fast.
WORK_FLOPS = 5e10

# From the start of Python to the end of an import.
IMPORT_SECONDS = {"coact.graph.build": 0.5, "coact.sae.train": 1.75, "coact.models.bridge": 4.5}


@dataclass(frozen=True)
class Seconds:
    """Seconds of a job: `start`, and so many per million of tokens, entries (tokens x L0), edges, features and pairs of
    features."""

    start: float
    tokens: float = 0.0
    entries: float = 0.0
    edges: float = 0.0
    features: float = 0.0
    pairs: float = 0.0

    def of(
        self, tokens: float = 0, entries: float = 0, edges: float = 0, features: float = 0, pairs: float = 0
    ) -> float:
        """Seconds of a job of these sizes."""
        amounts = (tokens, entries, edges, features, pairs)
        rates = (self.tokens, self.entries, self.edges, self.features, self.pairs)
        return self.start + sum(rate * amount for rate, amount in zip(rates, amounts, strict=True)) / 1e6


SECONDS = {
    "collect_corpus": Seconds(0.5, tokens=3.7),
    "train_tokenizer": Seconds(0.8, tokens=1.0),
    "import_tokenizer": Seconds(2.4),
    "tokenize_corpus": Seconds(0.8, tokens=0.9),
    "initialize_model": Seconds(3.6),
    "import_model": Seconds(5.5),
    "evaluate_model": Seconds(0.0, tokens=0.3),
    "make_neuron_dictionary": Seconds(1.8),
    "import_sae": Seconds(2.2),
    "plant_directions": Seconds(3.0, entries=1.0),
    "recover_directions": Seconds(3.0, entries=1.0),
    "measure_emergence": Seconds(0.5, features=1000.0),
    "count_pairs": Seconds(0.0, tokens=1.1, entries=0.033),
    "resample": Seconds(0.0, tokens=0.22),  # a sweep
    "build_graph": Seconds(0.7, tokens=2.0, edges=9.8),
    "sample_null": Seconds(0.5, edges=0.87),
    "measure_sensitivity": Seconds(0.8, tokens=17.0, entries=0.14),
    "describe_graph": Seconds(1.8, edges=12.0),
    "find_communities": Seconds(2.2, edges=2.0),
    "export_graph": Seconds(0.5, edges=5.5),
    "describe_features": Seconds(1.8, entries=0.38),
    "mark_contexts": Seconds(0.5, tokens=2.4),
    "measure_contexts": Seconds(1.8, entries=0.12),
    "probe_contexts": Seconds(4.9),
    "measure_absorption": Seconds(1.5, entries=0.06),
    "measure_effects": Seconds(7.0, entries=0.09),
    "explain_features": Seconds(3.3, entries=0.13),
    "find_chains": Seconds(2.7, edges=14.0),
    "map_features": Seconds(3.0, features=2000.0),
    "compare_graphs": Seconds(2.0, pairs=1.76),
    "export_features": Seconds(0.5, features=5000.0),
    "compare_contexts": Seconds(0.8, entries=0.11),
    "measure_splitting": Seconds(1.5, edges=1.5),
    "measure_ultralow": Seconds(0.8, features=500.0),
    "make_gallery": Seconds(2.0),
    "summarize_study": Seconds(1.0),
    "plot_graphs": Seconds(12.0),
    "plot_dictionaries": Seconds(4.0),
    "plot_meaning": Seconds(7.0),
    "plot_behaviour": Seconds(5.0),
    "make_explorer": Seconds(1.0),
    "render_report": Seconds(3.9),
}
