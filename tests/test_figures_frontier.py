"""The figure of the frontier: what is drawn, what is left out, and what is said."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from coact.figures.frontier import SHOWN, frontier
from coact.figures.save import save_drawing
from coact.figures.style import looks, style
from test_comparison_frontier import Dictionary, line, make

PRESET = ("relu", "topk", "batchtopk", "jumprelu", "gated", "matryoshka")


def drawn(panel, open_marks=False):
    """Places of the marks of a panel, those of controls or of the others."""
    marks = [mark for mark in panel.lines if mark.get_marker() not in ("None", "", None)]
    return sorted(
        (float(mark.get_xdata()[0]), float(mark.get_ydata()[0]))
        for mark in marks
        if (mark.get_markerfacecolor() == "white") == open_marks
    )


def joined(panel):
    """Points of the lines of a panel that join more than one."""
    lines = [found for found in panel.lines if found.get_marker() == "None" and found.get_linestyle() != "None"]
    return [list(zip(found.get_xdata(), found.get_ydata(), strict=True)) for found in lines]


def test_series_are_lines_and_controls_are_open_marks_on_the_left_only():
    found = frontier(
        *make(
            *line("topk", (32, 0.2), (8, 0.4)),
            Dictionary("topk", 16, 0.7, (("k", 16),), model="untrained", control=True),
            Dictionary("identity", 100, 0.0, control=True, expansion=None, name="neurons"),
        )
    )
    left, right = found.figure.axes
    assert drawn(left) == [(8, 0.4), (32, 0.2)]
    assert drawn(left, open_marks=True) == [(16, 0.7), (100, 0.0)]
    assert [(8, 0.4), (32, 0.2)] in joined(left)  # by L0, whatever the order of the configuration
    assert drawn(right) == [(8, 0.6), (32, 0.8)]
    assert drawn(right, open_marks=True) == []
    assert left.get_xscale() == right.get_xscale() == "log"
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert labels == ["topk x4 on main", "topk x4 on untrained (control)", "neurons on main (control)"]


def test_seeds_are_one_mark_with_a_bar_from_the_smallest_to_the_largest():
    found = frontier(*make(*(Dictionary("relu", 20, fvu, seed=seed) for seed, fvu in enumerate((0.2, 0.3, 0.4)))))
    left = found.figure.axes[0]
    assert drawn(left) == [(20, pytest.approx(0.3))]
    assert [(20, 0.2), (20, 0.4)] in joined(left)
    assert len(found.data) == 3
    assert "1 of 1 point has more than one seed" in found.caption["details"]


def test_one_dictionary_per_series_looks_as_in_every_figure_and_several_get_a_look_of_their_own():
    columns, evaluations = make(Dictionary("topk", 16, 0.1), Dictionary("relu", 16, 0.3))
    colors = {mark.get_color() for mark in frontier(columns, evaluations).figure.axes[0].lines}
    assert colors == {look.color for look in looks(columns).values()}
    many = frontier(*make(*itertools.chain(*(line(name, (8, 0.4), (16, 0.3), (32, 0.2)) for name in PRESET))))
    handles = many.figure.legends[0].legend_handles
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == len(PRESET)


@pytest.mark.parametrize(
    "found",
    [
        make(Dictionary("topk", 16, 0.1)),
        make(Dictionary("topk", None, None)),
        make(Dictionary("topk", 0, 1.0), Dictionary("relu", 5, 0.5)),
        make(Dictionary("identity", 100, 0.0, control=True, expansion=None, name="neurons")),
        make(*itertools.chain(*(line(name, (9, 0.4), (20, 0.3), (45, 0.2)) for name in PRESET))),
    ],
    ids=["one", "undefined", "silent", "neurons", "preset"],
)
def test_any_study_can_be_drawn_and_read(found, tmp_path):
    drawing = frontier(*found)
    assert list(drawing.data) == SHOWN
    assert drawing.caption["conclusion"].endswith(".")
    assert "nan" not in drawing.caption["caption"].split()
    canvas = FigureCanvasAgg(drawing.figure)
    with style():
        canvas.draw()
    texts = [text for text in drawing.figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 7
    paths = {kind: tmp_path / f"figure.{kind}" for kind in ("svg", "png", "csv", "caption")}
    save_drawing(drawing, **paths, dpi=60, stamp={})
    assert all(path.stat().st_size for path in paths.values())


def test_points_that_a_logarithmic_axis_cannot_show_are_told():
    found = frontier(*make(Dictionary("topk", 0, 1.0), Dictionary("relu", 5, 0.5)))
    assert "1 point without an active feature cannot be shown." in found.caption["details"]
    assert drawn(found.figure.axes[0]) == [(5, 0.5)]
