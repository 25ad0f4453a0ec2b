"""Co-activation graphs of sparse-autoencoder features.

One subpackage per stage of the study, in the order of the data::

    corpus -> models -> activations -> sae -> features -> graph -> interpretation, comparison
           -> figures -> report

The modules beside them (errors, artefacts, config, progress, ...) are the ground floor: every stage
may import them, and they import no stage. A stage imports earlier stages only.
"""

__version__ = "0.1.0"
