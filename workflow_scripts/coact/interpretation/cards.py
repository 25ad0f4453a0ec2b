"""The card of a feature: everything that is known about it, in one place.

In: the tables of a dictionary. Out: plain dictionaries, ready for JSON, with tokens spelled out. Corpus text in them is
data; whoever shows it escapes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coact.spelling import spell_alone, spell_together

NEIGHBOURS = 8
Spell = Callable[[Sequence[int]], list[bytes]]


@dataclass(frozen=True)
class Tables:
    """What cards are made of.

    Attributes:
        features, examples, tokens: of rule describe_features.
        nodes, edges, communities: of the graph.
        others: further tables with one row per feature at most, by the name under which their columns appear.
    """

    features: pd.DataFrame
    examples: pd.DataFrame
    tokens: pd.DataFrame
    nodes: pd.DataFrame
    edges: pd.DataFrame
    communities: pd.DataFrame
    others: Mapping[str, pd.DataFrame]


def make_cards(tables: Tables, chosen: Sequence[int], spell: Spell) -> list[dict[str, Any]]:
    """Cards of chosen features.

    Args:
        tables: of one dictionary.
        chosen: feature numbers.
        spell: the bytes of token ids.
    Returns:
        One dictionary per feature: `feature`, `dead`, numbers of the tables, and the lists `labels`, `histogram`,
        `tokens`, `bigrams`, `examples`, `similar`, `neighbours`; a further table's row under its name, None where it
        has none.
    """
    known = _Spelling(tables, spell)
    rows = tables.features.set_index("feature").loc[list(chosen)]
    nodes, communities = (table.set_index("feature") for table in (tables.nodes, tables.communities))
    examples, tokens = (_groups(table, chosen) for table in (tables.examples, tables.tokens))
    others = {name: table.set_index("feature") for name, table in tables.others.items()}
    neighbours = neighbours_of(tables.edges, chosen)
    return [
        {
            "feature": int(feature),
            "dead": row["count"] == 0,
            **{name: row[name] for name in ("count", "frequency", "mean", "deviation", "largest", "neuron")},
            "neuron_correlation": row["neuron_correlation"],
            "histogram": row["histogram"],
            "labels": _records(row, {"label": "labels", "count": "label_counts", "lift": "label_lifts"}),
            "similar": _records(row, {"feature": "similar", "cosine": "similar_cosines"}),
            "degree": nodes.loc[feature, "degree"],
            "live": nodes.loc[feature, "live"],
            "community": communities.loc[feature, "community"],
            "neighbours": neighbours[feature],
            **known.tokens(tokens.get(feature)),
            "examples": known.examples(examples.get(feature)),
            **{name: _row(table, feature) for name, table in others.items()},
        }
        for feature, row in rows.iterrows()
    ]


def neighbours_of(edges: pd.DataFrame, chosen: Sequence[int], number: int = NEIGHBOURS) -> dict[int, list[dict]]:
    """The neighbours of features in the graph: significant edges first, then by weight.

    Returns:
        feature -> at most `number` of feature, weight, count, q, lift.
    """
    columns = ["weight", "count", "q", "lift", "significant"]
    both = pd.concat(
        [
            edges[[one, other, *columns]].set_axis(["of", "feature", *columns], axis=1)
            for one, other in (("source", "target"), ("target", "source"))
        ]
    )
    both = both[both["of"].isin(chosen)].sort_values(
        ["of", "significant", "weight", "feature"], ascending=[True, False, False, True]
    )
    found: dict[int, list[dict]] = {int(feature): [] for feature in chosen}
    for feature, group in both.groupby("of").head(number).groupby("of"):
        found[int(feature)] = group.drop(columns="of").to_dict("records")
    return found


class _Spelling:
    """Spells the tokens of a dictionary's tables, each id once."""

    def __init__(self, tables: Tables, spell: Spell) -> None:
        parts = [tables.tokens["token"].to_numpy(), tables.tokens["previous"].to_numpy(), *tables.examples["tokens"]]
        ids = np.unique(np.concatenate([np.asarray(part, np.int64) for part in parts]))
        ids = ids[ids >= 0]
        self._pieces = dict(zip(ids.tolist(), spell(ids.tolist()), strict=True))

    def tokens(self, table: pd.DataFrame | None) -> dict[str, list[dict[str, Any]]]:
        """The lists `tokens` and `bigrams`."""
        found: dict[str, list[dict[str, Any]]] = {"tokens": [], "bigrams": []}
        for row in [] if table is None else table.itertuples():
            ids = [row.token] if row.kind == "token" else [row.previous, row.token]
            text = "".join(spell_alone(self._pieces[token], token) for token in ids)
            found[f"{row.kind}s"].append({"text": text, "count": row.count, "mass": row.mass})
        return found

    def examples(self, table: pd.DataFrame | None) -> list[dict[str, Any]]:
        """The list `examples`."""
        return [
            {
                "kind": row.kind,
                "activation": row.activation,
                "row": row.row,
                "document": row.document,
                "pieces": spell_together([self._pieces[token] for token in row.tokens.tolist()]),
                "activations": row.activations,
                "place": row.row - row.first,
            }
            for row in ([] if table is None else table.itertuples())
        ]


def _groups(table: pd.DataFrame, chosen: Sequence[int]) -> dict[int, pd.DataFrame]:
    part = table[table["feature"].isin(chosen)]
    return {int(feature): group for feature, group in part.groupby("feature")}


def _records(row: pd.Series, names: Mapping[str, str]) -> list[dict[str, Any]]:
    values = zip(*(row[column] for column in names.values()), strict=True)
    return [dict(zip(names, record, strict=True)) for record in values]


def _row(table: pd.DataFrame, feature: int) -> dict[str, Any] | None:
    return table.loc[feature].to_dict() if feature in table.index else None
