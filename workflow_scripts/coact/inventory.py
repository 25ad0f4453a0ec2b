"""What a study left: every file of its results by its hash, and whether a folder still holds the same.

python -m coact.inventory [results]

In: a folder of results. Out: the record that rule record_provenance writes, and the differences of a folder from it. A
record says on what machine it was made, so that it differs between machines where the artefacts that it lists do not.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from coact.artefacts import is_unfinished, read_json
from coact.errors import StudyError
from coact.progress import Progress

RECORD = "provenance.json"
LEDGER = "ledger"  # what made the files, by stage; it repeats their hashes
# What the study can make again and DVC does not keep: missing files of these folders are no difference.
REMADE = ("activations", "features")
TIMESTAMP = ".snakemake_timestamp"  # Snakemake's time of a folder that is an output
NOT_OURS = (".gitignore", TIMESTAMP)  # what DVC and Snakemake leave among results
MOST_NAMES = 20  # in a message
CHUNK = 1 << 22


class Differences(NamedTuple):
    """Files that differ from a record, by their paths below the folder.

    Attributes:
        changed: other content.
        missing: not there, of those that are kept.
        remade: not there, of those that can be made again.
        unknown: there, and not recorded.
    """

    changed: list[str]
    missing: list[str]
    remade: list[str]
    unknown: list[str]


def take_inventory(folder: Path) -> dict[str, dict[str, Any]]:
    """Path below the folder -> bytes and sha256, of every file but records of files and unfinished ones, sorted."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in paths.items() if _is_artefact(name)}
    progress, found = Progress(sum(path.stat().st_size for path in kept.values()), "Hash the results", "bytes"), {}
    for name, path in kept.items():
        size = path.stat().st_size
        found[name] = {"bytes": size, "sha256": digest(path)}
        progress.update(size)
    progress.close()
    return found


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file, read in parts."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            found.update(part)
    return found.hexdigest()


def compare(folder: Path, recorded: Mapping[str, Mapping[str, Any]]) -> Differences:
    """A folder beside a record.

    Args:
        folder: of results.
        recorded: of `take_inventory`.
    """
    found = take_inventory(folder)
    absent = [name for name in recorded if name not in found]
    return Differences(
        [name for name, entry in recorded.items() if name in found and found[name]["sha256"] != entry["sha256"]],
        [name for name in absent if name.split("/")[0] not in REMADE],
        [name for name in absent if name.split("/")[0] in REMADE],
        [name for name in found if name not in recorded],
    )


def describe_host(cores: int) -> dict[str, Any]:
    """The machine: system, processor, cores that the run had, memory in bytes, GPUs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores,
        "memory_bytes": memory,
        "gpus": _gpus(),
    }


def describe_code(root: Path) -> dict[str, Any]:
    """The commit that the study's code is at, and whether files that git knows differ from it; null without git."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "changed": None if changed is None else bool(changed)}


def seeds_of(config: Any, place: str = "") -> dict[str, Any]:
    """Key -> value of every seed in a configuration."""
    found: dict[str, Any] = {}
    entries = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in entries:
        name = f"{place}.{key}" if place else str(key)
        if key in ("seed", "seeds"):
            found[name] = value
        else:
            found |= seeds_of(value, name)
    return found


def _is_artefact(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return name != RECORD and folder != LEDGER and not is_unfinished(name) and file not in NOT_OURS


def _processor() -> str:
    """The processor's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Names of NVIDIA's GPUs, as their driver tells."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.split("\n")[:-1]


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def listed(names: list[str], most: int = MOST_NAMES) -> str:
    """The first names, and how many more there are."""
    more = f", and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def verify(folder: Path) -> int:
    """Print how a folder stands beside its record; 0 where nothing is changed or missing, else 1."""
    recorded = read_json(folder / RECORD)["artefacts"]
    found = compare(folder, recorded)
    for text, names in (("changed", found.changed), ("missing", found.missing)):
        for name in names[:MOST_NAMES]:
            print(f"error: {folder / name}: {text} since {RECORD} was written", file=sys.stderr)
        if len(names) > MOST_NAMES:
            print(f"error: {len(names) - MOST_NAMES:,} more are {text}", file=sys.stderr)
    if found.remade:
        print(f"{len(found.remade):,} files of {' and '.join(REMADE)} are not there; the study makes them again")
    if found.unknown:
        print(f"Not recorded: {listed(found.unknown)}")
    same = len(recorded) - sum(map(len, found[:3]))
    print(f"{same:,} of {len(recorded):,} artefacts are as recorded in {folder / RECORD}")
    return 1 if found.changed or found.missing else 0


if __name__ == "__main__":
    try:
        sys.exit(verify(Path(sys.argv[1] if len(sys.argv) > 1 else "results")))
    except StudyError as error:
        sys.exit(f"error: {error}")
