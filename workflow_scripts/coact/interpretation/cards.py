"""The card of a feature: everything that is known about it, in one place.

In: the tables of a dictionary. Out: plain dictionaries, ready for JSON, with tokens spelled out. Corpus text in them is
data; whoever shows it escapes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from coact.artefacts import read_table
from coact.spelling import spell_alone, spell_together

NEIGHBOURS = 8
ENDS = ("top", "bottom")
FEATURE = ("feature", "count", "frequency", "mean", "deviation", "largest", "neuron", "neuron_correlation", "histogram")
EDGE = ("weight", "count", "q", "lift", "significant")
LENS = ("kurtosis", "p_kurtosis")
CONTEXT = ("context", "rank", "tokens", "precision", "sensitivity", "specificity", "f1", "f1_low", "f1_high")
EFFECTS = (
    "contexts",
    "tokens",
    "ablation_kl",
    "ablation_random_kl",
    "ablation_cross_entropy",
    "ablation_random_cross_entropy",
    "addition_kl",
    "addition_random_kl",
    "direct_correlation",
    "gradient_correlation",
)
STEERING = (
    "label",
    "samples",
    "steered_share_samples",
    "random_share_samples",
    "unsteered_share_samples",
)
EXPLANATION = ("correlation", "correlation_shuffled", "carried_by", "active_heldout")
Spell = Callable[[Sequence[int]], list[bytes]]
Row = dict[str, Any]


@dataclass(frozen=True)
class Tables:
    """What cards are made of.

    Attributes:
        features, examples, tokens: of rule describe_features.
        nodes, edges, communities: of the graph.
        contexts: of rule measure_contexts; the best features of every context.
        lens, effects, steering: of rule measure_effects.
        explanations, rules: of rule explain_features.
    """

    features: pd.DataFrame
    examples: pd.DataFrame
    tokens: pd.DataFrame
    nodes: pd.DataFrame
    edges: pd.DataFrame
    communities: pd.DataFrame
    contexts: pd.DataFrame
    lens: pd.DataFrame
    effects: pd.DataFrame
    steering: pd.DataFrame
    explanations: pd.DataFrame
    rules: pd.DataFrame

    @classmethod
    def read(cls, paths: Mapping[str, str]) -> "Tables":
        """The tables whose paths `paths` has under their names."""
        return cls(**{name: read_table(paths[name]) for name in cls.names()})

    @classmethod
    def names(cls) -> list[str]:
        """Of the tables."""
        return [field.name for field in fields(cls)]


class Cards:
    """Makes the cards of a dictionary's features, one at a time.

    Args:
        tables: of one dictionary; `features`, `nodes` and `communities` have a row per feature, in order.
        spell: the bytes of token ids.
        neighbours: most neighbours on a card.
    """

    def __init__(self, tables: Tables, spell: Spell, neighbours: int = NEIGHBOURS) -> None:
        self._spell, self._neighbours = _Spelling(tables, spell), Neighbours(tables.edges, neighbours)
        self._rows = {
            field.name: _Rows(getattr(tables, field.name)) for field in fields(tables) if field.name != "edges"
        }

    def card(self, feature: int) -> Row:
        """The card of a feature.

        Returns:
            `feature`, `dead`, numbers of the tables, and the lists `labels`, `histogram`, `tokens`, `bigrams`,
            `examples`, `similar`, `neighbours`, `contexts`, `steering`, `rules`; `lens`, `effects` and `explanation`
            are None where it has none.
        """
        part = {name: rows.of(feature) for name, rows in self._rows.items()}
        (row,), (node,), (place,) = part["features"], part["nodes"], part["communities"]
        return {
            **_only(row, FEATURE),
            "dead": row["count"] == 0,
            "labels": _records(row, {"label": "labels", "count": "label_counts", "lift": "label_lifts"}),
            "similar": _records(row, {"feature": "similar", "cosine": "similar_cosines"}),
            **_only(node, ("degree", "live")),
            "community": place["community"],
            "neighbours": self._neighbours.of(feature),
            **self._spell.tokens(part["tokens"]),
            "examples": self._spell.examples(part["examples"]),
            "contexts": [_only(found, CONTEXT) for found in part["contexts"]],
            "steering": [_only(found, STEERING) for found in part["steering"]],
            "rules": self._spell.rules(part["rules"]),
            "lens": self._spell.lens(part["lens"]),
            "effects": _first(part["effects"], EFFECTS),
            "explanation": _first(part["explanations"], EXPLANATION),
        }


class Neighbours:
    """The neighbours of features in the graph: significant edges first, then by weight.

    Args:
        edges: of the graph.
        number: most of a feature.
    """

    def __init__(self, edges: pd.DataFrame, number: int = NEIGHBOURS) -> None:
        columns = list(EDGE)
        both = pd.concat(
            [
                edges[[one, other, *columns]].set_axis(["of", "feature", *columns], axis=1)
                for one, other in (("source", "target"), ("target", "source"))
            ]
        ).sort_values(["of", "significant", "weight", "feature"], ascending=[True, False, False, True])
        self._rows, self._number = _Rows(both, "of"), number

    def of(self, feature: int) -> list[Row]:
        """feature, weight, count, q, lift, significant of each."""
        return [_only(row, ("feature", *EDGE)) for row in self._rows.of(feature)[: self._number]]


class _Spelling:
    """Spells the tokens of a dictionary's tables, each id once."""

    def __init__(self, tables: Tables, spell: Spell) -> None:
        parts = [table[name] for table in (tables.tokens, tables.rules) for name in ("token", "previous")]
        lists = [tables.examples["tokens"], *(tables.lens[f"{end}_tokens"] for end in ENDS)]
        parts += [part for column in lists for part in column]
        ids = np.unique(np.concatenate([np.asarray(part, np.int64) for part in parts]))
        ids = ids[ids >= 0]
        self._pieces = dict(zip(ids.tolist(), spell(ids.tolist()), strict=True))

    def _text(self, row: Row) -> str:
        """A token, or a token and the one before it."""
        ids = [row["token"]] if row["kind"] == "token" else [row["previous"], row["token"]]
        return "".join(spell_alone(self._pieces[token], token) for token in ids)

    def tokens(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """The lists `tokens` and `bigrams`."""
        found: dict[str, list[Row]] = {"tokens": [], "bigrams": []}
        for row in rows:
            found[f"{row['kind']}s"].append({"text": self._text(row), "count": row["count"], "mass": row["mass"]})
        return found

    def rules(self, rows: Sequence[Row]) -> list[Row]:
        """The tokens and bigrams after which a feature's rule expects most."""
        return [
            {"kind": row["kind"], "text": self._text(row), "mean": row["shrunk_mean"]}
            for row in rows
            if row["kind"] != "label"
        ]

    def lens(self, rows: Sequence[Row]) -> Row | None:
        """Kurtosis with its p, and the tokens that gain and lose most, with their logits."""
        found = _first(rows, LENS)
        if found is None:
            return None
        for end in ENDS:
            pairs = zip(rows[0][f"{end}_tokens"].tolist(), rows[0][f"{end}_logits"].tolist(), strict=True)
            found[end] = [{"text": spell_alone(self._pieces[token], token), "logit": logit} for token, logit in pairs]
        return found

    def examples(self, rows: Sequence[Row]) -> list[Row]:
        """The list `examples`."""
        return [
            {
                **_only(row, ("kind", "activation", "row", "document", "activations")),
                "pieces": spell_together([self._pieces[token] for token in row["tokens"].tolist()]),
                "place": row["row"] - row["first"],
            }
            for row in rows
        ]


class _Rows:
    """The rows of a table by feature, as lists of Python's: a slice of a table takes a hundred times as long."""

    def __init__(self, table: pd.DataFrame, feature: str = "feature") -> None:
        table = table.sort_values(feature, kind="stable")
        self._features = table[feature].to_numpy()
        self._columns = {name: table[name].tolist() for name in table}

    def of(self, feature: int) -> list[Row]:
        first, last = np.searchsorted(self._features, [feature, feature + 1])
        part = [values[first:last] for values in self._columns.values()]
        return [dict(zip(self._columns, values, strict=True)) for values in zip(*part, strict=True)]


def _records(row: Row, names: Mapping[str, str]) -> list[Row]:
    values = zip(*(row[column] for column in names.values()), strict=True)
    return [dict(zip(names, record, strict=True)) for record in values]


def _only(row: Row, names: Sequence[str]) -> Row:
    return {name: row[name] for name in names}


def _first(rows: Sequence[Row], names: Sequence[str]) -> Row | None:
    return _only(rows[0], names) if rows else None
