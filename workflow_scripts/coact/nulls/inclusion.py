"""How often a null model puts two features into one top-k set: mean, variance and range of the pair count.

In: top-k sets, and optionally a group (document) per token. Out: per pair of features the moments of the number of
sets that hold both, when sets are drawn uniformly among all families that keep every set size and every feature's
count, in each group by itself.

Method: in a group, every such family is equally likely under the model in which a token of set size s draws the set
S with probability prod_{i in S} w_i / e_s(w), e_s the elementary symmetric polynomial (conditional Poisson sampling:
Chen, Dempster and Liu 1994, Biometrika 81:457). The odds w that give every feature its count in the mean are those of
the maximum-entropy model, and its expected pair counts are used here. The variance is what remains of the model's
after regression on the counts of the two features, which the null fixes. For tokens of one size this is the
large-sample variance of the noncentral hypergeometric distribution, 1 / (1/a + 1/b + 1/c + 1/d) for the cells of the
2 x 2 table (McCullagh and Nelder 1989, Generalized Linear Models, section 7.3), with its factor t / (t - 1).

Where the counts leave no choice (a feature in every set that is not empty) odds would be infinite. By the theorem of
Gale and Ryser (Ryser 1957, Canadian Journal of Mathematics 9:371) this is so where the m most frequent features have
sum_t min(s_t, m) entries. The features are cut there into blocks: every set takes min(s, m) from the first m, so the
blocks are independent given the sizes, and within a block the odds are finite.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from coact.errors import StudyError
from coact.graph.kernels import group_by
from coact.graph.sets import TokenSets

ITERATIONS = 2000
TOLERANCE = 1e-7  # largest error of a count, in units of the binomial variance n (1 - n / tokens)
LARGEST_STEP = 3.0  # of a log odds in one iteration
EQUAL_ODDS = 1e-5  # relative difference below which two odds are taken as equal


class InclusionModel(NamedTuple):
    """Odds of the features in every group. An entry is a feature in a group in which it has sets.

    Attributes:
        n_features: number of features D.
        sizes: (groups, largest set size + 1) int64, tokens of each set size.
        bounds: (groups + 1,) int64, the entries of group g are bounds[g]:bounds[g + 1].
        features: (entries,) int32; within a group by falling count, then by index.
        counts: (entries,) int64, sets of the group that hold the feature.
        odds: (entries,) float64, w; comparable within a block of a group only, 0 for a feature that is a block.
        norms: (entries,) float64, square root of the sum over tokens with two features or more of the squared
            inclusion probability: the mean count of a pair is at most the sum over groups of the product of its norms.
    """

    n_features: int
    sizes: np.ndarray
    bounds: np.ndarray
    features: np.ndarray
    counts: np.ndarray
    odds: np.ndarray
    norms: np.ndarray


class PairMoments(NamedTuple):
    """Moments of pair counts under the null: (pairs,) float64 mean and variance, int64 least and largest count."""

    expected: np.ndarray
    variance: np.ndarray
    least: np.ndarray
    most: np.ndarray


def fit_inclusion(sets: TokenSets, n_features: int, groups: np.ndarray | None = None) -> InclusionModel:
    """The maximum-entropy model that keeps set sizes and features' counts.

    Args:
        sets: the observed sets.
        n_features: number of features D.
        groups: (tokens,) integer group of each token, any labels; None: all tokens are one group.

    Raises:
        StudyError: the odds of a group do not converge.
    """
    sizes_of_tokens = np.diff(sets.indptr)
    n_tokens, largest = len(sizes_of_tokens), int(sizes_of_tokens.max(initial=0))
    labels = np.zeros(n_tokens, np.int64) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_groups = int(labels.max(initial=-1)) + 1
    sizes = np.bincount(labels * (largest + 1) + sizes_of_tokens, minlength=n_groups * (largest + 1))
    sizes = sizes.reshape(n_groups, largest + 1).astype(np.int64)
    keys, counts = np.unique(np.repeat(labels, sizes_of_tokens) * n_features + sets.indices, return_counts=True)
    owners = keys // n_features
    order = np.lexsort((keys, -counts, owners))
    bounds = np.searchsorted(owners, np.arange(n_groups + 1)).astype(np.int64)
    counts = counts[order].astype(np.int64)
    odds, norms, failed = _fit(sizes, bounds, counts)
    if failed >= 0:
        raise StudyError(
            f"expected pair counts of group {failed} of {n_groups} do not converge in {ITERATIONS:,} iterations "
            f"({int(bounds[failed + 1] - bounds[failed]):,} features, {int(sizes[failed].sum()):,} tokens)"
        )
    return InclusionModel(n_features, sizes, bounds, (keys % n_features)[order].astype(np.int32), counts, odds, norms)


def pair_moments(model: InclusionModel, source: np.ndarray, target: np.ndarray) -> PairMoments:
    """Moments of the counts of the pairs (source, target); (pairs,) integers below D, source and target differ."""
    # A pair is looked up in every group of one of its features: of the one that is in fewer.
    n_groups = np.bincount(model.features, minlength=model.n_features)
    swap = n_groups[source] > n_groups[target]
    owner, other = np.where(swap, target, source), np.where(swap, source, target)
    order = group_by(owner, model.n_features)
    starts = np.searchsorted(owner[order], np.arange(model.n_features + 1))
    added = np.empty((len(order), 4), np.float64)
    added[order] = _add_moments(model, starts, other[order].astype(np.int64))
    return PairMoments(added[:, 0], added[:, 1], added[:, 2].astype(np.int64), added[:, 3].astype(np.int64))


@njit(cache=True)
def _fit(sizes: np.ndarray, bounds: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Odds and norms of all entries, and the first group that does not converge, or -1."""
    odds, norms, prefix = np.zeros(len(counts)), np.zeros(len(counts)), _scratch(sizes, bounds)
    for group in range(len(bounds) - 1):
        first, last = bounds[group], bounds[group + 1]
        held, weights = counts[first:last], odds[first:last]
        cuts = _cuts(held, sizes[group])
        for block in range(len(cuts) - 1):
            low, high = cuts[block], cuts[block + 1]
            tokens = _block_sizes(sizes[group], low, high)
            if high - low > 1 and not _solve(held[low:high], tokens, weights[low:high], prefix):
                return odds, norms, group
        single, _ = _tables(sizes[group], cuts, weights, prefix)
        for item in range(last - first):
            for size in range(2, sizes.shape[1]):
                norms[first + item] += sizes[group, size] * single[item, size] ** 2
            norms[first + item] = math.sqrt(norms[first + item])
    return odds, norms, -1


