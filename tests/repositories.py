"""Studies under Git and DVC."""

import shutil

import yaml

from coact.inventory import take_inventory
from conftest import ROOT, run_command


def run(folder, *command):
    """Run a command that has to succeed and return what it printed."""
    done = run_command(folder, *command)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def commit(folder, message):
    run(folder, "git", "add", "--all")
    run(folder, "git", "-c", "user.name=study", "-c", "user.email=study@example.org", "commit", "-qm", message)


def under_git(folder):
    """Put a study under Git and DVC."""
    for name in (".gitignore", ".dvcignore"):
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "*.local"))
    run(folder, "git", "init", "-q")
    commit(folder, "Study")
    return folder


def cloned(repository, folder):
    """A clone of a study with its results, pulled from its remote."""
    run(repository, "git", "clone", "-q", str(repository), str(folder))
    run(folder, "dvc", "pull")
    return folder


def change(folder, key, value):
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    *sections, name = key.split(".")
    section = config
    for part in sections:
        section = section[part]
    section[name] = value
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def artefacts(folder):
    """Path -> SHA-256 of every result but the record of the run."""
    return {name: entry["sha256"] for name, entry in take_inventory(folder / "results").items()}
