"""How many edges a graph has at most."""

import functools
import itertools
import math

ZIPF_OFFSET = 20  # added to ranks; of the benchmarks, too
BINS = 240


@functools.cache
def most_edges(tokens: int, features: int, k: int) -> int:
    """Edges of the graph of features that fire independently, with frequencies as in Zipf's law.

    Feature of rank r is a member of a top-k set with a probability in proportion to s_r = 1 / (r + 20). The expected
    count of a pair is tokens x k (k - 1) s_i s_j, and the pair is an edge unless its Poisson count is 0. Dependence
    makes fewer distinct pairs, so graphs of real features have fewer edges: an upper bound, not an estimate. Ranks are
    taken together in bins of about equal ratio.
    """
    bounds = sorted({round(features ** (step / BINS)) for step in range(BINS + 1)} | {0, features})
    sizes = [stop - start for start, stop in itertools.pairwise(bounds)]
    # The sum of 1 / (r + 20) over a bin's ranks, by the midpoint rule for its integral.
    masses = [
        math.log((stop + ZIPF_OFFSET - 0.5) / (start + ZIPF_OFFSET - 0.5)) for start, stop in itertools.pairwise(bounds)
    ]
    total = sum(masses)
    shares = [mass / total / size for mass, size in zip(masses, sizes, strict=True)]
    draws = tokens * k * (k - 1)
    found = 0.0
    for first, (share, size) in enumerate(zip(shares, sizes, strict=True)):
        found += size * (size - 1) / 2 * -math.expm1(-draws * share * share)
        for other in range(first + 1, len(shares)):
            found += size * sizes[other] * -math.expm1(-draws * share * shares[other])
    return min(math.ceil(found), features * (features - 1) // 2, tokens * k * (k - 1) // 2)
