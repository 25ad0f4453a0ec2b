"""Peak of resident memory of a job, in bytes.

What a process takes with its libraries, and what grows with the configuration. Files that are read by memory map are
left out: the kernel takes their pages back where memory is short. Numbers are float32 unless said.
"""

from collections.abc import Mapping

from coact.sae.memory import training_memory

# A process with what it imports, as measured.
LIGHT = 200_000_000  # NumPy, pandas, Numba
IGRAPH = 300_000_000  # the same and igraph, SciPy
TORCH = 400_000_000  # PyTorch
BRIDGE = 700_000_000  # TransformerLens
CHUNK_ROWS = 2048  # rows that SAEs encode at a time
GROWING = 1 << 24  # entries that encoding starts with room for
EDGE_COLUMNS = 142  # bytes of a row of edges.parquet as a table
LOGITS_AT_ONCE = 4  # two sets of logits are compared, each a copy of what the model gave


def corpus(tokens: int) -> int:
    """Documents and token streams, held while they are made: about 25 bytes per token (`coact.corpus.tokens`)."""
    return LIGHT + 100_000_000 + 25 * tokens


def train_model(weights: int, shape: Mapping[str, int], context_length: int, batch_contexts: int) -> int:
    """Weights, gradients and Adam's two moments; what the backward pass needs of a batch; the logits with softmax.

    Korthikanti et al. (2022, Reducing Activation Recomputation) count 34 d + 5 heads x context bytes per token and
    block with 2 bytes a number; here a number takes 4.
    """
    kept = shape["layers"] * (68 * shape["d_model"] + 10 * shape["heads"] * context_length)
    return BRIDGE + 16 * weights + batch_contexts * context_length * (kept + 12 * shape["vocabulary"])


def load_model(weights: int) -> int:
    """A model as its file has it and in float32, or two at a time: 8 bytes per weight."""
    return TORCH + 8 * weights


def run_model(
    weights: int, shape: Mapping[str, int], context_length: int, forward_contexts: int, logits: int = 0
) -> int:
    """A model, once as loaded, and a forward pass of it.

    A block holds the residual stream, its norm, queries, keys, values and what attention gives, the MLP before and
    after its activation function, and scores of attention before and after the softmax.

    Args:
        logits: sets of logits, (contexts, length, vocabulary), that are held at once.
    """
    block = 6 * shape["d_model"] + 3 * shape["d_mlp"] + 2 * shape["heads"] * context_length
    tokens = forward_contexts * context_length
    return load_model(weights) - TORCH + BRIDGE + 4 * tokens * (block + logits * shape["vocabulary"])


def train_sae(d_in: int, d_sae: int, batch_tokens: int) -> int:
    """A process with its libraries, and twice what the training takes at least."""
    return 1_000_000_000 + 2 * training_memory(d_in, d_sae, batch_tokens)


def baselines(train_tokens: int) -> int:
    """Bigrams of the training stream as numbers of 8 bytes, sorted, and where a new one begins."""
    return 24 * train_tokens


def sae_weights(d_in: int, d_sae: int) -> int:
    """Encoder and decoder, and the encoder once more while it is laid out for encoding."""
    return 4 * 3 * d_in * d_sae


def import_sae(d_in: int, d_sae: int) -> int:
    """Weights of an SAE in float32, a few times over."""
    return TORCH + 32 * d_in * d_sae


def encode(d_in: int, d_sae: int, tokens: int, l0: float) -> int:
    """Weights, pre-activations and features of a chunk, and entries of 8 bytes in arrays that double when full."""
    chunk = 4 * CHUNK_ROWS * (2 * d_sae + d_in)
    return TORCH + sae_weights(d_in, d_sae) + chunk + round(8 * max(GROWING, 2 * l0 * tokens))


def read_features(tokens: int, l0: float, d_in: int, d_sae: int) -> int:
    """One shard of features, and similarities of features and dimensions, float64.

    An entry takes 8 bytes as read, 8 without special positions, 8 in the order of features and 8 for that order.
    """
    return TORCH + round(32 * l0 * tokens) + 8 * d_in * d_sae


def explain_features(shard_tokens: int, tokens: int, l0: float, d_in: int, d_sae: int) -> int:
    """A shard; or, once all are read, an entry of 12 bytes per activation at most, once more while they are merged."""
    return max(read_features(shard_tokens, l0, d_in, d_sae), TORCH + round(24 * l0 * tokens))


def find_chains(tokens: int, k: int, shard_tokens: int, l0: float, edges: int) -> int:
    """A shard, 4 bytes per entry of a set, about 200 per directed edge (`coact.interpretation.succession`)."""
    return TORCH + round(24 * l0 * shard_tokens) + 4 * k * tokens + 2 * 200 * edges


def count_pairs(batch_tokens: int, l0: float, shard_tokens: int, k: int, edges: int) -> int:
    """Two batches, the sets of a shard twice, and the pairs of a shard (28 bytes) three times while they are added."""
    return LIGHT + round(2 * 32 * l0 * batch_tokens) + 2 * (12 + 4 * k) * shard_tokens + 3 * 28 * edges


def hold_sets(tokens: int, k: int) -> int:
    """All top-k sets, as they are and as they are changed or ordered by feature."""
    return 2 * (12 + 4 * k) * tokens


def build_graph(tokens: int, k: int, edges: int) -> int:
    """All sets; the table of edges twice while its columns are put together; repelled pairs of two nulls."""
    return LIGHT + hold_sets(tokens, k) + edges * (2 * EDGE_COLUMNS + 2 * 63)


def sample_null(tokens: int, k: int, edges: int) -> int:
    """All sets; edges as keys, as a table and as igraph has them, 16 + 16 + 100 bytes."""
    return IGRAPH + hold_sets(tokens, k) + 132 * edges


def describe_graph(tokens: int, k: int, edges: int) -> int:
    """All sets, the table of edges, and edges as igraph has them."""
    return IGRAPH + hold_sets(tokens, k) + edges * (2 * EDGE_COLUMNS + 100)


def compare_graphs(shard_tokens: int, l0: float, pairs: int) -> int:
    """A shard of the dictionary with most activations, and 20 bytes for every pair of features of two dictionaries."""
    return LIGHT + round(32 * l0 * shard_tokens) + 20 * pairs
