"""What every feature of a dictionary looks like on held-out text: examples, tokens and a summary, from one pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from coact.corpus.tokens import TokenStream
from coact.errors import ArtefactError
from coact.features.batches import read_shards
from coact.interpretation.examples import QUANTILE, TOP, ExampleScan, example_table
from coact.interpretation.summary import SummaryScan
from coact.interpretation.vocabulary import KeyScan, bigram_keys
from coact.progress import tracked


@dataclass(frozen=True)
class Description:
    """What was found.

    Attributes:
        examples: `coact.interpretation.examples.example_table`.
        tokens: one row per feature, kind ("token", "bigram") and rank: feature int32, kind, rank int16, token int32,
            previous int32 (-1 but for bigrams), count int64, mass float64, lost float64 (`KeyScan.table`).
        summary: `coact.interpretation.summary.SummaryScan.table`.
    """

    examples: pd.DataFrame
    tokens: pd.DataFrame
    summary: pd.DataFrame


def describe_features(
    paths: Sequence[str | Path],
    stream: TokenStream,
    *,
    examples: int,
    quantiles: int,
    reach: int,
    tokens: int,
    seed: int,
) -> Description:
    """Describe all features; the stream is read once, the places of examples are then looked up.

    Args:
        paths: feature shards of the first tokens of the stream, in order.
        stream: the tokens.
        examples: maximum-activating contexts kept of a feature.
        quantiles: further examples, at evenly spaced quantiles of its activation.
        reach: tokens shown on either side of an example.
        tokens: tokens and bigrams kept of a feature.
        seed: of the sample that quantiles are read from.
    Raises:
        ArtefactError: a shard is damaged, or the shards hold more tokens than the stream.
    """
    ids, labels, length = stream.tokens.ravel(), stream.labels.ravel(), stream.tokens.shape[1]
    vocabulary = int(stream.tokens.max()) + 1
    bigrams = bigram_keys(stream.tokens, vocabulary).ravel()
    scans = None
    first = 0
    for batch in tracked(read_shards(paths), len(paths), "describe features", "shards"):
        if scans is None:
            width = batch.n_features
            scans = (ExampleScan(width, length, examples, seed), SummaryScan(width, stream.label_names))
            keys = KeyScan(width), KeyScan(width)
        part = slice(first, first + len(batch.kept))
        first = part.stop
        if first > len(ids):
            raise ArtefactError(f"{paths[-1]}: features of {first:,} tokens, but the stream has {len(ids):,}")
        scans[0].add(batch)
        scans[1].add(batch, labels[part])
        keys[0].add(batch, ids[part].astype(np.int64))
        keys[1].add(batch, bigrams[part])
    found = {TOP: scans[0].tops(), QUANTILE: scans[0].quantiles(quantiles)}
    return Description(
        examples=example_table(found, paths, stream.tokens, reach),
        tokens=_token_table(*(scan.table(tokens) for scan in keys), vocabulary),
        summary=scans[1].table(),
    )


def _token_table(tokens: pd.DataFrame, bigrams: pd.DataFrame, vocabulary: int) -> pd.DataFrame:
    parts = [
        tokens.assign(kind="token", token=tokens["key"], previous=-1),
        bigrams.assign(kind="bigram", token=bigrams["key"] % vocabulary, previous=bigrams["key"] // vocabulary),
    ]
    table = pd.concat(parts, ignore_index=True).astype({"token": np.int32, "previous": np.int32})
    table = table.sort_values(["feature", "kind", "rank"], ascending=[True, False, True], ignore_index=True)
    return table[["feature", "kind", "rank", "token", "previous", "count", "mass", "lost"]]
