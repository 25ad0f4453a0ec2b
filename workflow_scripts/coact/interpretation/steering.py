"""Steering: text that the model writes with a feature held high.

In: a model, an SAE, pairs of a feature and a label. Out: how often continuations of neutral prompts have the label,
with the feature clamped, without, and with a random direction of the same size added.

Clamping sets a feature's activation at every token to a multiple of its largest on real text and keeps the SAE's
error: f d is replaced by c d (Templeton et al. 2024, Scaling Monosemanticity). A random direction has no activation to
replace, so c ||d|| of it is added (Turner et al. 2023, Activation Addition). Sampling is by inverse transform, at
temperature 1, with the same uniform numbers under all conditions: texts differ by what the steering does alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import DynamicCache

from coact.corpus.tokens import TokenStream
from coact.device import get_device
from coact.errors import ConfigError
from coact.interpretation.labels import TokenClassifier, measure_classifier
from coact.interpretation.lens import draw_directions
from coact.interpretation.readout import Readout, run_to_unembedding
from coact.models.bridge import Patch
from coact.progress import Progress
from coact.sae.architectures import Architecture

CONDITIONS = ("steered", "random", "unsteered")
MEASURES = ("share_samples", "share_tokens", "log_ratio", "cross_entropy")
ROWS = 128  # texts written at once
SHOWN = 2  # texts kept of each condition


@dataclass(frozen=True)
class _Texts:
    """What is judged of some texts, each (texts, ...): tokens, and the model's own cross-entropy of them."""

    tokens: np.ndarray
    cross_entropy: np.ndarray


def neutral_prompts(
    stream: TokenStream, samples: int, prompt_tokens: int, labels: Sequence[int], seed: int
) -> np.ndarray:
    """Prompts: the first position of a context (BOS, if the stream has it) and the start of a document.

    Args:
        stream: held-out contexts.
        samples: number of prompts.
        prompt_tokens: tokens of a document in each; with 0 all prompts are the same.
        labels: of the documents that are taken.
        seed: of the draw of documents.
    Returns:
        (samples, 1 + prompt_tokens) int64; (samples, prompt_tokens) for a stream without BOS.
    Raises:
        ConfigError: no document of these labels has a start of that length, or there would be no token at all.
    """
    begins_special = bool((stream.documents[:, 0] < 0).all())
    if prompt_tokens == 0 and not begins_special:
        raise ConfigError(
            "prompt_tokens is 0, but the corpus has no BOS token (corpus.prepend_bos); expected 1 or more"
        )
    first = stream.tokens[:1, :1] if begins_special else stream.tokens[:1, :0]
    if prompt_tokens == 0:
        return np.repeat(first, samples, 0).astype(np.int64)
    documents, length = stream.documents, stream.documents.shape[1]
    starts = np.zeros(documents.shape, bool)
    starts[:, 1:] = (documents[:, 1:] >= 0) & (documents[:, 1:] != documents[:, :-1])
    starts &= np.isin(stream.labels, labels)
    context, token = starts[:, : max(0, length - prompt_tokens + 1)].nonzero()
    ends = documents[context, token + prompt_tokens - 1] == documents[context, token]
    context, token = context[ends], token[ends]
    if not len(context):
        raise ConfigError(f"prompt_tokens is {prompt_tokens}, but no document of the labels starts with as many tokens")
    drawn = np.random.default_rng(seed).choice(len(context), samples, replace=len(context) < samples)
    body = stream.tokens[context[drawn][:, None], token[drawn][:, None] + np.arange(prompt_tokens)]
    return np.concatenate([np.repeat(first, samples, 0), body], 1).astype(np.int64)