@njit(cache=True)
def _scratch(sizes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Room for `prefix` of `_inclusion`, in any group."""
    widest = 0
    for group in range(len(bounds) - 1):
        widest = max(widest, bounds[group + 1] - bounds[group])
    return np.empty((widest + 1, sizes.shape[1] + 1))


@njit(cache=True)
def _cuts(counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Bounds of the blocks of features with falling counts: where the first m have sum_t min(s_t, m) entries."""
    cuts, held = [0], 0
    for m in range(1, min(len(counts), len(sizes) - 1) + 1):
        held += counts[m - 1]
        room = 0
        for size in range(1, len(sizes)):
            room += sizes[size] * min(size, m)
        if held == room:
            cuts.append(m)
    if cuts[-1] < len(counts):
        cuts.append(len(counts))
    return np.array(cuts)


@njit(cache=True)
def _block_sizes(sizes: np.ndarray, low: int, high: int) -> np.ndarray:
    """(high - low + 1 at most,) tokens by the number of features that they take from the block low:high."""
    tokens = np.zeros(min(high - low, max(len(sizes) - 1 - low, 0)) + 1, np.int64)
    for size in range(len(sizes)):
        tokens[min(max(size - low, 0), high - low)] += sizes[size]
    return tokens


@njit(cache=True)
def _solve(counts: np.ndarray, tokens: np.ndarray, odds: np.ndarray, prefix: np.ndarray) -> bool:
    """Fill the odds of one block; whether they converged.

    A step is Newton's on the diagonal, taken on the scale of log odds. The counts have a fixed sum, so the true inverse
    of the information is smaller than that of its diagonal, by about 1 - a feature's share of the diagonal.
    """
    n, occupied = len(counts), tokens[1:].sum()
    tilts, single, neighbour = np.ones(len(tokens)), np.empty(n), np.empty(0)
    for i in range(n):
        odds[i] = counts[i] / (occupied - counts[i])
    for _ in range(ITERATIONS):
        mean, spread = np.zeros(n), np.zeros(n)
        for size in range(1, len(tokens)):
            if tokens[size] == 0:
                continue
            if size == n:
                mean += tokens[size]  # every such set holds them all
                continue
            tilts[size] = _tilt(odds, size, tilts[size])
            _inclusion(odds, size, tilts[size], prefix, single, neighbour)
            for i in range(n):
                mean[i] += tokens[size] * single[i]
                spread[i] += tokens[size] * single[i] * (1 - single[i])
        total, worst = spread.sum(), 0.0
        for i in range(n):
            room = counts[i] * (1 - counts[i] / occupied)
            worst = max(worst, abs(mean[i] - counts[i]) / room)
        if worst <= TOLERANCE:
            return True
        for i in range(n):
            left = max(occupied - mean[i], 1e-300)
            step = math.log(counts[i] / mean[i] * left / (occupied - counts[i]))
            step *= mean[i] * left / (occupied * max(spread[i], 1e-300)) * (1 - spread[i] / total)
            odds[i] *= math.exp(min(max(step, -LARGEST_STEP), LARGEST_STEP))
    return False


@njit(cache=True)
def _tilt(odds: np.ndarray, size: int, tilt: float) -> float:
    """About the factor of all odds at which independent draws would have `size` features in the mean.

    Inclusion probabilities do not depend on such a factor; with it the numbers they are computed from are never tiny.
    """
    for _ in range(200):
        mean = spread = 0.0
        for odd in odds:
            chance = tilt * odd / (1 + tilt * odd)
            mean += chance
            spread += chance * (1 - chance)
        if abs(mean - size) < 0.1:
            break
        tilt *= math.exp(min(max((size - mean) / max(spread, 1e-9), -1.0), 1.0))
    return tilt


@njit(cache=True)
def _inclusion(
    odds: np.ndarray, size: int, tilt: float, prefix: np.ndarray, single: np.ndarray, neighbour: np.ndarray
) -> None:
    """Inclusion probabilities of sets of `size` of the features, 1 <= size < features.

    With independent draws conditional on their number, leaving out a feature joins the number drawn before it with the
    number drawn after it: a sum of positive terms, exact also where one feature outweighs all others.

    Args:
        odds: (n,) odds, times any factor.
        size: set size.
        tilt: factor of the odds, see `_tilt`.
        prefix: (at least n + 1, at least size + 1) scratch.
        single: (n,), filled: the probability that the set holds feature i.
        neighbour: (n,), filled: that it holds i and i + 1 (the last one: 0). Left alone if its length is 0.
    """
    n = len(odds)
    for drawn in range(size + 1):
        prefix[0, drawn] = 1.0 if drawn == 0 else 0.0
    for i in range(n):
        absent = 1 / (1 + tilt * odds[i])
        present = tilt * odds[i] * absent
        prefix[i + 1, 0] = prefix[i, 0] * absent
        for drawn in range(1, size + 1):
            prefix[i + 1, drawn] = prefix[i, drawn] * absent + prefix[i, drawn - 1] * present
    whole = prefix[n, size]
    after, beyond = np.zeros(size + 1), np.zeros(size + 1)  # of the features from i + 1 on, from i + 2 on
    after[0] = 1.0
    next_present = 0.0
    for i in range(n - 1, -1, -1):
        absent = 1 / (1 + tilt * odds[i])
        present = tilt * odds[i] * absent
        total = 0.0
        for drawn in range(size):
            total += prefix[i, drawn] * after[size - 1 - drawn]
        single[i] = present * total / whole
        if len(neighbour):
            total = 0.0
            for drawn in range(size - 1):
                total += prefix[i, drawn] * beyond[size - 2 - drawn]
            neighbour[i] = present * next_present * total / whole
        for drawn in range(size + 1):
            beyond[drawn] = after[drawn]
        for drawn in range(size, 0, -1):
            after[drawn] = after[drawn] * absent + after[drawn - 1] * present
        after[0] *= absent
        next_present = present


@njit(cache=True)
def _tables(sizes: np.ndarray, cuts: np.ndarray, odds: np.ndarray, prefix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(features, set sizes) inclusion probabilities of a group: of each feature, and with the next one of its block."""
    single, neighbour = np.zeros((len(odds), len(sizes))), np.zeros((len(odds), len(sizes)))
    for block in range(len(cuts) - 1):
        low, high = cuts[block], cuts[block + 1]
        of_size, with_next, tilt = np.empty(high - low), np.empty(high - low), 1.0
        for size in range(low + 1, len(sizes)):
            if sizes[size] == 0:
                continue
            if size < high:
                tilt = _tilt(odds[low:high], size - low, tilt)
                _inclusion(odds[low:high], size - low, tilt, prefix, of_size, with_next)
            for item in range(low, high):
                single[item, size] = of_size[item - low] if size < high else 1.0
                neighbour[item, size] = with_next[item - low] if size < high else 1.0
    return single, neighbour


@njit(cache=True)
def _add_moments(model: InclusionModel, starts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(pairs, 4) mean, variance, least, largest count of every feature i with others[starts[i]:starts[i + 1]]."""
    added = np.zeros((len(others), 4))
    place = np.full(len(starts), -1)  # of each feature among those of the group
    prefix, joint = _scratch(model.sizes, model.bounds), np.empty(model.sizes.shape[1])
    for group in range(len(model.bounds) - 1):
        first, last = model.bounds[group], model.bounds[group + 1]
        tokens, held, here = model.sizes[group], model.counts[first:last], model.features[first:last]
        odds, cuts = model.odds[first:last], _cuts(held, tokens)
        single, neighbour = _tables(tokens, cuts, odds, prefix)
        spread, block_of = np.zeros(len(held)), np.zeros(len(held), np.int64)
        for one in range(len(held)):
            place[here[one]] = one
            block_of[one] = np.searchsorted(cuts, one, side="right") - 1
            for size in range(1, len(tokens)):
                spread[one] += tokens[size] * single[one, size] * (1 - single[one, size])
        occupied = tokens[1:].sum()
        for one in range(len(held)):
            for pair in range(starts[here[one]], starts[here[one] + 1]):
                other = place[others[pair]]
                if other < 0:
                    continue
                a, b = min(one, other), max(one, other)
                low, high = cuts[block_of[a]], cuts[block_of[a] + 1]
                if b < high:
                    _fill_joint(a, b, low, high, odds, single, neighbour, joint)
                else:
                    for size in range(len(joint)):
                        joint[size] = single[a, size] * single[b, size]
                mean, square = _moments(a, b, tokens, joint, single, spread, held)
                added[pair, 0] += mean
                added[pair, 1] += square
                added[pair, 2] += max(held[a] + held[b] - occupied, 0)
                added[pair, 3] += held[b]
        for feature in here:
            place[feature] = -1
    return added


@njit(cache=True)
def _fill_joint(
    a: int,
    b: int,
    low: int,
    high: int,
    odds: np.ndarray,
    single: np.ndarray,
    neighbour: np.ndarray,
    joint: np.ndarray,
) -> None:
    """Fill (set sizes,) `joint`: the probability that a set holds both a and b > a, of the block low:high.

    From e_r(without a) - e_r(without b) = (w_b - w_a) e_(r-1)(without both), which leaves few digits where the odds are
    nearly equal. There the probability of neighbours in the order of odds, which the sums give directly, is taken.
    """
    for size in range(len(joint)):
        joint[size] = 1.0 if size >= high else 0.0
    if abs(odds[a] - odds[b]) > EQUAL_ODDS * odds[a]:
        ratio = odds[b] / odds[a]
        scale = 1 / (1 - ratio)
        for size in range(low + 2, min(high, len(joint))):
            joint[size] = max((single[b, size] - ratio * single[a, size]) * scale, 0.0)
    else:
        after, before = 0.5 * odds[b] / odds[a + 1], 0.5 * odds[a] / odds[b - 1]
        for size in range(low + 2, min(high, len(joint))):
            joint[size] = neighbour[a, size] * after + neighbour[b - 1, size] * before


@njit(cache=True)
def _moments(
    a: int, b: int, tokens: np.ndarray, joint: np.ndarray, single: np.ndarray, spread: np.ndarray, counts: np.ndarray
) -> tuple[float, float]:
    """Mean and variance of the pair count of features a < b of a group.

    Args:
        a, b: the features, counts[a] >= counts[b].
        tokens: (set sizes,) tokens.
        joint: (set sizes,) the probability that a set holds both.
        single: (features, set sizes) the probability that a set holds each.
        spread: (features,) variance of its count in the model, which the null fixes.
        counts: (features,) its count.
    """
    mean = squares = joint_a = joint_b = product = 0.0
    for size in range(1, len(tokens)):
        together = tokens[size] * joint[size]
        mean += together
        squares += together * joint[size]
        joint_a += together * single[a, size]
        joint_b += together * single[b, size]
        product += tokens[size] * single[a, size] * single[b, size]
    if counts[b] == 1:
        return mean, mean * max(1 - mean, 0.0)  # the one set of b holds a or does not
    if mean <= 0:
        return 0.0, 0.0
    with_a, with_b, covariance = mean - joint_a, mean - joint_b, mean - product
    determinant = spread[a] * spread[b] - covariance**2
    if determinant > 1e-9 * spread[a] * spread[b]:
        fixed = (with_a**2 * spread[b] - 2 * with_a * with_b * covariance + with_b**2 * spread[a]) / determinant
    elif max(spread[a], spread[b]) > 0:
        fixed = with_a**2 / spread[a] if spread[a] >= spread[b] else with_b**2 / spread[b]
    else:
        fixed = 0.0
    independent = counts[a] * counts[b] / mean  # as many tokens would give independent features this mean
    return mean, max(mean - squares - fixed, 0.0) * independent / (independent - 1)
