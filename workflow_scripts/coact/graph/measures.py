"""Further measures of an edge, beside its count and weight.

In: how many top-k sets hold both features, how many hold each, and how many sets there are; decoder rows. Out: one
column per measure.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from coact.errors import ArtefactError, first_line

EDGES_AT_ONCE = 1 << 14


def edge_measures(edges: pd.DataFrame, topk_count: np.ndarray, tokens: int) -> pd.DataFrame:
    """How strongly two features share top-k sets.

    With T tokens, n_i and n_j sets that hold the features and n that hold both; natural logarithms.

    Args:
        edges: source, target, count (n, at least 1).
        topk_count: (D,) int64.
        tokens: T.

    Returns:
        float64 columns, rows as in `edges`:

        - jaccard: n / (n_i + n_j - n) (Jaccard 1912, New Phytologist 11:37)
        - phi: the Pearson correlation of the two memberships (Yule 1912, Journal of the Royal Statistical Society
          75:579); NaN where a feature is in every set
        - lift: T n / (n_i n_j), observed over expected if memberships were independent
        - npmi: ln lift / -ln(n / T), in (-1, 1] (Bouma 2009, Proceedings of GSCL, 31); NaN where n = T
    """
    count = edges["count"].to_numpy(np.float64)
    one, other = (topk_count[edges[end].to_numpy()].astype(np.float64) for end in ("source", "target"))
    lift = tokens * count / (one * other)
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = (tokens * count - one * other) / np.sqrt(one * other * (tokens - one) * (tokens - other))
        npmi = np.log(lift) / -np.log(count / tokens)
    columns = {"jaccard": count / (one + other - count), "phi": phi, "lift": lift, "npmi": npmi}
    return pd.DataFrame({name: np.where(np.isfinite(values), values, np.nan) for name, values in columns.items()})


def read_decoder(path: str | Path) -> np.ndarray:
    """The decoder rows, (D, d_in) float32, of a weights file of an SAE.

    Raises:
        ArtefactError: the file is missing or damaged.
    """
    return _read_tensor(path, "W_dec")


def read_encoder(path: str | Path) -> np.ndarray:
    """The encoder columns, as rows, (D, d_in) float32, of a weights file of an SAE.

    Raises:
        ArtefactError: the file is missing or damaged.
    """
    return _read_tensor(path, "W_enc").T


def read_decoder_bias(path: str | Path) -> np.ndarray:
    """The decoder bias, (d_in,) float32, of a weights file of an SAE.

    Raises:
        ArtefactError: the file is missing or damaged.
    """
    return _read_tensor(path, "b_dec")


def _read_tensor(path: str | Path, name: str) -> np.ndarray:
    try:
        with safe_open(path, "numpy") as file:
            return file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path}: cannot be loaded ({first_line(error)})") from None


def decoder_cosine(edges: pd.DataFrame, decoder: np.ndarray) -> np.ndarray:
    """Cosine of the decoder rows of an edge's two features: (edges,) float32, NaN where a row is zero.

    Args:
        edges: source, target.
        decoder: (D, d_in).
    """
    norms = np.linalg.norm(decoder, axis=1, keepdims=True)
    rows = np.divide(decoder, norms, where=norms > 0, out=np.full_like(decoder, np.nan))
    found = np.empty(len(edges), np.float32)
    for first in range(0, len(edges), EDGES_AT_ONCE):
        part = edges.iloc[first : first + EDGES_AT_ONCE]
        found[first : first + len(part)] = np.einsum("ei,ei->e", rows[part["source"]], rows[part["target"]])
    return found
