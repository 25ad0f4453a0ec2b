"""When features emerge in training: how near their directions and top tokens are to what they end as.

In: the snapshots of one training (`coact.sae.snapshots`). Out: a row per snapshot and feature, a row per feature, and a
summary by snapshot. Beside every figure stands its null: the end of another feature in place of the feature's own.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr

from coact.artefacts import TensorFile

SETTLED_COSINE, SETTLED_OVERLAP = 0.9, 0.5
MEASURES = ("cosine", "cosine_random", "overlap", "overlap_random")
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


class Emergence(NamedTuple):
    """What `measure_emergence` finds.

    Attributes:
        table: a row per snapshot and feature: step int64, feature int32, cosine, overlap (with the feature's own end),
            cosine_random, overlap_random (with another feature's), frequency (on the sample); float32.
        features: a row per feature: feature int32, frequency float64 (on the sample, at the end), silent bool,
            direction_settled_step and settled_step float64.
        summary: plain values; None is "not defined".
    """

    table: pd.DataFrame
    features: pd.DataFrame
    summary: dict[str, Any]


def measure_emergence(snapshots: TensorFile, seed: int, confidence: float) -> Emergence:
    """Hold every snapshot of a training against the last.

    The direction of a feature has settled at the first snapshot from which on its cosine with the final one stays at
    or above `SETTLED_COSINE`; the feature at the first from which on the overlap of its top tokens with the final ones
    stays at or above `SETTLED_OVERLAP` as well. Where that is the last snapshot alone, which is compared with itself,
    the step is NaN. Features that are *silent* at the end, on no token of the sample, have no top tokens; they are left
    out of the summary by step, but for `cosine_silent`.

    Args:
        snapshots: what `Snapshots.write` wrote; there may be none.
        seed: seed of the random partners.
        confidence: coverage of the intervals of rank correlations.
    """
    steps, tokens = np.asarray(snapshots["steps"]), int(snapshots.metadata["sample_tokens"])
    if not len(steps):
        return _nothing(tokens)
    final = snapshots["directions"][-1].astype(np.float32)
    frequency = snapshots["counts"] / max(tokens, 1)
    silent = snapshots["counts"][-1] == 0
    partner = random_partners(~silent, seed)
    values = {name: np.full(frequency.shape, np.nan, np.float32) for name in MEASURES}
    paired = partner >= 0
    for place in range(len(steps)):
        rows, top = snapshots["directions"][place].astype(np.float32), snapshots["tokens"][place]
        values["cosine"][place] = _cosines(rows, final)
        values["cosine_random"][place, paired] = _cosines(rows[paired], final[partner[paired]])
        values["overlap"][place] = overlaps(top, snapshots["tokens"][-1])
        values["overlap_random"][place, paired] = overlaps(top[paired], snapshots["tokens"][-1][partner[paired]])
    alike = values["cosine"] >= SETTLED_COSINE
    features = pd.DataFrame(
        {
            "feature": np.arange(len(silent), dtype=np.int32),
            "frequency": frequency[-1],
            "silent": silent,
            "direction_settled_step": settling_steps(steps, alike),
            "settled_step": settling_steps(steps, alike & (values["overlap"] >= SETTLED_OVERLAP)),
        }
    )
    summary = {
        **_sizes(len(silent), int(silent.sum()), snapshots["tokens"].shape[2], tokens),
        "by_step": _by_step(steps, values, features),
        "spearman": _correlations(features, int(steps[-1]), confidence),
    }
    return Emergence(_long(steps, values, frequency), features, summary)


def random_partners(eligible: np.ndarray, seed: int) -> np.ndarray:
    """For every eligible feature another one, all of them in one random cycle; -1 for those that have none.

    Args:
        eligible: (D,) bool.
    Returns:
        (D,) int64.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(eligible))
    partner = np.full(len(eligible), -1, np.int64)
    if len(order) > 1:
        partner[order] = np.roll(order, -1)
    return partner


def overlaps(tokens: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Jaccard overlap of two sets of tokens per feature: the share of the tokens in either that are in both.

    Args:
        tokens, others: (D, top) integers, distinct within a row; -1 is no token.
    Returns:
        (D,) float64; NaN where both sets are empty.
    """
    both = ((tokens[:, :, None] == others[:, None, :]) & (tokens >= 0)[:, :, None]).sum((1, 2))
    either = (tokens >= 0).sum(1) + (others >= 0).sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def settling_steps(steps: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """The step of the first snapshot from which on something holds for good; NaN where it is the last, or none.

    Args:
        steps: (n,) ascending.
        holds: (n, D) bool.
    Returns:
        (D,) float64.
    """
    for_good = np.logical_and.accumulate(holds[::-1])[::-1]
    first = for_good.argmax(0)
    return np.where(for_good[-1] & (first < len(steps) - 1), steps[first], np.nan)


def _cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosine of each row with the other's; NaN where one of them is 0."""
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    return np.where(norms > 0, np.einsum("ij,ij->i", rows, others) / np.maximum(norms, 1e-8), np.nan)


def _sizes(features: int, silent: int, top: int, tokens: int) -> dict[str, Any]:
    return {
        "features": features,
        "silent": silent,
        "top_tokens": top,
        "sample_tokens": tokens,
        "settled_cosine": SETTLED_COSINE,
        "settled_overlap": SETTLED_OVERLAP,
    }


def _by_step(steps: np.ndarray, values: dict[str, np.ndarray], features: pd.DataFrame) -> list[dict[str, Any]]:
    """Per snapshot: quantiles of the measures over features that are not silent, and the shares that have settled.

    The shares are None at the last snapshot, which has nothing after it to settle against.
    """
    silent = features["silent"].to_numpy()
    settled = features.loc[~silent, ["direction_settled_step", "settled_step"]]
    found = []
    for place, step in enumerate(steps.tolist()):
        shares = (settled <= step).mean() if place < len(steps) - 1 and len(settled) else dict.fromkeys(settled)
        record = {"step": step, **{name: _quantiles(values[name][place, ~silent]) for name in MEASURES}}
        record["cosine_silent"] = _quantiles(values["cosine"][place, silent])
        record["direction_settled_share"] = shares["direction_settled_step"]
        record["settled_share"] = shares["settled_step"]
        found.append(record)
    return found


def _quantiles(values: np.ndarray) -> dict[str, float | None]:
    known = values[~np.isnan(values)].astype(np.float64)
    found = np.quantile(known, list(QUANTILES.values())).tolist() if len(known) else [None] * len(QUANTILES)
    return dict(zip(QUANTILES, found, strict=True))


def _correlations(features: pd.DataFrame, last: int, confidence: float) -> dict[str, dict[str, Any] | None]:
    """Spearman's correlation of settling steps with the final frequency, over features that are not silent.

    Those that had not settled before the end count as the latest: what is known of them is that they come last.
    """
    known = features[~features["silent"]]
    return {
        name: rank_correlation(known[f"{name}_step"].fillna(last), known["frequency"], confidence)
        for name in ("direction_settled", "settled")
    }


def rank_correlation(one: pd.Series, other: pd.Series, confidence: float) -> dict[str, Any] | None:
    """Spearman's correlation, its interval by Fisher's z with the variance of Bonett and Wright (2000), and n.

    None where one side is constant; bounds are None below four pairs.
    """
    n = len(one)
    if n < 2 or one.nunique() < 2 or other.nunique() < 2:
        return None
    value = float(spearmanr(one, other).statistic)
    if n < 4:
        return {"value": value, "low": None, "high": None, "n": n}
    width = norm.ppf((1 + confidence) / 2) * np.sqrt((1 + value**2 / 2) / (n - 3))
    center = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    return {"value": value, "low": float(np.tanh(center - width)), "high": float(np.tanh(center + width)), "n": n}


def _long(steps: np.ndarray, values: dict[str, np.ndarray], frequency: np.ndarray) -> pd.DataFrame:
    number = frequency.shape[1]
    columns = {name: array.ravel() for name, array in values.items()}
    return pd.DataFrame(
        {
            "step": np.repeat(steps, number),
            "feature": np.tile(np.arange(number, dtype=np.int32), len(steps)),
            **columns,
            "frequency": frequency.ravel().astype(np.float32),
        }
    )


def _nothing(tokens: int) -> Emergence:
    """What is found where no snapshots were taken: the same columns and keys, without rows and numbers."""
    nothing = np.empty((0, 0), np.float32)
    features = pd.DataFrame({"feature": np.empty(0, np.int32), "frequency": np.empty(0), "silent": np.empty(0, bool)})
    features = features.assign(direction_settled_step=np.empty(0), settled_step=np.empty(0))
    summary = {
        **_sizes(0, 0, 0, tokens),
        "by_step": [],
        "spearman": dict.fromkeys(("direction_settled", "settled")),
    }
    return Emergence(_long(np.empty(0, np.int64), dict.fromkeys(MEASURES, nothing), nothing), features, summary)
