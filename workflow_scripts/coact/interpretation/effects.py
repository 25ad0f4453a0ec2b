"""What features do to the model's predictions, by patching, and how well attribution foretells it.

In: a model, decoder rows, and where features fire on held-out text. Out: per feature the change in cross-entropy and in
the logits when it is taken away where it fires (ablation) or put in where it does not (addition), beside random
directions of the same size at the same tokens.

Ablation subtracts f_i d_i from the activations at the hook, at all tokens of a context where feature i fires; all else
stays, the SAE's error too, so that nothing but the feature's own part changes (Bricken et al. 2023, Towards
Monosemanticity; Marks et al. 2024, Sparse Feature Circuits). Attributions estimate what ablation takes from the centred
logit of the correct next token (its logit less the mean over the vocabulary): direct logit attribution along the linear
path, with each token's own scale of the final normalisation (Elhage et al. 2021), and gradient times activation
(Shrikumar et al. 2016; Nanda 2023, Attribution Patching), as the derivative along the ablation. Forward-mode
differentiation gives it for every token in one pass, including what earlier tokens' ablations do to later ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.autograd.forward_ad as forward_ad
from transformer_lens.model_bridge import TransformerBridge

from coact.corpus.tokens import TokenStream
from coact.device import get_device
from coact.interpretation.effect_sums import CONDITIONS, EffectSums, Part
from coact.interpretation.firings import Firings
from coact.interpretation.lens import draw_directions
from coact.interpretation.readout import FinalState, Readout, run_to_unembedding
from coact.progress import Progress

CELLS = 1 << 22  # tokens x vocabulary held at once


@dataclass(frozen=True)
class _Jobs:
    """Pairs of a feature and a context, one row each.

    Attributes:
        place: (jobs,) int64, place of the feature among the chosen ones.
        feature, context: (jobs,) int64.
        active: (jobs, length) float32, activation of the feature at each token.
        added: (jobs, length) float32, activation that is put in; 0 where none is.
        random: (jobs, width) float32, random directions of unit norm.
    """

    place: np.ndarray
    feature: np.ndarray
    context: np.ndarray
    active: np.ndarray
    added: np.ndarray
    random: torch.Tensor

    def __len__(self) -> int:
        return len(self.place)


def measure_effects(
    bridge: TransformerBridge,
    hook: str,
    readout: Readout,
    decoder: torch.Tensor,
    firings: Mapping[int, Firings],
    typical: Mapping[int, float],
    stream: TokenStream,
    lens_tokens: Mapping[int, np.ndarray],
    *,
    contexts: int,
    added_tokens: int,
    multiple: float,
    top: int,
    batch_contexts: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Ablation and addition of chosen features on held-out contexts.

    Args:
        bridge: the model.
        hook: hook point of the dictionary.
        readout: the linear path from there to the logits.
        decoder: (D, width) float32 decoder rows.
        firings: for each chosen feature where it fires on the stream.
        typical: for each chosen feature its typical activation, measured on other text (`typical_activations`).
        stream: held-out contexts.
        lens_tokens: for each chosen feature the top tokens of its logit lens, any number.
        contexts: contexts per feature, drawn without replacement in proportion to its activation in them.
        added_tokens: tokens per context, drawn from those where it does not fire, at which it is put in.
        multiple: of a feature's typical activation, how much is put in.
        top: promoted and suppressed tokens that are listed.
        batch_contexts: contexts in a forward pass.
        seed: of contexts, tokens and random directions; what is drawn for a feature does not depend on the others.
    Returns:
        The table and summary of `coact.interpretation.effect_sums.EffectSums.table`, a row per chosen feature. Nothing
        is measured where the readout is not `exact`.
    """
    sums = EffectSums(list(firings), readout.vocabulary, lens_tokens, top)
    levels = {feature: multiple * typical[feature] for feature in firings}
    jobs = _plan(firings if readout.exact else {}, levels, stream, decoder.shape[1], contexts, added_tokens, seed)
    run = _Run(bridge, hook, readout, decoder.to(get_device()), stream, sums)
    progress = Progress(len(jobs), "effects of features", "contexts")
    for start in range(0, len(jobs), batch_contexts):
        rows = slice(start, start + batch_contexts)
        run.measure(_Jobs(**{name: values[rows] for name, values in vars(jobs).items()}))
        progress.update(len(jobs.place[rows]))
    progress.close()
    return sums.table(typical)


