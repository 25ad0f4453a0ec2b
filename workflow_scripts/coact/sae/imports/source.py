"""What a format's module gives: the SAE in the words of SAELens, with tensors under its names."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from coact.errors import ArtefactError
from coact.imported import TRANSPOSED


class Source(NamedTuple):
    """An SAE as it was saved.

    Attributes:
        config: as `coact.imported.describe` gives it, with "apply_b_dec_to_input".
        tensors: float32, under this project's names.
        scale: what inputs are multiplied by before they enter the SAE.
        place: what messages call its weights.
    """

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    scale: float
    place: str


def take(tensors: dict[str, torch.Tensor], names: dict[str, str], place: str | Path) -> dict[str, torch.Tensor]:
    """Tensors under other names.

    Args:
        names: our name -> theirs; ".T" after it transposes.
    Raises:
        ArtefactError: one is missing.
    """
    found = {}
    for name, theirs in names.items():
        plain = theirs.removesuffix(TRANSPOSED)
        if plain not in tensors:
            raise ArtefactError(f"{place}: no tensor '{plain}' for {name}; it has {', '.join(sorted(tensors))}")
        found[name] = (tensors[plain].T if plain != theirs else tensors[plain]).float().contiguous()
    return found
