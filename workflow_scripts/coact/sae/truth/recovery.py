"""The scores of one SAE by the true features, and those of a random dictionary beside them.

In: an SAE trained on planted activations, and what was planted. Out: tables of true features and of SAE features, and
scores. Everything but the directions is measured on held-out tokens, drawn anew chunk by chunk. Definitions:
docs/definitions.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array

from coact.device import get_device
from coact.progress import Progress
from coact.sae.architectures import Architecture
from coact.sae.architectures.topk import TopK
from coact.sae.truth.matching import cosines, merged, partners
from coact.sae.truth.planted import Truth, chunks
from coact.sae.truth.settings import KINDS, RANDOM, TRAINED

RANDOM_SEED = 1 << 32  # away from the seeds of SAEs, which begin at random decoder rows too


@dataclass(frozen=True)
class Recovery:
    """What an SAE recovers; every table has rows for the dictionaries "trained" and "random" (column `dictionary`).

    Attributes:
        truths: a row per true feature and dictionary.
        features: a row per feature and dictionary.
        scores: {"trained": scores, "random": scores}, see `recover`.
    """

    truths: pd.DataFrame
    features: pd.DataFrame
    scores: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Firing:
    """Counts over held-out tokens, all int64; a detector is the partner of a true feature, or nothing.

    Attributes:
        tokens: number of tokens.
        features: (D,) tokens on which each SAE feature fires.
        truths: (F,) tokens on which each true feature fires.
        detected: (F,) tokens on which its detector does.
        hits: (F,) on which both do.
        with_child: (F,) on which it and a child of it fire.
        with_child_hits: (F,) on which its detector does too.
        fvu: residual sum of squares / total sum of squares around the mean, of the reconstruction.
        noise_share: the same of the sum of true features without the noise: what no SAE can explain.
    """

    tokens: int
    features: np.ndarray
    truths: np.ndarray
    detected: np.ndarray
    hits: np.ndarray
    with_child: np.ndarray
    with_child_hits: np.ndarray
    fvu: float
    noise_share: float


def recover(sae: Architecture, truth: Truth, sample: torch.Tensor, tokens: int, found_cosine: float) -> Recovery:
    """Score an SAE, and a random dictionary with as many features and as many active ones per token.

    Args:
        sae: trained, takes activations as they are.
        truth: what was planted.
        sample: (n, d) training activations, by which the random dictionary is centered and scaled.
        tokens: held-out tokens.
        found_cosine: a true feature is found where the cosine to its partner is above this.
    Returns:
        Scores per dictionary: d_sae, tokens, found (true features), found_share, found_single, found_group, found_root,
        found_child (shares of the kinds), mmcs (mean over true features of the largest cosine), mmcs_back (mean over
        features that fire of the largest cosine to a true one), fvu, l0, dead_share, f1 (mean over true features that
        fire), parents (found ones), silent_with_child, silent_alone, merged_share, and of the truth: truths, l0_true,
        noise_share. NaN where a score is not defined.
    """
    trained = _score(sae, truth, tokens, found_cosine)
    k = min(max(1, round(trained[2]["l0"])), sae.d_sae)
    null = random_dictionary(sae.d_sae, k, sample, truth.settings.seed)
    both = {TRAINED: trained, RANDOM: _score(null, truth, tokens, found_cosine)}
    tables = [
        pd.concat([found[place].assign(dictionary=name) for name, found in both.items()], ignore_index=True)
        for place in (0, 1)
    ]
    return Recovery(*tables, {name: found[2] for name, found in both.items()})


@torch.no_grad()
def random_dictionary(d_sae: int, k: int, sample: torch.Tensor, seed: int) -> TopK:
    """A TopK SAE with random decoder rows, the encoder their transpose, at the mean of the sample.

    What is left to chance is the directions alone: its features are scaled by the one factor that reconstructs the
    sample best.

    Args:
        sample: (n, d) activations.
    """
    null = TopK(sample.shape[1], d_sae, k=k)
    null.initialize(sample.mean(0), RANDOM_SEED + seed)
    guess = null(sample) - null.b_dec
    squares = guess.double().pow(2).sum().item()
    factor = ((sample - null.b_dec) * guess).double().sum().item() / squares if squares > 0 else 1.0
    null.W_enc.mul_(factor)
    return null.requires_grad_(False)


def _score(
    sae: Architecture, truth: Truth, tokens: int, found_cosine: float
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Table of true features, table of SAE features, scores."""
    rows = sae.W_dec.detach().cpu().numpy()
    cosine = cosines(truth.directions, rows)
    partner = partners(cosine, found_cosine)
    firing = count_firing(sae, truth, tokens, partner)
    nearest = cosine.argmax(1)
    paired = np.where(partner >= 0, cosine[np.arange(len(cosine)), partner], np.nan)
    alone = firing.truths - firing.with_child
    parents = np.isin(np.arange(len(cosine)), truth.parent)
    truths = truth.table().assign(
        count=firing.truths,
        nearest=nearest.astype(np.int32),
        max_cosine=cosine.max(1),
        partner=partner.astype(np.int32),
        cosine=paired,
        found=paired > found_cosine,
        precision=_share(firing.hits, firing.detected),
        recall=_share(firing.hits, firing.truths),
        f1=_share(2 * firing.hits, firing.truths + firing.detected),
        silent_with_child=np.where(parents, 1 - _share(firing.with_child_hits, firing.with_child), np.nan),
        silent_alone=np.where(parents, 1 - _share(firing.hits - firing.with_child_hits, alone), np.nan),
        merged=merged(truth, rows, nearest, found_cosine),
    )
    features = pd.DataFrame(
        {
            "feature": np.arange(sae.d_sae, dtype=np.int32),
            "count": firing.features,
            "nearest": cosine.argmax(0).astype(np.int32),
            "max_cosine": cosine.max(0),
        }
    )
    return truths, features, _summary(truths, features, firing)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _summary(truths: pd.DataFrame, features: pd.DataFrame, firing: Firing) -> dict[str, Any]:
    found = truths[truths["found"]]
    live = features[features["count"] > 0]
    fired = truths[truths["count"] > 0]
    return {
        "truths": len(truths),
        "d_sae": len(features),
        "tokens": firing.tokens,
        "found": len(found),
        "found_share": len(found) / len(truths),
        **{f"found_{kind}": truths.loc[truths["kind"] == kind, "found"].mean() for kind in KINDS},
        "mmcs": truths["max_cosine"].mean(),
        "mmcs_back": live["max_cosine"].mean(),
        "fvu": firing.fvu,
        "noise_share": firing.noise_share,
        "l0": firing.features.sum() / firing.tokens,
        "l0_true": firing.truths.sum() / firing.tokens,
        "dead_share": 1 - len(live) / len(features),
        "f1": fired["f1"].mean(),
        "parents": int(found["silent_with_child"].notna().sum()),
        "silent_with_child": found["silent_with_child"].mean(),
        "silent_alone": found["silent_alone"].mean(),
        "merged_share": truths["merged"].mean(),
    }


