"""Logit lens: moments against SciPy, tokens and shares by hand."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coact.artefacts import read_table, write_table
from coact.interpretation import lens
from coact.interpretation.lens import draw_directions, logit_lens, upper_p
from coact.interpretation.readout import Readout

SETTINGS = {"top": 2, "random_directions": 50, "seed": 0}


def make_readout(unembedding, **changes) -> Readout:
    """A hook at the end of the residual stream of a model without normalisation."""
    readout = Readout(
        "", True, None, False, torch.ones(len(unembedding)), None, 1.0, unembedding, torch.zeros(unembedding.shape[1])
    )
    return dataclasses.replace(readout, **changes)


@pytest.fixture(scope="module")
def readout():
    return make_readout(torch.randn(6, 40, generator=torch.Generator().manual_seed(0)))


def test_tokens_and_logits_by_hand():
    # The row (3, 4) at unit norm is (0.6, 0.8): its logits are 0.6, 0.8, 1.4, -0.8, their mean 0.5.
    readout = make_readout(torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, -1.0]]))
    table, summary = logit_lens(readout, torch.tensor([[3.0, 4.0]]), **SETTINGS)
    row = table.iloc[0]
    assert row["top_tokens"].tolist() == [2, 1]
    assert row["bottom_tokens"].tolist() == [3, 0]
    np.testing.assert_allclose(row["top_logits"], [0.9, 0.3], atol=1e-6)
    np.testing.assert_allclose(row["bottom_logits"], [-1.3, 0.1], atol=1e-6)
    assert row["mean"] == pytest.approx(0.5)
    assert (row["largest"], row["smallest"]) == pytest.approx((0.9, -1.3))
    assert (summary["defined"], summary["features"], summary["random_directions"]) == (True, 1, 50)


def test_moments_are_those_of_scipy(readout):
    decoder = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
    table, _ = logit_lens(readout, decoder, **SETTINGS)
    unit = (decoder / decoder.norm(dim=1, keepdim=True)).double()
    logits = (unit @ readout.unembedding.double()).numpy()
    np.testing.assert_allclose(table["kurtosis"], scipy.stats.kurtosis(logits, axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table["skew"], scipy.stats.skew(logits, axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table["std"], logits.std(1), rtol=1e-5)


def test_the_path_normalisation_and_scale_are_applied():
    generator = torch.Generator().manual_seed(2)
    to_residual, unembedding = torch.randn(3, 5, generator=generator), torch.randn(5, 9, generator=generator)
    gain = torch.rand(5, generator=generator) + 0.5
    readout = make_readout(unembedding, to_residual=to_residual, centred=True, gain=gain, inverse_scale=0.25)
    table, _ = logit_lens(readout, torch.eye(3), **SETTINGS)
    for feature, row in enumerate(to_residual.numpy()):
        logits = 0.25 * ((row - row.mean()) * gain.numpy()) @ unembedding.numpy()
        assert table["largest"][feature] == pytest.approx(logits.max() - logits.mean(), rel=1e-4)


def test_shares_of_random_directions_by_hand():
    # Two of four null values are at least 2, the feature itself counts on both sides.
    assert upper_p(np.array([2.0, 9.0, 0.0, np.nan]), np.array([1.0, 2.0, 3.0, 1.5])).tolist()[:3] == [
        3 / 5,
        1 / 5,
        1.0,
    ]
    assert np.isnan(upper_p(np.array([np.nan]), np.array([1.0]))[0])


def test_random_rows_are_as_extreme_as_random_directions(readout):
    rows = draw_directions(400, 6, np.random.default_rng(5))
    table, _ = logit_lens(readout, rows, top=2, random_directions=400, seed=0)
    assert scipy.stats.kstest(table["p_kurtosis"], "uniform").pvalue > 1e-3


def test_a_direction_that_promotes_one_token_has_kurtosis_beyond_random_ones():
    unembedding = torch.randn(16, 300, generator=torch.Generator().manual_seed(3))
    unembedding[:, 7] *= 8
    table, _ = logit_lens(make_readout(unembedding), unembedding[:, [7]].T.contiguous(), **SETTINGS)
    assert table["top_tokens"][0][0] == 7
    assert table["p_kurtosis"][0] < 0.1


def test_a_row_of_zeros_is_not_defined(readout):
    table, summary = logit_lens(readout, torch.tensor([[0.0] * 6, [1.0] * 6]), **SETTINGS)
    assert table.loc[0, ["mean", "std", "skew", "kurtosis", "largest", "p_kurtosis", "p_largest"]].isna().all()
    assert len(table["top_tokens"][0]) == len(table["bottom_logits"][0]) == 0
    assert table.loc[1, "kurtosis"] == table.loc[1, "kurtosis"]
    assert summary["features"] == 1


def test_without_a_linear_path_nothing_is_defined(readout, tmp_path):
    table, summary = logit_lens(dataclasses.replace(readout, reason="no path"), torch.ones(3, 6), **SETTINGS)
    assert summary == {"defined": False, "reason": "no path"}
    assert table["feature"].tolist() == [0, 1, 2]
    assert table["kurtosis"].isna().all()
    write_table(table, tmp_path / "lens.parquet", {})
    assert all(len(row) == 0 for row in read_table(tmp_path / "lens.parquet")["top_tokens"])


def test_chunks_change_nothing(readout, monkeypatch):
    decoder = torch.randn(9, 6, generator=torch.Generator().manual_seed(4))
    whole, _ = logit_lens(readout, decoder, **SETTINGS)
    monkeypatch.setattr(lens, "CELLS", 80)  # two features at a time
    parts, _ = logit_lens(readout, decoder, **SETTINGS)
    for name in whole:
        np.testing.assert_allclose(np.stack(whole[name]), np.stack(parts[name]), rtol=1e-4, atol=1e-6)


def test_fewer_tokens_than_are_listed():
    table, _ = logit_lens(make_readout(torch.eye(3)), torch.eye(3), top=10, random_directions=5, seed=0)
    assert [len(row) for row in table["top_tokens"]] == [3, 3, 3]


def test_a_vocabulary_of_one_token_has_no_kurtosis():
    table, summary = logit_lens(make_readout(torch.ones(3, 1)), torch.eye(3), top=1, random_directions=5, seed=0)
    assert table["kurtosis"].isna().all()
    assert (table["std"] == 0).all()
    assert summary["features"] == 0


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), feature=st.integers(0, 4))
def test_the_length_of_a_row_does_not_matter(readout, scale, feature):
    decoder = torch.randn(5, 6, generator=torch.Generator().manual_seed(6))
    one, _ = logit_lens(readout, decoder, **SETTINGS)
    decoder[feature] *= scale
    other, _ = logit_lens(readout, decoder, **SETTINGS)
    assert one["top_tokens"][feature].tolist() == other["top_tokens"][feature].tolist()
    assert one["largest"][feature] == pytest.approx(other["largest"][feature], rel=1e-3)
    assert one["p_kurtosis"][feature] == other["p_kurtosis"][feature]
