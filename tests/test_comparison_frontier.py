"""Sparsity against reconstruction: series, seeds, the frontier, equal L0, and what is said of them."""

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coact.comparison.columns import Column
from coact.comparison.frontier import (
    HEADINGS,
    LEGEND,
    at_equal_l0,
    equal_l0_sentence,
    frontier_conclusion,
    frontier_table,
    mean_points,
    on_frontier,
    pareto_sentence,
    seed_sentence,
    shrinkage_sentence,
    terminal_rows,
)
from coact.provenance import canonical_json
from coact.terminal import open_console, print_table


@dataclass
class Dictionary:
    """What is told of one dictionary."""

    architecture: str
    l0: float | None
    fvu: float | None
    sparsity: tuple = ()
    seed: int = 0
    model: str = "main"
    control: bool = False
    expansion: float | None = 4
    settings: tuple = (("tokens", 1000),)
    name: str = ""


def make(*found):
    """Columns and evaluations of some dictionaries."""
    columns, evaluations = [], []
    for place, entry in enumerate(found):
        recipe = {"kind": "trained", "architecture": entry.architecture, **dict(entry.settings), **dict(entry.sparsity)}
        sae = entry.name or f"{entry.architecture}{place}"
        columns.append(Column(entry.model, sae, entry.control, entry.expansion, canonical_json(recipe)))
        known = entry.l0 is not None
        evaluations.append(
            {
                "architecture": entry.architecture,
                "d_sae": int(128 * (entry.expansion or 1)),
                "tokens": 5000,
                "l0": entry.l0,
                "fvu": entry.fvu,
                "l0_distribution": {
                    key: entry.l0 * part if known else None
                    for key, part in {"q05": 0.5, "q50": 1.0, "q95": 2.0}.items()
                },
                "loss_recovered_zero": 0.97,
                "loss_recovered_mean": None if entry.fvu is None else 1 - entry.fvu,
                "kl_divergence": 0.1,
                "cosine": 0.9,
                "norm_ratio": 0.8,
                "reconstruction_bias": None if entry.fvu is None else 1 - entry.fvu / 2,
                "encoder_decoder_cosine": 0.7,
                "dead_share": 0.01,
                "ultralow_share": None,
            }
        )
    return columns, evaluations


def line(architecture, *points, key="k", **others):
    """Dictionaries of one architecture at several L0: (l0, fvu), ..."""
    return [Dictionary(architecture, l0, fvu, ((key, place + 1),), **others) for place, (l0, fvu) in enumerate(points)]


def test_what_differs_in_sparsity_and_seed_only_is_one_series():
    free = (("decoder_norm", "free"), ("tokens", 1000))
    unit = (("decoder_norm", "unit"), ("tokens", 1000))
    table = frontier_table(
        *make(
            *line("relu", (10, 0.4), (20, 0.3), key="l1", settings=unit),
            Dictionary("relu", 21, 0.31, (("l1", 2),), seed=1, settings=unit),
            *line("relu", (10, 0.3), key="l1", settings=free),
            Dictionary("topk", 16, 0.2, (("k", 16),)),
            Dictionary("topk", 16, 0.2, (("k", 16),), expansion=8),
            Dictionary("identity", 100, 0.0, control=True, expansion=None, name="neurons"),
        )
    )
    unit_name, free_name = "relu x4, decoder norm unit", "relu x4, decoder norm free"
    assert table["series"].tolist() == [unit_name] * 3 + [free_name, "topk x4", "topk x8", "neurons"]
    assert table["sparsity"].tolist() == ["l1 = 1", "l1 = 2", "l1 = 2", "l1 = 1", "k = 16", "k = 16", ""]
    assert table["training_tokens"].tolist()[:2] == [1000, 1000]


def test_models_split_series():
    table = frontier_table(
        *make(
            Dictionary("topk", 8, 0.3, (("k", 8),), settings=(("tokens", 9),)),
            Dictionary("topk", 16, 0.2, (("k", 16),), settings=(("tokens", 9),)),
            Dictionary("topk", 16, 0.2, (("k", 16),), settings=(("tokens", 9),), model="other"),
        )
    )
    assert table["series"].tolist() == ["topk x4 on main", "topk x4 on main", "topk x4 on other"]


def test_recipes_that_are_no_json_stand_for_themselves():
    columns, evaluations = make(Dictionary("topk", 8, 0.3), Dictionary("topk", 9, 0.3), Dictionary("topk", 9, 0.2))
    columns = [Column("main", f"a{place}", False, 4, recipe) for place, recipe in enumerate(("one", "two", ""))]
    series = frontier_table(columns, evaluations)["series"]
    assert series.tolist() == ["topk x4, recipe one", "topk x4, recipe two", "topk x4, recipe "]


def test_seeds_are_taken_together_by_hand():
    table = frontier_table(
        *make(
            Dictionary("relu", 20, 0.30, (("l1", 1),)),
            Dictionary("relu", 24, 0.34, (("l1", 1),), seed=1),
            Dictionary("relu", 10, 0.50, (("l1", 2),)),
        )
    )
    points = mean_points(table)
    assert points["sparsity"].tolist() == ["l1 = 2", "l1 = 1"]  # by L0
    assert points["seeds"].tolist() == [1, 2]
    both = points.iloc[1]
    assert both[["l0", "l0_low", "l0_high"]].tolist() == [22, 20, 24]
    assert both[["fvu", "fvu_low", "fvu_high"]].tolist() == pytest.approx([0.32, 0.30, 0.34])
    assert "1 of 2 points has more than one seed; between seeds FVU differs by 12.5%" in seed_sentence(points)
    assert "how far seeds alone would move it is not known" in seed_sentence(points.head(1))


