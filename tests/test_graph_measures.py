"""Further measures of an edge, by hand and against libraries."""

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from sklearn.metrics import jaccard_score, matthews_corrcoef

from coact.errors import ArtefactError
from coact.graph.measures import decoder_cosine, edge_measures, read_decoder


def test_measures_by_hand():
    # 100 tokens, 20 with the one feature, 10 with the other, 5 with both.
    edges = pd.DataFrame({"source": [0], "target": [1], "count": [5]})
    found = edge_measures(edges, np.array([20, 10]), 100).iloc[0]
    assert found["jaccard"] == pytest.approx(5 / 25)
    assert found["lift"] == pytest.approx(100 * 5 / 200)
    assert found["npmi"] == pytest.approx(np.log(2.5) / -np.log(0.05))
    assert found["phi"] == pytest.approx((500 - 200) / np.sqrt(20 * 10 * 80 * 90))


def test_measures_agree_with_libraries():
    members = np.random.default_rng(0).random((300, 6)) < np.array([0.05, 0.1, 0.3, 0.5, 0.7, 0.9])
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6) if (members[:, i] & members[:, j]).any()]
    edges = pd.DataFrame(
        [(i, j, int((members[:, i] & members[:, j]).sum())) for i, j in pairs], columns=["source", "target", "count"]
    )
    found = edge_measures(edges, members.sum(0), 300)
    assert found["jaccard"].tolist() == pytest.approx([jaccard_score(members[:, i], members[:, j]) for i, j in pairs])
    assert found["phi"].tolist() == pytest.approx([matthews_corrcoef(members[:, i], members[:, j]) for i, j in pairs])


def test_what_is_not_defined_is_nan():
    edges = pd.DataFrame({"source": [0, 0], "target": [1, 2], "count": [4, 2]})
    found = edge_measures(edges, np.array([4, 4, 2]), 4)
    assert found["phi"].isna().all()
    assert found["npmi"].isna().tolist() == [True, False]
    assert len(edge_measures(edges[:0], np.array([4, 4, 2]), 4)) == 0


def test_decoder_cosines(tmp_path):
    decoder = np.array([[1, 0], [1, 1], [0, 0], [0, -2]], np.float32)
    save_file({"W_dec": decoder}, tmp_path / "w.safetensors")
    edges = pd.DataFrame({"source": [0, 0, 1, 0], "target": [1, 3, 3, 2]})
    found = decoder_cosine(edges, read_decoder(tmp_path / "w.safetensors"))
    np.testing.assert_allclose(found, [np.sqrt(0.5), 0, -np.sqrt(0.5), np.nan], atol=1e-6)
    (tmp_path / "w.safetensors").write_bytes(b"abc")
    with pytest.raises(ArtefactError, match=r"w\.safetensors: cannot be loaded"):
        read_decoder(tmp_path / "w.safetensors")
