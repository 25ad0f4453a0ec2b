"""One module per architecture, each with one class that follows `Architecture`.

A new architecture is one new module here, called as the configuration calls it, and its name and settings in the
schema: modules are found by themselves.
"""

import importlib
import inspect
import pkgutil

from coact.sae.architectures.base import Architecture, Losses


def _class_of(name: str) -> type[Architecture]:
    """The architecture that the module `name` of this package defines."""
    module = importlib.import_module(f"{__name__}.{name}")
    (found,) = (cls for cls in vars(module).values() if inspect.isclass(cls) and _is_defined_in(cls, module.__name__))
    return found


def _is_defined_in(cls: type, module: str) -> bool:
    return issubclass(cls, Architecture) and cls.__module__ == module


ARCHITECTURES: dict[str, type[Architecture]] = {
    module.name: _class_of(module.name) for module in pkgutil.iter_modules(__path__) if module.name != "base"
}

# Those that SAEs have after training, by the name that SAELens gives them.
SAE_LENS_ARCHITECTURES: dict[str, type[Architecture]] = {
    cls.sae_lens_name: cls for cls in ARCHITECTURES.values() if cls.sae_lens_name is not None
}

__all__ = ["ARCHITECTURES", "SAE_LENS_ARCHITECTURES", "Architecture", "Losses"]
