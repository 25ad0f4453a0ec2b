"""One source of versions: the lock files and the conda file agree with it and with what is installed."""

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

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


def test_the_conda_file_and_the_containers_are_what_their_scripts_write(tmp_path):
    folder = Path(shutil.copytree(ROOT / "envs", tmp_path / "envs"))
    for name in ("study.yaml", "Dockerfile", "study.def"):
        (folder / name).unlink()
    for script in ("conda.sh", "containers.sh"):
        subprocess.run(["bash", str(folder / script)], check=True)
    for name in ("study.yaml", "Dockerfile", "study.def"):
        assert (folder / name).read_text() == (ROOT / "envs" / name).read_text(), name


def test_the_conda_file_and_the_containers_have_the_python_that_is_chosen():
    chosen = re.search(r"^# python==(\S+)$", (ROOT / "envs/study.in").read_text(), re.MULTILINE)[1]
    assert f"python={chosen}" in yaml.safe_load((ROOT / "envs/study.yaml").read_text())["dependencies"]
    assert f"FROM python:{chosen}-slim\n" in (ROOT / "envs/Dockerfile").read_text()
    assert f"From: python:{chosen}-slim\n" in (ROOT / "envs/study.def").read_text()
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert Version(chosen) in SpecifierSet(least)


def test_the_containers_install_the_lock_and_nothing_else_of_python():
    for name, copied in (("Dockerfile", "COPY study.lock /opt/coact/"), ("study.def", "study.lock /opt/coact/")):
        text = (ROOT / "envs" / name).read_text()
        assert copied in text
        assert re.findall(r"pip install (.*)", text) == [
            f"--no-cache-dir {'$PIP_OPTIONS' if name == 'Dockerfile' else '{{ PIP_OPTIONS }}'} -r /opt/coact/study.lock"
        ]


def test_what_is_installed_is_what_is_locked():
    installed = {name: metadata.version(name).split("+")[0] for name in pins(ROOT / "envs/study.in")}
    assert installed == pins(ROOT / "envs/study.in")


def test_locks_name_no_build_and_no_place():
    for name in ("study.lock", "dev.lock"):
        assert not re.search(r"\+cpu|file:|https?:", (ROOT / "envs" / name).read_text())
