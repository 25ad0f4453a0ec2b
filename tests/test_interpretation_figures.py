"""The figures of explanations and of chains, on tables made up here."""

import numpy as np
import pandas as pd
import pytest

from coact.comparison.columns import Column
from coact.figures.chains import chains, drawable
from coact.figures.explanations import explanations
from coact.figures.save import save_drawing
from coact.spelling import show_token

SAE = Column("main", "topk", False, 2.0, "a")
NEURONS = Column("main", "neurons", True, None, "n")
CONTROL = Column("untrained", "topk", True, 2.0, "a", weights="initial")
HOSTILE = [
    "<script>alert(1)</script>",
    "$x^2$",
    "\u202etxt",
    "\u4f60",
    "a\x00b",
    "x" * 10_000,
    "\u05e9\u05dc\u05d5\u05dd",
]
KINDS = ("edges", "beyond_independence", "beyond_shifts", "beyond_shifts_asymmetric", "handovers", "chains",
         "chains_of_three_or_more", "cycles", "positional_chains")  # fmt: skip


def make_scores(center, n=40, measured=None, seed=0):
    """A table like that of `score_features`; the first `measured` features have a correlation."""
    rng = np.random.default_rng(seed)
    correlation = np.clip(rng.normal(center, 0.1, n), -1, 1)
    correlation[n if measured is None else measured :] = np.nan
    return pd.DataFrame(
        {
            "tokens": 1000,
            "active_heldout": np.arange(n),
            "correlation": correlation,
            "correlation_shuffled": correlation - center,
            "sample_correlation": correlation,
            "carried_by": np.where(np.isnan(correlation), None, "token"),
        }
    )


def make_chains(n, closed=False, heldout=5):
    """chains.parquet and chain_steps.parquet of n chains of five features."""
    table = pd.DataFrame({"chain": np.arange(n), "length": 5, "closed": closed, "positional": False, "count": 30,
                          "starts": 60, "count_heldout": heldout, "starts_heldout": 2 * heldout,
                          "probability_heldout": 0.5 if heldout else np.nan})  # fmt: skip
    steps = pd.DataFrame({"chain": np.repeat(np.arange(n), 5), "step": np.tile(np.arange(5), n)})
    steps["feature"], steps["token"] = steps.index, steps.index % len(HOSTILE)
    steps["probability"], steps["probability_heldout"] = 0.5, 0.5 if heldout else np.nan
    return table, steps


def make_summary(observed, shifted=0):
    return {"tokens": 500, "observed": dict.fromkeys(KINDS, observed), "shifted": dict.fromkeys(KINDS, shifted)}


def save(drawing, folder):
    paths = {kind: folder / f"figure.{end}" for kind, end in (("svg", "svg"), ("png", "png"), ("csv", "csv"),
                                                              ("caption", "json"))}  # fmt: skip
    save_drawing(drawing, **paths, dpi=60, stamp={})
    return paths


def test_the_conclusion_says_how_features_stand_against_neurons_and_directions(tmp_path):
    columns = [SAE, NEURONS, CONTROL]
    features = [make_scores(center) for center in (0.5, 0.8, 0.6)]
    drawing = explanations(columns, features, [make_scores(0.3, 20)] * 3)
    assert drawing.caption["conclusion"] == (
        "By the median, rules explain features better than random directions in the one dictionary, and better than"
        " neurons in no dictionary."
    )
    shown = drawing.data.set_index(["model", "sae", "series", "share"])["correlation"]
    assert shown["main", "topk", "features", 0.5] == pytest.approx(features[0]["correlation"].median())
    assert shown["main", "topk", "neurons", 0.5] == pytest.approx(features[1]["correlation"].median())
    assert ("untrained", "topk", "neurons", 0.5) not in shown.index
    assert ("main", "neurons", "neurons", 0.5) not in shown.index
    save(drawing, tmp_path)


def test_features_without_any_correlation_are_said_to_have_none(tmp_path):
    drawing = explanations([SAE], [make_scores(0.5, measured=0)], [make_scores(0.5).iloc[:0]])
    assert drawing.caption["conclusion"].startswith("No trained dictionary has features")
    save(drawing, tmp_path)


@pytest.mark.parametrize(("closed", "heldout"), [(False, 5), (True, 0)])
def test_chains_are_drawn_with_hostile_tokens_as_text(tmp_path, closed, heldout):
    table, steps = make_chains(9, closed, heldout)
    tokens = {token: show_token(text) for token, text in enumerate(HOSTILE)}
    drawing = chains([SAE, NEURONS], [make_summary(10), make_summary(5)], [table, table.iloc[:0]],
                     [steps, steps.iloc[:0]], [tokens, {}])  # fmt: skip
    assert drawing.caption["conclusion"] == (
        "Features follow one another by more directed edges than in shifted text: 10 in trained dictionaries and 5 in"
        " controls."
    )
    svg = save(drawing, tmp_path)["svg"].read_text(encoding="utf-8")
    assert "<script" not in svg
    assert "\u202e" not in svg
    assert "\\u202e" in svg
    assert "\\u4f60" in svg  # not in the figures' font


def test_without_chains_the_figure_says_so(tmp_path):
    table, steps = make_chains(0)
    drawing = chains([SAE], [make_summary(0)], [table], [steps], [{}])
    assert "There is no chain to show." in drawing.caption["caption"]
    save(drawing, tmp_path)


def test_the_same_chain_of_tokens_is_drawn_once(tmp_path):
    table, steps = make_chains(3)
    steps["token"] = steps["step"]
    tokens = {token: show_token(text) for token, text in enumerate(HOSTILE)}
    drawing = chains([SAE], [make_summary(3)], [table], [steps], [tokens])
    assert "Above, 1 chain of main/topk" in drawing.caption["caption"]


def test_a_figure_is_the_same_each_time(tmp_path):
    table, steps = make_chains(2)
    tokens = {token: show_token(text) for token, text in enumerate(HOSTILE)}
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(save(chains([SAE], [make_summary(3)], [table], [steps], [tokens]), tmp_path / name))
    for kind in ("svg", "png", "csv", "caption"):
        assert made[0][kind].read_bytes() == made[1][kind].read_bytes()


def test_signs_that_the_font_lacks_are_escaped_and_isolates_left_out():
    assert drawable(show_token("\u4f60")) == "\N{LEFT DOUBLE QUOTATION MARK}\\u4f60\N{RIGHT DOUBLE QUOTATION MARK}"
    assert drawable("'\"\\") == "'\"\\"
