"""The workflow itself: rules, adapters, code dependencies, and the DVC stages that mirror them."""

import re

import pytest
import yaml

from coact.dependencies import modules_of
from conftest import ROOT, run_command, snakemake

HELPER_FILES = ("common.smk", "inputs.smk", "ledger.smk", "resources.smk")  # no rules there
RULE_FILES = sorted(path for path in (ROOT / "rules").glob("*.smk") if path.name not in HELPER_FILES)
RULES = {
    name: block
    for path in RULE_FILES
    for name, block in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
}
WORKING_RULES = {name: block for name, block in RULES.items() if not name.startswith("all_")}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGE_FILES = {"saes": "sae", "graphs": "graph"}


@pytest.mark.parametrize("name", WORKING_RULES)
def test_every_rule_has_its_script_and_says_what_it_needs(name):
    block = WORKING_RULES[name]
    assert f'"../workflow_scripts/{name}.py"' in block
    for part in ("message", "input", "output", "log", "benchmark", "threads", "resources", "script", "conda"):
        assert f"    {part}:" in block, part
    for part in ("mem_mb=", "runtime=", f'code=get_code("{name}")'):
        assert part in block, part


def test_every_adapter_belongs_to_a_rule_and_is_thin():
    adapters = {path.stem: path for path in (ROOT / "workflow_scripts").glob("*.py")}
    assert set(adapters) == set(WORKING_RULES)
    for name, path in adapters.items():
        assert len(path.read_text().splitlines()) <= 45, name


def test_rules_hold_no_functions():
    for path in RULE_FILES:
        assert not re.search(r"^\s*def |lambda", path.read_text(), re.MULTILINE), path.name


def test_code_dependencies_follow_imports():
    found = modules_of("build_graph.py")
    assert "workflow_scripts/build_graph.py" in found
    assert "workflow_scripts/coact/graph/build.py" in found
    assert "workflow_scripts/coact/artefacts/tensors.py" in found
    assert not any("/figures/" in path or "/sae/" in path for path in found)


def rule_file(stage):
    return ROOT / "rules" / f"{STAGE_FILES.get(stage, stage)}.smk"


def test_there_is_one_stage_per_rule_file():
    assert {rule_file(stage) for stage in STAGES} == set(RULE_FILES)
    for stage, entry in STAGES.items():
        assert entry["cmd"].endswith(f" -m ledger {stage}")
        assert f"rule all_{stage}:" in rule_file(stage).read_text()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_that_its_rules_read(stage):
    text = rule_file(stage).read_text()
    declared = [dep if isinstance(dep, str) else next(iter(dep)) for dep in STAGES[stage]["deps"]]
    outputs = [out if isinstance(out, str) else next(iter(out)) for out in STAGES[stage]["outs"]]
    for name in re.findall(r"^rule (\w+):", text, re.MULTILINE):
        if not name.startswith("all_"):
            for path in modules_of(f"{name}.py"):
                assert any(path == dep or path.startswith(f"{dep}/") for dep in declared), path
    assert f"rules/{rule_file(stage).name}" in declared
    for folder in set(re.findall(r'"(results/[a-z_]+)', text)):
        assert any(folder == path or path.startswith(folder) for path in declared + outputs), folder


@pytest.mark.parametrize("stage", STAGES)
def test_the_parameters_of_a_stage_are_in_the_configuration(stage):
    # DVC refuses a stage whose parameter is not written down, a default or not.
    declared = next(iter(STAGES[stage]["params"]))["config.yaml"] or []
    assert set(declared) <= set(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_the_parameters_of_its_rules(stage):
    text = rule_file(stage).read_text()
    declared = next(iter(STAGES[stage]["params"]))["config.yaml"]
    if declared is None:
        return
    used = set(re.findall(r'CONFIG\["(\w+)"\]', text)) | {
        section for helper, sections in HELPERS.items() if helper in text for section in sections
    }
    assert used <= set(declared)


# Sections of the configuration behind each helper that a rule file may call.
HELPERS = {
    "get_source_files": {"corpus"},
    "STUDY.tokenizers": {"models"},
    "get_tokenizer_source": {"models"},
    "get_model_settings": {"models"},
    "get_hub_source": {"corpus"},
    "get_hub_tokenizer": {"corpus", "models"},
    "get_hub_model": {"corpus", "models"},
    "get_like_settings": {"models"},
    "get_models(": {"models"},
    "get_columns(": {"models", "saes"},
    "get_sae_settings": {"saes"},
    "get_replicates": {"nulls"},
    "get_null_statistics": {"nulls"},
    "STUDY.batch_tokens": {"graph", "corpus"},
    "STUDY.shard_tokens": {"activations", "corpus"},
    "STUDY.encoded_tokens": {"activations", "corpus", "graph"},
    "STUDY.evaluated_tokens": {"activations", "corpus"},
    "STUDY.ordinary_labels": {"corpus"},
    "get_interpretation": {"interpretation"},
    "get_shown_settings": {"interpretation"},
    "get_described_tokens": {"activations", "corpus", "graph"},
    "get_train_features": {"models", "saes", "activations", "corpus", "graph"},
    "get_heldout_features": {"models", "saes", "activations", "corpus", "graph"},
    "get_models_contexts": {"models"},
    "get_columns_tokenizers": {"models", "saes"},
    "get_shard_size": {"activations", "corpus"},
    "get_encoded_size": {"activations", "corpus", "graph"},
    "get_features_of_all": {"models", "saes", "activations", "corpus", "graph"},
}


def test_a_stage_never_reads_what_a_later_stage_makes():
    made = {}
    for number, (stage, entry) in enumerate(STAGES.items()):
        for out in entry["outs"]:
            made[out if isinstance(out, str) else next(iter(out))] = number
        for dep in entry["deps"]:
            assert made.get(dep, -1) < number, (stage, dep)


def test_the_dry_run_of_the_default_study_succeeds(workspace):
    done = run_command(workspace, "snakemake", "-n", "--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "train_sae" in done.stdout


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("graph: {kk: 3}", "configuration: graph: unknown key 'kk'; did you mean k?"),
        ("graph: {k: many}", "configuration: graph.k: found 'many', expected integer"),
        ("graph: {k: 4000}", "configuration: graph.k: found 4000, but"),
        ("graph: {batches: 99}", "configuration: graph.batches: found 99, but activations.train_tokens holds"),
        ("corpus: {sources: []}", "configuration: corpus.sources: [] should be non-empty"),
        (
            "corpus: {sources: [{name: a, kind: probes, share: 0}]}",
            "configuration: corpus.sources: the shares sum to 0",
        ),
        (
            "corpus: {sources: [{name: a, kind: files, glob: 'nowhere/*.txt', share: 1}]}",
            "nowhere/*.txt",
        ),
        (
            "corpus: {sources: [{name: a, kind: installed, packages: [no_such_package], share: 1}]}",
            "no_such_package",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_at_once_in_one_line(workspace, overlay, message):
    (workspace / "wrong.yaml").write_text(overlay)
    done = run_command(workspace, "snakemake", "--cores", "2", "--configfile", "presets/tiny.yaml", "wrong.yaml")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert not (workspace / "results").exists()


def test_lint_finds_nothing(workspace):
    done = run_command(workspace, "snakemake", "--lint")
    assert done.returncode == 0, done.stdout
    assert "Congratulations" in done.stdout


def test_an_unchanged_study_has_nothing_to_do(tiny_study):
    done = snakemake(tiny_study, "-n")
    assert "Nothing to be done" in done.stdout, done.stdout[-3000:]
