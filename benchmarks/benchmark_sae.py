"""A training step of an SAE against SAELens' trainer, and against the encoder's matrix product alone.

Both train the same architecture on the same batches, each in a process of its own, in turns:

    coact       `backward` of the architecture and a step of Adam, with firing counters, as coact.sae.train does
    sae_lens    sae_lens.training.sae_trainer.SAETrainer, driven as its own `fit` drives it (progress bar apart); it
                runs in the environment whose python is given as `--peer`
    product     torch.mm of the batch with the encoder, in the process of coact: what any step must do at least

Prints tokens/s, the medians and ranges of the ratios within pairs of turns, and the largest memory of either process;
with `--quality` also FVU and L0 on tokens that neither has seen, after all turns (equal tokens and learning rate).

    python benchmarks/benchmark_sae.py --peer <python with sae-lens 6.54> [--architecture relu] [--quality]
        [--d-in 2048 --features 16384 --batch 1024] [--activations results/activations/main/train-*.safetensors]

Activations are scaled so that their mean squared norm is their dimension. Without `--activations` they are sums of
`--k` random directions with noise. The biases of the ReLU start where about `--k` features are active, so that few
steps are enough for a timing, and stay there at a small `--learning-rate` (1e-5); for a comparison of quality there is
benchmark_quality.py.
"""

import argparse
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

SOURCES = Path(__file__).resolve().parents[1] / "workflow_scripts"
NOISE, PAUSE = 0.05, 0.2
HELDOUT = 8192
DEAD_STEPS = 1000  # as SAELens' default


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="python of an environment with sae-lens; without it only coact runs")
    parser.add_argument("--architecture", choices=["topk", "relu"], default="topk")
    parser.add_argument("--d-in", type=int, default=512, help="dimensions of synthetic inputs")
    parser.add_argument("--features", type=int, default=4096, help="features D")
    parser.add_argument("--k", type=int, default=32, help="features kept per token (topk), and in synthetic inputs")
    parser.add_argument("--l1", type=float, default=5.0, help="coefficient of the penalty of the ReLU")
    parser.add_argument("--batch", type=int, default=4096, help="tokens in a batch")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of turns")
    parser.add_argument("--steps", type=int, default=3, help="steps in a turn")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--activations", nargs="+", help="activation shards of a study")
    parser.add_argument("--quality", action="store_true", help="measure FVU and L0 at the end")
    parser.add_argument("--worker", choices=["coact", "sae_lens"], help=argparse.SUPPRESS)
    parser.add_argument("--inputs", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_inputs(options: argparse.Namespace, path: Path) -> int:
    """Write activations (tokens, d_in) float32 to a .npy file; their width."""
    tokens = 16 * options.batch + HELDOUT
    if options.activations:
        sys.path.insert(0, str(SOURCES))
        from coact.activations import open_shard

        shards = [open_shard(name) for name in options.activations]
        x = torch.cat([shard.rows(shard.kept_rows(False)) for shard in shards])
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:tokens]]
    else:
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(options.features, options.d_in, generator=generator)
        chosen = torch.randint(options.features, (tokens, options.k), generator=generator)
        sizes = torch.empty(chosen.shape).exponential_(generator=generator)
        x = torch.nn.functional.embedding_bag(chosen, directions, per_sample_weights=sizes, mode="sum")
        x += NOISE * x.std() * torch.randn(x.shape, generator=generator)
    x *= (x.shape[1] / x.pow(2).sum(1).mean()).sqrt()
    np.save(path, x.numpy())
    return x.shape[1]


