"""Compiled loops of a training step that touch active features only, and of Adam row by row.

In and out: NumPy arrays. Features of some tokens are compressed sparse rows (see `coact.sae.sparse.SparseFeatures`);
an entry is one of them. Every weight matrix has a contiguous row per feature, so an entry costs a few passes over rows
that are in the cache.

Sums do not depend on the number of threads: each belongs to one token, to one feature, or to a run of `TOKENS_AT_ONCE`
tokens. Products may be fused with sums, and sums over the dimensions of a row are cut into the lanes of vector
instructions, by the compiler: the same way each time.
"""

import numpy as np
from numba import njit, prange

TOKENS_AT_ONCE = 64
ROWS_AT_ONCE = 16
SHORTEST_NORM = np.float32(1e-8)
FOUR = np.uint64(4)
FUSED, LANES = {"contract"}, {"contract", "reassoc"}


@njit(cache=True, parallel=True)
def reconstruct_tokens(
    x: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    ends: np.ndarray,
    factors: np.ndarray,
    errors: np.ndarray,
    gradients: np.ndarray,
    slopes: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Reconstructions of each token by one or several prefixes of its features, and the loss differentiated by them.

    The loss is the sum over prefixes of factor / 2 x squared error. A feature takes part in all prefixes that end
    behind it, so it meets the sum of their gradients: that is what `gradients` holds of the smallest of them.

    Args:
        x: (tokens, d_in) float32.
        indptr, indices, values: the features.
        weights, bias: the decoder, (D, d_in) and (d_in,) float32.
        ends: (prefixes,) int64, ascending to D; prefix p holds the features below ends[p].
        factors: (prefixes,) float32.
        errors: filled; (tokens, prefixes) float32 squared errors.
        gradients: filled; (tokens, prefixes, d_in) float32, the loss differentiated by the reconstructions of a prefix
            and of all larger ones.
        slopes: filled; (entries,) float32, the loss differentiated by the values.
        sums: filled; (runs of tokens, d_in) float32, sums of the gradients of the first prefix: of the bias.
    """
    for piece in prange((len(x) + TOKENS_AT_ONCE - 1) // TOKENS_AT_ONCE):
        sums[piece] = np.float32(0)
        for token in range(piece * TOKENS_AT_ONCE, min(len(x), (piece + 1) * TOKENS_AT_ONCE)):
            _add_up(x[token], indptr[token : token + 2], indices, values, weights, bias, ends, gradients[token])
            for number in range(len(ends)):
                errors[token, number] = _dot(gradients[token, number], gradients[token, number])
            _accumulate(factors, gradients[token])
            prefix = 0
            for entry in range(np.uint64(indptr[token]), np.uint64(indptr[token + 1])):
                while indices[entry] >= ends[prefix]:
                    prefix += 1
                slopes[entry] = _dot(gradients[token, prefix], weights[np.uint64(indices[entry])])
            _add_scaled(sums[piece], np.float32(1), gradients[token, 0])


@njit(cache=True)
def _add_up(
    x: np.ndarray,
    bounds: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    ends: np.ndarray,
    misses: np.ndarray,
) -> None:
    """Fill `misses` (prefixes, d_in) with a token's reconstructions less the token; its entries lie within `bounds`."""
    entry, last = np.uint64(bounds[0]), np.uint64(bounds[1])
    for prefix in range(len(ends)):
        miss = misses[prefix]
        if prefix == 0:
            for place in range(len(miss)):
                miss[place] = bias[place] - x[place]
        else:
            miss[:] = misses[prefix - 1]
        while entry < last and indices[entry] < ends[prefix]:
            _add_scaled(miss, values[entry], weights[np.uint64(indices[entry])])
            entry += np.uint64(1)


@njit(cache=True)
def _accumulate(factors: np.ndarray, misses: np.ndarray) -> None:
    """Turn what prefixes miss into gradients, each the sum of its own and those of the larger prefixes."""
    for back in range(len(factors)):
        prefix = len(factors) - 1 - back
        miss, factor = misses[prefix], factors[prefix]
        for place in range(len(miss)):
            miss[place] *= factor
        if back > 0:
            _add_scaled(miss, np.float32(1), misses[prefix + 1])


@njit(cache=True, parallel=True)
def sum_gradients(
    x: np.ndarray,
    center: np.ndarray,
    gradients: np.ndarray,
    ends: np.ndarray,
    bounds: np.ndarray,
    entries: np.ndarray,
    tokens: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray,
    along: np.ndarray,
    weights: np.ndarray,
    pieces: np.ndarray,
    decoder: np.ndarray,
    encoder: np.ndarray,
    biases: np.ndarray,
) -> None:
    """Gradients of every feature's decoder row, encoder row and bias, from its entries.

    Args:
        x: (tokens, 1, d_in) float32.
        center: (d_in,) float32, subtracted from x before the encoder.
        gradients, ends: see `reconstruct_tokens`.
        bounds, entries, tokens: see `coact.columns.locate_columns`.
        values, slopes: (entries,) float32 in the order of tokens, values and the loss differentiated by the
            pre-activations.
        along: (D,) float32, multiples of each row of the decoder that are part of its gradient; or empty.
        weights: the decoder, (D, d_in) float32.
        pieces: ascending features, from 0 to D, at which the work is divided.
        decoder, encoder, biases: filled; (D, d_in), (D, d_in), (D,) float32.
    """
    for piece in prange(len(pieces) - 1):
        prefix = 0
        for feature in range(pieces[piece], pieces[piece + 1]):
            while feature >= ends[prefix]:
                prefix += 1
            out, into = decoder[feature], encoder[feature]
            out[:] = np.float32(0)
            into[:] = np.float32(0)
            if len(along) > 0:
                _add_scaled(out, along[feature], weights[feature])
            first, last, total = np.uint64(bounds[feature]), np.uint64(bounds[feature + 1]), 0.0
            _add_rows(out, values, gradients, prefix, entries, tokens, first, last)
            _add_rows(into, slopes, x, 0, entries, tokens, first, last)
            for item in range(first, last):
                total += slopes[np.uint64(entries[item])]
            biases[feature] = total
            _add_scaled(into, -np.float32(total), center)


@njit(cache=True)
def _add_rows(
    total: np.ndarray,
    factors: np.ndarray,
    rows: np.ndarray,
    layer: int,
    entries: np.ndarray,
    tokens: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Add, for items first..last-1, the factor of the entry times the row of the token in `rows` (tokens, layers, n).

    Four at a time: the sums are read and written once for all four, and the rows come from memory together.
    """
    item = first
    while item + FOUR <= last:
        one, two, three = item + np.uint64(1), item + np.uint64(2), item + np.uint64(3)
        _add_four(
            total,
            factors[np.uint64(entries[item])],
            rows[np.uint64(tokens[item]), layer],
            factors[np.uint64(entries[one])],
            rows[np.uint64(tokens[one]), layer],
            factors[np.uint64(entries[two])],
            rows[np.uint64(tokens[two]), layer],
            factors[np.uint64(entries[three])],
            rows[np.uint64(tokens[three]), layer],
        )
        item += FOUR
    while item < last:
        _add_scaled(total, factors[np.uint64(entries[item])], rows[np.uint64(tokens[item]), layer])
        item += np.uint64(1)


@njit(cache=True, fastmath=FUSED)
def _add_four(
    total: np.ndarray,
    a: float,
    row_a: np.ndarray,
    b: float,
    row_b: np.ndarray,
    c: float,
    row_c: np.ndarray,
    d: float,
    row_d: np.ndarray,
) -> None:
    for place in range(len(total)):
        total[place] += (a * row_a[place] + b * row_b[place]) + (c * row_c[place] + d * row_d[place])


@njit(cache=True, fastmath=FUSED)
def _add_scaled(total: np.ndarray, weight: float, row: np.ndarray) -> None:
    for place in range(len(total)):
        total[place] += weight * row[place]


@njit(cache=True, fastmath=LANES)
def _dot(one: np.ndarray, other: np.ndarray) -> float:
    total = np.float32(0)
    for place in range(len(one)):
        total += one[place] * other[place]
    return total


@njit(cache=True, parallel=True, error_model="numpy")
def descend_rows(
    weights: np.ndarray,
    gradients: np.ndarray,
    means: np.ndarray,
    squares: np.ndarray,
    factor: float,
    rate: float,
    betas: tuple[float, float],
    corrections: tuple[float, float],
    epsilon: float,
    unit: bool,
) -> None:
    """A step of Adam (Kingma and Ba 2015) for rows of weights, in place.

    Args:
        weights, gradients: (rows, n) float32.
        means, squares: (rows, n) float32, the moments.
        factor: what gradients are multiplied by first.
        rate: learning rate, divided by the correction of the means.
        betas: decay of the means and of the squares.
        corrections: 1 - beta^step of either.
        epsilon: added to the root of the squares.
        unit: whether rows keep unit norm: the part of a gradient along its row is removed before the step, and the row
            scaled to norm 1 after it (Bricken et al. 2023).
    """
    for piece in prange((len(weights) + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        for row in range(piece * ROWS_AT_ONCE, min(len(weights), (piece + 1) * ROWS_AT_ONCE)):
            along = _dot(gradients[row], weights[row]) * np.float32(factor) if unit else np.float32(0)
            _descend(
                weights[row],
                gradients[row],
                means[row],
                squares[row],
                along,
                np.float32(factor),
                np.float32(rate / corrections[0]),
                np.float32(betas[0]),
                np.float32(1 - betas[0]),
                np.float32(betas[1]),
                np.float32(1 - betas[1]),
                np.float32(1 / np.sqrt(corrections[1])),
                np.float32(epsilon),
            )
            if unit:
                _divide(weights[row], max(np.sqrt(_dot(weights[row], weights[row])), SHORTEST_NORM))


@njit(cache=True, error_model="numpy", fastmath=FUSED)
def _descend(
    weights: np.ndarray,
    gradients: np.ndarray,
    means: np.ndarray,
    squares: np.ndarray,
    along: float,
    factor: float,
    rate: float,
    beta_mean: float,
    rest_mean: float,
    beta_square: float,
    rest_square: float,
    correction: float,
    epsilon: float,
) -> None:
    for place in range(len(weights)):
        gradient = gradients[place] * factor - along * weights[place]
        mean = beta_mean * means[place] + rest_mean * gradient
        square = beta_square * squares[place] + rest_square * gradient * gradient
        means[place], squares[place] = mean, square
        weights[place] -= rate * mean / (np.sqrt(square) * correction + epsilon)


@njit(cache=True, error_model="numpy")
def _divide(row: np.ndarray, by: float) -> None:
    for place in range(len(row)):
        row[place] /= by