def measure_steering(
    bridge: TransformerBridge,
    hook: str,
    readout: Readout,
    sae: Architecture,
    pairs: Sequence[tuple[int, int]],
    largest: Mapping[int, float],
    classifier: TokenClassifier,
    prompts: np.ndarray,
    *,
    tokens: int,
    multiple: float,
    seed: int,
) -> pd.DataFrame:
    """Write and judge continuations.

    Args:
        bridge: the model.
        hook: hook point of the SAE.
        readout: for the unembedding.
        sae: the SAE.
        pairs: features, each with the label (an index into the classifier's) that its texts are to have.
        largest: the largest activation of these features on real text (`largest_activations`), NaN for one without.
        classifier: judges texts.
        prompts: (samples, n) int64, continued under each condition.
        tokens: length of the continuations.
        multiple: of a feature's largest activation that it is clamped at.
        seed: of sampling and of random directions.
    Returns:
        A row per pair: feature (int32), label (string), clamped_at (float64), samples, tokens (int64); for "steered",
        "random" and "unsteered" <condition>_share_samples (texts judged as the label), _share_tokens (tokens whose
        score is highest for the label and above 0), _log_ratio (mean score of a token for the label, nats) and
        _cross_entropy (of the texts under the model as it is, nats per token: how odd it finds them), float64;
        <condition>_texts (list of lists of int32, `SHOWN` continuations as token ids). NaN and empty lists for a
        feature that never fires, and where the readout is not `exact`.
    Raises:
        ConfigError: prompt and continuation are longer than the model's contexts.
    """
    longest = int(bridge.cfg.n_ctx)
    if prompts.shape[1] + tokens > longest:
        raise ConfigError(
            f"steering: prompts of {prompts.shape[1]} tokens and {tokens} more are longer than the model's {longest}"
        )
    sae = sae.to(get_device())
    uniform = np.random.default_rng(seed).random((len(prompts), tokens))
    writer = _Writer(bridge, hook, readout, prompts, uniform)
    unsteered = writer.write(1, None)
    fired = [place for place, (feature, _) in enumerate(pairs) if readout.exact and not np.isnan(largest[feature])]
    features = np.array([pairs[place][0] for place in fired], np.int64)
    levels = np.array([multiple * largest[feature] for feature in features], np.float32)
    steered, random = _write_all(writer, sae, features, levels, seed)
    texts = {place: (steered[n], random[n], unsteered) for n, place in enumerate(fired)}
    clamped = dict(zip(fired, levels, strict=True))
    rows = [
        {
            "feature": feature,
            "label": classifier.names[label],
            "clamped_at": float(clamped.get(place, np.nan)),
            "samples": len(prompts),
            "tokens": tokens,
            **_judge(classifier, label, texts.get(place)),
        }
        for place, (feature, label) in enumerate(pairs)
    ]
    return pd.DataFrame(rows, columns=list(_columns())).astype(_columns())


