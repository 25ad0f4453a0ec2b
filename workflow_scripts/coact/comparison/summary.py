"""The summary table of a study, its metrics, and how it is shown on a terminal."""

import math
from collections.abc import Sequence
from numbers import Number
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from coact.comparison import frontier
from coact.comparison.nulls import NULL_NAMES, SHOWN
from coact.comparison.wording import count, defined, number, percent
from coact.study import TESTED_NULLS
from coact.terminal import open_console, print_table

QUALITY = (
    "fvu",
    "l0",
    "dead_share",
    "ultralow_share",
    "cosine",
    "norm_ratio",
    "reconstruction_bias",
    "encoder_decoder_cosine",
    "kl_divergence",
    "loss_recovered_zero",
    "loss_recovered_mean",
)
GRAPH = (
    "nodes",
    "edges",
    "mean_degree",
    "median_degree",
    "max_degree",
    "density",
    "components",
    "largest_component",
    "isolated",
    "average_clustering",
)
CORRELATIONS = ("pearson", "spearman", "pearson_graph", "spearman_graph", "pearson_log")
SCOPES = ("all", "live")
HEADINGS = (
    "model/dictionary",
    "live/\nfeatures",
    "FVU",
    "L0",
    "dead",
    "recovered\nzero/mean",
    "edges",
    "edges\nnull",
    "clustering\nlive/null",
    "r [interval]\nlive",
    "r\nnull",
)
LEGEND = (
    "FVU, L0, dead features, loss recovered: held out. r: Pearson correlation of degree and frequency, live features.\n"
    "null: first replicate of the degree-preserving null. -: not defined."
)


def summarize(columns: Sequence[tuple[str, str, dict[str, Any], dict[str, Any]]]) -> pd.DataFrame:
    """One row per column of the study.

    Args:
        columns: (model, sae, evaluation, statistics), the latter two as in evaluation.json and statistics.json.
    Returns:
        model, sae, architecture, d_sae, the held-out figures in `QUALITY`, l0_q05, l0_q50, l0_q95,
        cross_entropy_clean, cross_entropy_spliced, and for scope all and live:
        <statistic>_<scope> and <statistic>_<scope>_null for each descriptive statistic and correlation, and
        <correlation>_<scope>_low, _high (bounds of the interval) and _n; for live features <statistic>_live
        of modularity and assortativity, <statistic>_live_null_<null model>_mean, _low and _high of the statistics in
        `SHOWN`; significant_share_<null model> and repelled_<null model>. NaN means "not defined".
    """
    return pd.DataFrame([_row(*column) for column in columns])


def _row(model: str, sae: str, evaluation: dict[str, Any], statistics: dict[str, Any]) -> dict[str, Any]:
    row = _quality(model, sae, evaluation)
    row |= {f"cross_entropy_{key}": _number(evaluation["cross_entropy"][key]) for key in ("clean", "spliced")}
    for scope in SCOPES:
        observed, null = statistics["observed"][scope], statistics["null"][scope]
        for key in GRAPH:
            row[f"{key}_{scope}"] = _number(observed[key])
            if key != "nodes":
                row[f"{key}_{scope}_null"] = _number(null[key])
        for key in CORRELATIONS:
            found, chance = observed[key] or {}, null[key] or {}
            row[f"{key}_{scope}"] = _number(found.get("value"))
            row |= {f"{key}_{scope}_{part}": _number(found.get(part)) for part in ("low", "high", "n")}
            row[f"{key}_{scope}_null"] = _number(chance.get("value"))
    for key, found in statistics["nulls"]["live"].items():
        if key in SHOWN:
            for null in NULL_NAMES:
                row |= {
                    f"{key}_live_null_{null}_{part}": _number(found[null][part]) for part in ("mean", "low", "high")
                }
    for key in ("modularity", "assortativity"):
        row[f"{key}_live"] = _number(statistics["nulls"]["live"][key]["observed"])
    for null in TESTED_NULLS:
        row[f"significant_share_{null}"] = _number(statistics["tested"][null]["significant_share"])
        row[f"repelled_{null}"] = statistics["tested"][null]["repelled"]
    return row


def _quality(model: str, sae: str, evaluation: dict[str, Any]) -> dict[str, Any]:
    row = {"model": model, "sae": sae, **{key: evaluation[key] for key in ("architecture", "d_sae")}}
    row |= {key: _number(evaluation[key]) for key in QUALITY}
    return row | {f"l0_{key}": _number(evaluation["l0_distribution"][key]) for key in frontier.QUANTILES}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def metrics(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The study's headline numbers: {"<model>/<sae>": {name: number}}; what is not defined is left out.

    Args:
        table: of `summarize`.
    """
    return {
        f"{row['model']}/{row['sae']}": {
            key: value for key, value in row.items() if isinstance(value, Number) and defined(value)
        }
        for row in table.to_dict("records")
    }


def print_summary(table: pd.DataFrame, report: str | Path, file: TextIO | None = None) -> None:
    """Print the headline numbers and the quality of the SAEs, one line per column each, and where the report is.

    At most 120 characters wide; plain text where the output is not a terminal.

    Args:
        table: of `summarize`.
        report: path of the report.
        file: where to print; None means standard output.
    """
    from rich.text import Text

    console = open_console(file)
    rows = ((f"{row['model']}/{row['sae']}", _cells(row)) for row in table.to_dict("records"))
    print_table(console, HEADINGS, rows, f"{LEGEND}\n")
    print_table(console, frontier.HEADINGS, frontier.terminal_rows(table), f"{frontier.LEGEND}\n")
    console.print(Text(f"Report: {report}"), soft_wrap=True)


def print_quality(evaluations: Sequence[dict[str, Any]], file: TextIO | None = None) -> None:
    """Print the quality of SAEs alone, before there are graphs of them.

    Args:
        evaluations: evaluation.json of each.
        file: where to print; None means standard output.
    """
    table = pd.DataFrame([_quality(entry["model"], entry["sae"], entry) for entry in evaluations])
    print_table(open_console(file), frontier.HEADINGS, frontier.terminal_rows(table), frontier.LEGEND)


def _cells(row: dict[str, Any]) -> list[str]:
    def short(key: str, digits: int = 2) -> str:
        """A value of the row as text, "-" where it is not defined."""
        return number(row[key], digits) if defined(row[key]) else "-"

    interval = f" [{short('pearson_live_low')}, {short('pearson_live_high')}]"
    return [
        f"{count(row['nodes_live'])}/{count(row['d_sae'])}",
        short("fvu", 3),
        short("l0", 3),
        percent(row["dead_share"], 2) if defined(row["dead_share"]) else "-",
        f"{short('loss_recovered_zero')}/{short('loss_recovered_mean')}",
        count(row["edges_all"]),
        count(row["edges_all_null"]),
        f"{short('average_clustering_live')}/{short('average_clustering_live_null')}",
        short("pearson_live") + (interval if defined(row["pearson_live"]) else ""),
        short("pearson_live_null"),
    ]
