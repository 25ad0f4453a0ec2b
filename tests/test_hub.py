"""Repositories of the Hub: the real client against a stand-in on this machine, and a study on a model from there."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml

from hub import always, first, in_process, run, running_hub, slow, truncated

ASK = """
import json, sys
from coact.errors import StudyError
from coact.hub.models import MODEL_PATTERNS
from coact.hub.repositories import fetch
try:
    found = fetch("model", sys.argv[1], sys.argv[2], MODEL_PATTERNS, "models.theirs")
    print(json.dumps({**found._asdict(), "folder": str(found.folder)}))
except StudyError as error:
    print(json.dumps({"error": str(error), "kind": type(error).__name__}))
"""
ASK_DATA = """
import json, sys
from coact.corpus.sources.huggingface import stream_documents
from coact.errors import StudyError
from coact.hub.repositories import pin
spec = {"path": "owner/texts", "config": None, "split": "train", "revision": "main", "column": None,
        "tokens_column": None, "max_documents": None, **json.loads(sys.argv[1])}
try:
    commit = pin("dataset", spec["path"], spec["revision"], "corpus.sources: theirs")
    found = list(stream_documents(spec, commit, int(sys.argv[2]), "corpus.sources: theirs"))
    print(json.dumps({"commit": commit, "found": found}))
except StudyError as error:
    print(json.dumps({"error": str(error), "kind": type(error).__name__}))
"""
NOWHERE = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def hub():
    with running_hub() as found:
        yield found


@pytest.fixture
def folder(tmp_path):
    """A repository's files: a large one, small ones, and what no study needs."""
    made = tmp_path / "repository"
    (made / "onnx").mkdir(parents=True)
    (made / "config.json").write_text('{"model_type": "gpt2"}')
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 1000)
    (made / "README.md").write_text("words")
    (made / "pytorch_model.bin").write_bytes(b"\x80" * 9000)
    (made / "onnx" / "config.json").write_text("{}")
    return made


@pytest.fixture
def ask(hub, tmp_path):
    """Ask the client for a model."""

    def asking(name="owner/model", revision="main", **environment):
        own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")} | environment
        return in_process(ASK, [name, revision], "models.theirs.", **own)

    return asking


def test_a_branch_is_pinned_to_its_commit_and_only_what_is_needed_is_fetched(hub, ask, folder):
    commit = hub.add("owner/model", folder)
    found = ask()
    assert (found["commit"], found["revision"]) == (commit, "main")
    assert found["files"] == {"config.json": 22, "model.safetensors": 256_000}
    data = (Path(found["folder"]) / "model.safetensors").read_bytes()
    assert data == (folder / "model.safetensors").read_bytes()
    assert not [path for path in hub.paths("GET") if "README" in path or ".bin" in path or "onnx" in path]


def test_a_commit_that_is_there_is_not_asked_for_again(hub, ask, folder):
    commit = hub.add("owner/model", folder)
    ask()
    (folder / "config.json").write_text('{"model_type": "gpt_neox"}')
    later = hub.add("owner/model", folder)
    hub.asked.clear()
    assert ask(revision=commit)["commit"] == commit
    assert not [path for path in hub.paths("GET") + hub.paths("HEAD") if "owner/model" in path]
    assert ask()["commit"] == later


def test_the_revision_may_be_a_tag_a_branch_or_a_commit_and_others_are_told(hub, ask, folder):
    commit = hub.add("owner/model", folder)
    hub.add("owner/model", folder, branch="step1000")
    assert ask(revision="step1000")["commit"] == commit
    found = ask(revision="step9")
    assert found["kind"] == "ConfigError"
    assert found["error"] == (
        "models.theirs.revision: found 'step9', which 'owner/model' does not have; it has main, step1000, and commits"
    )