def _write_all(
    writer: "_Writer", sae: Architecture, features: np.ndarray, levels: np.ndarray, seed: int
) -> tuple[list[_Texts], list[_Texts]]:
    """Texts of every feature, with the feature clamped and with a random direction."""
    samples = len(writer.prompts)
    found: tuple[list[_Texts], list[_Texts]] = ([], [])
    size = max(1, ROWS // max(1, samples))
    progress = Progress(len(features), "steering", "features")
    for start in range(0, len(features), size):
        part = features[start : start + size]
        level = torch.from_numpy(levels[start : start + size]).to(get_device()).repeat_interleave(samples)
        which = torch.from_numpy(part).to(get_device()).repeat_interleave(samples)
        norms = sae.W_dec[which].norm(dim=1)
        drawn = [draw_directions(1, sae.d_in, np.random.default_rng([seed, feature])) for feature in part]
        random = torch.cat(drawn).to(get_device()).repeat_interleave(samples, 0)
        step = (level * norms)[:, None, None] * random[:, None]
        for texts, patch in zip(found, (clamp(sae, which, level), lambda value, step=step: value + step), strict=True):
            written = writer.write(len(part), patch)
            cut = [slice(n * samples, (n + 1) * samples) for n in range(len(part))]
            texts.extend(_Texts(written.tokens[rows], written.cross_entropy[rows]) for rows in cut)
        progress.update(len(part))
    progress.close()
    return found


def clamp(sae: Architecture, features: torch.Tensor, levels: torch.Tensor) -> Patch:
    """The patch that sets one feature per context to a level and keeps everything else, the SAE's error too.

    Args:
        sae: the SAE.
        features: (contexts,) int64.
        levels: (contexts,) float32 activations.
    """

    def patch(value: torch.Tensor) -> torch.Tensor:
        length = value.shape[1]
        found = sae.encode_sparse(value.flatten(0, 1))
        wanted = features.repeat_interleave(length)
        row = torch.arange(len(wanted), device=value.device).repeat_interleave(found.indptr.diff())
        own = found.indices == wanted[row]
        now = torch.zeros(len(wanted), device=value.device)
        now[row[own]] = found.values[own]
        change = levels[:, None] - now.view(-1, length)
        return value + change[..., None] * sae.W_dec[features][:, None]

    return patch


@dataclass(frozen=True)
class _Writer:
    """Continues prompts token by token, keys and values of earlier tokens kept where the model can do so."""

    bridge: TransformerBridge
    hook: str
    readout: Readout
    prompts: np.ndarray
    uniform: np.ndarray

    @torch.no_grad()
    def write(self, times: int, patch: Patch | None) -> _Texts:
        """Continue every prompt, all of them `times` times, and score the texts by the model without the patch."""
        text = torch.from_numpy(np.tile(self.prompts, (times, 1))).to(get_device())
        cache, new = DynamicCache(), text
        for uniform in np.tile(self.uniform, (times, 1)).T:
            state = run_to_unembedding(self.bridge, new, self.hook, patch, cache)
            logits = self.readout.unembed(state.normalized[:, -1])
            drawn = draw(logits, torch.from_numpy(uniform).to(logits.device))[:, None]
            kept = cache is not None and cache.get_seq_length() == text.shape[1]
            text = torch.cat([text, drawn], 1)
            cache, new = (cache, drawn) if kept else (None, text)
        written = text[:, self.prompts.shape[1] :]
        state = run_to_unembedding(self.bridge, text).normalized[:, -1 - written.shape[1] : -1]
        losses = [
            torch.nn.functional.cross_entropy(self.readout.unembed(row), own, reduction="none")
            for row, own in zip(state, written, strict=True)
        ]
        return _Texts(written.cpu().numpy(), torch.stack(losses).cpu().numpy())


def draw(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Tokens (rows,) int64 drawn at temperature 1 from logits (rows, vocabulary) by uniform numbers (rows,)."""
    reached = logits.double().softmax(1).cumsum(1)
    found = torch.searchsorted(reached, (uniform * reached[:, -1])[:, None], right=True)[:, 0]
    return found.clamp_max(logits.shape[1] - 1)


def _judge(classifier: TokenClassifier, label: int, texts: Sequence[_Texts] | None) -> dict[str, Any]:
    """The measures of the conditions, in the order of `CONDITIONS`."""
    found: dict[str, Any] = {}
    for number, condition in enumerate(CONDITIONS):
        if texts is None:
            found |= {f"{condition}_{measure}": np.nan for measure in MEASURES} | {f"{condition}_texts": []}
            continue
        tokens = texts[number].tokens
        scores = classifier.scores[tokens]
        of_label = (scores.argmax(2) == label) & (scores.max(2) > 0)
        own = (classifier.judge(tokens) == label).mean(), of_label.mean(), scores[:, :, label].mean()
        values = (*map(float, own), float(texts[number].cross_entropy.mean()))
        found |= {f"{condition}_{measure}": value for measure, value in zip(MEASURES, values, strict=True)}
        found[f"{condition}_texts"] = [row.astype(np.int32) for row in tokens[:SHOWN]]
    return found


def _columns() -> dict[str, type]:
    """The columns of the table and their types."""
    columns: dict[str, type] = {"feature": np.int32, "label": object, "clamped_at": np.float64}
    columns |= dict.fromkeys(("samples", "tokens"), np.int64)
    for condition in CONDITIONS:
        columns |= {f"{condition}_{name}": np.float64 for name in MEASURES} | {f"{condition}_texts": object}
    return columns


def summarize_steering(
    table: pd.DataFrame, classifier: TokenClassifier, stream: TokenStream, window: int
) -> dict[str, Any]:
    """Means over pairs, in how many of them the label comes more often than in a control, and how good the judge is.

    Args:
        table: of `measure_steering`.
        classifier: the judge.
        stream: held-out contexts, on which it is measured (`measure_classifier`).
        window: tokens in a text.
    """
    measured = table[table["clamped_at"].notna()]
    steered = measured["steered_share_samples"]
    return {
        "pairs": len(table),
        "measured": len(measured),
        "mean": {
            f"{condition}_{name}": float(measured[f"{condition}_{name}"].mean())
            for condition in CONDITIONS
            for name in MEASURES
        },
        "pairs_above": {
            name: int((steered > measured[f"{name}_share_samples"]).sum()) for name in ("random", "unsteered")
        },
        "classifier": measure_classifier(classifier, stream, window),
    }
