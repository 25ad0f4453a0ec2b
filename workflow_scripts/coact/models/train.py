"""Training a small transformer on the token stream."""

import math

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from coact.device import get_device
from coact.errors import StudyError
from coact.progress import Progress

HISTORY_POINTS = 200
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
    steps = max(1, tokens // (batch_contexts * contexts.shape[1]))
    warmup = max(1, round(steps * warmup_share))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=BETAS,
        fused=True,
    )
    order = context_order(len(contexts), steps * batch_contexts, seed)
    progress = Progress(steps * batch_contexts * contexts.shape[1], "train model", "tokens")
    rows, losses = [], []
    every = max(1, steps // HISTORY_POINTS)
    for step in range(steps):
        rate = learning_rate * schedule(step, steps, warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        picked = np.sort(order[step * batch_contexts : (step + 1) * batch_contexts])
        batch = torch.from_numpy(contexts[picked].astype(np.int64)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(batch[:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimizer.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise StudyError(
                f"training the model: loss is {losses[-1]} at step {step + 1} of {steps}; lower learning_rate"
            )
        progress.update(batch.numel(), loss=losses[-1])
        if (step + 1) % every == 0 or step + 1 == steps:
            rows.append((step + 1, (step + 1) * batch.numel(), float(np.mean(losses)), rate))
            losses = []
    progress.close()
    model.eval()
    return pd.DataFrame(rows, columns=["step", "tokens", "loss", "learning_rate"])


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
