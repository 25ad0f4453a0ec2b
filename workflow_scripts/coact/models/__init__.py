"""Transformers.

In: token streams, or a Hugging Face folder. Out: for every model one Hugging Face folder (config.json,
model.safetensors, tokenizer.json, tokenizer_config.json), opened by one loader, and its held-out evaluation.
"""

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
