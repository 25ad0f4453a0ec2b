"""Both directions of the interchange with SAELens, run by its own environment (see tests/test_sae_lens.py).

python exchange.py OURS THEIRS X

Loads every SAE folder in OURS as a user of SAELens does, and writes what it gives on the rows of X (safetensors, "x")
to <folder>.out. Makes SAEs of SAELens with random weights, saves each as SAELens does in THEIRS/<case>, and writes what
they give to THEIRS/<case>.out. Each .out is a safetensors file: features, reconstruction. Versions of the packages that
took part are printed as the last line.
"""

import json
import sys
from importlib import metadata
from pathlib import Path

import torch
from sae_lens.registry import get_sae_class
from safetensors.torch import load_file, save_file

from sae_lens import (
    SAE,
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
)

HOOK, D_SAE, SCALE = "blocks.0.mlp.hook_post", 24, 1.75
CASES = {
    "standard": ("standard", {}),
    "standard_as_is": ("standard", {"apply_b_dec_to_input": False}),
    "standard_float16": ("standard", {"dtype": "float16"}),
    "standard_bfloat16": ("standard", {"dtype": "bfloat16"}),
    "standard_scaled": ("standard", {"normalize_activations": "expected_average_only_in"}),
    "standard_heads": ("standard", {"reshape_activations": "hook_z"}),
    "topk": ("topk", {"k": 4}),
    "topk_as_is": ("topk", {"k": 4, "apply_b_dec_to_input": False}),
    "topk_rescaled": ("topk", {"k": 4, "rescale_acts_by_decoder_norm": True}),
    "topk_rescaled_scaled": (
        "topk",
        {"k": 4, "rescale_acts_by_decoder_norm": True, "normalize_activations": "expected_average_only_in"},
    ),
    "jumprelu": ("jumprelu", {}),
    "jumprelu_as_is": ("jumprelu", {"apply_b_dec_to_input": False}),
    "jumprelu_scaled": ("jumprelu", {"normalize_activations": "expected_average_only_in"}),
    "gated": ("gated", {}),
    "gated_as_is": ("gated", {"apply_b_dec_to_input": False}),
    "gated_scaled": ("gated", {"normalize_activations": "expected_average_only_in"}),
    "refused_layer_norm": ("standard", {"normalize_activations": "layer_norm"}),
    "refused_constant_norm": ("standard", {"normalize_activations": "constant_norm_rescale"}),
    "refused_whitening": ("standard", {"normalize_activations": "covariance_whitening"}),
    "refused_abstopk": ("abstopk", {"k": 4}),
}
TRAINED = {
    "trained_topk": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": 4}),
    "trained_batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": 4}),
    "trained_matryoshka": (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 4, "matryoshka_widths": [6, 12]},
    ),
}


def randomize(sae: SAE) -> None:
    """Random weights: decoder rows of norms from about 0.5 to 2, thresholds of both signs."""
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape))
        sae.W_dec.mul_(torch.linspace(0.5, 2, len(sae.W_dec))[:, None])


def write_outputs(sae: SAE, x: torch.Tensor, path: Path, scale: float = 1.0) -> None:
    """What an SAE gives on inputs times `scale`, its reconstruction in the units of the inputs."""
    with torch.no_grad():
        features = sae.encode(x * scale)
        reconstruction = sae.decode(features).flatten(1) / scale
    save_file({"features": features.contiguous(), "reconstruction": reconstruction.contiguous()}, path)


def main(ours: Path, theirs: Path, x: torch.Tensor) -> None:
    for folder in sorted(path for path in ours.iterdir() if path.is_dir()):
        sae = SAE.load_from_disk(folder)
        assert sae.cfg.metadata.hook_name == HOOK, sae.cfg.metadata
        write_outputs(sae, x, ours / f"{folder.name}.out")

    torch.manual_seed(0)
    for case, (architecture, options) in CASES.items():
        heads = options.get("reshape_activations") == "hook_z"
        cls, config_cls = get_sae_class(architecture)
        config = config_cls(d_in=x.shape[1], d_sae=D_SAE, **options)
        config.metadata.model_name, config.metadata.hook_name = "toy", "blocks.0.attn.hook_z" if heads else HOOK
        sae = cls(config)
        randomize(sae)
        sae.save_model(theirs / case)
        scale = SCALE if options.get("normalize_activations") == "expected_average_only_in" else 1.0
        if scale != 1:  # as a checkpoint of SAELens' trainer has it
            (theirs / case / "activation_scaler.json").write_text(json.dumps({"scaling_factor": scale}))
        loaded = SAE.load_from_disk(theirs / case, dtype="float32")
        write_outputs(loaded, x.unflatten(1, (2, -1)) if heads else x, theirs / f"{case}.out", scale)
    for case, (cls, config_cls, options) in TRAINED.items():
        sae = cls(config_cls(d_in=x.shape[1], d_sae=D_SAE, **options))
        randomize(sae)
        if hasattr(sae, "topk_threshold"):
            sae.topk_threshold = torch.tensor(0.3, dtype=torch.double)
            sae.save_model(theirs / f"refused_{case}")  # which SAELens does not load for inference either
        else:
            sae.save_model(theirs / f"{case}_state")
            write_outputs(SAE.load_from_disk(theirs / f"{case}_state"), x, theirs / f"{case}_state.out")
        sae.save_inference_model(theirs / case)
        write_outputs(SAE.load_from_disk(theirs / case), x, theirs / f"{case}.out")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), load_file(sys.argv[3])["x"])
    names = ("torch", "sae-lens", "eai-sparsify", "transformer-lens", "better-abc", "docstring-parser", "natsort")
    names += ("schedulefree", "simple-parsing")
    print(json.dumps({name: metadata.version(name).split("+")[0] for name in names}))