@torch.no_grad()
def count_firing(sae: Architecture, truth: Truth, tokens: int, partner: np.ndarray) -> Firing:
    """One pass over held-out tokens.

    Args:
        partner: (F,) SAE feature of each true feature, -1 for none: a detector that never fires.
    """
    device = get_device()
    sae = sae.to(device)
    number = len(partner)
    select = _indicator(partner, np.arange(number), (sae.d_sae, number))
    to_parent = _indicator(np.arange(number), truth.parent, (number, number))
    counts = {
        name: np.zeros(number, np.int64) for name in ("truths", "detected", "hits", "with_child", "with_child_hits")
    }
    features, squares = np.zeros(sae.d_sae, np.int64), np.zeros(3)
    total = np.zeros(truth.settings.dimension)
    progress = Progress(tokens, "score directions", "tokens")
    for chunk in chunks(truth, "heldout", tokens):
        x = torch.from_numpy(chunk.x).to(device)
        guess, found = sae.reconstruct(x)
        squares += [_squares(x - guess), float(np.square(chunk.x - chunk.signal, dtype=np.float64).sum()), _squares(x)]
        total += chunk.x.sum(0, dtype=np.float64)
        active = csr_array(
            (np.ones(len(found.indices), np.int32), found.indices.cpu().numpy(), found.indptr.cpu().numpy()),
            shape=(len(x), sae.d_sae),
        )
        fires = (chunk.codes > 0).astype(np.int32)
        detected, with_child = active @ select, (fires @ to_parent > 0).astype(np.int32)
        features += active.sum(0)
        for name, table in (
            ("truths", fires),
            ("detected", detected),
            ("hits", fires * detected),
            ("with_child", with_child),
            ("with_child_hits", with_child * detected),
        ):
            counts[name] += table.sum(0)
        progress.update(len(x))
    progress.close()
    around_mean = squares[2] - np.square(total).sum() / tokens
    shares = squares[:2] / around_mean if around_mean > 0 else np.full(2, np.nan)
    return Firing(tokens, features, **counts, fvu=float(shares[0]), noise_share=float(shares[1]))


def _indicator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """A matrix with 1 at (row, column) where both are at least 0."""
    kept = (rows >= 0) & (columns >= 0)
    return csr_array((np.ones(kept.sum(), np.int32), (rows[kept], columns[kept])), shape=shape)


def _squares(values: torch.Tensor) -> float:
    return values.double().pow(2).sum().item()
