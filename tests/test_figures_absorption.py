"""The figure of absorption: a dot per measured context, means, nulls, and what is not measured."""

import json

import pytest

from coact.comparison.columns import Column
from coact.figures.absorption import NOTHING, absorption
from coact.figures.save import save_drawing
from synthetic_meaning import make_absorption, make_absorption_summary, unabsorbed

COLUMNS = [
    Column("main", "a-x1-s0", False, 1.0, "a"),
    Column("main", "neurons", True, None, "n"),
    Column("untrained", "a-x1-s0", True, 1.0, "a", weights="initial"),
]


def make(summaries):
    tables = [make_absorption() if summary["measured"] else make_absorption().assign(tokens=0) for summary in summaries]
    return absorption(COLUMNS[: len(summaries)], tables, summaries)


def test_every_measured_context_is_drawn_and_the_rest_is_named(tmp_path):
    drawing = make([make_absorption_summary(0.5), make_absorption_summary(0.1), unabsorbed()])
    assert drawing.data.groupby(["model", "sae"]).size().to_dict() == {("main", "a-x1-s0"): 2, ("main", "neurons"): 2}
    assert drawing.data["fraction"].tolist() == [0.7, 0.3] * 2
    panel = drawing.figure.axes[0]
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [2, 2]
    means = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "|"]
    assert means == [0.5, 0.1]
    assert [text.get_text() for text in panel.texts] == ["not measured"]
    assert drawing.caption["conclusion"] == (
        "Other features carry 50.0% of what stands for a context, but 2.50% of its tokens are absorbed whole (controls:"
        " main/neurons 10.0% carried)."
    )
    paths = {name: tmp_path / f"f.{name}" for name in ("svg", "png", "csv")}
    save_drawing(drawing, **paths, caption=tmp_path / "f.json", dpi=60, stamp={})
    assert json.loads((tmp_path / "f.json").read_text())["caption"].startswith("Other features carry 50.0%")


@pytest.mark.parametrize("columns", [1, 3])
def test_where_nothing_is_measured_the_figure_says_so(columns):
    drawing = make([unabsorbed()] * columns)
    assert len(drawing.data) == 0
    assert drawing.caption["conclusion"] == NOTHING


def test_controls_alone_are_spoken_of_too():
    drawing = absorption(COLUMNS[1:2], [make_absorption()], [make_absorption_summary(0.2)])
    assert drawing.caption["conclusion"].startswith("Other features carry 20.0% of what stands for a context, but")
    assert "controls" not in drawing.caption["conclusion"]
