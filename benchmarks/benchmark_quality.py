"""Held-out reconstruction of SAEs trained here against SAELens', at equal tokens and equal L0.

Both train on the same batches in the same order, at the same learning rate, schedule, scale of inputs and sparsity; all
else is each one's own: initialisation, loss, estimate of the inference threshold, treatment of dead features. SAELens'
result is saved by SAELens, read by `coact.sae.sae_lens` and measured by the code that measures ours.

    python benchmarks/benchmark_quality.py --peer <python with sae-lens 6.54> --config config.yaml \
        presets/architectures.yaml --results results [--model main] [--tokens 327680] [--batch 1024] [--seeds 0 1 2]

The families of the configuration whose names end in sparse, middle and dense are an architecture's three sparsities.
Where L0 is not what was set (all but TopK), ours at SAELens' L0 is read off the line through our three, in logarithms;
a ratio below 1 says that ours leaves less variance unexplained.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = Path(__file__).resolve().parents[1] / "workflow_scripts"
SPARSITIES = ("sparse", "middle", "dense")
PEER = {  # ours -> SAELens' classes; its standard SAE weights the penalty by decoder norms, as free norms do here
    "relu": "Standard",
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "jumprelu": "JumpReLU",
    "gated": "Gated",
    "matryoshka": "MatryoshkaBatchTopK",
}


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="python of an environment with sae-lens")
    parser.add_argument("--config", nargs="+", type=Path, help="configuration and overlays, the last one wins")
    parser.add_argument("--results", type=Path, help="results of a study, for its activations")
    parser.add_argument("--model", default="main")
    parser.add_argument("--families", nargs="+", help="names without _sparse, _middle, _dense; all by default")
    parser.add_argument("--tokens", type=int, default=327_680)
    parser.add_argument("--batch", type=int, default=1024, help="tokens in a batch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def train_peer(job: dict[str, Any]) -> None:
    """Train and save an SAE of SAELens."""
    import torch
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    import sae_lens

    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    name, batches = PEER[job["architecture"]], np.load(job["batches"], mmap_mode="r")
    steps, _, d_in = batches.shape
    make_config, make = getattr(sae_lens, f"{name}TrainingSAEConfig"), getattr(sae_lens, f"{name}TrainingSAE")
    sae = make(make_config(d_in=d_in, dtype="float32", device="cpu", **job["settings"]))
    config = SAETrainerConfig(steps * batches.shape[1], batches.shape[1], **job["trainer"])
    stream = (torch.from_numpy(batch.astype(np.float32)) * job["scale"] for batch in batches)
    SAETrainer(config, sae, stream).fit().save_inference_model(job["folder"])


def peer_settings(settings: dict[str, Any], d_sae: int, steps: int) -> dict[str, Any]:
    """What SAELens calls the settings of an SAE that both have."""
    warm_up = round(settings["sparsity_warmup_share"] * steps)
    shared = {"d_sae": d_sae, "apply_b_dec_to_input": settings["pre_bias"]}
    match settings["architecture"]:
        case "relu" | "gated":
            return shared | {"l1_coefficient": settings["l1"], "l1_warm_up_steps": warm_up}
        case "jumprelu":
            return shared | {
                "l0_coefficient": settings["l0"],
                "l0_warm_up_steps": warm_up,
                "jumprelu_bandwidth": settings["bandwidth"],
                "jumprelu_init_threshold": settings["threshold"],
            }
        case "matryoshka":
            widths = [round(share * d_sae) for share in settings["prefixes"]]
            return shared | {"k": settings["k"], "matryoshka_widths": widths}
    return shared | {"k": settings["k"]}


class Study:
    """Activations and settings of a study, and the trainings on them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        from snakemake.common.configfile import load_configfile
        from snakemake.utils import update_config

        from coact.activations import open_shard
        from coact.config import complete
        from coact.study import Study as Settings

        config: dict[str, Any] = {}
        for path in options.config:
            update_config(config, load_configfile(str(path)))
        self.options, self.folder, self.settings = options, folder, Settings(complete(config))
        shards = options.results / "activations" / options.model
        self.shards = [open_shard(path) for path in sorted(shards.glob("train-*.safetensors"))]
        self.heldout = [open_shard(path) for path in sorted(shards.glob("heldout-*.safetensors"))]

    def families(self) -> list[str]:
        """Those asked for, or all that have three sparsities."""
        names = self.settings.config["saes"]
        found = [name.removesuffix("_middle") for name in names if name.endswith("_middle")]
        return self.options.families or [name for name in found if name != "relu"]

    def of(self, family: str, seed: int) -> dict[str, Any]:
        """Settings of one SAE."""
        (expansion,) = self.settings.config["saes"][family]["expansion"]
        settings = self.settings.sae_settings(f"{family}-x{expansion:g}-s{seed}")
        others = {"tokens": self.options.tokens, "batch_tokens": self.options.batch}
        return settings | others | {"resample_steps": [], "snapshot_steps": []}

    def train(self, family: str, seed: int) -> tuple[float, float]:
        """L0 and held-out FVU of ours."""
        from coact.sae.train import Training, new_sae, train_sae

        settings = self.of(family, seed)
        stream = self.stream(settings)
        return self.measure(train_sae(new_sae(settings, stream.width), stream, Training.of(settings)).sae)

    def train_peer(self, family: str, seed: int) -> tuple[float, float]:
        """L0 and held-out FVU of SAELens'."""
        from coact.sae.initialization import survey
        from coact.sae.sae_lens import read_sae
        from coact.study import dictionary_size

        settings = self.of(family, seed)
        stream = self.stream(settings)
        steps = settings["tokens"] // stream.batch_tokens
        scale = survey(stream, settings["normalize_inputs"]).scale
        job = {key: settings[key] for key in ("architecture", "seed")} | {
            "batches": str(self.batches(stream, steps, seed)),
            "scale": scale,
            "settings": peer_settings(settings, dictionary_size(stream.width, settings["expansion"]), steps),
            "trainer": {
                "lr": settings["learning_rate"],
                "lr_end": settings["learning_rate"],
                "lr_warm_up_steps": round(settings["warmup_share"] * steps),
                "lr_decay_steps": round(settings["decay_share"] * steps),
                "dead_feature_window": settings["dead_steps"],
            },
            "threads": self.options.threads,
            "folder": str(self.folder / "sae"),
        }
        (self.folder / "job.json").write_text(json.dumps(job))
        command = [self.options.peer, __file__, "--train", str(self.folder / "job.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"SAELens on {family}: {done.stderr[-2000:]}")
        return self.measure(read_sae(job["folder"], stream.width, scale, fold_decoder_norms=True)[0])

    def stream(self, settings: dict[str, Any]) -> Any:
        """The batches of a training."""
        from coact.sae.stream import ActivationStream

        return ActivationStream(self.shards, False, settings["batch_tokens"], settings["seed"])

    def batches(self, stream: Any, steps: int, seed: int) -> Path:
        """A file of them: (steps, tokens, d_in) float16, the shards' own dtype."""
        path = self.folder / f"batches-{seed}-{stream.batch_tokens}.npy"
        if not path.exists():
            shape = steps, stream.batch_tokens, stream.width
            file = np.lib.format.open_memmap(path, "w+", np.float16, shape)
            for place, batch in zip(file, stream.batches(steps), strict=True):
                place[:] = batch.numpy()
        return path

    def measure(self, sae: Any) -> tuple[float, float]:
        """L0 and FVU on the held-out tokens."""
        from coact.sae.evaluate import reconstruction

        found = reconstruction(sae, self.heldout, False)
        return found.l0, found.fvu


def read_off(points: list[tuple[float, float]], l0: float) -> float | None:
    """FVU at an L0 on the line through points (L0, FVU), in logarithms; None beyond its ends."""
    points = sorted(points)
    if not points[0][0] * 0.99 <= l0 <= points[-1][0] * 1.01:
        return None
    logs = np.log(np.array(points))
    return float(np.exp(np.interp(math.log(l0), logs[:, 0], logs[:, 1])))


def main() -> None:
    """Run the benchmark, or one training of SAELens for it."""
    options = parse_arguments()
    if options.train:
        return train_peer(json.loads(options.train.read_text()))
    sys.path.insert(0, str(SOURCES))
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        study = Study(options, Path(folder))
        print(
            f"{options.tokens:,} tokens of {options.model}, batches of {options.batch:,}; seeds {options.seeds}",
            flush=True,
        )
        print(f"{'family':<14}{'seed':>5}{'SAELens: L0':>13}{'FVU':>9}{'ours at that L0':>17}{'ratio':>8}", flush=True)
        ratios: dict[str, list[float]] = {family: [] for family in study.families()}
        for seed in options.seeds:
            for family, found in ratios.items():
                points = [study.train(f"{family}_{sparsity}", seed) for sparsity in SPARSITIES]
                l0, fvu = study.train_peer(f"{family}_middle", seed)
                ours = read_off(points, l0)
                found += [ours / fvu] if ours else []
                last = f"{ours:>17.4f}{ours / fvu:>8.3f}" if ours else "  beyond our three"
                print(f"{family:<14}{seed:>5}{l0:>13.1f}{fvu:>9.4f}{last}", flush=True)
                print("".join(f"{'':<19}ours {a:>8.1f}{b:>9.4f}\n" for a, b in points if not ours), end="", flush=True)
        for family, found in ratios.items():
            print(f"{family:<14} median ratio {statistics.median(found) if found else math.nan:.3f} of {len(found)}")
    return None


if __name__ == "__main__":
    main()
