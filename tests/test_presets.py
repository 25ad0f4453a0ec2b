"""Every preset is a study that Snakemake can plan, without a network, and says what it costs."""

import pytest

from conftest import ROOT, make_workspace, run_command

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A workspace with text of the user's."""
    folder = make_workspace(tmp_path_factory.mktemp("presets") / "study")
    (folder / "texts").mkdir()
    (folder / "texts" / "one.txt").write_text("text")
    return folder


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_can_be_planned(planned, preset):
    done = run_command(planned, "snakemake", "-n", "--quiet", "--configfile", f"presets/{preset.name}")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", ["controls", "gpt2-small", "own-text", "pythia-70m", "universality"])
def test_a_preset_says_what_it_costs_and_whether_that_was_measured(name):
    head = (ROOT / "presets" / f"{name}.yaml").read_text().split("title:")[0]
    assert "# Cost" in head
    assert "measured" in head
