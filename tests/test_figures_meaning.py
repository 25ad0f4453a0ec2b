"""The figures of purity and of rare features: what is drawn beside its null, and what is said of it."""

import json

import numpy as np
import pandas as pd
import pytest

from coact.comparison.columns import Column
from coact.figures.purity import purity
from coact.figures.rare_features import rare_features
from coact.figures.save import save_drawing
from synthetic_meaning import make_purity, make_ultralow

COLUMNS = [
    Column("main", "a-x1-s0", False, 1.0, "a"),
    Column("main", "neurons", True, None, "n"),
]


def bars(panel):
    """Place and interval of each bar."""
    return [(bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_x() + bar.get_width()) for bar in panel.patches]


def unmeasured(scope):
    """A scope of purity.json without a feature."""
    nothing = {null: {"mean": None, "deviation": None, "p": None} for null in ("features", "frequency")}
    return {**scope, "features": 0, "communities": 0, "contexts": 0,
            "purity": {"value": None, **nothing}, "nmi": {"value": None, **nothing}}  # fmt: skip


def save(drawing, folder):
    paths = {name: folder / f"f.{name}" for name in ("svg", "png", "csv")}
    save_drawing(drawing, **paths, caption=folder / "f.json", dpi=60, stamp={})
    return json.loads((folder / "f.json").read_text())["caption"]


def test_purity_beside_permutations_of_the_same_frequency(tmp_path):
    drawing = purity(COLUMNS, [make_purity(False), make_purity(True)])
    assert len(drawing.data) == 2 * 2 * 2  # dictionaries, scopes, measures
    panel = drawing.figure.axes[0]
    half = 1.96 * 0.02
    expected = [(-0.18, 0.5 - half, 0.5 + half), (0.18, 0.5 - half, 0.5 + half),
                (0.82, 0.6 - half, 0.6 + half), (1.18, 0.6 - half, 0.6 + half)]  # fmt: skip
    np.testing.assert_allclose(bars(panel), expected)
    assert [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"] == [0.6] * 4
    assert drawing.caption["conclusion"] == (
        "Communities are purer in contexts than permutations (p < 0.05) in 1 of 1 trained dictionaries and 0 of 1"
        " controls with all contexts, in 1 of 1 trained dictionaries and 0 of 1 controls without ordinary text."
    )
    assert "n = 400 features per dictionary" in save(drawing, tmp_path)


def test_purity_that_is_not_defined_is_named(tmp_path):
    found = make_purity(False)
    found["heldout"] = {name: unmeasured(scope) for name, scope in found["heldout"].items()}
    drawing = purity(COLUMNS[:1], [found])
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["not measured"] * 2
    assert not bars(drawing.figure.axes[0])
    assert "is not measured" in save(drawing, tmp_path)
    found["heldout"]["all_contexts"] = make_purity(False)["heldout"]["all_contexts"]
    assert purity(COLUMNS[:1], [found]).caption["conclusion"].endswith("1 of 1 trained dictionaries with all contexts.")


def test_rare_features_beside_random_ones(tmp_path):
    table = pd.concat([make_ultralow(column) for column in COLUMNS], ignore_index=True)
    drawing = rare_features(COLUMNS, table)
    counted, alike, degree = drawing.figure.axes
    assert [text.get_text() for text in counted.texts] == ["25", "80", "0", "0", "1", "0"]
    np.testing.assert_allclose(bars(alike), [(-0.27, 0.08, 0.12), (0, 0.08, 0.12)])
    np.testing.assert_allclose(bars(degree), [(-0.27, 0.4, 0.8), (0, 0.4, 0.8)])
    assert [text.get_text() for text in alike.texts] == ["not measured"]
    assert drawing.caption["conclusion"] == (
        "In trained dictionaries, 25 features are silent on held-out text and 80 are rare; their encoder directions are"
        " more alike than those of random features (p < 0.05) in 2 of 2 groups, and not one direction (mean cosine at"
        " most 0.20)."
    )
    assert "fewer than two features has no measures" in save(drawing, tmp_path)


@pytest.mark.parametrize(("alike", "words"), [(0.95, "are nearly one (mean cosine up to 0.95)"), (np.nan, "too few")])
def test_directions_that_are_nearly_one_and_too_few(alike, words):
    table = make_ultralow(COLUMNS[0])
    table.loc[table["alike"].notna(), "alike"] = alike
    table.loc[table["alike"].isna(), "alike_p"] = np.nan
    assert words in rare_features(COLUMNS[:1], table).caption["conclusion"]


def test_controls_alone_are_spoken_of_too():
    assert rare_features(COLUMNS[1:], make_ultralow(COLUMNS[1])).caption["conclusion"] == (
        "In these dictionaries, 0 features are silent on held-out text and 1 are rare, too few to compare their"
        " directions."
    )
