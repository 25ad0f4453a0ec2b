"""Training a small transformer on the token stream."""

import math

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from coact.device import get_device
from coact.progress import Progress
from coact.training import History, check_loss, set_learning_rate

GRADIENT_NORM = 1.0
BETAS = (0.9, 0.99)


def train_model(
    model: PreTrainedModel,
    contexts: np.ndarray,
    *,
    tokens: int,
    batch_contexts: int,
    learning_rate: float,
    warmup_share: float,
    weight_decay: float,
    precision: str,
    seed: int,
) -> pd.DataFrame:
    """Train `model` in place to predict the next token.

    AdamW with a linear warm-up and a cosine decay to a tenth of the peak rate; gradients are clipped to norm 1.

    Args:
        model: a causal language model in float32.
        contexts: (contexts, length) int32 token ids; taken in a seeded random order, once per epoch.
        tokens: tokens to train on, rounded down to whole steps, at least one.
        precision: "bfloat16" runs the forward pass under autocast, "float32" does not.
    Returns:
        History: step, tokens, loss (mean over the steps since the last row, nats), learning_rate.
    Raises:
        StudyError: the loss is not finite.
    """
    device = get_device()
    model.to(device).train()
    step_tokens = batch_contexts * contexts.shape[1]
    steps = max(1, tokens // step_tokens)
    warmup = max(1, round(steps * warmup_share))
    optimizer = _build_optimizer(model, learning_rate, weight_decay)
    order = context_order(len(contexts), steps * batch_contexts, seed).reshape(steps, batch_contexts)
    progress, history = Progress(steps * step_tokens, "train model", "tokens"), History(steps, step_tokens)
    for step, picked in enumerate(order):
        rate = learning_rate * schedule(step, steps, warmup)
        set_learning_rate(optimizer, rate)
        batch = torch.from_numpy(contexts[np.sort(picked)].astype(np.int64)).to(device)
        loss = _take_step(model, optimizer, batch, precision)
        check_loss(loss, "the model", step, steps)
        progress.update(step_tokens, loss=loss)
        history.add(loss=loss)
        if history.is_due:
            history.write_row(learning_rate=rate)
    progress.close()
    model.eval()
    return history.table()


def _build_optimizer(model: PreTrainedModel, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and embeddings, but neither biases nor the gains of normalisations."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=BETAS,
        fused=True,
    )


def _take_step(model: PreTrainedModel, optimizer: torch.optim.Optimizer, batch: torch.Tensor, precision: str) -> float:
    """One step of training on a batch (contexts, length) of int64 token ids.

    Returns:
        The mean next-token cross-entropy before the step, nats.
    """
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = model(batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
    optimizer.step()
    return loss.item()


def context_order(contexts: int, needed: int, seed: int) -> np.ndarray:
    """`needed` context numbers: one seeded permutation per epoch, one after another, int64."""
    generator = np.random.default_rng(seed)
    epochs = -(-needed // contexts)
    return np.concatenate([generator.permutation(contexts) for _ in range(epochs)])[:needed]


def schedule(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then cosine decay to 0.1."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
