"""Docs and code agree: keys, paths, rules, columns, links, and the examples."""

import importlib.util
import re
import types

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import coact.corpus.sources as sources
from coact import __version__
from coact.artefacts import open_tensors
from coact.comparison.pairs import BEST_COLUMNS, PAIR_COLUMNS
from coact.comparison.summary import CORRELATIONS, summarize
from coact.config import load_schema
from coact.corpus.collect import collect
from coact.corpus.tokens import TokenStream, save_tokens
from coact.features.encode import encode_shard
from coact.figures import FAMILIES
from coact.graph.build import coactivation_graph, node_table
from coact.graph.measures import decoder_cosine, edge_measures
from coact.graph.statistics import describe_graph
from coact.models.evaluate import PatchedPredictions
from coact.nulls.proportion import degree_table
from coact.nulls.significance import edge_significance
from coact.sae.architectures import SAE_LENS_ARCHITECTURES, Architecture
from coact.sae.architectures.relu import ReLU
from coact.sae.architectures.topk import TopK
from coact.sae.evaluate import density, evaluation, l0_table, reconstruction
from coact.sae.history import HISTORY_COLUMNS
from coact.study import TESTED_NULLS
from conftest import ROOT
from reference_graph import sparse_batch
from synthetic_artefacts import make_columns
from test_figures import SYNTHETIC, draw
from test_sae import make_shard

PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROSE = {name: FENCE.sub("", text) for name, text in TEXTS.items()}
SPANS = {name: re.findall(r"`([^`\n]+)`", text) for name, text in PROSE.items()}
FOLDERS = ("workflow_scripts", "rules", "docs", "presets", "profiles", "envs", "report", "tests", "benchmarks")
RULE = re.compile(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", re.MULTILINE)
OUTPUT = re.compile(r"^    output:\n((?:        .*\n)+)", re.MULTILINE)


def rules():
    """Name -> text of every rule that makes files."""
    files = sorted((ROOT / "rules").glob("*.smk"))
    found = {name: block for path in files for name, block in RULE.findall(path.read_text(encoding="utf-8") + "\n")}
    return {name: block for name, block in found.items() if not name.startswith("all_")}


def outputs(block):
    """Patterns of the files that a rule makes; a folder where the file names are those of a list."""
    text = OUTPUT.search(block).group(1)
    extended = re.findall(r'multiext\("([^"]+)", ([^)]*)\)', text)
    patterns = [prefix + name for prefix, names in extended for name in re.findall(r'"([^"]+)"', names)]
    patterns += [literal.split("{name}")[0].replace("{{", "{").replace("}}", "}")
                 for literal in re.findall(r'f"(results/[^"]+)"', text)]  # fmt: skip
    prefixes = {prefix for prefix, _ in extended}
    return patterns + [path for path in re.findall(r'(?<!f)"(results/[^"]+)"', text) if path not in prefixes]


def documented_paths():
    return sorted({span for span in SPANS["artefacts.md"] if re.match(r"results/.", span)})


def covers(documented, path):
    """Whether a documented pattern stands for a path; {split} and {figure} stand for their values."""
    pattern = re.escape(documented).replace(r"\{split\}", r"(?:train|heldout|\{split\})")
    return re.fullmatch(pattern.replace(r"\{figure\}", r"(?:\w+|\{figure\})"), path) is not None


def section(path):
    """The part of artefacts.md under the heading of a path."""
    part = TEXTS["artefacts.md"].split(f"### `{path}`\n", 1)[1]
    return re.split(r"^##", part, maxsplit=1, flags=re.MULTILINE)[0]


def table(path):
    """Name -> type of the columns, tensors or keys that artefacts.md gives for a path."""
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", section(path), re.MULTILINE)
    return {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}


def figure_columns():
    """Figure -> columns of its data after model, sae, series, as artefacts.md gives them."""
    text = TEXTS["artefacts.md"].split("## Figures\n")[1].split("Of what features mean")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)
    return {figure: re.findall(r"`(\w+)`", cells) for figure, cells in rows}


def frame_types(frame):
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def tensor_types(path):
    return {name: str(array.dtype) for name, array in open_tensors(path).items()}


def example(marker):
    """The Python example of extending.md that holds `marker`, run as a module."""
    code = next(code for kind, code in FENCE.findall(TEXTS["extending.md"]) if kind == "python" and marker in code)
    module = types.ModuleType("example")
    exec(compile(code, "docs/extending.md", "exec"), module.__dict__)
    return module


# --- the configuration


