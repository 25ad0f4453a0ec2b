"""Bytes of artefacts, as docs/artefacts.md ("Disk use") has them, without headers; of tables as they are compressed."""

CODES = {"float16": 2, "bfloat16": 2, "float32": 4}
TEXT_BYTES = 4  # of a token, about: byte-level tokens of English text and of code have 3 to 4
EDGE_BYTES = 142  # a row of edges.parquet before compression, which takes about half of it away
EXPORT_BYTES = 350  # an edge in GraphML, and in GEXF
NODE_EXPORT_BYTES = 400
REPELLED_BYTES = 63  # a row of repelled.parquet before compression: a name, three integers, five floating-point numbers
NULL_EDGE_BYTES = 16
NODE_BYTES = 40
MARK_BYTES = 32  # a token of marks.safetensors: a byte for each context, of which there are about 30
CARD_BYTES = 14_000  # the explorer, per feature, with the default examples
INTERPRETATION_BYTES = 4_500  # all tables of results/interpretation, per feature, with the default examples


def token_bytes(tokens: int) -> int:
    """A token stream: id and document int32, label int16."""
    return 10 * tokens


def activation_bytes(tokens: int, width: int, dtype: str) -> int:
    """Activations of captured tokens, and the three ids of each."""
    return (CODES[dtype] * width + 10) * tokens


def feature_bytes(tokens: int, l0: float) -> int:
    """Sparse features: indptr int64, document int32, kept bool; per entry int32 and float32."""
    return round((13 + 8 * l0) * tokens)


def sae_bytes(d_in: int, d_sae: int) -> int:
    """Weights of an SAE in float32; thresholds and gates of some architectures are as small as biases."""
    return 4 * (2 * d_in * d_sae + d_in + d_sae)


def checkpoint_bytes(d_in: int, d_sae: int) -> int:
    """The checkpoint of an SAE's training, deleted at its end: weights and Adam's two moments."""
    return 3 * sae_bytes(d_in, d_sae)


def snapshot_bytes(d_in: int, d_sae: int, snapshots: int) -> int:
    """Decoder directions after some steps, as float16."""
    return 2 * d_in * d_sae * snapshots


def set_bytes(tokens: int, k: int) -> int:
    """Top-k sets of kept tokens at most: indptr int64, document int32, members int32."""
    return (12 + 4 * k) * tokens


def graph_bytes(edges: int, features: int, nulls: int) -> int:
    """Tables of a graph with its exports.

    Args:
        edges: of the graph.
        features: D.
        nulls: jobs of null models, each of which keeps the edges of a replicate: as many at most.
    """
    tables = EDGE_BYTES / 2 + REPELLED_BYTES / 2 * 2 + NULL_EDGE_BYTES / 2 * nulls  # repelled pairs of two nulls
    return round(edges * (tables + 2 * EXPORT_BYTES) + features * (NODE_BYTES + 2 * NODE_EXPORT_BYTES))
