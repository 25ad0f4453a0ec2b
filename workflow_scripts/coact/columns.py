"""Columns of compressed sparse rows, for compiled loops of any stage."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def locate_columns(
    indptr: np.ndarray, indices: np.ndarray, n_columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the columns of compressed sparse rows are (a counting sort).

    Args:
        indptr, indices: of the rows, below n_columns.
    Returns:
        (n_columns + 1,) int64 bounds of the columns, and for their (entries,) in turn uint32 entry, by its number in
        the rows, and uint32 row, ascending within a column.
    """
    bounds = np.zeros(n_columns + 1, np.int64)
    for entry in range(len(indices)):
        bounds[indices[entry] + 1] += 1
    for column in range(n_columns):
        bounds[column + 1] += bounds[column]
    place = bounds[:-1].copy()
    entries, rows = np.empty(len(indices), np.uint32), np.empty(len(indices), np.uint32)
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            out = place[indices[entry]]
            entries[out], rows[out] = entry, row
            place[indices[entry]] = out + 1
    return bounds, entries, rows