def _plan(
    firings: Mapping[int, Firings],
    levels: Mapping[int, float],
    stream: TokenStream,
    width: int,
    contexts: int,
    added_tokens: int,
    seed: int,
) -> _Jobs:
    """Draw contexts, tokens and random directions."""
    length = stream.tokens.shape[1]
    nothing, no_tokens = np.zeros(0, np.int64), np.zeros((0, length), np.float32)
    parts = [(nothing, nothing, nothing, no_tokens, no_tokens, torch.zeros(0, width))]
    for place, (feature, found) in enumerate(firings.items()):
        generator = np.random.default_rng([seed, feature])
        seen, own = np.unique(found.positions // length, return_inverse=True)
        mass = np.bincount(own, found.values, len(seen))
        number = min(contexts, len(seen))
        chosen = np.sort(generator.choice(seen, number, replace=False, p=mass / mass.sum() if number else None))
        active, added = np.zeros((2, len(chosen), length), np.float32)
        inside = np.isin(found.positions // length, chosen)
        row = np.searchsorted(chosen, found.positions[inside] // length)
        active[row, found.positions[inside] % length] = found.values[inside]
        free = (active == 0) & _counted(stream, chosen) & (stream.documents[chosen] >= 0)
        for free_row, added_row in zip(free, added, strict=True):
            tokens = np.flatnonzero(free_row)
            tokens = generator.choice(tokens, min(added_tokens, len(tokens)), replace=False)
            added_row[tokens] = np.nan_to_num(levels[feature])
        random = draw_directions(len(chosen), width, generator)
        parts.append((np.full(len(chosen), place), np.full(len(chosen), feature), chosen, active, added, random))
    *arrays, random = zip(*parts, strict=True)
    return _Jobs(*map(np.concatenate, arrays), torch.cat(random))


def _counted(stream: TokenStream, contexts: np.ndarray) -> np.ndarray:
    """(contexts, length) bool: the token is followed by a token of a document, whose prediction counts."""
    counted = np.zeros((len(contexts), stream.tokens.shape[1]), bool)
    counted[:, :-1] = stream.documents[contexts, 1:] >= 0
    return counted


@dataclass(frozen=True)
class _Run:
    """What stays the same from batch to batch."""

    bridge: TransformerBridge
    hook: str
    readout: Readout
    decoder: torch.Tensor
    stream: TokenStream
    sums: EffectSums

    @torch.no_grad()
    def measure(self, jobs: _Jobs) -> None:
        """Run the model as it is and under every condition on the contexts of a batch, and add up."""
        device = self.decoder.device
        tokens = torch.from_numpy(self.stream.tokens[jobs.context].astype(np.int64)).to(device)
        counted = torch.from_numpy(_counted(self.stream, jobs.context)).to(device)
        targets = tokens.roll(-1, 1)
        rows = self.decoder[torch.from_numpy(jobs.feature).to(device)]
        random = jobs.random.to(device) * rows.norm(dim=1, keepdim=True)
        active, added = (torch.from_numpy(amounts).to(device) for amounts in (jobs.active, jobs.added))
        clean = run_to_unembedding(self.bridge, tokens)
        patches = ((-active, rows), (-active, random), (added, rows), (added, random))
        for condition, (amounts, directions) in zip(CONDITIONS, patches, strict=True):
            step = amounts[..., None] * directions[:, None]
            patched = run_to_unembedding(self.bridge, tokens, self.hook, lambda value, step=step: value + step)
            effect = self._compare(clean, patched, targets, counted, amounts != 0, jobs, condition)
            if condition == "ablation":
                self._attribute(clean, tokens, targets, counted, active, rows, -effect, jobs)

    def _compare(
        self,
        clean: FinalState,
        patched: FinalState,
        targets: torch.Tensor,
        counted: torch.Tensor,
        touched: torch.Tensor,
        jobs: _Jobs,
        condition: str,
    ) -> torch.Tensor:
        """Add up what a patch changes; (jobs, length) change of the centred logit of the correct next token.

        Tokens at which the unembedding's input is the same to the bit are unchanged, and not unembedded.
        """
        after = touched.cumsum(1) > 0
        effect = torch.zeros_like(counted, dtype=torch.float32)
        place = torch.from_numpy(jobs.place).to(counted.device)
        self.sums.count(condition, jobs.place, (touched & counted).sum(1), (after & ~touched & counted).sum(1))
        changed = ((patched.normalized != clean.normalized).any(-1) & counted).nonzero()
        for job, token in (part.unbind(1) for part in changed.split(max(1, CELLS // self.readout.vocabulary))):
            logits = [self.readout.unembed(state.normalized[job, token]) for state in (clean, patched)]
            part = Part.of(*logits, targets[job, token], place[job], touched[job, token])
            effect[job, token] = part.correct_logit
            self.sums.add(condition, part)
        return effect

    def _attribute(
        self,
        clean: FinalState,
        tokens: torch.Tensor,
        targets: torch.Tensor,
        counted: torch.Tensor,
        active: torch.Tensor,
        rows: torch.Tensor,
        effect: torch.Tensor,
        jobs: _Jobs,
    ) -> None:
        """Attributions at the tokens where a feature fires, beside the effect that they estimate."""
        job, token = ((active > 0) & counted).nonzero().unbind(1)
        unembedding = self.readout.unembedding
        logit = unembedding.T[targets[job, token]] - unembedding.mean(1)
        step = active[..., None] * rows[:, None]
        with forward_ad.dual_level():
            state = run_to_unembedding(
                self.bridge, tokens, self.hook, lambda value: forward_ad.make_dual(value, step.contiguous())
            )
            tangent = forward_ad.unpack_dual(state.normalized).tangent
        gradient = torch.zeros_like(effect[job, token]) if tangent is None else (tangent[job, token] * logit).sum(1)
        direct = torch.full_like(gradient, torch.nan)
        if self.readout.defined:
            scale = active[job, token] * self.readout.inverse_scales(clean.residual[job, token])
            direct = scale * (self.readout.before_unembedding(rows)[job] * logit).sum(1)
        self.sums.attribute(jobs.place[job.cpu().numpy()], effect[job, token], direct, gradient)
