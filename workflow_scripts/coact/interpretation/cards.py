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
        self._tables, self._spell = tables, _Spelling(tables, spell)
        self._neighbours = Neighbours(tables.edges, neighbours)
        names = ("examples", "tokens", "contexts", "lens", "effects", "steering", "explanations", "rules")
        self._rows = {name: _Groups(getattr(tables, name)) for name in names}

    def card(self, feature: int) -> dict[str, Any]:
        """The card of a feature.

        Returns:
            `feature`, `dead`, numbers of the tables, and the lists `labels`, `histogram`, `tokens`, `bigrams`,
            `examples`, `similar`, `neighbours`, `contexts`, `steering`, `rules`; `lens`, `effects` and `explanation`
            are None where it has none.
        """
        row, node = self._tables.features.iloc[feature], self._tables.nodes.iloc[feature]
        part = {name: groups.of(feature) for name, groups in self._rows.items()}
        return {
            "feature": int(feature),
            "dead": bool(row["count"] == 0),
            **{name: row[name] for name in ("count", "frequency", "mean", "deviation", "largest", "neuron")},
            "neuron_correlation": row["neuron_correlation"],
            "histogram": row["histogram"],
            "labels": _records(row, {"label": "labels", "count": "label_counts", "lift": "label_lifts"}),
            "similar": _records(row, {"feature": "similar", "cosine": "similar_cosines"}),
            "degree": node["degree"],
            "live": node["live"],
            "community": self._tables.communities["community"].iloc[feature],
            "neighbours": self._neighbours.of(feature),
            **self._spell.tokens(part["tokens"]),
            "examples": self._spell.examples(part["examples"]),
            "contexts": part["contexts"][list(CONTEXT)].to_dict("records"),
            "steering": part["steering"][list(STEERING)].to_dict("records"),
            "rules": self._spell.rules(part["rules"]),
            "lens": self._spell.lens(part["lens"]),
            "effects": _only(part["effects"], EFFECTS),
            "explanation": _only(part["explanations"], EXPLANATION),
        }


class Neighbours:
    """The neighbours of features in the graph: significant edges first, then by weight.

    Args:
        edges: of the graph.
        number: most of a feature.
    """

    def __init__(self, edges: pd.DataFrame, number: int = NEIGHBOURS) -> None:
        columns = ["weight", "count", "q", "lift", "significant"]
        both = pd.concat(
            [
                edges[[one, other, *columns]].set_axis(["of", "feature", *columns], axis=1)
                for one, other in (("source", "target"), ("target", "source"))
            ]
        ).sort_values(["of", "significant", "weight", "feature"], ascending=[True, False, False, True])
        self._of, self._table, self._number = both["of"].to_numpy(), both.drop(columns="of"), number

    def of(self, feature: int) -> list[dict[str, Any]]:
        """feature, weight, count, q, lift, significant of each."""
        first, last = np.searchsorted(self._of, [feature, feature + 1])
        return self._table.iloc[first : min(last, first + self._number)].to_dict("records")


class _Spelling:
    """Spells the tokens of a dictionary's tables, each id once."""

    def __init__(self, tables: Tables, spell: Spell) -> None:
        parts = [table[name] for table in (tables.tokens, tables.rules) for name in ("token", "previous")]
        lists = [tables.examples["tokens"], *(tables.lens[f"{end}_tokens"] for end in ENDS)]
        parts += [part for column in lists for part in column]
        ids = np.unique(np.concatenate([np.asarray(part, np.int64) for part in parts]))
        ids = ids[ids >= 0]
        self._pieces = dict(zip(ids.tolist(), spell(ids.tolist()), strict=True))

    def _text(self, row: Any) -> str:
        """A token, or a token and the one before it."""
        ids = [row.token] if row.kind == "token" else [row.previous, row.token]
        return "".join(spell_alone(self._pieces[token], token) for token in ids)

    def tokens(self, table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
        """The lists `tokens` and `bigrams`."""
        found: dict[str, list[dict[str, Any]]] = {"tokens": [], "bigrams": []}
        for row in table.itertuples():
            found[f"{row.kind}s"].append({"text": self._text(row), "count": row.count, "mass": row.mass})
        return found

    def rules(self, table: pd.DataFrame) -> list[dict[str, Any]]:
        """The tokens and bigrams after which a feature's rule expects most."""
        return [
            {"kind": row.kind, "text": self._text(row), "mean": row.shrunk_mean}
            for row in table.itertuples()
            if row.kind != "label"
        ]

    def lens(self, table: pd.DataFrame) -> dict[str, Any] | None:
        """Kurtosis with its p, and the tokens that gain and lose most, with their logits."""
        found = _only(table, LENS)
        if found is None:
            return None
        row = table.iloc[0]
        for end in ENDS:
            pairs = zip(row[f"{end}_tokens"].tolist(), row[f"{end}_logits"].tolist(), strict=True)
            found[end] = [{"text": spell_alone(self._pieces[token], token), "logit": logit} for token, logit in pairs]
        return found

    def examples(self, table: pd.DataFrame) -> list[dict[str, Any]]:
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
            for row in table.itertuples()
        ]


class _Groups:
    """The rows of a table by feature."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table.sort_values("feature", kind="stable")
        self._features = self._table["feature"].to_numpy()

    def of(self, feature: int) -> pd.DataFrame:
        first, last = np.searchsorted(self._features, [feature, feature + 1])
        return self._table.iloc[first:last]


def _records(row: pd.Series, names: Mapping[str, str]) -> list[dict[str, Any]]:
    values = zip(*(row[column] for column in names.values()), strict=True)
    return [dict(zip(names, record, strict=True)) for record in values]


def _only(table: pd.DataFrame, names: Sequence[str]) -> dict[str, Any] | None:
    return table[list(names)].iloc[0].to_dict() if len(table) else None