def test_the_page_on_the_configuration_is_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.configuration(load_schema()) == TEXTS["configuration.md"], "run: make docs"


@pytest.mark.parametrize("page", TEXTS)
def test_keys_of_the_configuration_exist(page):
    keys = "|".join(load_schema()["properties"])
    for span in SPANS[page]:
        if found := re.match(rf"((?:{keys})(?:\.[\w<>\[\]]+)+)", span):
            assert f"`{found.group(1)}`" in TEXTS["configuration.md"], found.group(1)


# --- paths, rules and links


@pytest.mark.parametrize("name", rules())
def test_every_output_of_a_rule_is_documented(name):
    made = outputs(rules()[name])
    assert made
    for path in made:
        assert any(covers(documented, path) for documented in documented_paths()), path
    assert f"`{name}`" in TEXTS["artefacts.md"]


def test_every_documented_path_is_made_by_a_rule():
    made = [path for block in rules().values() for path in outputs(block)]
    made.append("results/ledger/{stage}.json")  # by no rule: noted after a run
    for documented in documented_paths():
        found = any(covers(documented, path) or path.startswith(documented) for path in made)
        assert found if documented.endswith("/") else any(covers(documented, path) for path in made), documented


def test_rules_that_the_docs_name_exist():
    text = PROSE["artefacts.md"]
    named = re.findall(r"(?:^|, |\. )[Bb]y `(\w+)`((?:,? or `\w+`|, `\w+`)*)", text, re.MULTILINE)
    assert {name for first, rest in named for name in [first, *re.findall(r"`(\w+)`", rest)]} <= set(rules())


def test_every_figure_is_documented_with_its_family():
    # The figure of the ground truth lies with its tables, and is documented there.
    assert {name.removeprefix("plot_") for name in rules() if name.startswith("plot_")} == {*FAMILIES, "ground_truth"}
    parts = re.split(r", by `plot_(\w+)`:\n", TEXTS["artefacts.md"].split("## Figures\n")[1].split("\n## ")[0])
    documented = {family: re.findall(r"^\| `(\w+)`", part, re.MULTILINE)
                  for family, part in zip(parts[1::2], parts[2::2], strict=True)}  # fmt: skip
    assert documented == {family: list(figures) for family, figures in FAMILIES.items()}


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_data_of_a_figure_are_as_documented(name):
    drawing = draw(name, make_columns(1, features=128))
    assert ["model", "sae", "series", *figure_columns()[name]] == list(drawing.data)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", PROSE[page.name]):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", linked.read_text(encoding="utf-8")), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                target
            )


