"""Figures: files, determinism, captions, data beside them."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from scipy.stats import binom

from coact.comparison.columns import Column
from coact.comparison.nulls import NULL_NAMES, SHOWN
from coact.figures import FAMILIES
from coact.figures.degree import degree_distribution, log_degree_distribution
from coact.figures.degree_frequency import degree_frequency
from coact.figures.emergence import emergence
from coact.figures.frequency import feature_density, frequency_distribution
from coact.figures.frontier import frontier
from coact.figures.histograms import log_edges, log_integer_edges
from coact.figures.intervals import median_interval
from coact.figures.nulls import null_comparison
from coact.figures.rarefaction import rarefied_degree
from coact.figures.save import make_figure, save_drawing
from coact.figures.sensitivity import saturation, sensitivity
from coact.figures.style import looks, style
from coact.figures.training import sae_loss_sparsity
from synthetic_artefacts import PLAN, make_columns
from synthetic_sensitivity import make_rarefaction, make_sensitivity
from test_sae_emergence import make_emergence

# Those that synthetic artefacts are enough for; the others have tests of their own.
SYNTHETIC = tuple(name for name in FAMILIES["graphs"] + FAMILIES["dictionaries"] if name != "universality")
INTERVALS = {"bootstrap": 200, "confidence": 0.95, "seed": 0}


def draw(name, entries):
    """A figure from the artefacts of some columns."""
    columns = [entry.column for entry in entries]
    nodes, nulls = [entry.nodes for entry in entries], [entry.null_nodes for entry in entries]
    statistics, evaluations = [entry.statistics for entry in entries], [entry.evaluation for entry in entries]
    calls = {
        "degree_distribution": (degree_distribution, nodes, nulls, 0.95),
        "log_degree_distribution": (log_degree_distribution, nodes, nulls, statistics),
        "frequency_distribution": (frequency_distribution, nodes, statistics, 1e-5, 0.95),
        "degree_frequency": (degree_frequency, nodes, nulls, statistics, 0.95),
        "null_comparison": (null_comparison, statistics, 0.95),
        "saturation": (saturation, [entry.sensitivity for entry in entries], 4, False),
        "sensitivity": (sensitivity, [entry.sensitivity for entry in entries], 4, False),
        "rarefied_degree": (rarefied_degree, [entry.rarefaction for entry in entries], 100, INTERVALS),
        "sae_loss_sparsity": (sae_loss_sparsity, [entry.history for entry in entries], evaluations),
        "frontier": (frontier, evaluations),
        "emergence": (emergence, [make_emergence() for _ in entries], 0.95),
        "feature_density": (feature_density, [entry.density for entry in entries], evaluations, 0.95),
    }
    function, *inputs = calls[name]
    return function(columns, *inputs)


def save(drawing, folder):
    paths = {kind: folder / f"figure.{ending}" for kind, ending in
             (("svg", "svg"), ("png", "png"), ("csv", "csv"), ("caption", "json"))}  # fmt: skip
    save_drawing(drawing, **paths, dpi=60, stamp={"rule": "test"})
    return {kind: path.read_bytes() for kind, path in paths.items()}


@pytest.fixture(scope="module")
def entries():
    return make_columns(4, features=256)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_second_run_gives_the_same_bytes(name, entries, tmp_path):
    some = [entries[0], entries[3]]  # an SAE and the neurons
    first = save(draw(name, some), tmp_path / "a")
    assert first == save(draw(name, some), tmp_path / "b")
    assert b"<text" in first["svg"]
    assert b"<dc:date>" not in first["svg"]
    assert "Software" not in Image.open(tmp_path / "a" / "figure.png").info
    words = json.loads(first["caption"])
    assert words["caption"].startswith(words["conclusion"])
    assert words["alt"]
    assert words["stamp"] == {"rule": "test"}
    assert len(pd.read_csv(tmp_path / "a" / "figure.csv")) > 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "figure.csv", "figure.json", "figure.png", "figure.svg"]  # fmt: skip


@pytest.mark.parametrize("name", SYNTHETIC)
def test_graph_without_edges_or_live_features(name, entries):
    entry = entries[0]
    nodes = entry.nodes.assign(degree=0, strength=0.0, frequency=0.0, frequency_heldout=0.0, live=False)
    scope = dict.fromkeys(entry.statistics["observed"]["live"])
    statistics = {source: {"all": scope, "live": scope} for source in ("observed", "null")}
    nothing = {"mean": None, "sd": None, "low": None, "high": None, "replicates": 0}
    beside = {"observed": None, "observed_interval": None, **dict.fromkeys(NULL_NAMES, nothing)}
    statistics["nulls"] = {"live": dict.fromkeys(SHOWN, beside)}
    density = entry.density.assign(count=0, frequency=0.0)
    empty = replace(entry, nodes=nodes, null_nodes=entry.null_nodes.assign(degree=0), statistics=statistics,
                    density=density, history=entry.history.iloc[:0],
                    sensitivity=make_sensitivity(nodes, entry.null_nodes.assign(degree=0)),
                    rarefaction=make_rarefaction(nodes, entry.null_nodes))  # fmt: skip
    drawing = draw(name, [empty])
    assert drawing.caption["conclusion"].endswith(".")


def test_failure_leaves_no_file(entries, tmp_path):
    drawing = draw("sae_loss_sparsity", entries)._replace(data=None)
    with pytest.raises(AttributeError):
        save(drawing, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_goes_to_the_files_of_its_name(entries, tmp_path):
    paths = {kind: [tmp_path / f"{name}.{ending}" for name in FAMILIES["dictionaries"]]
             for kind, ending in (("svg", "svg"), ("png", "png"), ("csv", "csv"), ("caption", "json"))}  # fmt: skip
    columns, evaluations = [entry.column for entry in entries], [entry.evaluation for entry in entries]
    make_figure(frontier, columns, evaluations, paths=paths, dpi=60, stamp={"rule": "test"})
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["frontier.csv", "frontier.json", "frontier.png", "frontier.svg"]
    alone = save(frontier(columns, evaluations), tmp_path / "alone")
    assert [path.read_bytes() for path in files] == [alone[kind] for kind in ("csv", "caption", "png", "svg")]


def test_a_figure_that_fails_is_named(tmp_path):
    with pytest.raises(TypeError) as failed:
        make_figure(frontier, None, None, paths={}, dpi=60, stamp={})
    assert failed.value.__notes__ == ["in figure frontier"]
    with pytest.raises(KeyError) as failed:
        make_figure(frontier, [], [], paths={"svg": ["saturation.svg"]}, dpi=60, stamp={})
    assert failed.value.__notes__ == ["in figure frontier"]


def test_histogram_data_counts_every_feature_once(entries):
    entry = entries[0]
    counts = draw("log_degree_distribution", [entry]).data.groupby("series")["features"].sum()
    live = entry.nodes["live"]
    assert counts["live"] == (live & (entry.nodes["degree"] > 0)).sum()
    assert counts["not live"] == (~live & (entry.nodes["degree"] > 0)).sum()


def test_cumulative_degrees_by_hand(entries):
    nodes = entries[0].nodes.iloc[:5].assign(degree=[3, 0, 1, 1, 2], live=[True, True, True, True, False])
    nulls = entries[0].null_nodes.iloc[:5].assign(degree=[4, 4, 4, 4, 0])
    data = draw("degree_distribution", [replace(entries[0], nodes=nodes, null_nodes=nulls)]).data
    shares = {series: dict(zip(part["degree"], part["share"], strict=True)) for series, part in data.groupby("series")}
    assert shares["live"] == {1: 0.75, 3: 0.25, 4: 0.0}
    assert shares["all"] == {1: 0.8, 2: 0.4, 3: 0.2, 4: 0.0}
    assert shares["null, live"] == {1: 1.0, 4: 1.0, 5: 0.0}


def test_degree_caption_follows_the_numbers(entries):
    entry = entries[0]
    fewer = draw("degree_distribution", [entry]).caption
    assert "fewer neighbours in the one dictionary" in fewer["conclusion"]
    assert f"n = {entry.nodes['live'].sum():,} live features" in fewer["details"]
    swapped = replace(entry, null_nodes=entry.null_nodes.assign(degree=entry.nodes["degree"] // 2))
    assert "more neighbours in" in draw("degree_distribution", [swapped]).caption["conclusion"]


def test_scatter_caption_holds_r_n_and_interval(entries):
    entry = entries[0]
    found = entry.statistics["observed"]["live"]["pearson"]
    drawing = draw("degree_frequency", [entry])
    shown = " ".join(text.get_text() for text in drawing.figure.axes[0].texts)
    assert f"r {found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]" in shown
    assert f"n {found['n']:,}" in shown
    assert f"{found['value']:.3f} (n = {found['n']:,} features)" in drawing.caption["details"]
    points = drawing.data[drawing.data["series"] == "observed"]
    assert len(points) == (entry.nodes["live"] & (entry.nodes["frequency_heldout"] > 0)).sum()


def test_values_that_are_not_defined_are_left_out(entries):
    undefined = replace(entries[0], evaluation={**entries[0].evaluation, "fvu": None, "l0": None})
    drawing = draw("sae_loss_sparsity", [undefined, entries[2]])
    assert drawing.caption["conclusion"].startswith("main/relu-x4-s0 leaves")


def test_density_counts_dead_features(entries):
    entry = entries[0]
    dead = int((entry.density["count"] == 0).sum())
    shown = " ".join(text.get_text() for text in draw("feature_density", [entry]).figure.axes[0].texts)
    assert dead > 0
    assert f"dead {dead}" in shown
    alive = replace(entry, density=entry.density.assign(frequency=0.5))
    assert draw("feature_density", [alive]).caption["conclusion"].startswith("Every feature")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, 12) for name in ("log_degree_distribution", "rarefied_degree", "sae_loss_sparsity", "saturation")),
        ("sensitivity", 12),
        *((name, 4) for name in SYNTHETIC),
    ],
)
def test_text_is_readable_and_does_not_overlap(name, number):
    drawing = draw(name, make_columns(number, features=64))
    assert set(drawing.data["model"] + "/" + drawing.data["sae"]) == {column.name for column in PLAN[:number]}
    canvas = FigureCanvasAgg(drawing.figure)
    with style():
        canvas.draw()
        renderer = canvas.get_renderer()
        texts = [text for text in drawing.figure.findobj(Text) if text.get_text() and text.get_visible()]
        assert min(text.get_fontsize() for text in texts) >= 7
        own = [text for panel in drawing.figure.axes for text in panel.texts if text.get_text()]
        boxes = [text.get_window_extent(renderer) for text in own]
    assert not [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)]
    width = drawing.figure.bbox.width
    assert all(box.x0 >= -1 and box.x1 <= width + 1 for box in boxes)


def overlap(one, other):
    """Whether two boxes share more than a sliver (letters hardly fill the height of their line)."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > 1 and height > 4


