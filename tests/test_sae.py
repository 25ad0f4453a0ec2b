"""SAEs from training to held-out figures, for every architecture; and what other tests make SAEs with."""

import numpy as np
import pytest
import torch

from coact.activations import open_shard
from coact.artefacts import write_tensors
from coact.sae.architectures import ARCHITECTURES
from coact.sae.disk import load_sae, save_sae
from coact.sae.evaluate import reconstruction
from coact.sae.stream import ActivationStream
from coact.sae.train import Training, train_sae

SETTINGS = {
    "relu": {"l1": 0.5},
    "topk": {"k": 3, "aux_share": 1 / 32},
    "batchtopk": {"k": 3, "aux_share": 1 / 32},
    "jumprelu": {"l0": 0.5, "threshold": 0.2, "bandwidth": 0.3},
    "gated": {"l1": 0.5},
    "matryoshka": {"k": 3, "aux_share": 1 / 32, "prefixes": [0.2, 0.5, 1.0]},
}


def make_shard(path, values, documents=None):
    """An activation shard of float32 values."""
    documents = np.zeros(len(values), np.int32) if documents is None else documents
    write_tensors({"activations": values.astype(np.float32), "documents": documents}, path, {}, {"dtype": "float32"})
    return open_shard(path)


def random_sae(name, d_in=6, d_sae=10, **others):
    """An SAE as in the middle of training: its parameters of features are a little off their first values."""
    sae = ARCHITECTURES[name](d_in, d_sae, **SETTINGS[name], **others)
    sae.initialize(torch.full((d_in,), 0.1), 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in sorted(sae.FEATURE_AXIS.keys() - {"W_enc", "W_dec"}):
            noise = 0.1 * torch.randn(d_sae, generator=generator)
            getattr(sae, parameter).add_(noise.abs() if parameter == "threshold" else noise)
    return sae


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.usefixtures("one_thread")
def test_an_sae_goes_from_training_through_its_folder_to_held_out_figures(name, tmp_path):
    generator = np.random.default_rng(0)
    directions = np.eye(8)[generator.integers(0, 8, 6000)]
    values = 5 * directions * generator.uniform(0.5, 1.5, (6000, 1)) + 0.5 + 0.05 * generator.normal(size=(6000, 8))
    stream = ActivationStream([make_shard(tmp_path / "train", values[:4000])], False, 200, 0)
    heldout = [make_shard(tmp_path / "heldout", values[4000:])]
    training = Training(
        tokens=20_000,
        learning_rate=2e-2,
        warmup_share=0.1,
        decay_share=0.2,
        sparsity_warmup_share=0.1,
        dead_steps=20,
        seed=0,
    )
    trained = train_sae(ARCHITECTURES[name](8, 16, **SETTINGS[name]), stream, training)
    save_sae(trained.sae, tmp_path / "sae", {}, {})
    sae = load_sae(tmp_path / "sae")
    x = torch.from_numpy(values[4000:]).float()
    assert torch.equal(sae.encode(x), trained.sae.encode(x))
    # What it makes of activations as they are is what it made of scaled ones at the end of its training.
    found = reconstruction(sae, heldout, False)
    assert found.fvu < 0.3
    assert found.fvu == pytest.approx(trained.history["fvu"].iloc[-1], abs=0.05)
    assert found.l0 == pytest.approx(trained.history["l0"].iloc[-1], rel=0.2)
