"""What training an SAE takes, known before it starts: sizes in, bytes out."""

SAMPLE_TOKENS = 16_384  # activations that a training keeps, for its scale, its start and its end
COPIES = 4  # of the parameters: themselves, their gradients, Adam's two moments


def training_memory(d_in: int, d_sae: int, batch_tokens: int) -> int:
    """Bytes that a training takes at least.

    Weights, gradients and Adam's moments, the pre-activations of a batch, the batch and its reconstruction, the sample;
    all float32.
    """
    parameters = 2 * d_in * d_sae + d_in + d_sae
    return 4 * (COPIES * parameters + batch_tokens * d_sae + (2 * batch_tokens + SAMPLE_TOKENS) * d_in)
