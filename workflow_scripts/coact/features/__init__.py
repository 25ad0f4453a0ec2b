"""Sparse feature activations.

In: activation shards and an SAE. Out: one CSR shard (safetensors) per activation shard, cut into the graph's batches.
"""
