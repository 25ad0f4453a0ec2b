"""How far SAEs of other packages, imported here, are from what these packages give: the table of docs/imports.md.

SAELens and sparsify themselves make, save and run SAEs with random weights, in an environment of their own
(`make .venv-sae-lens/installed`), on the same inputs. Neel Nanda's repository is no package: his formula is
written out.

    python benchmarks/compare_imports.py
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts")]

from coact.sae.imports import read_sae  # noqa: E402

PYTHON = ROOT / ".venv-sae-lens/bin/python"
TOKENS, WIDTH, FEATURES = 4096, 512, 2048
PLAIN = {"input_scale": None, "fold_decoder_norms": False, "tensors": None}
ROW = "| {:9} | {:22} | {:>8} | {:>8} | {:>8} |"


def differences(settings: dict[str, object], x: torch.Tensor, theirs: dict[str, torch.Tensor]) -> list[str]:
    """Largest differences of features and reconstructions, over the largest feature; share of features that differ."""
    sae, _ = read_sae(PLAIN | settings, x.shape[1])
    features, reconstruction = sae.encode(x), sae(x)
    largest = theirs["features"].abs().max()
    apart = (features > 0) != (theirs["features"] > 0)
    found = [(features - theirs["features"]).abs().max() / largest]
    found.append((reconstruction - theirs["reconstruction"]).abs().max() / theirs["reconstruction"].abs().max())
    return [f"{value:.1e}" for value in map(float, found)] + [f"{float(apart.float().mean()):.1e}"]


def nanda(folder: Path, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A file as that repository writes it, and what its formula gives."""
    shapes = {"W_enc": (WIDTH, FEATURES), "W_dec": (FEATURES, WIDTH), "b_enc": (FEATURES,), "b_dec": (WIDTH,)}
    weights = {name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}
    torch.save(weights, folder / "25.pt")
    (folder / "25_cfg.json").write_text(json.dumps({"d_mlp": WIDTH, "dict_mult": FEATURES // WIDTH}))
    features = torch.relu((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"])
    return {"features": features, "reconstruction": features @ weights["W_dec"] + weights["b_dec"]}


def main() -> None:
    """Make, import, compare, print."""
    torch.manual_seed(0)
    x = torch.randn(TOKENS, WIDTH)
    print(ROW.format("format", "case", "features", "output", "active"))
    print("|:---|:---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        folder = Path(scratch)
        for name in ("ours", "sae_lens", "sparsify"):
            (folder / name).mkdir()
        save_file({"x": x}, folder / "x")
        scripts = ROOT / "tests/sae_lens"
        for command in (["exchange.py", folder / "ours", folder / "sae_lens"],
                        ["exchange_sparsify.py", folder / "sparsify"]):  # fmt: skip
            subprocess.run([PYTHON, scripts / command[0], *command[1:], folder / "x"], check=True, capture_output=True)
        for kind in ("sae_lens", "sparsify"):
            for path in sorted((folder / kind).glob("*.out")):
                if path.stem.startswith("refused"):
                    continue
                inside = folder / kind / path.stem
                place = next(inside.iterdir()) if kind == "sparsify" else inside
                cells = differences({"format": kind, "path": str(place)}, x, load_file(path))
                print(ROW.format(kind, path.stem, *cells))
        theirs = nanda(folder, x)
        cells = differences({"format": "nanda", "path": str(folder / "25.pt")}, x, theirs)
        print(ROW.format("nanda", "plain formula", *cells))


if __name__ == "__main__":
    main()
