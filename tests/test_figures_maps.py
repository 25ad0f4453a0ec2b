"""The figure of feature maps, on tables made up here."""

import numpy as np
import pandas as pd
import pytest

from coact.comparison.columns import Column
from coact.figures import maps as figure
from coact.figures.maps import feature_map
from coact.figures.save import save_drawing
from synthetic_meaning import make_map, unmapped

SAE = Column("main", "topk-x2-s0", False, 2.0, "a")
NEURONS = Column("main", "neurons", True, None, "n")
CONTROL = Column("untrained", "topk-x2-s0", True, 2.0, "a")
NAMES = ["docstrings", "arabic", "dna", "$x^2$ <b>"]
WHY = "all pairs of decoder rows have the same cosine"


def make_tables(n, seed=0, special=True):
    """map, nodes, communities, assigned of n features; every fifth is not live."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(n, 2)).astype(np.float32)
    places[::5] = np.nan
    live = ~np.isnan(places[:, 0])
    table = pd.DataFrame({"feature": np.arange(n, dtype=np.int32), "x": places[:, 0], "y": places[:, 1]})
    nodes = pd.DataFrame({"frequency": np.where(live, 10 ** rng.uniform(-5, -0.5, n), 0)})
    communities = pd.DataFrame({"community": rng.integers(-1, 14, n).astype(np.int32)})
    contexts = rng.choice(["", *NAMES], n) if special else np.full(n, "docstrings")
    assigned = pd.DataFrame({"feature": np.flatnonzero(live).astype(np.int32), "context_train": contexts[live]})
    return table, nodes, communities, assigned


def make_contexts(columns, n=40):
    rows = [
        (column.model, column.sae, name, "label", 1000, place + 1 if place + 1 < n else -1, 0.9 - 0.3 * (place == 2))
        for column in columns
        for place, name in enumerate(NAMES)
    ]
    return pd.DataFrame(rows, columns=["model", "sae", "context", "kind", "tokens_train", "feature", "f1_train"])


def draw(columns, sizes, summaries=None, special=True):
    tables = [make_tables(size, seed, special) for seed, size in enumerate(sizes)]
    found = [make_map(column) | {"features": int(table[0]["x"].notna().sum())} if column.expansion else unmapped(WHY)
             for column, table in zip(columns, tables, strict=True)]  # fmt: skip
    for column, table in zip(columns, tables, strict=True):
        if column.expansion is None:
            table[0][["x", "y"]] = np.nan
    contexts = make_contexts(columns) if special else make_contexts(columns).iloc[::4]
    parts = list(zip(*tables, strict=True))
    return feature_map(columns, parts[0], summaries or found, *parts[1:], contexts, ["docstrings"])


def save(drawing, folder):
    paths = {"svg": "f.svg", "png": "f.png", "csv": "f.csv", "caption": "f.json"}
    save_drawing(drawing, **{kind: folder / name for kind, name in paths.items()}, dpi=60, stamp={})
    return {kind: (folder / name).read_bytes() for kind, name in paths.items()}


def test_the_map_says_what_it_keeps_and_which_dictionaries_have_none(tmp_path):
    drawing = draw([SAE, NEURONS, CONTROL], [300, 50, 200])
    assert drawing.caption["conclusion"] == (
        "In a plane a feature keeps 40.0% of its 15 nearest decoder rows as neighbours, where random directions keep"
        " 15.0%."
    )
    assert drawing.caption["details"].endswith(f"No map of main/neurons: {WHY}.")
    assert list(drawing.data) == figure.COLUMNS
    assert len(drawing.data) == 240 + 160
    best = drawing.data[drawing.data["best_for"] == "arabic"]
    assert best["feature"].tolist() == [2, 2]
    assert "docstrings" not in set(drawing.data["best_for"])
    svg = save(drawing, tmp_path)["svg"].decode()
    assert "$x^2$ &lt;b&gt;" in svg
    assert "<b>" not in svg


def test_a_figure_is_the_same_each_time(tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(save(draw([SAE, CONTROL], [100, 100]), tmp_path / name))
    assert made[0] == made[1]


@pytest.mark.parametrize("size", [2, 6, 5000])
@pytest.mark.parametrize("special", [True, False])
def test_few_and_many_features_are_drawn(tmp_path, size, special):
    drawing = draw([SAE], [size], special=special)
    assert len(drawing.data) == size - -(-size // 5)
    assert ("none beside ordinary text" in drawing.caption["details"]) == (not special)
    save(drawing, tmp_path)


def test_without_a_map_the_figure_says_so(tmp_path):
    drawing = draw([NEURONS], [20])
    assert drawing.caption["caption"] == f"No dictionary has a map. No map of main/neurons: {WHY}."
    assert drawing.data.empty
    save(drawing, tmp_path)


def test_of_many_dictionaries_some_are_drawn_and_a_control_among_them(tmp_path):
    columns = [Column("main", f"topk-x{width}-s0", False, width, "a") for width in (1, 2, 4, 8, 16)] + [CONTROL]
    drawing = draw(columns, [30] * 6)
    assert "2 more dictionaries are in the data alone." in drawing.caption["details"]
    svg = save(drawing, tmp_path)["svg"].decode()
    assert "on untrained" in svg
    assert drawing.data["sae"].nunique() == 5


def test_without_a_measure_the_conclusion_says_so():
    summary = make_map(SAE) | {"preserved": None, "preserved_random": None, "features": 4}
    drawing = draw([SAE], [5], [summary])
    assert drawing.caption["conclusion"].startswith("There are too few features")


def test_names_are_moved_apart_and_stay_in_the_panel():
    moved = figure._apart(np.array([0.97, 0.96, 0.5, 0.1, 0.1]))
    order = np.sort(moved)
    assert (np.diff(order) >= figure.NAME_GAP - 1e-9).all()
    assert order[-1] < 1
    assert figure._apart(np.zeros(0)).shape == (0,)
