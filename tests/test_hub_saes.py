"""SAEs from the Hub: by repository and by release of SAELens, pinned, and the same as from disk."""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml

from hub import always, in_process, run, running_hub

# Describes and fetches SAEs, one after another: by name, settings in and what is found out.
DESCRIBE = """
import json, sys
from pathlib import Path
from coact.errors import StudyError
from coact.hub.saes import described, fetch_sae
from coact.imported import check_options
plain = dict.fromkeys(("path", "repository", "release", "id", "tensors")) | {"revision": "main", "format": "sae_lens"}
answers = {}
for name, asked in json.loads(sys.argv[1]).items():
    settings = plain | asked
    try:
        check_options(settings, "saes.theirs")
        found = described(settings, Path("no pin"), "saes.theirs")
        fetched, path = fetch_sae(settings, "saes.theirs")
        answers[name] = {"described": found, "path": str(path), **fetched.record()}
    except StudyError as error:
        answers[name] = {"error": str(error), "kind": type(error).__name__}
print(json.dumps(answers))
"""
TABLE = {
    "toy-res": {"conversion_func": None, "model": "toy", "repo_id": "owner/saes", "saes": [
        {"id": "blocks.0", "path": "layers/0"}, {"id": "blocks.1", "path": "layers/1"}]},
    "toy-centred": {"conversion_func": None, "model": "toy", "repo_id": "owner/saes", "saes": [
        {"id": "blocks.0", "path": "layers/0"}],
        "config_overrides": {"model_from_pretrained_kwargs": {"center_writing_weights": True}}},
    "toy-scaled": {"conversion_func": None, "model": "toy", "repo_id": "owner/saes", "saes": [
        {"id": "blocks.0", "path": "layers/0"}],
        "config_overrides": {"normalize_activations": "constant_norm_rescale"}},
    "toy-scope": {"conversion_func": "gemma_2", "model": "toy", "repo_id": "owner/scope", "saes": []},
}  # fmt: skip


@pytest.fixture
def hub():
    with running_hub() as found:
        yield found


@pytest.fixture
def sae_folder(tiny_study):
    """An SAE as SAELens has it: one that the tiny study has trained."""
    return tiny_study / "results/saes/main/topk-x1-s0"


@pytest.fixture
def repository(sae_folder, tmp_path):
    """Two SAEs of SAELens in folders, one of Neel Nanda's in files, and what no study needs."""
    made = tmp_path / "repository"
    for layer in ("0", "1"):
        shutil.copytree(sae_folder, made / "layers" / layer)
    (made / "layers" / "0" / "sparsity.safetensors").write_bytes(b"not wanted")
    tensors = safetensors.torch.load_file(sae_folder / "sae_weights.safetensors")
    shapes = {"d_mlp": tensors["W_enc"].shape[0], "dict_size": tensors["W_enc"].shape[1]}
    torch.save({**tensors, "b_enc": torch.zeros(shapes["dict_size"])}, made / "25.pt")
    (made / "25_cfg.json").write_text(json.dumps(shapes))
    torch.save(tensors, made / "47.pt")
    return made


@pytest.fixture
def describe_all(hub, tmp_path):
    """Describe and fetch SAEs in a process of its own."""

    def describing(settings, environment=None):
        own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")} | (environment or {})
        return in_process(DESCRIBE, [json.dumps(settings)], "", **own)

    return describing


@pytest.fixture
def describe(describe_all):
    """Describe and fetch one SAE."""
    return lambda environment=None, **settings: describe_all({"it": settings}, environment)["it"]


@pytest.fixture
def table(tmp_path):
    """The environment of a process that finds a package sae_lens with a table of releases, which is not run."""
    package = tmp_path / "packages" / "sae_lens"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "pretrained_saes.yaml").write_text(yaml.safe_dump(TABLE))
    root = Path(__file__).resolve().parent.parent
    return {"PYTHONPATH": f"{root / 'workflow_scripts'}:{package.parent}"}


def test_an_sae_is_described_by_its_configuration_and_fetched_without_the_rest(hub, describe, repository, sae_folder):
    commit = hub.add("owner/saes", repository)
    found = describe(repository="owner/saes", path="layers/0")
    assert (found["commit"], found["name"], found["revision"]) == (commit, "owner/saes", "main")
    assert sorted(found["files"]) == ["layers/0/cfg.json", "layers/0/sae_weights.safetensors"]
    own = json.loads((sae_folder / "cfg.json").read_text())
    assert (found["described"]["d_in"], found["described"]["d_sae"]) == (own["d_in"], own["d_sae"])
    assert (Path(found["path"]) / "cfg.json").read_text() == (sae_folder / "cfg.json").read_text()
    assert not [path for path in hub.paths("GET") if "sparsity" in path or "layers/1" in path or ".pt" in path]


def test_a_release_of_sae_lens_is_looked_up_in_its_table_without_running_it(hub, describe, repository, table):
    commit = hub.add("owner/saes", repository)
    found = describe(table, release="toy-res", id="blocks.1")
    assert (found["commit"], Path(found["path"]).name) == (commit, "1")


def test_what_a_release_says_of_its_model_is_part_of_the_description(hub, describe, repository, table):
    hub.add("owner/saes", repository)
    found = describe(table, release="toy-centred", id="blocks.0")
    assert found["described"]["metadata"]["model_from_pretrained_kwargs"] == {"center_writing_weights": True}


