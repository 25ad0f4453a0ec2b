"""Sums over tokens of what patches change, and the table made of them.

In: logits before and after a patch. Out: per feature means and correlations. Memory: features x vocabulary for the
tokens that features promote, and a few numbers per token of an ablation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

CONDITIONS = ("ablation", "ablation_random", "addition", "addition_random")
MEASURES = ("cross_entropy", "kl", "correct_logit", "lens_logits")
PLACES = ("", "_elsewhere")
LEAST_TOKENS = 3  # of a correlation


@dataclass(frozen=True)
class Part:
    """What a patch changes at some tokens.

    Attributes:
        place: (n,) int64, place of the feature among the chosen ones.
        touched: (n,) bool, whether the token itself is patched.
        cross_entropy: (n,) change in the cross-entropy of the next token, nats, patched less clean.
        kl: (n,) KL(clean || patched), nats.
        correct_logit: (n,) change of the next token's centred logit.
        logits: (n, vocabulary) change of the centred logits: a logit less the mean over the vocabulary.
    """

    place: torch.Tensor
    touched: torch.Tensor
    cross_entropy: torch.Tensor
    kl: torch.Tensor
    correct_logit: torch.Tensor
    logits: torch.Tensor

    @classmethod
    def of(
        cls,
        clean: torch.Tensor,
        patched: torch.Tensor,
        targets: torch.Tensor,
        place: torch.Tensor,
        touched: torch.Tensor,
    ) -> Self:
        """From logits (n, vocabulary) before and after, and the next tokens (n,) int64."""
        change = patched - clean
        before, after = clean.log_softmax(1), patched.log_softmax(1)
        wanted = targets[:, None]
        entropy = (before.gather(1, wanted) - after.gather(1, wanted))[:, 0]
        kl = (before.exp() * (before - after)).sum(1)
        change = change - change.mean(1, keepdim=True)
        return cls(place, touched, entropy, kl, change.gather(1, wanted)[:, 0], change)


class EffectSums:
    """Running sums per feature, float64.

    Args:
        features: the chosen features.
        vocabulary: number of logits.
        lens_tokens: for each feature the top tokens of its logit lens; features without any have no `lens_logits`.
        top: tokens that are listed.
    """

    def __init__(
        self, features: Sequence[int], vocabulary: int, lens_tokens: Mapping[int, np.ndarray], top: int
    ) -> None:
        self._features, self._top, self._lens = list(features), min(top, vocabulary), lens_tokens
        shape = len(features)
        self._tokens = {condition + place: np.zeros(shape, np.int64) for condition in CONDITIONS for place in PLACES}
        self._contexts = np.zeros(shape, np.int64)
        self._sums = {f"{c}_{m}{p}": np.zeros(shape) for c in CONDITIONS for m in MEASURES for p in PLACES}
        self._logits = torch.zeros(shape, vocabulary, dtype=torch.float64)
        self._weights = torch.zeros(shape, vocabulary)
        for place, feature in enumerate(features):
            chosen = lens_tokens.get(feature, ())
            if len(chosen):
                self._weights[place, torch.from_numpy(np.array(chosen, np.int64))] = 1 / len(chosen)
        self._attributed: list[tuple[np.ndarray, ...]] = []

    def count(self, condition: str, place: np.ndarray, touched: torch.Tensor, elsewhere: torch.Tensor) -> None:
        """Count tokens whose prediction counts, one number for each of some contexts.

        Args:
            condition: one of `CONDITIONS`.
            place: (contexts,) of features.
            touched: tokens that are patched.
            elsewhere: later tokens of the context that are not.
        """
        if condition == CONDITIONS[0]:
            np.add.at(self._contexts, place, 1)
        np.add.at(self._tokens[condition], place, touched.cpu().numpy())
        np.add.at(self._tokens[f"{condition}_elsewhere"], place, elsewhere.cpu().numpy())

    def add(self, condition: str, part: Part) -> None:
        """Add up changes at some tokens; all others of those counted have none."""
        if self._weights.device != part.place.device:
            self._weights, self._logits = self._weights.to(part.place.device), self._logits.to(part.place.device)
        lens = (part.logits * self._weights[part.place]).sum(1)
        for measure, values in zip(MEASURES, (part.cross_entropy, part.kl, part.correct_logit, lens), strict=True):
            for where, suffix in zip((part.touched, ~part.touched), PLACES, strict=True):
                found = np.bincount(
                    part.place[where].cpu().numpy(), values[where].double().cpu().numpy(), len(self._features)
                )
                self._sums[f"{condition}_{measure}{suffix}"] += found
        if condition == "ablation":
            self._logits.index_add_(0, part.place[part.touched], part.logits[part.touched].double())

    def attribute(self, place: np.ndarray, *values: torch.Tensor) -> None:
        """Keep effect, direct and gradient attribution, (n,) each, of tokens where features (n,) fire."""
        self._attributed.append((place, *(value.double().cpu().numpy() for value in values)))

    def table(self, typical: Mapping[int, float]) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Means per feature, and a summary over features.

        Args:
            typical: typical activation of each feature.
        Returns:
            Columns: feature (int32), contexts, tokens, tokens_elsewhere, added_tokens (int64; predictions counted),
            typical_activation; for each of `CONDITIONS` the means at patched tokens <condition>_cross_entropy, _kl,
            _correct_logit and _lens_logits (mean over the lens' top tokens), and the same with _elsewhere at the later
            tokens that are not patched; effect, direct, gradient (mean loss of the correct token's centred logit by
            ablation, and its two estimates), direct_correlation, gradient_correlation (Pearson, over tokens); all
            float64, NaN where there are no tokens. promoted_tokens, suppressed_tokens (list of int32) and
            promoted_logits, suppressed_logits (list of float32): whose centred logits ablation lowers and raises most,
            and what the feature adds to them; lens_overlap, the share of the lens' top tokens among the promoted.
        """
        table = pd.DataFrame({"feature": np.array(self._features, np.int32), "contexts": self._contexts})
        table["tokens"], table["tokens_elsewhere"] = self._tokens["ablation"], self._tokens["ablation_elsewhere"]
        table["added_tokens"] = self._tokens["addition"]
        table["typical_activation"] = [float(typical[feature]) for feature in self._features]
        measured = {name: _ratio(total, self._tokens[_place_of(name)]) for name, total in self._sums.items()}
        for place, feature in enumerate(self._features):
            if not len(self._lens.get(feature, ())):
                for name in measured:
                    if "_lens_logits" in name:
                        measured[name][place] = np.nan
        table = table.join(pd.DataFrame(measured))
        pooled = self._join_attributions(table)
        self._list_tokens(table)
        return table, self._summarize(table, pooled)

    def _join_attributions(self, table: pd.DataFrame) -> dict[str, float]:
        """Add means and correlations of attributions; correlations over the tokens of all features come back."""
        parts = self._attributed or [tuple(np.zeros((4, 0)))]
        place, *values = (np.concatenate(part) for part in zip(*parts, strict=True))
        names = ("effect", "direct", "gradient")
        bounds = [place == number for number in range(len(self._features))]
        for name, column in zip(names, values, strict=True):
            table[name] = [float(column[rows].mean()) if rows.any() else np.nan for rows in bounds]
        effect, *estimates = values
        for name, column in zip(names[1:], estimates, strict=True):
            table[f"{name}_correlation"] = [pearson(column[rows], effect[rows]) for rows in bounds]
        return {name: pearson(column, effect) for name, column in zip(names[1:], estimates, strict=True)}

    def _list_tokens(self, table: pd.DataFrame) -> None:
        tokens = torch.tensor(table["tokens"].to_numpy())[:, None]
        added = -self._logits.cpu() / tokens.clamp_min(1)
        for name, largest in (("promoted", True), ("suppressed", False)):
            found = added.topk(self._top, dim=1, largest=largest)
            for kind, values in (("tokens", found.indices.int()), ("logits", found.values.float())):
                rows = zip(values.numpy(), tokens[:, 0], strict=True)
                table[f"{name}_{kind}"] = [row if number else row[:0] for row, number in rows]
        table["lens_overlap"] = [
            float(np.isin(lens, promoted).mean()) if len(lens) and len(promoted) else np.nan
            for lens, promoted in (
                (self._lens.get(feature, ()), row)
                for feature, row in zip(self._features, table["promoted_tokens"], strict=True)
            )
        ]

    def _summarize(self, table: pd.DataFrame, pooled: dict[str, float]) -> dict[str, Any]:
        measured = table[table["tokens"] > 0]
        names = [*self._sums, "effect", "direct", "gradient", "lens_overlap"]
        above = {
            name: float((measured[f"{name}_kl"] > measured[f"{name}_random_kl"]).mean())
            for name in ("ablation", "addition")
        }
        correlations = {
            name: {"pooled": pooled[name], "median": float(measured[f"{name}_correlation"].median())} for name in pooled
        }
        return {
            "features": len(table),
            "measured": len(measured),
            "contexts": int(table["contexts"].sum()),
            "tokens": int(table["tokens"].sum()),
            "mean": {name: float(measured[name].mean()) for name in names},
            "median": {name: float(measured[name].median()) for name in names},
            "share_above_random": above if len(measured) else dict.fromkeys(above, float("nan")),
            "correlation": correlations,
        }


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson correlation; NaN for fewer than `LEAST_TOKENS` values, values that do not vary, or NaN."""
    if len(x) < LEAST_TOKENS or np.isnan(x).any() or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _place_of(name: str) -> str:
    """The count of tokens that a sum belongs to."""
    condition = max((condition for condition in CONDITIONS if name.startswith(condition)), key=len)
    return condition + (PLACES[1] if name.endswith(PLACES[1]) else "")


def _ratio(total: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