def test_unknown_and_gated_repositories_are_told_apart_as_far_as_the_hub_does(hub, ask, folder):
    hub.add("owner/gated", folder, token="hf_right")
    assert "'owner/nothing': there is no such model at http://127" in ask("owner/nothing")["error"]
    assert "or it is private and HF_TOKEN is not set" in ask("owner/nothing")["error"]
    assert "'owner/gated' is gated at http" in ask("owner/gated")["error"]
    assert "and HF_TOKEN is not set; ask for access" in ask("owner/gated")["error"]
    wrong = ask("owner/gated", HF_TOKEN="hf_wrong")["error"]
    assert "the token in HF_TOKEN may not read it" in wrong
    assert "hf_wrong" not in wrong
    assert ask("owner/gated", HF_TOKEN="hf_right")["files"]
    assert "is no name of a repository" in ask("a/b/c")["error"]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (always(429, Retry_After="1"), r"too many requests \(429, asked to wait 1 s\) at http"),
        (always(500), "the Hub answers 500 at http"),
        (always(503), "the Hub answers 503 at http"),
    ],
)
def test_a_hub_that_refuses_is_named_with_its_answer(hub, ask, folder, failure, message):
    hub.add("owner/model", folder)
    hub.failures.append(failure)
    found = ask()
    assert re.search(message, found["error"]), found["error"]
    assert "run the same again" in found["error"]
    hub.failures.clear()
    assert ask()["files"]


def test_a_hub_that_refuses_now_and_then_is_asked_again(hub, ask, folder):
    hub.add("owner/model", folder)
    hub.failures.append(first(1, always(429, Retry_After="1"), "/blobs/"))
    assert ask()["files"]["model.safetensors"] == 256_000


def test_a_download_that_breaks_off_goes_on_where_it_was(hub, ask, folder):
    data = bytes(range(256)) * 94_000
    (folder / "model.safetensors").write_bytes(data)
    hub.add("owner/model", folder)
    hub.failures.append(first(1, truncated(0.5), "/blobs/"))
    found = ask()
    assert (Path(found["folder"]) / "model.safetensors").read_bytes() == data
    assert [span for _, path, span in hub.asked if "/blobs/" in path] == [None, f"bytes={10 << 20}-"]  # whole pieces


def test_a_download_that_never_ends_is_told_and_the_next_run_goes_on(hub, ask, folder):
    hub.add("owner/model", folder)
    hub.failures.append(truncated(0.0))
    found = ask()
    assert re.search(r"'owner/model': the download broke off \(.+\); what is complete is kept", found["error"])
    hub.failures.clear()
    assert ask()["files"]["model.safetensors"] == 256_000


def test_a_hub_that_is_too_slow_is_told(hub, ask, folder):
    hub.add("owner/model", folder)
    hub.failures.append(slow(2))
    found = ask(HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert re.search("the download broke off \\(.*timed out\\)", found["error"])


def test_without_a_network_what_is_cached_is_taken_and_what_is_not_is_told(hub, ask, folder):
    commit = hub.add("owner/model", folder)
    gone = ask(HF_ENDPOINT=NOWHERE)
    assert gone["kind"] == "StudyError"
    assert f"the Hub at {NOWHERE} cannot be reached, and nothing of it is cached in" in gone["error"]
    ask()
    for environment in ({"HF_ENDPOINT": NOWHERE}, {"HF_HUB_OFFLINE": "1"}):
        assert ask(**environment)["commit"] == commit
        assert ask(revision=commit, **environment)["commit"] == commit
        other = ask(revision="v2", **environment)["error"]
        assert other.endswith(f"revision 'v2' is not cached; there are main, {commit}")
    assert "HF_HUB_OFFLINE is set, and nothing of it" in ask("owner/other", HF_HUB_OFFLINE="1")["error"]


# --- data sets


@pytest.fixture
def texts(tmp_path):
    """A data set's files: two splits, a column of numbers, one of empty texts, one that is null now and then."""
    made = tmp_path / "texts"
    (made / "data").mkdir(parents=True)
    for split, size in (("train", 1500), ("test", 20)):
        words = [f"{split} document {number}. " * 20 for number in range(size)]
        table = pd.DataFrame({"text": words, "number": range(size), "empty": "", "content": words})
        table.loc[::3, "content"] = None
        table.to_parquet(made / "data" / f"{split}-00000-of-00001.parquet")
    return made


@pytest.fixture
def read(hub, tmp_path):
    """Stream a data set in a process of its own."""

    def reading(most_bytes=10**9, environment=None, **spec):
        own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")} | (environment or {})
        return in_process(ASK_DATA, [json.dumps(spec), str(most_bytes)], "corpus.sources: theirs", **own)

    return reading


def test_a_data_set_is_streamed_from_its_first_row_as_far_as_it_is_needed(hub, read, texts):
    commit = hub.add("owner/texts", texts)
    found = read(most_bytes=2000)
    assert found["commit"] == commit
    numbers = [row for row, _ in found["found"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 2000 <= sum(len(text) for _, text in found["found"]) < 2600
    assert len(read(split="test")["found"]) == 20
    assert len(read(max_documents=7)["found"]) == 7
    assert [row for row, _ in read(column="content", max_documents=3)["found"]] == [2, 3, 5]  # nulls are passed over


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"split": "validation"}, r"'owner/texts': (Bad|Unknown) split.*validation.*(train|test)"),
        ({"config": "german"}, r"'owner/texts': BuilderConfig 'german' not found.*default"),
        (
            {"column": "words"},
            r"\.column: found 'words', which 'owner/texts' does not have; it has text, number, empty",
        ),
        ({"column": "number"}, r"\.column: 'number' of 'owner/texts' holds int; expected text"),
        ({"column": "empty"}, r"'owner/texts', split 'train', has no text in column 'empty'"),
        ({"revision": "v7"}, r"\.revision: found 'v7', which 'owner/texts' does not have; it has main"),
        ({"path": "owner/nothing"}, r"\.path: 'owner/nothing': there is no such dataset at http"),
    ],
)
def test_what_a_data_set_lacks_is_named(hub, read, texts, spec, message):
    hub.add("owner/texts", texts)
    found = read(**spec)
    assert found["kind"] == "ConfigError"
    assert re.search(message, found["error"]), found["error"]


