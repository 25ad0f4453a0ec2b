"""Communities of a graph, and how far they can be relied on.

In: weighted edges between nodes 0..n-1; top-k sets with the document of each token; decoder rows.
Out: labels of nodes; their modularity, their agreement with other labels, with other seeds and resolutions and with
bootstrap samples of documents.

Communities are found by the Leiden algorithm (Traag, Waltman and van Eck 2019, Scientific Reports 9:5233), igraph's
implementation, for modularity with a resolution (Reichardt and Bornholdt 2006, Physical Review E 74:016110). The
algorithm finds communities in every graph, one without any structure too: what it finds says little before it is held
against other seeds, other text and a null model.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csc_array
from threadpoolctl import threadpool_limits

from coact.errors import ConfigError
from coact.graph.degree import degrees
from coact.graph.igraphs import make_igraph, seeded
from coact.graph.kernels import PAIR_MASK, PAIR_SHIFT
from coact.graph.pairs import count_pairs
from coact.graph.sets import TokenSets

BLOCKS = 20
KMEANS_STARTS = 4


def leiden(
    source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_nodes: int, *, resolution: float, seed: int
) -> np.ndarray:
    """Communities by the Leiden algorithm, iterated until modularity no longer improves.

    Args:
        source, target: (edges,) integers below `n_nodes`, every edge once, no loops.
        weight: (edges,) finite and at least 0; an edge of weight 0 is none.
        n_nodes: number of nodes, isolated ones included.
        resolution: factor of the expected weight in the modularity; above 1 the communities are more and smaller.
        seed: seed of the order in which nodes are visited. Edges in another order may give other labels.

    Returns:
        (n_nodes,) int32 labels, 0 for the largest community, the one with the lowest node first among equal sizes;
        -1 for nodes without an edge.

    Raises:
        ConfigError: a weight is negative or not finite.
    """
    return _LinkedPart(source, target, weight, n_nodes).partition(resolution, seed)


def modularity(
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    labels: np.ndarray,
    n_nodes: int,
    resolution: float = 1.0,
) -> float | None:
    """Weighted modularity of a partition (Newman 2004, Physical Review E 70:056131) with a resolution.

    The share of the weight that lies within communities, minus `resolution` times the share expected when ends of
    edges are joined at random: the sum over communities of (strength of its nodes / strength of all nodes) squared.

    Args:
        source, target, weight, n_nodes: as in `leiden`.
        labels: (n_nodes,) integers; every node with a negative label is a community of its own.

    Returns:
        The modularity, or None where the weights sum to 0.
    """
    weight = np.asarray(weight, np.float64)
    total = weight.sum()
    if not total > 0:
        return None
    labels = np.array(labels, np.int64)
    alone = np.flatnonzero(labels < 0)
    labels[alone] = labels.max(initial=-1) + 1 + np.arange(len(alone))
    strength = np.bincount(source, weight, n_nodes) + np.bincount(target, weight, n_nodes)
    within = weight[labels[source] == labels[target]].sum() / total
    return float(within - resolution * np.sum((np.bincount(labels, strength) / (2 * total)) ** 2))


def agreement(labels_a: np.ndarray, labels_b: np.ndarray) -> dict[str, Any]:
    """Agreement of two partitions beyond what sizes of communities give by chance.

    Args:
        labels_a, labels_b: (nodes,) integers; only nodes whose label is at least 0 in both count.

    Returns:
        ami: adjusted mutual information (Vinh, Epps and Bailey 2010, Journal of Machine Learning Research 11:2837)
        with the mean of the two entropies as its bound. ari: adjusted Rand index (Hubert and Arabie 1985, Journal of
        Classification 2:193). Both are 1 for equal partitions and 0 on average for random ones of the same sizes.
        nodes: how many nodes count.
        ami and ari are None below two nodes, and where both partitions hold all nodes together or both hold every
        node apart, where chance gives equal partitions too.
    """
    # Replicates of null models take communities without comparing them, and every job pays for its imports.
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    both = (labels_a >= 0) & (labels_b >= 0)
    a, b = labels_a[both], labels_b[both]
    n, kinds = len(a), {len(np.unique(a)), len(np.unique(b))}
    if n < 2 or kinds in ({1}, {n}):
        return {"ami": None, "ari": None, "nodes": n}
    with warnings.catch_warnings():
        # scikit-learn takes many small communities for values of a continuous variable.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return {"ami": float(adjusted_mutual_info_score(a, b)), "ari": float(adjusted_rand_score(a, b)), "nodes": n}


def stability(
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    n_nodes: int,
    *,
    resolutions: Iterable[float],
    seeds: Sequence[int],
    base_resolution: float,
) -> dict[str, Any]:
    """How communities vary with the seed of the algorithm and with the resolution.

    Args:
        source, target, weight, n_nodes: as in `leiden`.
        resolutions: resolutions to try; `base_resolution` is added where it is not among them.
        seeds: seeds; the first is the one whose communities are described.
        base_resolution: the resolution with which the others are compared.

    Returns:
        base_resolution, seeds, nodes (with an edge) and resolutions, a list in ascending order of

        - resolution; communities (of two or more nodes) and modularity (at resolution 1, so that resolutions compare;
          None without edges), both of the first seed's partition;
        - ami_seeds, ami_base, ami_next: mean adjusted mutual information, over pairs of different seeds, with the
          same resolution, the base resolution and the next higher resolution. Seeds differ in all three, so
          ami_base and ami_next have ami_seeds as their yardstick. None where it is not defined for any pair (see
          `agreement`) and with one seed; ami_next also at the highest resolution.

    Raises:
        ConfigError: there is no seed, or a weight is negative or not finite.
    """
    if not len(seeds):
        raise ConfigError("seeds of the communities: none found; expected at least one")
    part = _LinkedPart(source, target, weight, n_nodes)
    ordered = sorted({float(resolution) for resolution in (*resolutions, base_resolution)})
    partitions = [[part.partition(resolution, seed) for seed in seeds] for resolution in ordered]
    base, records = partitions[ordered.index(float(base_resolution))], []
    for place, (resolution, found) in enumerate(zip(ordered, partitions, strict=True)):
        following = partitions[place + 1] if place + 1 < len(ordered) else []
        records.append(
            {
                "resolution": resolution,
                "communities": int((np.bincount(found[0][found[0] >= 0]) > 1).sum()),
                "modularity": modularity(source, target, weight, found[0], n_nodes),
                "ami_seeds": _mean_ami(found, found),
                "ami_base": _mean_ami(found, base),
                "ami_next": _mean_ami(found, following),
            }
        )
    return {
        "base_resolution": float(base_resolution),
        "seeds": [int(seed) for seed in seeds],
        "nodes": len(part.nodes),
        "resolutions": records,
    }


def bootstrap_agreement(
    sets: TokenSets,
    documents: np.ndarray,
    n_features: int,
    *,
    samples: int,
    resolution: float,
    seed: int,
    blocks: int = BLOCKS,
    pairs: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Agreement of the communities of all documents with those of bootstrap samples of documents.

    Documents, not tokens, are drawn, since tokens of a document are alike (the cluster bootstrap: Davison and Hinkley
    1997, Bootstrap Methods and their Application, section 3.8). For speed they are drawn in blocks, each a random
    set of equally many documents (to within one): pairs are counted once per block, and a sample, `blocks` blocks
    drawn with replacement, is a weighted sum of these counts. Weights of the edges are counts, for the whole and for
    the samples. With as many blocks as documents this is the bootstrap over documents itself.

    Args:
        sets: the top-k sets.
        documents: (tokens,) integers, the document of each set; sets with a negative one are left out throughout.
        n_features: number of features D.
        samples: number of bootstrap samples.
        resolution: as in `leiden`.
        seed: seed of the blocks, of the samples and, counted up, of `leiden` in each.
        blocks: number of blocks, at least 2.
        pairs: source < target, the only pairs that may be edges (the significant ones, say), sorted by source, then
            target; None for all. They stay the same in all samples.

    Returns:
        documents, blocks, samples (the numbers), ami (one value per sample, see `agreement`; only features with an
        edge in both count), nodes (how many these are, per sample) and mean_ami (over the samples where it is
        defined; None where it is in none).

    Raises:
        ConfigError: there are fewer documents than blocks, fewer than two blocks, another number of documents than
            of sets, or a set holds a feature that is not below `n_features`.
    """
    if len(sets.indices) and int(sets.indices.max()) >= n_features:
        raise ConfigError(
            f"a top-k set holds feature {int(sets.indices.max()):,}; expected features below {n_features:,}"
        )
    generator = np.random.default_rng(seed)
    block, n_documents = _assign_blocks(sets, documents, blocks, generator)
    keys, counts = _count_by_block(sets, block, blocks, pairs)
    ends = (keys >> PAIR_SHIFT, keys & PAIR_MASK)
    times = generator.multinomial(blocks, np.full(blocks, 1 / blocks), samples)
    whole = leiden(*ends, counts @ np.ones(blocks, np.int64), n_features, resolution=resolution, seed=seed)
    found = [
        agreement(whole, leiden(*ends, counts @ drawn, n_features, resolution=resolution, seed=seed + 1 + sample))
        for sample, drawn in enumerate(times)
    ]
    ami = [record["ami"] for record in found]
    return {
        "documents": n_documents,
        "blocks": blocks,
        "samples": samples,
        "ami": ami,
        "nodes": [record["nodes"] for record in found],
        "mean_ami": _mean_defined(ami),
    }


