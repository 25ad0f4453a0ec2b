"""The figure of best matches: kinds of pairs, what has room, and studies without a pair."""

import pandas as pd

from coact.comparison.agreement import OTHERS
from coact.figures.save import save_drawing
from coact.figures.universality import DATA, MOST_ROWS, NOTHING, universality
from synthetic_pairs import make_best
from test_comparison_agreement import COLUMNS


def test_pairs_are_drawn_by_kind_with_their_nulls(tmp_path):
    best = make_best(COLUMNS)
    drawing = universality(COLUMNS, best)
    own = best[best["matching"] == "activations"]
    assert len(drawing.data) == len(own)
    assert list(drawing.data.columns) == DATA
    kinds = drawing.data["kind"].drop_duplicates().tolist()
    assert kinds == [kind for kind in OTHERS if kind in kinds]
    assert {"seed", "untrained", "neurons"} <= set(kinds)
    panel = drawing.figure.axes[0]
    medians = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "|"]
    assert medians == drawing.data["median"].tolist()
    assert [text.get_text() for text in panel.texts] == [OTHERS[kind] for kind in kinds]
    assert drawing.caption["conclusion"].startswith("The median feature correlates with its best counterpart")
    paths = {name: tmp_path / f"f.{name}" for name in ("svg", "png", "csv")}
    save_drawing(drawing, **paths, caption=tmp_path / "f.json", dpi=60, stamp={})
    assert len(pd.read_csv(tmp_path / "f.csv")) == len(own)


def test_of_many_pairs_the_first_of_every_kind_are_drawn():
    best = make_best(COLUMNS)
    best = best[best["matching"] == "activations"]
    many = pd.concat([best] * 8, ignore_index=True)
    drawing = universality(COLUMNS, many)
    drawn = sum(line.get_marker() == "|" for line in drawing.figure.axes[0].lines)
    assert len(drawing.data) == len(many)
    assert len(best["differ"].unique()) <= drawn <= MOST_ROWS
    assert f"Drawn are {drawn} of {len(many)} rows" in drawing.caption["details"]


def test_without_a_pair_the_figure_says_so():
    drawing = universality(COLUMNS, make_best(COLUMNS).iloc[:0])
    assert drawing.caption["conclusion"] == NOTHING
    assert len(drawing.data) == 0
