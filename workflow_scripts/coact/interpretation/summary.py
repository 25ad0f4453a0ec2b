"""One row per feature: how often and how strongly it is active, and on what kind of text.

In: sparse features, the token stream. Out: frequency, activations and their histogram, and the labels of the text
beside what chance gives.
"""

import numpy as np
import pandas as pd
from numba import njit

from coact.features.batches import SparseBatch

# Bounds of the bins of a histogram: half octaves, so that no pass is needed to find the largest activation.
LEAST, BINS = 2.0**-12, 48
BOUNDS = LEAST * 2.0 ** (np.arange(BINS + 1) / 2)


class SummaryScan:
    """Collects the sums of the table while the stream goes by.

    Args:
        n_features: D.
        labels: names of the stream's labels.
    """

    def __init__(self, n_features: int, labels: list[str]) -> None:
        self._names = np.array(labels)
        self._counts = np.zeros((n_features, len(labels)), np.int64)
        self._masses = np.zeros((n_features, len(labels)), np.float64)
        self._histogram = np.zeros((n_features, BINS), np.int64)
        self._sums = np.zeros((n_features, 2), np.float64)
        self._largest = np.zeros(n_features, np.float32)
        self._tokens = np.zeros(len(labels), np.int64)

    def add(self, batch: SparseBatch, labels: np.ndarray) -> None:
        """Look at the next tokens; `labels` (tokens,) int16, -1 at special positions."""
        labels = np.asarray(labels)
        self._tokens += np.bincount(labels[batch.kept & (labels >= 0)], minlength=len(self._names))
        _add_entries(*batch.arrays(), labels, self._counts, self._masses, self._histogram, self._sums, self._largest)

    def table(self) -> pd.DataFrame:
        """The summary.

        Returns:
            One row per feature: feature int32; count int64 (active tokens that have a label); frequency float64; mean,
            deviation, largest float64 (of activations above 0; NaN for a feature that is never active); histogram list
            of int64 (active tokens between `BOUNDS`; smaller and larger ones in the bins at the ends); labels list of
            text, by active tokens, and beside it label_counts list of int64, label_masses list of float64 (summed
            activation) and label_lifts list of float64 (share of a label's tokens on which the feature is active, by
            its frequency).
        """
        count = self._counts.sum(1)
        total = max(int(self._tokens.sum()), 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sums[:, 0] / count
            deviation = np.sqrt(np.maximum(self._sums[:, 1] / count - mean**2, 0))
            lifts = self._counts / self._tokens / (count / total)[:, None]
        order = np.argsort(-self._counts, axis=1, kind="stable")
        sizes = (self._counts > 0).sum(1)
        columns = {"labels": self._names[order], "label_counts": np.take_along_axis(self._counts, order, 1),
                   "label_masses": np.take_along_axis(self._masses, order, 1),
                   "label_lifts": np.take_along_axis(lifts, order, 1)}  # fmt: skip
        table = pd.DataFrame(
            {
                "feature": np.arange(len(count), dtype=np.int32),
                "count": count,
                "frequency": count / total,
                "mean": mean,
                "deviation": deviation,
                "largest": np.where(count > 0, self._largest, np.nan).astype(np.float64),
                "histogram": list(self._histogram),
            }
        )
        for name, values in columns.items():
            table[name] = [row[:size] for row, size in zip(values, sizes, strict=True)]
        return table


@njit(cache=True, nogil=True)
def _add_entries(
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    masses: np.ndarray,
    histogram: np.ndarray,
    sums: np.ndarray,
    largest: np.ndarray,
) -> None:
    for row in range(len(indptr) - 1):
        label = labels[row]
        if label < 0:
            continue
        for entry in range(indptr[row], indptr[row + 1]):
            feature, value = indices[entry], np.float64(values[entry])
            counts[feature, label] += 1
            masses[feature, label] += value
            sums[feature, 0] += value
            sums[feature, 1] += value * value
            largest[feature] = max(largest[feature], values[entry])
            place = int(np.floor(2 * np.log2(value / LEAST)))
            histogram[feature, min(max(place, 0), BINS - 1)] += 1