def decoder_clusters(W_dec: np.ndarray, live: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Clusters of live features by the directions of their decoder rows, to compare communities with.

    k-means on rows of unit norm, between which squared distance is 2 - 2 cosine (compare the spherical k-means of
    Dhillon and Modha 2001, Machine Learning 42:143, which also normalises the centres). The best of four starts by
    k-means++ (Arthur and Vassilvitskii 2007, ACM-SIAM Symposium on Discrete Algorithms).

    Args:
        W_dec: (D, d) decoder rows, of any norm.
        live: (D,) bool.
        n_clusters: number of clusters, at least 1; no more than there are rows to cluster.
        seed: seed of the starts.

    Returns:
        (D,) int32 labels, ordered as those of `leiden`; -1 for features that are not live and for rows of norm 0.

    Raises:
        ConfigError: `n_clusters` is below 1.
    """
    from sklearn.cluster import KMeans

    if n_clusters < 1:
        raise ConfigError(f"clusters of decoder rows: {n_clusters} found; expected at least 1")
    norms = np.linalg.norm(W_dec, axis=1)
    chosen = np.flatnonzero(np.asarray(live, bool) & (norms > 0))
    labels = np.full(len(W_dec), -1, np.int32)
    if len(chosen):
        rows = np.asarray(W_dec[chosen] / norms[chosen, None], np.float32)
        means = KMeans(min(n_clusters, len(chosen)), n_init=KMEANS_STARTS, random_state=seed)
        with threadpool_limits(limits=1):  # sums over threads are added up in the order in which these finish
            labels[chosen] = _order_labels(means.fit(rows).labels_)
    return labels


class _LinkedPart:
    """The nodes of a graph that have an edge, numbered anew, and their edges."""

    def __init__(self, source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_nodes: int) -> None:
        weight = np.asarray(weight, np.float64)
        refused = ~(np.isfinite(weight) & (weight >= 0))
        if refused.any():
            raise ConfigError(f"weights of edges: {weight[refused][0]} found; expected finite weights of at least 0")
        edge = weight > 0
        source, target, self.weights = source[edge], target[edge], weight[edge].tolist()
        linked = degrees(source, target, n_nodes) > 0
        place = np.cumsum(linked) - 1
        self.n_nodes, self.nodes = n_nodes, np.flatnonzero(linked)
        self.graph = make_igraph(place[source], place[target], len(self.nodes))

    def partition(self, resolution: float, seed: int) -> np.ndarray:
        """See `leiden`."""
        labels = np.full(self.n_nodes, -1, np.int32)
        if len(self.nodes):
            with seeded(seed):
                found = self.graph.community_leiden(
                    "modularity", weights=self.weights, resolution=resolution, n_iterations=-1
                )
            labels[self.nodes] = _order_labels(np.array(found.membership))
        return labels


def _order_labels(labels: np.ndarray) -> np.ndarray:
    """Labels from 0, the largest group first, the one with the lowest member first among equal sizes; int32."""
    _, first, place, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int32)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes), dtype=np.int32)
    return rank[place]


def _mean_ami(partitions: list[np.ndarray], others: list[np.ndarray]) -> float | None:
    """Mean AMI of an earlier seed's partition with a later seed's one in `others`."""
    return _mean_defined(
        agreement(partition, other)["ami"]
        for place, partition in enumerate(partitions)
        for other in others[place + 1 :]
    )


def _mean_defined(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _assign_blocks(
    sets: TokenSets, documents: np.ndarray, blocks: int, generator: np.random.Generator
) -> tuple[np.ndarray, int]:
    """(tokens,) int64 block of each set, -1 outside documents; and the number of documents."""
    tokens = len(sets.indptr) - 1
    if len(documents) != tokens:
        raise ConfigError(f"documents of the top-k sets: {len(documents):,} found; expected one per set, {tokens:,}")
    if blocks < 2:
        raise ConfigError(f"blocks of documents: {blocks} found; expected at least 2")
    inside = documents >= 0
    distinct, place = np.unique(documents[inside], return_inverse=True)
    if len(distinct) < blocks:
        raise ConfigError(
            f"documents to draw bootstrap samples from: {len(distinct):,} found; expected at least one per block,"
            f" {blocks:,}"
        )
    block = np.full(tokens, -1, np.int64)
    block[inside] = (generator.permutation(len(distinct)) % blocks)[place]
    return block, len(distinct)


def _count_by_block(
    sets: TokenSets, block: np.ndarray, blocks: int, pairs: pd.DataFrame | None
) -> tuple[np.ndarray, csc_array]:
    """Keys of pairs (see `PairTable`), ascending, and their counts, (pairs, blocks) int64."""
    sizes = np.diff(sets.indptr)
    tables = []
    for number in range(blocks):
        chosen = block == number
        bounds = np.concatenate([[0], np.cumsum(sizes[chosen])])
        tables.append(count_pairs(TokenSets(bounds, sets.indices[np.repeat(chosen, sizes)])))
    if pairs is None:
        keys = np.unique(np.concatenate([table.keys for table in tables]))
    else:
        keys = pairs["source"].to_numpy(np.int64) << PAIR_SHIFT | pairs["target"].to_numpy(np.int64)
    rows, counts = [], []
    for table in tables:
        _, row, place = np.intersect1d(keys, table.keys, assume_unique=True, return_indices=True)
        rows.append(row)
        counts.append(table.counts[place])
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return keys, csc_array((np.concatenate(counts), np.concatenate(rows), bounds), shape=(len(keys), blocks))
