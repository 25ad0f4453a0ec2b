"""What the report is written from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from coact.comparison.columns import Column
from coact.report.meaning import Meaning
from coact.study import Study


@dataclass(frozen=True)
class Results:
    """Summaries of a whole study.

    Attributes:
        study: the checked configuration.
        columns: of `coact.comparison.columns_of`; evaluations, statistics and tables are in their order.
        evaluations: evaluation.json of each column's SAE.
        statistics: statistics.json of each column's graph.
        sensitivity, rarefaction: sensitivity.parquet and rarefaction.parquet of each column.
        pairs, best: comparison/pairs.parquet and best_matches.parquet; no rows where there is no pair.
        recovery: ground_truth/scores.parquet; no rows where no directions were planted.
        meaning: tables and summaries of the interpretation.
        models: evaluation.json of each model, in the order of the configuration.
        corpus: manifest.json of the corpus.
        tokens: name of a tokenizer -> manifest.json of its tokens.
        captions: name of a figure (with "recovery" where directions were planted) -> its words,
            as `coact.figures.save.words` gives them.
        versions: of `coact.provenance.versions`.
        config_hash: SHA-256 of the configuration.
    """

    study: Study
    columns: Sequence[Column]
    evaluations: Sequence[dict[str, Any]]
    statistics: Sequence[dict[str, Any]]
    sensitivity: Sequence[pd.DataFrame]
    rarefaction: Sequence[pd.DataFrame]
    pairs: pd.DataFrame
    best: pd.DataFrame
    recovery: pd.DataFrame
    meaning: Meaning
    models: Sequence[dict[str, Any]]
    corpus: dict[str, Any]
    tokens: dict[str, dict[str, Any]]
    captions: dict[str, dict[str, str]]
    versions: dict[str, str]
    config_hash: str
