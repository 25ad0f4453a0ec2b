"""Run Snakemake for stages of dvc.yaml, so that DVC may record what is there afterwards.

python -m ledger <stage>...|all

In: names of stages. Out: their results, whole and up to date, noted in the ledger, and nothing else beside them: what
earlier settings left in the folders of a stage is removed, since DVC would record it under the present ones.
"""

import sys
from pathlib import Path

import yaml
from snakemake.cli import main as snakemake

from coact.artefacts import is_unfinished
from coact.inventory import LEDGER, TIMESTAMP
from ledger.records import read_stage
from ledger.watch import RESULTS, note_results, watched

OPTIONS = ("--cores", "all", "--resources", "gpu=1")


def run(stages: list[str]) -> int:
    """Run the targets of stages, note and tidy; the exit status."""
    targets = ["all" if stage == "all" else f"all_{stage}" for stage in stages]
    try:
        snakemake([*OPTIONS, "--", *targets])
    except SystemExit as end:
        if end.code:
            return int(end.code)
    noted = note_results(watched[0])
    if not noted:
        return 1
    for stage in sorted(noted):
        tidy(stage)
    return 0


def tidy(stage: str) -> None:
    """Remove what the ledger does not know from the folders that dvc.yaml has as outputs of a stage."""
    kept = {Path(path) for record in read_stage(RESULTS / LEDGER / f"{stage}.json") for path in record.outputs}
    for folder in folders_of(stage):
        gone = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_left(path, kept)]
        for path in gone:
            path.unlink()
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        named = [path for path in gone if path.name != TIMESTAMP and not is_unfinished(path)]
        if named:
            print(f"Removed from {folder}, made by other settings: {len(named):,} files")


def folders_of(stage: str) -> list[Path]:
    """The folders that a stage of dvc.yaml has as outputs; none where it has no such stage."""
    outs = yaml.safe_load(Path("dvc.yaml").read_text())["stages"].get(stage, {"outs": []})["outs"]
    paths = [Path(out if isinstance(out, str) else next(iter(out))) for out in outs]
    return [path for path in paths if path.is_dir()]


def _is_left(path: Path, kept: set[Path]) -> bool:
    return path not in kept and kept.isdisjoint(path.parents)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:] or ["all"]))
