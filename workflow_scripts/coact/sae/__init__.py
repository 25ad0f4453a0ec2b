"""Sparse autoencoders.

In: activation shards. Out: for every SAE a folder in the layout that SAELens reads (cfg.json,
sae_weights.safetensors), its training history, its held-out evaluation and the density of its features.
"""