@pytest.mark.parametrize("factor", [1, 3, 20, 3000])
def test_labels_of_a_short_logarithmic_axis_do_not_overlap(factor, entries):
    some = entries[:2]
    edges = [entry.statistics["observed"]["live"]["edges"] for entry in some]
    statistics = [json.loads(json.dumps(entry.statistics)) for entry in some]
    statistics[1]["observed"]["live"]["edges"] = factor * max(edges)
    figure = null_comparison([entry.column for entry in some], statistics, 0.95).figure
    with style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        axis = figure.axes[0].xaxis
        boxes = [label.get_window_extent(canvas.get_renderer()) for label in axis.get_ticklabels() if label.get_text()]
        assert not axis.get_minorticklabels()
    low, high = figure.axes[0].get_window_extent().intervalx
    shown = [box for box in boxes if low - 1 <= (box.x0 + box.x1) / 2 <= high + 1]
    assert len(shown) >= 2
    assert not [pair for pair in itertools.combinations(shown, 2) if overlap(*pair)]


def test_a_condition_looks_the_same_whatever_its_place():
    columns = PLAN[:8]
    assert looks(columns) == looks(columns[::-1])
    assert len({(look.color, look.dashes, look.marker) for look in looks(PLAN).values()}) == len(PLAN)
    assert looks([Column("m", "a-x16-s0"), Column("m", "a-x4-s0")])["m/a-x4-s0"].color == "#0072B2"


