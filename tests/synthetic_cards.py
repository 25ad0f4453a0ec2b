"""Tables that cards are made of, with texts that would do harm where they were taken for markup."""

import numpy as np
import pandas as pd

from coact.interpretation.cards import CONTEXT, EFFECTS, EXPLANATION, STEERING, Tables

HOSTILE = [
    b"<script>alert(1)</script>",
    b"\"'>&",
    "\N{RIGHT-TO-LEFT OVERRIDE}a".encode(),
    b"\x00\x1b",
    b"x" * 10_000,
    b"```",
]
SHORTCODE = b"{{< meta title >}}"


def spell(ids):
    return [HOSTILE[token] if token < len(HOSTILE) else SHORTCODE for token in ids]


def meaning_tables():
    """What rules, effects and contexts say of feature 1; of the others nothing is known."""
    tokens = {"top_tokens": [np.array([0, 1])], "top_logits": [np.array([2.0, 1.0])]}
    tokens |= {"bottom_tokens": [np.array([6])], "bottom_logits": [np.array([-1.0])]}
    rules = {"feature": 1, "kind": ["label", "token", "bigram"], "token": [-1, 2, 4], "previous": [-1, -1, 3]}
    best = dict.fromkeys(CONTEXT, 0.5) | {"feature": 1, "context": "dna", "rank": 0}
    return {
        "contexts": pd.DataFrame([best]),
        "lens": pd.DataFrame({"feature": [1], "kurtosis": [3.5], "p_kurtosis": [0.01], **tokens}),
        "effects": pd.DataFrame([dict.fromkeys(EFFECTS, 0.5) | {"feature": 1}]),
        "steering": pd.DataFrame([dict.fromkeys(STEERING, 0.5) | {"feature": 1, "label": "dna"}]),
        "explanations": pd.DataFrame([dict.fromkeys(EXPLANATION, 0.5) | {"feature": 1, "carried_by": "token"}]),
        "rules": pd.DataFrame(rules | {"shrunk_mean": [0.1, 0.2, 0.3]}),
    }


def make_tables(features: int, seed: int = 0) -> Tables:
    """Tables of a dictionary whose last feature is dead and without edges; the others form two communities."""
    rng = np.random.default_rng(seed)
    numbers, bins = np.arange(features), 48
    counts = np.append(rng.integers(1, 500, features - 1), 0)
    histogram = [np.bincount(rng.integers(20, 30, n), minlength=bins) for n in counts]
    labels = [np.array(["dna", "arabic"])[: 2 if n else 0] for n in counts]
    of = pd.DataFrame({"feature": numbers, "count": counts, "frequency": counts / 1000.0, "mean": 0.5})
    of = of.assign(deviation=0.1, largest=2.0, histogram=histogram, labels=labels)
    of = of.assign(label_counts=[np.arange(1, 1 + len(names)) for names in labels])
    of = of.assign(label_lifts=[np.ones(len(names)) for names in labels], neuron=3, neuron_correlation=0.5)
    of = of.assign(similar=[np.array([(number + 1) % features]) for number in numbers])
    of = of.assign(similar_cosines=[np.array([0.3])] * features)
    active = numbers[:-1]
    ids = np.resize(np.arange(len(HOSTILE)), (len(active), 6))
    values = np.tile([0.0, 0.5, 1.0, 2.0, 0.0, 0.1], (len(active), 1))
    examples = pd.DataFrame({"feature": active, "kind": "top", "rank": 0, "activation": 2.0, "row": 3, "document": 0})
    examples = examples.assign(first=0, tokens=list(ids), activations=list(values))
    tokens = pd.DataFrame({"feature": active, "kind": "token", "rank": 0, "token": active % len(HOSTILE)})
    source = np.repeat(active[:-1], 2)
    target = np.minimum(source + np.tile([1, 2], len(active) - 1), features - 2)
    edges = pd.DataFrame({"source": source, "target": target})[source < target].drop_duplicates(ignore_index=True)
    edges = edges.assign(weight=rng.random(len(edges)), count=5, q=0.01, lift=2.0)
    edges["significant"] = rng.random(len(edges)) < 0.5
    community = np.append(active * 2 // len(active), -1)
    return Tables(
        of,
        examples,
        tokens.assign(previous=-1, count=5, mass=2.5),
        pd.DataFrame({"feature": numbers, "degree": np.where(counts, 4, 0), "live": counts > 0}),
        edges,
        pd.DataFrame({"feature": numbers, "community": community}),
        **meaning_tables(),
    )
