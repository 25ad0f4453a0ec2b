"""SAEs that were made elsewhere, taken over by their weights.

In: the settings of a family of kind `import`. Out: an SAE of this project whose features are those of the code that
made it but for rounding; what cannot be had exactly is refused with its key. None of that code is needed, and none of
it runs. Half-precision weights are computed with in float32.

A format has a module that gives its `Source`; what is common to all is in `read`.
"""

from coact.sae.imports.read import check_reconstruction, read_sae

__all__ = ["check_reconstruction", "read_sae"]
