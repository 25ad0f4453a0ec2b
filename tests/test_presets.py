"""Every preset is a study that Snakemake can plan, with configurations alone from the Hub, and says what it costs."""

import json

import pytest
import yaml

from conftest import ROOT, make_workspace, run_command
from hub import running_hub

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
# Of published SAEs that presets name: what their configurations say, as far as it is read.
PUBLISHED = {
    "NeelNanda/sparse_autoencoder": {
        f"{run}_cfg.json": {"d_mlp": 2048, "dict_mult": 8, "enc_dtype": "fp32"} for run in ("25", "47")
    },
    "jbloom/GPT2-Small-SAEs-Reformatted": {
        "blocks.8.hook_resid_pre/cfg.json": {"d_in": 768, "d_sae": 24576, "hook_point": "blocks.8.hook_resid_pre"}
    },
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A workspace with text of the user's."""
    folder = make_workspace(tmp_path_factory.mktemp("presets") / "study")
    (folder / "texts").mkdir()
    (folder / "texts" / "one.txt").write_text("text")
    return folder


@pytest.fixture
def hub(tmp_path):
    """A Hub that has the configurations of published SAEs, and nothing else."""
    with running_hub() as found:
        for number, (name, files) in enumerate(PUBLISHED.items()):
            folder = tmp_path / str(number)
            for file, content in files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(json.dumps(content))
            found.add(name, folder)
        yield found


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_can_be_planned(planned, hub, tmp_path, preset):
    environment = (f"HF_ENDPOINT={hub.address}", f"HF_HOME={tmp_path / 'home'}")
    command = ("snakemake", "-n", "--quiet", "--configfile", f"presets/{preset.name}")
    done = run_command(planned, "env", *environment, *command)
    assert done.returncode == 0, done.stdout[-3000:]
    published = [entry for entry in yaml.safe_load(preset.read_text()).get("saes", {}).values() or {}
                 if entry and entry.get("repository")]  # fmt: skip
    asked = [path for path in hub.paths("GET") if any(name in path for name in PUBLISHED)]
    assert bool(asked) == bool(published)
    assert all(path.endswith("cfg.json") for path in asked)


@pytest.mark.parametrize(
    "name",
    ["controls", "gpt2-small", "monosemanticity", "own-text", "pythia-70m", "source-study", "universality"],
)
def test_a_preset_says_what_it_costs_and_whether_that_was_measured(name):
    head = (ROOT / "presets" / f"{name}.yaml").read_text().split("title:")[0]
    assert "# Cost" in head
    assert "measured" in head