def test_a_file_of_neel_nandas_comes_with_its_configuration(hub, describe, repository):
    hub.add("owner/saes", repository)
    found = describe(repository="owner/saes", path="25.pt", format="nanda")
    assert sorted(found["files"]) == ["25.pt", "25_cfg.json"]
    assert Path(found["path"]).is_file()


def test_without_a_network_what_is_cached_is_taken(hub, describe, repository):
    commit = hub.add("owner/saes", repository)
    asked = {"repository": "owner/saes", "path": "layers/0"}
    assert "HF_HUB_OFFLINE is set, and nothing of it is cached" in describe({"HF_HUB_OFFLINE": "1"}, **asked)["error"]
    describe(**asked)
    assert describe({"HF_HUB_OFFLINE": "1"}, **asked)["commit"] == commit
    hub.failures.append(always(500))
    assert describe(**asked)["commit"] == commit


WRONG = [
    ({"repository": "owner/none", "path": "a"}, ".repository: 'owner/none': there is no such model at http"),
    ({"repository": "owner/saes", "revision": "v9"}, ".revision: found 'v9', which 'owner/saes' does not have"),
    ({"repository": "owner/saes", "path": "layers/7"}, "'owner/saes' has no file 'layers/7/cfg.json' at revision"),
    ({"repository": "owner/saes"}, "'owner/saes' has no file 'cfg.json' at revision 'main'"),
    ({"repository": "owner/saes", "path": "47.pt", "format": "nanda"}, "has no file '47_cfg.json'"),
    ({"repository": "owner/saes", "path": "layers/0", "format": "sparsify"}, "d_sae: found None, expected a whole"),
    ({"release": "toy-rse", "id": "blocks.0"}, ".release: 'toy-rse' is none of the 4 releases of SAELens; there are"
     " toy-centred, toy-res"),
    ({"release": "toy-res", "id": "blocks.9"}, ".id: 'blocks.9' is none of 'toy-res'; there are blocks.0, blocks"),
    ({"release": "toy-scope", "id": "x"}, ".release: 'toy-scope' is in the format 'gemma_2', expected SAELens's"),
    ({"release": "toy-scaled", "id": "blocks.0"}, "has inputs normalised by 'constant_norm_rescale'"),
    ({"release": "toy-res"}, ".id: found None, expected one"),
    ({"path": "a", "id": "blocks.0"}, ".id: found 'blocks.0', expected none"),
    ({"path": "a", "release": "toy-res", "id": "b"}, ": found path and release, expected path, repository"),
    ({}, ": found none of them, expected path, repository"),
    ({"release": "toy-res", "id": "blocks.0", "format": "nanda"}, ".format: found 'nanda', expected sae_lens"),
    ({"repository": "owner/saes", "path": "a", "format": "tensors", "tensors": {}}, "format tensors takes a path"),
]  # fmt: skip


def test_what_is_not_there_is_named(hub, describe_all, repository, table):
    hub.add("owner/saes", repository)
    answers = describe_all({str(number): settings for number, (settings, _) in enumerate(WRONG)}, table)
    for number, (settings, message) in enumerate(WRONG):
        found = answers[str(number)]["error"]
        assert message in found, (settings, found)
        assert found.startswith("saes.theirs")
        assert "\n" not in found


def test_without_the_table_of_releases_its_package_is_asked_for(describe):
    found = describe(release="toy-res", id="blocks.0")
    assert "the package sae-lens, which is not installed; install it without what it depends on" in found["error"]


def test_an_sae_of_the_hub_is_studied_like_one_on_disk_and_kept_at_its_commit(hub, workspace, repository, sae_folder):
    commit = hub.add("owner/saes", repository)
    config = yaml.safe_load((workspace / "presets/tiny.yaml").read_text())
    common = {"kind": "import", "models": ["main"], "hook_check": False, "most_fvu": None}
    saes = dict.fromkeys(name for name in config["saes"] if config["saes"][name])
    saes |= {"neurons": None, "disk": common | {"path": str(sae_folder)}}
    saes |= {"theirs": common | {"repository": "owner/saes", "path": "layers/0"}}
    saes |= {"nanda": common | {"repository": "owner/saes", "path": "25.pt", "format": "nanda"}}
    (workspace / "hub.yaml").write_text(yaml.safe_dump({"saes": saes}))
    folders = [workspace / f"results/saes/main/{name}" for name in ("theirs", "disk", "nanda")]
    targets = [f"{folder.relative_to(workspace)}/sae_weights.safetensors" for folder in folders]
    targets.append("results/hub/manifest.json")
    done = run(workspace, hub, "--", *targets)
    assert done.returncode == 0, done.stdout[-4000:]
    theirs, disk, nanda = (safetensors.torch.load_file(folder / "sae_weights.safetensors") for folder in folders)
    assert theirs.keys() == disk.keys()
    assert all(torch.equal(theirs[name], disk[name]) for name in disk)
    assert torch.equal(nanda["W_dec"], disk["W_dec"])
    listed = json.loads((workspace / "results/hub/manifest.json").read_text())["repositories"]
    assert listed == [{"kind": "sae", "name": "owner/saes", "revision": "main", "commit": commit}] * 2

    shutil.rmtree(repository / "layers" / "0")
    assert hub.add("owner/saes", repository) != commit
    done = run(workspace, hub, "-n", "--", *targets)
    assert "Nothing to be done" in done.stdout
