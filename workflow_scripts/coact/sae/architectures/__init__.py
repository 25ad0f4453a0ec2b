"""One module per architecture, each with one class that follows `Architecture`.

A new architecture is one new module, its line in `ARCHITECTURES`, and its name in the schema.
"""

from coact.sae.architectures.base import Architecture, Losses
from coact.sae.architectures.relu import ReLU
from coact.sae.architectures.topk import TopK

ARCHITECTURES: dict[str, type[Architecture]] = {"relu": ReLU, "topk": TopK}

__all__ = ["ARCHITECTURES", "Architecture", "Losses", "ReLU", "TopK"]
