"""Where tensors live. Light on imports: the rules ask `has_gpu`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")  # CUDA, ROCm, CUDA in the Windows Subsystem for Linux


def has_gpu() -> bool:
    """Whether this machine has a GPU, by its device files."""
    return any(True for pattern in GPU_FILES for _ in Path("/dev").glob(pattern))


def get_device() -> "torch.device":
    """The first CUDA device where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
