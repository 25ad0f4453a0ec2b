"""The figures of effects and of steering: what features do, beside random directions, and where nothing is measured."""

import json

import numpy as np
import pandas as pd
import pytest

from coact.comparison.columns import Column
from coact.comparison.gain import ablated_gain
from coact.figures import effects as effect_figure
from coact.figures import steering as steering_figure
from coact.figures.effects import effects
from coact.figures.save import save_drawing
from coact.figures.steering import steering

COLUMNS = [
    Column("main", "a-x1-s0", False, 1.0, "a"),
    Column("untrained", "a-x1-s0", True, 1.0, "a", weights="initial"),
]
SUMMARY = {"lens": {"defined": True, "quantiles": {"std": {"random": {"q50": 0.5}}}}}
UNDEFINED = {"lens": {"defined": False}}


def make_lens(std=1.0):
    return pd.DataFrame({"feature": [3, 4, 5], "std": [std, std, 100.0]})


def make_effects(factor):
    """effects.parquet: features 3 and 4 do `factor` times what random directions do; 5 fires nowhere."""
    random = np.array([1e-3, 4e-3, np.nan])
    table = pd.DataFrame({"feature": [3, 4, 5], "tokens": [10, 20, 0], "added_tokens": [16, 16, 0]})
    return table.assign(ablation_kl=factor * random, ablation_random_kl=random,
                        addition_kl=[2e-3, 0.0, np.nan], addition_random_kl=[1e-3, 1e-3, np.nan])  # fmt: skip


def make_steering(steered):
    """steering.parquet: three labels, one of which has no feature."""
    table = pd.DataFrame({"feature": [3, 4, -1], "label": ["arabic", "dna", "code"], "samples": 8, "tokens": 32})
    for condition, share in (("steered", steered), ("random", 0.1), ("unsteered", 0.0)):
        for kind in ("share_tokens", "share_samples"):
            table[f"{condition}_{kind}"] = [share, 0.0, np.nan]
    return table


def save(drawing, folder):
    paths = {name: folder / f"f.{name}" for name in ("svg", "png", "csv")}
    save_drawing(drawing, **paths, caption=folder / "f.json", dpi=60, stamp={})
    return json.loads((folder / "f.json").read_text())["caption"]


def test_gain_is_of_ablated_features_and_over_random_directions():
    assert ablated_gain(make_lens(), make_effects(2), SUMMARY["lens"]) == 2.0
    assert np.isnan(ablated_gain(make_lens(), make_effects(2), UNDEFINED["lens"]))


def test_effects_lie_beside_those_of_random_directions(tmp_path):
    drawing = effects(COLUMNS, [make_lens()] * 2, [make_effects(3), make_effects(0.5)], [SUMMARY, UNDEFINED])
    assert drawing.data.groupby(["model", "patch"]).size().to_dict() == {
        ("main", "ablation"): 2, ("main", "addition"): 2, ("untrained", "ablation"): 2, ("untrained", "addition"): 2,
    }  # fmt: skip
    trained, control = drawing.figure.axes
    lines = {len(line.get_xdata()): line for line in trained.lines if line.get_marker() == "None"}
    assert len([line for line in trained.lines if line.get_marker() == "None"]) == 2  # equality, and the gain
    np.testing.assert_allclose(lines[2].get_ydata() / lines[2].get_xdata(), 4)  # the gain squared
    assert len([line for line in control.lines if line.get_marker() == "None"]) == 1
    ablated = next(line for line in trained.lines if line.get_markerfacecolor() == line.get_color()
                   and line.get_marker() == "o" and len(line.get_xdata()) == 2)  # fmt: skip
    np.testing.assert_allclose(ablated.get_ydata() / ablated.get_xdata(), 3)
    added = next(line for line in trained.lines if line.get_markerfacecolor() == "white")
    assert min(added.get_ydata()) == trained.get_ylim()[0]  # a change of 0 is at the end of the axis
    assert drawing.caption["conclusion"] == (
        "Taken away, 100% of the features of trained dictionaries and 0% of the features of controls change the"
        " predictions more than a random direction of the same norm."
    )
    words = [text.get_text() for text in trained.texts]
    assert "more than random: 2 of 2, 1 of 2" in words
    assert "square of the gain (4.0)" in save(drawing, tmp_path)


def test_effects_of_nothing(tmp_path):
    drawing = effects(COLUMNS[:1], [make_lens()], [make_effects(3).iloc[2:]], [SUMMARY])
    assert len(drawing.data) == 0
    assert drawing.caption["conclusion"] == effect_figure.NOTHING
    save(drawing, tmp_path)


def test_a_dictionary_without_effects_says_so_beside_others():
    drawing = effects(COLUMNS, [make_lens()] * 2, [make_effects(3), make_effects(3).iloc[2:]], [SUMMARY, SUMMARY])
    assert "not measured" in [text.get_text() for text in drawing.figure.axes[1].texts]
    assert "controls" not in drawing.caption["conclusion"]


def test_steering_beside_random_directions_and_no_steering(tmp_path):
    drawing = steering(COLUMNS, [make_steering(0.5), make_steering(0.05)])
    assert drawing.data["label"].tolist() == ["arabic", "dna"] * 2
    trained = drawing.figure.axes[0]
    assert [label.get_text() for label in trained.get_yticklabels()] == ["arabic", "dna"]
    marks = {line.get_marker(): line.get_xdata().tolist() for line in trained.lines if line.get_marker() in ("o", "|")}
    assert marks["|"] == [0.1, 0.0]
    assert "more texts of the label: 1 of 2" in [text.get_text() for text in trained.texts]
    assert drawing.caption["conclusion"] == (
        "Held high, a label's feature makes the model write more texts of the label than without it and than with a"
        " random direction for 1 of 2 labels in trained dictionaries and for 0 of 2 labels in controls."
    )
    assert "n = 8 texts of 32 tokens" in save(drawing, tmp_path)


@pytest.mark.parametrize("columns", [1, 2])
def test_steering_of_nothing(columns, tmp_path):
    drawing = steering(COLUMNS[:columns], [make_steering(0.5).iloc[2:]] * columns)
    assert len(drawing.data) == 0
    assert drawing.caption["conclusion"] == steering_figure.NOTHING
    save(drawing, tmp_path)