def test_edges_cover_their_range():
    assert np.allclose(10 ** log_integer_edges(4)[:5], [0.5, 1.5, 2.5, 3.5, 4.5])
    edges = log_edges(-3.02, -1.0)
    assert edges[0] <= -3.02
    assert edges[-1] > -1.0


def test_median_interval_by_hand():
    # Ten values: P(at most one below the median) = 11/1024, P(at most two) = 56/1024, so ranks 2 and 9 at 95 %.
    assert binom.cdf(1, 10, 0.5) <= 0.025 < binom.cdf(2, 10, 0.5)
    assert median_interval(np.arange(10.0), 0.95) == (1.0, 8.0)
    assert median_interval(np.arange(5.0), 0.95) is None
    assert median_interval(np.zeros(0), 0.95) is None


def test_null_comparison_shows_what_the_summaries_say(entries):
    data = draw("null_comparison", entries[:2]).data
    assert len(data) == 2 * len(SHOWN) * (1 + len(NULL_NAMES))
    for entry in entries[:2]:
        mine = data[(data["sae"] == entry.column.sae) & (data["statistic"] == "pearson")].set_index("series")
        found = entry.statistics["nulls"]["live"]["pearson"]
        assert mine.loc["observed", "value"] == found["observed"]
        assert mine.loc["observed", ["low", "high", "replicates"]].tolist() == [
            found["observed_interval"][key] for key in ("low", "high", "samples")]  # fmt: skip
        assert mine.loc["shift", ["value", "low", "high"]].tolist() == [
            found["shift"][key] for key in ("mean", "low", "high")]  # fmt: skip


