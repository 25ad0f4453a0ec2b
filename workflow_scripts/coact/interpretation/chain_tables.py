"""The chains of a dictionary in tables: chosen on training tokens, measured on held-out ones.

In: successive top-k sets of both splits. Out: directed edges beyond the null, chains with their steps, self-loops, and
how many of each there are beside a shifted text, which goes through all of it as the text does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coact.interpretation.chains import FORWARD, Chain, ChainSettings, Walks, find_chains, handovers, is_positional
from coact.interpretation.succession import (
    PAIR_SHIFT,
    Succession,
    count_next,
    independent_moments,
    look_up_keys,
    margins,
    shift_next,
    shifted_moments,
    test_edges,
)

EXAMPLES = 5  # places given of each chain


@dataclass(frozen=True)
class ChainTables:
    """What `tabulate_chains` returns: tables and their summary."""

    edges: pd.DataFrame
    chains: pd.DataFrame
    steps: pd.DataFrame
    loops: pd.DataFrame
    summary: dict[str, Any]


def tabulate_chains(train: Succession, heldout: Succession, settings: ChainSettings) -> ChainTables:
    """Edges beyond the null, chains, self-loops and counts of one dictionary.

    Args:
        train, heldout: tokens of both splits.
        settings: how.
    Returns:
        edges: those of `test_edges` with q <= fdr under shifts, and forward bool, cycle_of_two bool (what kind of
        hand-over they are), count_heldout int64, probability_heldout, expected_heldout float64.
        chains: chain int32 from 0; length int32; closed, positional bool; count, starts int64 (tokens from which the
        whole chain is walked; those with its first feature and enough followers); documents int64 it is walked in;
        probability float64, count over starts; expected float64, walks under shifts; positions list of int64, some
        places in the training stream where it begins; count_heldout, starts_heldout int64, probability_heldout,
        expected_heldout float64.
        steps: chain, step int32; feature int32; token int32, the most frequent where the chain is walked; token_share
        float64; for the edge to the next, count int64 (0 at the end), probability, probability_heldout, lift float64.
        loops: feature int32; count int64 c(i, i); probability, expected_independent (within labels), lift float64, and
        count_heldout int64, probability_heldout float64. NaN where nothing can be divided.
        summary: see `_summarize`.
    """
    control = shift_next(train, [settings.seed, 0])
    tested, shuffled = test_edges(train, [train.next, control], settings.replicates, settings.seed)
    kinds, shuffled_kinds = (handovers(table, settings) for table in (tested, shuffled))
    chains = find_chains(train, train.next, tested, kinds, settings)
    spurious = find_chains(train, control, shuffled, shuffled_kinds, settings)
    beyond = (tested["q"] <= settings.fdr).to_numpy()
    edges = pd.concat([tested, kinds], axis=1)[beyond].reset_index(drop=True)
    edges = pd.concat([edges, _measure_edges(heldout, edges, settings)], axis=1)
    summary = {
        "tokens": int((train.next >= 0).sum()),
        "tokens_heldout": int((heldout.next >= 0).sum()),
        "observed": _summarize(tested, kinds, chains, Walks(train, train.next), settings.fdr),
        "shifted": _summarize(shuffled, shuffled_kinds, spurious, Walks(train, control), settings.fdr),
    }
    kept = chains[: settings.shown]
    return ChainTables(
        edges,
        _chain_table(kept, train, heldout, settings),
        _step_table(kept, train, edges),
        _loop_table(train, heldout),
        summary,
    )


def _measure_edges(heldout: Succession, edges: pd.DataFrame, settings: ChainSettings) -> pd.DataFrame:
    """count_heldout, probability_heldout and expected_heldout (mean under shifts alone) of edges."""
    keys = edges["source"].to_numpy(np.int64) << PAIR_SHIFT | edges["target"].to_numpy(np.int64)
    found, out = count_next(heldout, heldout.next), margins(heldout)[0][edges["source"]]
    counts = look_up_keys(found.keys, found.counts, keys)
    ((mean, _),) = shifted_moments(heldout, [keys], [np.zeros(len(keys))], settings.replicates, settings.seed)
    return pd.DataFrame(
        {
            "count_heldout": counts,
            "probability_heldout": _share(counts, out),
            "expected_heldout": mean * (settings.replicates + 1) / settings.replicates,
        }
    )


def _chain_table(
    chains: Sequence[Chain], train: Succession, heldout: Succession, settings: ChainSettings
) -> pd.DataFrame:
    walks = [Walks(split, split.next) for split in (train, heldout)]
    seeds = [[settings.seed, number + 1] for number in range(settings.replicates)]
    shifted = [[Walks(split, shift_next(split, seed)) for seed in seeds] for split in (train, heldout)]
    rows = []
    for number, chain in enumerate(chains):
        (tokens, starts), (tokens_heldout, starts_heldout) = (split.begin(chain.walk) for split in walks)
        expected = [float(np.mean([one.count(chain.walk)[0] for one in split])) for split in shifted]
        chosen = tokens[np.linspace(0, len(tokens) - 1, min(EXAMPLES, len(tokens))).astype(int)]
        documents = len(np.unique(train.documents[tokens]))
        positional = is_positional(train, tokens)
        rows.append((number, len(chain.features), chain.closed, positional, len(tokens), starts, documents, expected[0],
                     train.positions[chosen].tolist(), len(tokens_heldout), starts_heldout, expected[1]))  # fmt: skip
    names = ["chain", "length", "closed", "positional", "count", "starts", "documents", "expected", "positions",
             "count_heldout", "starts_heldout", "expected_heldout"]  # fmt: skip
    table = pd.DataFrame(rows, columns=names).astype(
        {
            "chain": np.int32,
            "length": np.int32,
            "closed": bool,
            "positional": bool,
            "expected": float,
            "expected_heldout": float,
        }
        | dict.fromkeys(("count", "starts", "documents", "count_heldout", "starts_heldout"), np.int64)
    )
    for split in ("", "_heldout"):
        table[f"probability{split}"] = _share(table[f"count{split}"], table[f"starts{split}"])
    return table


def _step_table(chains: Sequence[Chain], train: Succession, edges: pd.DataFrame) -> pd.DataFrame:
    walks, rows = Walks(train, train.next), []
    known = edges.set_index(["source", "target"])[["count", "probability", "probability_heldout", "lift"]]
    for number, chain in enumerate(chains):
        places, _ = walks.begin(chain.walk)
        for step, feature in enumerate(chain.features):
            ids, times = np.unique(train.tokens[places], return_counts=True)
            best = int(np.argmax(times))
            pair = (feature, chain.walk[step + 1]) if step + 1 < len(chain.walk) else None
            edge = known.loc[pair].tolist() if pair else [0, np.nan, np.nan, np.nan]
            rows.append((number, step, feature, ids[best], times[best] / len(places), *edge))
            places = train.next[places]
    names = ["chain", "step", "feature", "token", "token_share", "count", "probability", "probability_heldout", "lift"]
    types = dict.fromkeys(names[:4], np.int32) | dict.fromkeys(names[4:], np.float64) | {"count": np.int64}
    return pd.DataFrame(rows, columns=names).astype(types)


def _loop_table(train: Succession, heldout: Succession) -> pd.DataFrame:
    """Self-loops, kept apart from edges: how often a feature follows itself."""
    found, out = count_next(train, train.next, exchanges=False), margins(train)[0]
    features = np.arange(train.n_features)
    expected = independent_moments(train, features, features)[0]
    there = count_next(heldout, heldout.next, exchanges=False).loops
    return pd.DataFrame(
        {
            "feature": features.astype(np.int32),
            "count": found.loops,
            "probability": _share(found.loops, out),
            "expected_independent": expected,
            "lift": _share(found.loops, expected),
            "count_heldout": there,
            "probability_heldout": _share(there, margins(heldout)[0]),
        }
    )


def _share(part: Any, whole: Any) -> np.ndarray:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _summarize(
    edges: pd.DataFrame, kinds: pd.DataFrame, chains: Sequence[Chain], walks: Walks, fdr: float
) -> dict[str, int]:
    """Number of edges, of those beyond each null, of asymmetric ones and of hand-overs, and of chains by kind."""
    beyond, asymmetric = edges["q"] <= fdr, (edges["q_asymmetry"] <= fdr) & (edges["asymmetry"] > 0)
    others = [chain for chain in chains if not is_positional(walks.succession, walks.begin(chain.walk)[0])]
    return {
        "edges": len(edges),
        "beyond_independence": int((edges["q_independent"] <= fdr).sum()),
        "beyond_shifts": int(beyond.sum()),
        "beyond_shifts_asymmetric": int((beyond & asymmetric).sum()),
        "handovers": int(kinds[FORWARD].sum()),
        "chains": len(others),
        "chains_of_three_or_more": sum(len(chain.features) > 2 for chain in others),
        "cycles": sum(chain.closed for chain in others),
        "positional_chains": len(chains) - len(others),
    }