def test_a_repository_without_data_and_a_gated_one_are_told(hub, read, texts, folder):
    hub.add("owner/texts", folder)
    assert "cannot be read as a data set" in read()["error"]
    hub.add("owner/gated", texts, token="hf_right")
    assert "'owner/gated' is gated" in read(path="owner/gated")["error"]
    found = read(path="owner/gated", environment={"HF_TOKEN": "hf_right"}, max_documents=2)
    assert len(found["found"]) == 2


def test_a_hub_that_fails_between_is_told(hub, read, texts):
    hub.add("owner/texts", texts)
    assert "HF_HUB_OFFLINE is set" in read(environment={"HF_HUB_OFFLINE": "1"})["error"]
    hub.failures.append(always(500))
    assert "the Hub answers 500" in read()["error"]


def test_text_of_the_hub_is_mixed_with_other_sources_and_kept_at_its_commit(hub, workspace, texts):
    commit = hub.add("owner/texts", texts)
    config = yaml.safe_load((workspace / "config.yaml").read_text())["corpus"]
    probes = next(source for source in config["sources"] if source["kind"] == "probes")
    theirs = {"name": "theirs", "kind": "huggingface", "path": "owner/texts", "share": 0.5}
    corpus = {"sources": [theirs, probes | {"share": 0.5}]}
    (workspace / "hub.yaml").write_text(yaml.safe_dump({"corpus": corpus}))
    done = run(workspace, hub, "--", "results/corpus/manifest.json", "results/hub/manifest.json")
    assert done.returncode == 0, done.stdout[-4000:]
    listed = json.loads((workspace / "results/hub/manifest.json").read_text())["repositories"]
    assert listed == [{"kind": "dataset", "name": "owner/texts", "revision": "main", "commit": commit}]
    manifest = (workspace / "results/corpus/manifest.json").read_text()
    assert commit in manifest
    table = pd.read_parquet(workspace / "results/corpus/train.parquet")
    own = table[table["source"] == "theirs"]
    assert own["text"].str.startswith("train document").all()
    assert own["origin"].str.match(r"owner/texts/train:\d+$").all()
    assert 0 < len(own) < len(table)


