"""SAEs that sparsify saves, run by the environment of SAELens and sparsify (see tests/test_sae_imports.py).

python exchange_sparsify.py FOLDER X

Makes SAEs with random weights, saves each in FOLDER/<case>/<module>, as sparsify's trainer does, and writes what they
give on the rows of X (safetensors, "x") to FOLDER/<case>.out: features, reconstruction.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sparsify import SparseCoder, SparseCoderConfig

CASES = {
    "plain": ("layers.3.mlp", {"num_latents": 24, "k": 4}),
    "expansion": ("h.0", {"expansion_factor": 3, "k": 2, "normalize_decoder": False}),
    "half": ("gpt_neox.layers.1.attention", {"num_latents": 24, "k": 4}),
    "refused_transcoder": ("layers.0.mlp", {"num_latents": 24, "k": 4, "transcode": True}),
    "refused_skip": ("layers.0.mlp", {"num_latents": 24, "k": 4, "skip_connection": True}),
    "refused_groupmax": ("layers.0.mlp", {"num_latents": 24, "k": 4, "activation": "groupmax"}),
}


def main(folder: Path, x: torch.Tensor) -> None:
    torch.manual_seed(0)
    for case, (module, options) in CASES.items():
        sae = SparseCoder(x.shape[1], SparseCoderConfig(**options))
        with torch.no_grad():
            for parameter in sae.parameters():
                parameter.copy_(0.4 * torch.randn(parameter.shape))
            sae.W_dec.mul_(torch.linspace(0.5, 2, len(sae.W_dec))[:, None])
        if case == "half":
            sae = sae.half()
        sae.save_to_disk(folder / case / module)
        if case.startswith("refused"):
            continue
        loaded = SparseCoder.load_from_disk(folder / case / module).float()
        with torch.no_grad():
            top, indices, _ = loaded.encode(x)
            reconstruction = loaded.decode(top, indices)
        features = torch.zeros(len(x), loaded.num_latents).scatter(1, indices, top)
        save_file({"features": features, "reconstruction": reconstruction}, folder / f"{case}.out")


if __name__ == "__main__":
    main(Path(sys.argv[1]), load_file(sys.argv[2])["x"])