def test_intervals_over_documents_are_drawn_and_told_where_they_are(entries):
    def told(entry):
        drawing = draw("null_comparison", [entry])
        bars = [line for line in drawing.figure.axes[0].lines if line.get_linewidth() == 8.0]
        return drawing.caption["details"], [sorted(line.get_xdata()) for line in bars]

    interval = entries[0].statistics["nulls"]["live"]["edges"]["observed_interval"]
    text, bars = told(entries[0])
    assert "95% interval under resampling of documents (200 samples)" in text
    assert bars == [[interval["low"], interval["high"]]]
    compared = {
        name: {**found, "observed_interval": None} for name, found in entries[0].statistics["nulls"]["live"].items()
    }
    without = replace(entries[0], statistics={**entries[0].statistics, "nulls": {"live": compared}})
    text, bars = told(without)
    assert "without an interval under resampling of documents" in text
    assert np.isnan(bars).all()


def test_saturation_shows_the_curves_of_the_own_rule(entries):
    data = draw("saturation", entries[:1]).data
    own = entries[0].sensitivity.query("rule == 'k4' and not include_special")
    for series in ("observed", "null"):
        mine, expected = data[data["series"] == series], own[own["graph"] == series]
        for key in ("batches", "edges", "mean_degree", "pearson"):
            assert mine[key].tolist() == expected[key].tolist()


def test_the_grid_has_a_mark_for_every_graph_and_a_bar_for_its_null(entries):
    drawing = draw("sensitivity", entries[:2])
    assert len(drawing.data) == 2 * 2 * 4 * 2  # columns, series, rules, special positions
    assert (drawing.data.query("series == 'null'")["edge_share"] == 1).all()
    marks = [line for line in drawing.figure.axes[0].lines if line.get_marker() not in ("None", "_", "")]
    assert len(marks) == 16
    assert sum(line.get_markerfacecolor() == "white" for line in marks) == 8
    shown = entries[0].sensitivity.query("rule == 'above2' and include_special and batches == 50").set_index("graph")
    found = drawing.data.query("rule == 'above2' and include_special and series == 'observed'").iloc[0]
    assert found["edge_share"] == shown.loc["observed", "edges"] / shown.loc["null", "edges"]


@pytest.mark.parametrize("name", ["saturation", "sensitivity"])
def test_tables_that_lack_points_edges_or_values_are_drawn(name, entries):
    first = entries[0]
    tables = [
        make_sensitivity(first.nodes, first.null_nodes, batches=1, thresholds=(), special=(False,)),
        make_sensitivity(first.nodes.iloc[:2], first.null_nodes.iloc[:2]),
        make_sensitivity(first.nodes, first.null_nodes).assign(pearson=np.nan),
        make_sensitivity(first.nodes, first.null_nodes).assign(edges=lambda t: t["edges"].where(t["batches"] > 9, 0)),
    ]
    for table in tables:
        drawing = draw(name, [replace(first, sensitivity=table)])
        FigureCanvasAgg(drawing.figure).draw()
        assert drawing.caption["conclusion"].endswith(".")
        assert "nan" not in drawing.caption["caption"].split()
    # Columns of one study share their rules, whatever else they lack.
    columns = [replace(first, sensitivity=table, column=PLAN[place]) for place, table in enumerate(tables[1:])]
    assert draw(name, columns).caption["conclusion"].endswith(".")


def test_rarefied_degrees_are_those_of_features_with_enough_tokens(entries):
    entry = entries[0]
    drawing = draw("rarefied_degree", [entry])
    known = entry.rarefaction["rarefied_degree"].notna() & (entry.rarefaction["frequency_heldout"] > 0)
    points = drawing.data[drawing.data["series"] == "observed"]
    assert 0 < len(points) == known.sum() < len(entry.rarefaction)
    assert points["degree"].tolist() == entry.rarefaction.loc[known, "degree"].tolist()
    shown = " ".join(text.get_text() for text in drawing.figure.axes[0].texts)
    assert f"n {entry.rarefaction['rarefied_degree'].notna().sum():,}" in shown
    assert "of a correlation of degree and frequency" in drawing.caption["conclusion"].lower()
