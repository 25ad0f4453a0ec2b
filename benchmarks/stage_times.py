"""What a finished study took, rule by rule, from Snakemake's own benchmark files (logs/**/*.tsv).

python benchmarks/stage_times.py [folder of the study]
"""

import re
import sys
from pathlib import Path

import pandas as pd


def stage_times(folder: Path) -> pd.DataFrame:
    """One row per rule, in the order of the data: jobs, seconds (wall, summed), cpu_seconds, peak_mb (largest job)."""
    rows = [
        {
            "rule": path.relative_to(folder / "logs").parts[0].removesuffix(".tsv"),
            **pd.read_csv(path, sep="\t").iloc[-1],
        }
        for path in sorted((folder / "logs").rglob("*.tsv"))
    ]
    if not rows:
        raise SystemExit(f"error: {folder / 'logs'} holds no benchmark files (*.tsv); run the study first")
    table = pd.DataFrame(rows)
    for column in ("s", "cpu_time", "max_rss"):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    grouped = table.groupby("rule")
    found = pd.DataFrame(
        {
            "jobs": grouped.size(),
            "seconds": grouped["s"].sum().round(),
            "cpu_seconds": grouped["cpu_time"].sum().round(),
            "peak_mb": grouped["max_rss"].max().round(),
        }
    )
    return found.loc[sorted(found.index, key=_rules(folder).index)]


def _rules(folder: Path) -> list[str]:
    """All rules, as the Snakefile includes them."""
    modules = re.findall(r'^include: "(.+)"$', (folder / "Snakefile").read_text(), re.MULTILINE)
    return [
        rule for module in modules for rule in re.findall(r"^rule (\w+):", (folder / module).read_text(), re.MULTILINE)
    ]


if __name__ == "__main__":
    table = stage_times(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("| rule | jobs | seconds | CPU seconds | peak memory, MB |")
    print("|---|---|---|---|---|")
    for rule, row in table.iterrows():
        print(f"| `{rule}` | {row.jobs:.0f} | {row.seconds:,.0f} | {row.cpu_seconds:,.0f} | {row.peak_mb:,.0f} |")
