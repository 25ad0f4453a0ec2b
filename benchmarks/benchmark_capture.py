"""Capture of activations against the bare forward pass to the same layer.

All run on the same random contexts, in turn. One bare pass runs the hooked layer (TransformerLens's own
`stop_at_layer`), the other ends at the hook point inside it; neither keeps anything. Capture also checks, converts,
writes and seals the shard. The model has a second layer, since after the last one `stop_at_layer` goes on to the
logits. Prints tokens/s and the ratios of capture to both, as medians.

    python benchmarks/benchmark_capture.py [--d-model 512 --contexts 512]

The wider the model, the less the same work for every captured number weighs against the pass.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))

from coact.activations.capture import capture
from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.jobs import keep_memory
from coact.models.bridge import activations_at, make_bridge
from coact.models.folder import new_gpt2

HOOK = "blocks.0.mlp.hook_post"


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, default=2048, help="contexts of 128 tokens in a repetition")
    parser.add_argument("--d-model", type=int, default=128, help="width of the model; d_mlp is four times that")
    parser.add_argument("--repetitions", type=int, default=7, help="rounds")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    parser.add_argument("--dtype", default="float16", choices=["float16", "bfloat16", "float32"])
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    keep_memory()  # as every job does; it speeds the bare pass up too
    contexts = np.random.default_rng(0).integers(0, 4096, (options.contexts, 128)).astype(np.int32)
    arrays = {
        "tokens": contexts,
        "documents": np.zeros_like(contexts),
        "labels": np.zeros(contexts.shape, np.int16),
    }
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(train_tokenizer(["a few words to learn from"], 300), Path(folder) / "tokenizer")
        shard = Path(folder) / "shard.safetensors"
        tokenizer = load_tokenizer(Path(folder) / "tokenizer")
        width = {"d_model": options.d_model, "d_mlp": 4 * options.d_model}
        shape = {"layers": 2, "heads": 4, "activation": "relu", **width}
        model = new_gpt2(**shape, vocabulary=4096, context_length=128, seed=0, tokenizer=tokenizer)
        bridge = make_bridge(model, tokenizer, "benchmark")

        def bare() -> None:
            for start in range(0, len(contexts), 64):
                activations_at(bridge, HOOK, torch.from_numpy(contexts[start : start + 64].astype(np.int64)))

        def block() -> None:
            with torch.inference_mode():
                for start in range(0, len(contexts), 64):
                    batch = torch.from_numpy(contexts[start : start + 64].astype(np.int64))
                    bridge(batch, return_type=None, stop_at_layer=1)

        def captured() -> None:
            capture(bridge, HOOK, arrays, options.dtype, 64, shard, {})

        ways = {"bare, the layer": block, "bare, to the hook": bare, "capture": captured}
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for repetition in range(options.repetitions + 1):
            for name, run in ways.items():
                shard.unlink(missing_ok=True)  # to free the blocks of an old file takes its time too
                start = time.perf_counter()
                run()
                if repetition:  # the first round warms up
                    rates[name].append(contexts.size / (time.perf_counter() - start))
    print(f"torch {torch.__version__}, {options.threads} threads, {contexts.size:,} tokens, {options.dtype}", width)
    for name, values in rates.items():
        print(f"{name:20} {statistics.median(values):12,.0f} tokens/s  ({min(values):,.0f} to {max(values):,.0f})")
    for name in list(ways)[:2]:
        ratios = [ours / theirs for ours, theirs in zip(rates["capture"], rates[name], strict=True)]
        print(f"capture / {name}: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