def make_batches(x: torch.Tensor, batch: int) -> Iterator[torch.Tensor]:
    """Batches of the inputs, over and over."""
    while True:
        yield from x[: len(x) // batch * batch].split(batch)


def open_coact(options: argparse.Namespace, x: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Name -> what the worker of this project can do."""
    sys.path.insert(0, str(SOURCES))
    import numba

    from coact.jobs import keep_memory
    from coact.sae.adam import RowAdam
    from coact.sae.architectures import ARCHITECTURES
    from coact.sae.train import clip

    numba.set_num_threads(options.threads)
    keep_memory()  # as every job does
    settings = {"topk": {"k": options.k, "aux_share": 1.0}, "relu": {"l1": options.l1}}[options.architecture]
    sae = ARCHITECTURES[options.architecture](x.shape[1], options.features, **settings)
    sae.initialize(x[:HELDOUT].mean(0), 0)
    if options.architecture == "relu":
        lower_bias(sae, x, options.k)
    adam, silent = RowAdam(sae), torch.zeros(options.features, dtype=torch.int64)
    batches, product = make_batches(x[HELDOUT:], options.batch), torch.empty(options.batch, options.features)

    def step() -> None:
        losses = sae.backward(next(batches), silent > DEAD_STEPS, 1.0)
        adam.step(options.learning_rate, clip(sae, 1.0)[1])  # SAELens clips to the same norm
        silent.add_(1).masked_fill_(losses.fired > 0, 0)

    def multiply() -> None:
        torch.mm(x[: options.batch], sae.W_enc.detach(), out=product)

    def evaluate() -> dict[str, float]:
        guess, features = sae.reconstruct(x[:HELDOUT])
        return measure(x[:HELDOUT], guess, len(features.values) / HELDOUT)

    return {"step": step, "product": multiply, "evaluate": evaluate}


def open_sae_lens(options: argparse.Namespace, x: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Name -> what the worker of SAELens can do."""
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig

    torch.manual_seed(0)
    size = {"d_in": x.shape[1], "d_sae": options.features, "dtype": "float32", "device": "cpu"}
    if options.architecture == "topk":
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(k=options.k, **size))
    else:
        sae = StandardTrainingSAE(StandardTrainingSAEConfig(l1_coefficient=options.l1, **size))
        lower_bias(sae, x, options.k)
    config = SAETrainerConfig(10**12, options.batch, lr=options.learning_rate, lr_end=options.learning_rate)
    trainer = SAETrainer(config, sae, make_batches(x[HELDOUT:], options.batch))

    def step() -> None:
        trainer.maybe_reset_sparsity()
        trainer.step(next(trainer.data_provider))
        trainer.n_training_steps += 1

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        features = sae.encode(x[:HELDOUT])
        return measure(x[:HELDOUT], sae.decode(features), (features > 0).sum().item() / HELDOUT)

    return {"step": step, "evaluate": evaluate}


@torch.no_grad()
def lower_bias(sae: Any, x: torch.Tensor, k: int) -> None:
    """Lower the encoder's bias to where about k features are active."""
    before = (x[:HELDOUT] - sae.b_dec) @ sae.W_enc
    sae.b_enc.fill_(-before.topk(k).values[:, -1].mean())


def measure(x: torch.Tensor, guess: torch.Tensor, l0: float) -> dict[str, float]:
    """FVU on these tokens, and L0."""
    return {"fvu": ((x - guess).pow(2).sum() / (x - x.mean(0)).pow(2).sum()).item(), "l0": l0}


def work(options: argparse.Namespace) -> None:
    """Serve lines "<name> <times>" of standard input: do it, and answer with seconds, peak memory and what it gave."""
    torch.set_num_threads(options.threads)
    x = torch.from_numpy(np.load(options.inputs))
    tasks = {"coact": open_coact, "sae_lens": open_sae_lens}[options.worker](options, x)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        name, times = line.split()
        start = time.perf_counter()
        for _ in range(int(times)):
            result = tasks[name]()
        answer = {"seconds": time.perf_counter() - start, "result": result}
        answer["mebibytes"] = peak_mebibytes()
        print(json.dumps(answer), flush=True)


def peak_mebibytes() -> float:
    """Largest resident memory of this process; what getrusage says begins with what the parent had."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


class Worker:
    """A process that works on command."""

    def __init__(self, python: str, name: str, inputs: Path) -> None:
        command = [python, __file__, *sys.argv[1:], "--worker", name, "--inputs", str(inputs)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def _read(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("a worker has ended")

    def ask(self, name: str, times: int = 1) -> dict[str, Any]:
        """Do something so often, after a pause in which the other's threads come to rest."""
        time.sleep(PAUSE)
        print(name, times, file=self._process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def describe(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Run the benchmark, or serve as a worker of it."""
    options = parse_arguments()
    if options.worker:
        return work(options)
    with tempfile.TemporaryDirectory() as folder:
        width = make_inputs(options, Path(folder) / "x.npy")
        pythons = {"coact": sys.executable} | ({"sae_lens": options.peer} if options.peer else {})
        workers = {name: Worker(python, name, Path(folder) / "x.npy") for name, python in pythons.items()}
    for worker in workers.values():
        worker.ask("step", options.warm_up)
    seconds: dict[str, list[float]] = {name: [] for name in ("product", *workers)}
    memory: dict[str, float] = {}
    for _ in range(options.pairs):
        seconds["product"].append(workers["coact"].ask("product", options.steps)["seconds"])
        for name, worker in workers.items():
            answer = worker.ask("step", options.steps)
            seconds[name].append(answer["seconds"])
            memory[name] = answer["mebibytes"]
    print(
        f"{options.architecture}, {width:,} -> {options.features:,}, batches of {options.batch:,}, {options.threads} "
        f"threads, torch {torch.__version__}, numba {importlib.metadata.version('numba')}, {options.pairs} pairs"
    )
    for name, values in seconds.items():
        rate = options.batch * options.steps / statistics.median(values)
        peak = f"{memory[name]:>10,.0f} MiB" if name in memory else ""
        print(f"{name:<10}{rate:>10,.0f} tokens/s{peak}")
    pairs = {
        f"{other} / coact": [b / a for a, b in zip(seconds["coact"], seconds[other], strict=True)]
        for other in seconds.keys() - {"coact"}
    }
    for name, ratios in sorted(pairs.items()):
        print(f"time of {name}: {describe(ratios)}")
    if options.quality:
        for name, worker in workers.items():
            found = worker.ask("evaluate")["result"]
            print(f"{name:<10}FVU {found['fvu']:.4f}, L0 {found['l0']:.1f}")
    for worker in workers.values():
        worker.close()
    return None


if __name__ == "__main__":
    main()