def test_the_frontier_by_hand():
    table = frontier_table(
        *make(
            *line("topk", (10, 0.3), (20, 0.2)),
            *line("relu", (12, 0.4), (30, 0.2), (40, 0.1)),
            Dictionary("topk", 9, 0.25, expansion=8),  # of another width: it beats none of the above
            Dictionary("identity", 5, 0.0, control=True, expansion=4, name="neurons"),
            Dictionary("topk", None, None),
        )
    )
    assert table["frontier"].tolist() == [True, True, False, False, True, True, False, False]
    text = pareto_sentence(table)
    assert text.startswith("Of 5 SAEs that share their model and width with another, 3 are on the frontier")
    assert "(main/topk0, main/topk1 and main/relu4)" in text


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=12))
def test_an_sae_is_on_the_frontier_unless_another_beats_it(points):
    table = pd.DataFrame(points, columns=["l0", "fvu"]).assign(model="m", d_sae=1, architecture="topk")
    for (l0, fvu), best in zip(points, on_frontier(table), strict=True):
        beaten = any(a <= l0 and b <= fvu and (a, b) != (l0, fvu) for a, b in points)
        assert best == (not beaten)


def test_series_are_compared_at_equal_l0_by_hand():
    # FVU is linear in log L0: at an L0 of 16, half way from 8 to 32, it is half way from 0.4 to 0.2.
    points = mean_points(frontier_table(*make(*line("topk", (8, 0.4), (32, 0.2)), *line("relu", (4, 0.8), (64, 0.4)))))
    found = at_equal_l0(points)
    assert found.names == ("topk x4", "relu x4")
    np.testing.assert_allclose(found.levels, [8, 16, 32])
    np.testing.assert_allclose(found.fvu, [[0.4, 0.7], [0.3, 0.6], [0.2, 0.5]])
    assert equal_l0_sentence(points) == (
        "At equal L0 topk x4 leaves the least of the held-out variance unexplained, from an L0 of 8.0 to one of 32:"
        " 30.0% at an L0 of 16, the others 60.0%."
    )


def test_a_lead_that_changes_is_told():
    found = make(*line("topk", (8, 0.4), (32, 0.3)), *line("relu", (8, 0.6), (32, 0.2)))
    assert frontier_conclusion(*found) == (
        "No series of SAEs leaves the least variance unexplained at every L0: it is topk x4 at 8.0, topk x4 at 16 and"
        " relu x4 at 32."
    )


@pytest.mark.parametrize(
    "other",
    [
        line("relu", (40, 0.1), (60, 0.05)),  # no L0 in common
        line("relu", (8, 0.1), (32, 0.05), expansion=8),  # another width
        line("relu", (8, 0.1), (32, 0.05), settings=(("tokens", 9),)),  # other tokens
        line("relu", (8, 0.1), (32, 0.05), control=True),
        line("relu", (16, 0.1)),  # one point is no line
        line("relu", (8, None), (32, 0.05)),
    ],
)
def test_what_is_not_comparable_is_not_compared_at_equal_l0(other):
    columns, evaluations = make(*line("topk", (8, 0.4), (32, 0.2)), *other)
    points = mean_points(frontier_table(columns, evaluations))
    assert at_equal_l0(points) is None
    assert equal_l0_sentence(points).startswith("No two series")
    assert frontier_conclusion(columns, evaluations).startswith("Of ")


def test_a_study_of_few_dictionaries_concludes_with_what_it_has():
    assert frontier_conclusion(*make(Dictionary("topk", 16, 0.1, name="only"))) == (
        "main/only leaves 10.0% of the held-out variance unexplained at an L0 of 16.0."
    )
    nothing = make(Dictionary("topk", None, None, name="only"), Dictionary("identity", 3, 0, control=True))
    assert frontier_conclusion(*nothing).startswith("No dictionary was trained")
    assert "No two SAEs" in pareto_sentence(frontier_table(*nothing))
    assert "not defined" in shrinkage_sentence(frontier_table(*nothing))


def test_shrinkage_names_the_most_shrunken():
    table = frontier_table(*make(Dictionary("topk", 16, 0.1), Dictionary("relu", 16, 0.3, name="small")))
    assert shrinkage_sentence(table).endswith("is 0.850\N{EN DASH}0.950, where 1 is none and less is shrinkage; it is"
                                              " least for main/small.")  # fmt: skip


def test_the_terminal_table_marks_the_frontier_and_leaves_out_what_is_not_defined():
    table = frontier_table(*make(*line("topk", (10, 0.3), (20, 0.2), (30, 0.25)), Dictionary("topk", None, None)))
    stream = io.StringIO()
    print_table(open_console(stream), HEADINGS, terminal_rows(table), LEGEND)
    lines = [text.split() for text in stream.getvalue().splitlines() if text.startswith("main/")]
    assert [cells[1] == "*" for cells in lines] == [True, True, False, False]
    assert lines[0][2:6] == ["10.0", "5-20", "0.300", "0.900"]
    assert lines[3][1:4] == ["-", "-", "-"]