def test_an_optional_source_that_fails_is_left_out_and_one_that_is_not_ends_the_study(hub, workspace):
    config = yaml.safe_load((workspace / "config.yaml").read_text())["corpus"]
    probes = next(source for source in config["sources"] if source["kind"] == "probes")
    theirs = {"name": "theirs", "kind": "huggingface", "path": "owner/nothing", "share": 0.5}
    targets = ["results/tokens/corpus/manifest.json", "results/hub/manifest.json"]
    for optional in (False, True):
        corpus = {"sources": [theirs | {"optional": optional}, probes | {"share": 0.5}]}
        (workspace / "hub.yaml").write_text(yaml.safe_dump({"corpus": corpus}))
        done = run(workspace, hub, "--", *targets)
        assert (done.returncode == 0) == optional, done.stdout[-4000:]
        assert not optional or not json.loads((workspace / targets[1]).read_text())["repositories"]
    assert "left out, as it is optional" in (workspace / "logs/fetch_dataset/theirs.log").read_text()
    manifest = json.loads((workspace / "results/corpus/manifest.json").read_text())
    assert list(manifest["sources"]) == ["probes"]
    assert "'owner/nothing': there is no such dataset" in manifest["left_out"]["theirs"]


def test_where_every_source_fails_the_study_ends(hub, workspace):
    theirs = {"name": "theirs", "kind": "huggingface", "path": "owner/nothing", "share": 1, "optional": True}
    (workspace / "hub.yaml").write_text(yaml.safe_dump({"corpus": {"sources": [theirs]}}))
    done = run(workspace, hub, "--", "results/corpus/manifest.json")
    assert done.returncode != 0
    assert "error: corpus.sources: no source is left; corpus.sources: theirs.path: 'owner/nothing'" in done.stdout


# --- a study on a model from the Hub


@pytest.fixture
def pretrained(tiny_study, tmp_path):
    """A model folder: the one that the tiny study has trained."""
    return Path(shutil.copytree(tiny_study / "results/models/main", tmp_path / "pretrained"))


def test_a_model_of_the_hub_is_studied_like_one_on_disk(hub, workspace, pretrained, tmp_path):
    commit = hub.add("owner/model", pretrained)
    before = shutil.copytree(pretrained, tmp_path / "disk")
    models = {
        "main": None,
        "untrained": {"kind": "untrained", "like": "theirs"},
        "theirs": {"kind": "hub", "name": "owner/model"},
        "disk": {"kind": "local", "path": str(before)},
    }
    saes = {"topk": {"models": ["theirs"]}, "neurons": {"models": ["theirs", "disk"]}}
    config = yaml.safe_load((workspace / "presets/tiny.yaml").read_text())
    saes |= {name: None for name in config["saes"] if name not in saes}
    (workspace / "hub.yaml").write_text(yaml.safe_dump({"models": models, "saes": saes}))
    shards = [f"results/activations/{model}/train-00000.safetensors" for model in ("theirs", "disk", "untrained")]
    targets = ["results/hub/manifest.json", *shards]
    done = run(workspace, hub, "--", *targets)
    assert done.returncode == 0, done.stdout[-4000:]
    listed = json.loads((workspace / "results/hub/manifest.json").read_text())["repositories"]
    assert listed == [{"kind": "model", "name": "owner/model", "revision": "main", "commit": commit}]
    theirs, disk, drawn = (safetensors.torch.load_file(workspace / path) for path in shards)
    assert torch.equal(theirs["activations"], disk["activations"])
    assert not torch.equal(theirs["activations"], drawn["activations"])

    (pretrained / "README.md").write_text("the branch moves on")
    later = hub.add("owner/model", pretrained)
    assert later != commit
    done = run(workspace, hub, "-n", "--", *targets)
    assert "Nothing to be done" in done.stdout
    pin = json.loads((workspace / "results/hub/models/theirs.json").read_text())
    assert (pin["commit"], pin["files"]["config.json"] > 0) == (commit, True)


def test_a_model_that_is_not_there_ends_before_any_long_work_in_one_line(hub, workspace):
    models = {"main": None, "untrained": None, "theirs": {"kind": "hub", "name": "owner/model", "revision": "v1"}}
    saes = dict.fromkeys(yaml.safe_load((workspace / "config.yaml").read_text())["saes"])
    saes |= dict.fromkeys(yaml.safe_load((workspace / "presets/tiny.yaml").read_text())["saes"])
    saes["neurons"] = {"models": ["theirs"]}
    (workspace / "hub.yaml").write_text(yaml.safe_dump({"models": models, "saes": saes}))
    done = run(workspace, hub, "--", "results/hub/manifest.json")
    assert done.returncode != 0
    assert "error: models.theirs.name: 'owner/model': there is no such model at http://127.0.0.1" in done.stdout
    assert not (workspace / "results/hub").exists() or not list((workspace / "results/hub").rglob("*.json"))
