"""The neurons themselves as a dictionary: a control that goes through the study like any SAE."""

import torch

from coact.sae.architectures.relu import ReLU


def neuron_dictionary(width: int) -> ReLU:
    """An SAE whose features are the input dimensions: features = ReLU(x), reconstruction = features.

    It reconstructs exactly where activations are not negative, as after a ReLU.
    """
    sae = ReLU(width, width)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(width))
        sae.W_dec.copy_(torch.eye(width))
    return sae