@pytest.mark.parametrize("page", TEXTS)
def test_files_that_are_named_exist(page):
    for span in SPANS[page]:
        if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/\S*", span) and not re.search(r"[<{]", span):
            assert list(ROOT.glob(span.rstrip("/"))), span


@pytest.mark.parametrize("page", TEXTS)
def test_names_of_the_package_exist(page):
    for span in SPANS[page]:
        if re.fullmatch(r"coact(\.\w+)+", span):
            parts = span.split(".")
            files = [(ROOT.joinpath("workflow_scripts", *parts[:end]), parts[end:]) for end in range(len(parts), 0, -1)]
            path, rest = next((path, rest) for path, rest in files if path.is_dir() or path.with_suffix(".py").exists())
            text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
            assert all(re.search(rf"\b{name}\b", text) for name in rest), span


# --- columns, tensors and keys


@pytest.fixture(scope="module")
def graph():
    return coactivation_graph(
        [sparse_batch(np.array([[3.0, 2, 1, 0], [1, 2, 0, 0], [0, 1, 1, 1]]), np.ones(3, bool))], 2
    )


def test_the_graph_is_as_documented(graph):
    folder = "results/graphs/{model}/{sae}"
    nodes = node_table(graph.counts, graph.edges, graph.counts.active, graph.counts.n_tokens, 0.0)
    tested = [edge_significance(graph.sets, graph.edges, graph.counts.n_features, 0.05, groups)[0]
              for groups in (None, graph.documents)]  # fmt: skip
    measures = edge_measures(graph.edges, graph.counts.members, graph.counts.n_tokens)
    measures["decoder_cosine"] = decoder_cosine(graph.edges, np.eye(graph.counts.n_features, dtype=np.float32))
    edges = pd.concat([graph.edges, measures, tested[0], tested[1].add_suffix("_documents")], axis=1)
    assert frame_types(edges) == table(f"{folder}/edges.parquet")
    assert frame_types(nodes) == table(f"{folder}/nodes.parquet")
    assert (graph.sets.indptr.dtype, graph.sets.indices.dtype) == (np.int64, np.int32)
    found = describe_graph(nodes, graph.edges, bootstrap=100, confidence=0.9, listed=2, seed=0)
    documented = table(f"{folder}/statistics.json")
    assert set(found) == {"all", "live", "quadrants"}
    assert set(found["all"]) == set(found["live"]) == set(documented)
    for name in found["quadrants"]:
        assert f"`{name}`" in section(f"{folder}/statistics.json")


def test_degrees_beside_their_nulls_are_as_documented():
    nodes = make_columns(1, features=64)[0].nodes.astype({"feature": np.int32, "degree": np.int64})
    part = nodes[["feature", "degree"]].assign(
        degree_sum=nodes["degree"], degree_squares=nodes["degree"] ** 2, replicates=1
    )
    found = degree_table(nodes, [part.assign(null=null) for null in TESTED_NULLS])
    assert frame_types(found) == table("results/graphs/{model}/{sae}/degree_null.parquet")


def test_every_key_of_the_statistics_is_documented():
    text = section("results/graphs/{model}/{sae}/statistics.json")
    entry = make_columns(1)[0].statistics
    corrected, listed = entry["corrected"]["tokens"], entry["listed_features"][0]
    keys = {*entry, *corrected, *corrected["below"][0], *corrected["low_degree_high_frequency"], *listed}
    keys |= {*corrected["low_degree_high_frequency"]["features"][0], *listed["labels"][0], *listed["tokens"][0]}
    keys |= {*entry["nulls"]["live"]["edges"]["observed_interval"], "observed_interval"}
    for key in sorted(keys):
        assert f"`{key}`" in text, key


def test_correlations_are_defined():
    for name in CORRELATIONS:
        assert f"`{name}`" in TEXTS["definitions.md"]


def test_saes_are_as_documented(tmp_path):
    folder = "results/saes/{model}/{sae}"
    sae = ReLU(2, 3)
    sae.initialize(torch.zeros(2), 0)
    weights = section(f"{folder}/sae_weights.safetensors")
    sizes = {"d_in": 2, "d_sae": 3}
    shapes = {
        name: tuple(sizes[axis] for axis in re.findall(r"\w+", axes))
        for names, axes in re.findall(r"^\| (`[^|]*`) \| float32 \| \(([^)]*)\)", weights, re.MULTILINE)
        for name in re.findall(r"\w+", names)
    }
    made = [cls(2, 3, **({"k": 1} if cls is TopK else {})) for cls in SAE_LENS_ARCHITECTURES.values()]
    assert shapes == {name: tuple(tensor.shape) for one in made for name, tensor in one.state_dict().items()}
    shard = make_shard(tmp_path / "shard", np.random.default_rng(0).normal(size=(8, 2)))
    found = reconstruction(sae, [shard], include_special=False)
    model = {"cross_entropy": 1.0, "cross_entropy_zero": 3.0, "cross_entropy_mean": 2.0}
    record = evaluation(sae, "relu", found, PatchedPredictions(1.5, 0.1), model)
    assert {"model", "sae", *record} == set(table(f"{folder}/evaluation.json"))
    for key in record["l0_distribution"]:
        assert f"`{key}`" in section(f"{folder}/evaluation.json"), key
    assert frame_types(density(sae, found)) == table(f"{folder}/density.parquet")
    assert frame_types(l0_table(found)) == table(f"{folder}/l0.parquet")
    assert list(HISTORY_COLUMNS) == list(table(f"{folder}/history.parquet"))
    encode_shard(sae, shard, 8, False, tmp_path / "features", {})
    assert tensor_types(tmp_path / "features") == table("results/features/{model}/{sae}/{split}-{shard}.safetensors")


def test_the_corpus_is_as_documented(tmp_path):
    spec = {"name": "probes", "kind": "probes", "share": 1, "contexts": ["dna"], "seed": 0}
    corpus = collect([spec], 0, 0.5, 100, 100)
    assert list(corpus.train) == list(table("results/corpus/{split}.parquet"))
    keys = {*corpus.manifest, *corpus.manifest["sources"]["probes"], *corpus.manifest["sources"]["probes"]["train"]}
    for key in keys:
        assert f"`{key}`" in section("results/corpus/manifest.json"), key
    ids = np.zeros((2, 4), np.int32)
    save_tokens(TokenStream(ids, ids, ids.astype(np.int16), ["dna"]), tmp_path / "tokens", {})
    assert tensor_types(tmp_path / "tokens") == table("results/tokens/{tokenizer}/{split}.safetensors")


def test_the_summary_is_as_documented():
    artefacts = make_columns(1)[0]
    summary = summarize([("main", "topk-x4-s0", artefacts.evaluation, artefacts.statistics)])
    for name in summary:
        if name.startswith(("significant_share_", "repelled_")):
            name = re.sub(r"_(tokens|documents)$", "_<null model>", name)
        name = re.sub(r"_(all|live)(_null|_low|_high|_n)?(_(tokens|documents|shift)_(mean|low|high))?$", "", name)
        assert f"`{name}`" in TEXTS["artefacts.md"] or f"`{name}_live`" in TEXTS["artefacts.md"], name


def test_comparisons_are_as_documented():
    assert set(table("results/comparison/pairs.parquet")) == set(PAIR_COLUMNS)
    assert set(table("results/comparison/best_matches.parquet")) == set(BEST_COLUMNS)


def test_versions_agree():
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project.group(1) == citation["version"] == __version__


# --- the examples


def test_examples_are_python():
    for name, text in TEXTS.items():
        for kind, code in FENCE.findall(text):
            if kind == "python":
                compile(code, name, "exec")


def test_the_rule_example_has_every_part():
    block = next(code for kind, code in FENCE.findall(TEXTS["extending.md"]) if kind == "snakemake")
    template = next(iter(rules().values()))
    for part in re.findall(r"^    (\w+):", template, re.MULTILINE):
        assert f"    {part}:" in block, part


def test_the_architecture_example_works():
    sae = example("class Tanh").Tanh(4, 6, penalty=0.5, width=2.0)
    assert isinstance(sae, Architecture)
    sae.initialize(torch.zeros(4), 0)
    x = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    losses = sae.backward(x, torch.zeros(6, dtype=torch.bool), 1.0)
    features = sae.encode(x).detach()
    assert losses.sparsity.item() == pytest.approx(0.5 * np.tanh(features.numpy() / 2).sum() / 32)
    assert torch.equal(losses.fired, (features > 0).sum(0))
    definition = next(code for kind, code in FENCE.findall(TEXTS["extending.md"]) if "architecture_tanh" in code)
    assert set(yaml.safe_load(definition)["architecture_tanh"]["properties"]) == {"penalty", "width"}
    finished = sae.finish(x, 3.0)
    assert type(finished) is ReLU
    torch.testing.assert_close(finished.encode(x / 3), features / 3)


def test_the_source_example_works(monkeypatch):
    monkeypatch.setitem(sources.KINDS, "sums", example("sums/{number}"))
    definition = next(code for kind, code in FENCE.findall(TEXTS["extending.md"]) if "source_sums" in code)
    keys = yaml.safe_load(definition)["source_sums"]["properties"]
    spec = {"name": "arithmetic", "kind": "sums", "share": 1, "largest": keys["largest"]["default"]}
    corpus = collect([spec], 0, 0.5, 500, 500)
    first = corpus.train["text"][0].splitlines()[0]
    left, right = first.split(" = ")
    assert sum(map(int, left.split(" + "))) == int(right)
    assert corpus.manifest["sources"]["arithmetic"]["largest"] == 1000


def test_the_model_example_works():
    model = torch.nn.Linear(3, 4)
    before = {name: weights.detach().clone() for name, weights in model.named_parameters()}
    example("def shuffle_weights").shuffle_weights(model, 0)
    for name, weights in model.named_parameters():
        torch.testing.assert_close(weights.detach().flatten().sort()[0], before[name].flatten().sort()[0])
    assert not torch.equal(model.weight, before["weight"])


def test_the_statistic_example_works():
    diameter = example("def diameter").diameter
    # A path of four nodes, and an edge apart.
    assert diameter(np.array([0, 1, 2, 4]), np.array([1, 2, 3, 5]), 6) == 3
    assert diameter(np.array([], int), np.array([], int), 0) is None


def test_the_figure_and_the_report_example_work():
    artefacts = make_columns(2, features=64)
    columns = [artefact.column for artefact in artefacts]
    drawing = example("def strength_distribution").strength_distribution(columns, [each.nodes for each in artefacts])
    assert isinstance(drawing.data, pd.DataFrame)
    assert set(drawing.caption) == {"conclusion", "details", "caption", "alt"}
    sentence = example("def largest_degree_sentence").largest_degree_sentence
    assert "largest degree" in sentence(columns, [each.statistics for each in artefacts])
