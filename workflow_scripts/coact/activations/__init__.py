"""Activations at a hook point.

In: a model and a token stream. Out: safetensors shards (tokens, width) with the token, document and label ids beside
them. Memory does not grow with the number of tokens.
"""

from coact.activations.shards import Shard, open_shard

__all__ = ["Shard", "open_shard"]
