"""Encoding into sparse features against the encoder's matrix product alone.

All run on the same tokens in the same chunks, in turn:

    product        torch.mm of the inputs with the encoder into a chunk's buffer that is there already: no bias, no
                   activation function, nothing kept. What encoding is held against.
    torch.topk     the product with bias, then torch.topk of the dense chunk; features are not put in order
    topk, relu     encode_sparse of either architecture: sparse features of every chunk
    shard, topk    coact.features.encode.encode_shard: reads float16 activations from a file, checks and converts
    shard, relu    them, encodes, and writes the feature shard
    shard, read    the first part of it, reading, checking and converting, alone

The inputs are sums of `--k` random decoder rows with noise, and the ReLU's bias leaves about twice `--k` features
active. Prints microseconds per token, and the product's time over that of each way as the median of the ratios within
a round, with the number of threads that the study's job has.

    python benchmarks/benchmark_encode.py [--d-in 2048 --features 16384 --k 32 --tokens 4096]
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))

from coact.activations import Shard, open_shard
from coact.artefacts import write_tensors
from coact.features import encode
from coact.jobs import keep_memory
from coact.sae.architectures import Architecture
from coact.sae.architectures.relu import ReLU
from coact.sae.architectures.topk import TopK

NOISE = 0.05


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d-in", type=int, default=512, help="dimensions of the input")
    parser.add_argument("--features", type=int, default=2048, help="features D")
    parser.add_argument("--k", type=int, default=16, help="features kept per token")
    parser.add_argument("--tokens", type=int, default=32_768, help="tokens in a repetition")
    parser.add_argument("--chunk", type=int, default=encode.CHUNK_ROWS, help="tokens in a chunk")
    parser.add_argument("--repetitions", type=int, default=11, help="rounds")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch and numba")
    return parser.parse_args()


def make_dictionaries(options: argparse.Namespace) -> tuple[TopK, ReLU, torch.Tensor]:
    """A TopK and a ReLU SAE with the same random rows, and activations (tokens, d_in) float32 for them."""
    topk, relu = TopK(options.d_in, options.features, options.k), ReLU(options.d_in, options.features)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(options.features, (options.tokens, options.k), generator=generator)
    sizes = torch.empty(chosen.shape).exponential_(generator=generator)
    for sae in (topk, relu):
        sae.initialize(torch.zeros(options.d_in), 0)
    with torch.no_grad():
        x = torch.nn.functional.embedding_bag(chosen, topk.W_dec, per_sample_weights=sizes, mode="sum")
        x += NOISE * torch.randn(x.shape, generator=generator)
        before = relu.pre_activations(x[:512])
        relu.b_enc.fill_(-before.topk(min(2 * options.k, options.features), dim=1).values[:, -1].mean())
    return topk, relu, x


def chunks(x: torch.Tensor, rows: int) -> list[torch.Tensor]:
    """Views of `rows` tokens each; a last, smaller one is left out."""
    return [x[start : start + rows] for start in range(0, len(x) - rows + 1, rows)]


def get_ways(
    options: argparse.Namespace, topk: TopK, relu: ReLU, x: torch.Tensor, shard: Shard, path: Path
) -> dict[str, Callable[[], object]]:
    """Name -> a run over all tokens."""
    parts, buffer = chunks(x, options.chunk), torch.empty(options.chunk, options.features)
    weights, bias = topk.W_enc.detach(), topk.b_enc.detach()

    def product() -> None:
        for part in parts:
            torch.mm(part, weights, out=buffer)

    def dense_topk() -> None:
        for part in parts:
            torch.addmm(bias, part, weights, out=buffer).topk(options.k)

    def sparse(sae: Architecture) -> None:
        for part in parts:
            sae.encode_sparse(part)

    def read() -> None:
        for start in range(0, len(x) - options.chunk + 1, options.chunk):
            shard.rows(np.arange(start, start + options.chunk))

    def whole(sae: Architecture) -> None:
        encode.encode_shard(sae, shard, len(parts) * options.chunk, True, path, {})

    return {
        "product": product,
        "torch.topk": dense_topk,
        "topk": lambda: sparse(topk),
        "relu": lambda: sparse(relu),
        "shard, topk": lambda: whole(topk),
        "shard, relu": lambda: whole(relu),
        "shard, read": read,
    }


def measure(ways: dict[str, Callable[[], object]], repetitions: int, path: Path) -> dict[str, list[float]]:
    """Name -> seconds of each repetition; the ways take turns, and the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name, run in ways.items():
            path.unlink(missing_ok=True)  # to free the blocks of an old file takes its time too
            start = time.perf_counter()
            run()
            if repetition:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    keep_memory()  # as every job does
    topk, relu, x = make_dictionaries(options)
    encode.CHUNK_ROWS = options.chunk
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"activations": x.half().numpy(), "documents": np.zeros(len(x), np.int32)}
        write_tensors(arrays, Path(folder) / "activations", {}, {"dtype": "float16"})
        shard = open_shard(Path(folder) / "activations")
        with torch.inference_mode():
            l0 = [len(sae.encode_sparse(x[:512]).indices) / len(x[:512]) for sae in (topk, relu)]
            path = Path(folder) / "features"
            seconds = measure(get_ways(options, topk, relu, x, shard, path), options.repetitions, path)
    tokens = len(x) // options.chunk * options.chunk
    print(
        f"torch {torch.__version__}, numba {numba.__version__}, {options.threads} threads, {tokens:,} tokens,", end=""
    )
    print(f" {options.d_in:,} -> {options.features:,}, chunks of {options.chunk:,}, L0 {l0[0]:.1f} and {l0[1]:.1f}")
    print(f"{'way':<14}{'us/token':>10}{'least':>8}{'most':>8}   product / way")
    for name, values in seconds.items():
        ratios = [alone / own for alone, own in zip(seconds["product"], values, strict=True)]
        low, middle, high = (1e6 * found(values) / tokens for found in (min, statistics.median, max))
        print(f"{name:<14}{middle:>10.2f}{low:>8.2f}{high:>8.2f}   {statistics.median(ratios):.2f}", end="")
        print(f" ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
