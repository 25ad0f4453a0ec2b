"""One source of versions: the lock files and the conda file agree with it and with what is installed."""

import re
from importlib import metadata

import pytest
import yaml

from conftest import ROOT


def pins(path):
    """Name -> version of the lines name==version of a requirements file."""
    return dict(re.findall(r"^([A-Za-z0-9_.\-]+)==(\S+)$", path.read_text(), re.MULTILINE))


STUDY = pins(ROOT / "envs/study.lock")


def canonical(found):
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


@pytest.mark.parametrize("name", ["study", "dev"])
def test_the_lock_holds_every_direct_dependency_at_its_version(name):
    direct, locked = canonical(pins(ROOT / f"envs/{name}.in")), canonical(pins(ROOT / f"envs/{name}.lock"))
    assert direct.items() <= locked.items()


def test_the_development_lock_extends_the_study_lock():
    assert STUDY.items() <= pins(ROOT / "envs/dev.lock").items()


def test_the_conda_file_is_the_lock():
    entry = yaml.safe_load((ROOT / "envs/study.yaml").read_text())["dependencies"][-1]
    assert entry["pip"] == [f"{name}=={version}" for name, version in STUDY.items()]


def test_what_is_installed_is_what_is_locked():
    installed = {name: metadata.version(name).split("+")[0] for name in pins(ROOT / "envs/study.in")}
    assert installed == pins(ROOT / "envs/study.in")


def test_locks_name_no_build_and_no_place():
    for name in ("study.lock", "dev.lock"):
        assert not re.search(r"\+cpu|file:|https?:", (ROOT / "envs" / name).read_text())
