"""The figure of feature splitting: what is drawn, what is said, and what cannot be drawn."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import PathPatch
from matplotlib.text import Text

from coact.comparison.columns import Column
from coact.comparison.splitting import split_columns
from coact.figures.save import save_drawing
from coact.figures.splitting import NO_PAIRS, SHOWN, splitting
from coact.figures.style import style
from test_comparison_splitting import dictionary

CONTEXTS = pd.DataFrame(
    [
        ("main", "a-x1-s0", "dna", 1),
        ("main", "a-x1-s0", "$<arabic>$", 0),
        ("main", "a-x1-s0", "hebrew", -1),
        ("main", "a-x2-s0", "dna", 5),
    ],
    columns=["model", "sae", "context", "feature"],
)


def make(widths=(1, 2, 4), seeds=(0,), noise=0.2, model="main", control=False):
    """Columns and tables of dictionaries in which feature f descends from f modulo the narrower width of 8."""
    generator, columns, found = np.random.default_rng(0), [], []
    for width in widths:
        for seed in seeds:
            base = np.tile(np.eye(8, 32), (width, 1))
            found.append(dictionary(base + noise * generator.normal(size=base.shape) / 6))
            columns.append(Column(model, f"a-x{width}-s{seed}", control, float(width), "a", "corpus"))
    return columns, *split_columns(columns, found, 0.5, 0)


def texts(drawing):
    with style():
        FigureCanvasAgg(drawing.figure).draw()
    return [text for text in drawing.figure.findobj(Text) if text.get_text() and text.get_visible()]


def shown(drawing):
    return [text.get_text() for text in texts(drawing)]


def test_a_context_is_followed_from_its_best_feature_in_the_narrowest_dictionary():
    columns, descendants, table = make()
    drawing = splitting(columns, descendants, table, 0.5, CONTEXTS, ["dna", "$<arabic>$", "hebrew", "base64"])
    found = shown(drawing)
    assert "dna" in found
    assert "$<arabic>$" in found  # as text, not as mathematics
    assert not {"hebrew", "base64"} & set(found)  # no feature, not measured
    lineage = drawing.data[drawing.data["panel"] == "lineage"]
    first = lineage[lineage["b"] == "main/a-x2-s0"]
    assert set(zip(first["parent"], first["feature"], strict=True)) == {(0, 0), (0, 8), (1, 1), (1, 9)}
    second = lineage[lineage["b"] == "main/a-x4-s0"]
    assert set(second["parent"]) == {0, 8, 1, 9}
    branches = drawing.figure.axes[-1].findobj(PathPatch)
    assert len([patch for patch in branches if patch.get_edgecolor()[:3] != (1, 1, 1)]) >= len(lineage)
    assert "best features of contexts in main/a-x1-s0 (n = 2)" in drawing.caption["details"]


@pytest.mark.parametrize("contexts", [None, CONTEXTS.iloc[2:]])
def test_without_contexts_the_features_with_most_descendants_are_followed(contexts):
    columns, descendants, table = make(widths=(1, 4))
    kept = ~descendants["feature"].isin([8, 9, 17])  # so that feature 2 to 7 have four, 0 three, 1 two
    drawing = splitting(columns, descendants[kept], table, 0.5, contexts, ["dna", "hebrew"])
    lineage = drawing.data[drawing.data["panel"] == "lineage"]
    assert sorted(lineage["parent"].unique()) == [2, 3, 4, 5]
    assert "features with most descendants" in drawing.caption["details"]


def test_histograms_and_bars_are_shares_of_all_features():
    drawing = splitting(*make(), 0.5)
    shares = drawing.data.groupby(["panel", "a", "b"])["share"].sum()
    np.testing.assert_allclose(shares[["cosine", "null_cosine", "children"]], 1)
    bars = drawing.data[(drawing.data["panel"] == "children") & (drawing.data["a"] == "main/a-x1-s0")]
    assert bars["share"].tolist() == [0, 0, 1, 0]
    assert list(drawing.data) == list(SHOWN)


def test_the_conclusion_stands_beside_another_seed_of_the_same_width():
    alone = splitting(*make(widths=(1, 2)), 0.5).caption["conclusion"]
    assert alone.startswith("100% of features have two descendants or more in the next wider dictionary")
    drawing = splitting(*make(widths=(1, 2), seeds=(0, 1)), 0.5)
    assert drawing.caption["conclusion"].startswith(
        "In 4 of 4 pairs of widths more features have two descendants or more (100%) than between two seeds of one"
        " width (0%\N{EN DASH}43.8%)"  # none of width 1; of width 2 each has two that are alike, and one is the nearer
    )
    assert "reference: two seeds of one width" in shown(drawing)
    columns, descendants, table = make(widths=(1, 2), seeds=(0, 1))
    wide = table["differ"] != "seed"
    children = [[8 - n, 0, n, 0] for n in np.where(wide, 1, 0)]
    drawing = splitting(columns, descendants, table.assign(children=children, narrow=8), 0.5)
    assert drawing.caption["conclusion"].startswith("In 0 of 4 pairs")  # 1 of 8 is not clear of 0 of 8


def test_more_descendants_than_have_room_are_counted():
    columns, descendants, table = make(widths=(1, 7))
    assert shown(splitting(columns, descendants, table, 0.5)).count("and 3 more") == 4


def test_dictionaries_that_are_no_controls_are_followed_first():
    tables = [make(model="untrained", control=True), make(widths=(1, 2))]
    columns = [*tables[0][0], *tables[1][0]]
    drawing = splitting(columns, *(pd.concat([one[n] for one in tables], ignore_index=True) for n in (1, 2)), 0.5)
    assert set(drawing.data.loc[drawing.data["panel"] == "lineage", "a"]) == {"main/a-x1-s0"}
    assert "n = 16 features" in drawing.caption["details"]  # of the trained model; controls have 32 too


def empty():
    columns, descendants, table = make(widths=(1, 2))
    none = [[n, 0, 0, 0] for n in table["narrow"]]
    nothing = dict.fromkeys(("coverage", "expected_coverage", "same_place", "linked", "null_linked"), np.nan)
    return columns, descendants.assign(descends=False), table.assign(children=none, siblings=0, descending=0, **nothing)


def dead():
    columns = [Column("main", f"a-x{width}-s0", False, float(width), "a", "corpus") for width in (1, 2)]
    silent = [dictionary(np.eye(4), live=np.zeros(4, bool)) for _ in columns]
    return columns, *split_columns(columns, silent, 0.5, 0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (make(widths=(2,)), NO_PAIRS),
        (make(widths=(1, 2)), "100% of features"),
        (empty(), "0% of features"),
        (dead(), "No narrower dictionary has live features"),
        (make(seeds=(0, 1, 2)), "In 9 of 18 pairs"),
    ],
    ids=["no pair", "one pair", "no descendants", "no live features", "many seeds"],
)
def test_any_study_can_be_drawn_and_read(found, words, tmp_path):
    drawing = splitting(*found, 0.5, CONTEXTS, ["dna"])
    assert drawing.caption["conclusion"].startswith(words)
    assert "nan" not in drawing.caption["caption"].lower().split()
    assert min(text.get_fontsize() for text in texts(drawing)) >= 7
    paths = {kind: tmp_path / f"figure.{kind}" for kind in ("svg", "png", "csv", "caption")}
    save_drawing(drawing, **paths, dpi=60, stamp={})
    assert json.loads(paths["caption"].read_text())["conclusion"] == drawing.caption["conclusion"]
    assert len(pd.read_csv(paths["csv"])) == len(drawing.data)
