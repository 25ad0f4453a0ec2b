"""Shared fixtures: a workspace to run studies in, and the tiny study, run once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import pytest
import torch
import yaml
from filelock import FileLock
from snakemake.utils import update_config

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "config.yaml", "rules", "workflow_scripts", "presets", "profiles", "report", "envs", "dvc.yaml")
MICRO = ROOT / "tests" / "micro.yaml"
SEARCH_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the environment's commands first
SHARED_DATA = ROOT.parent / "shared" / "data"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Thousands of tiny parallel sections on a busy machine wait for one another longer than they work."""
    before = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    yield
    numba.set_num_threads(before[0])
    torch.set_num_threads(before[1])


def make_workspace(folder: Path) -> Path:
    """A copy of the study's sources in `folder`, with what is compiled of them."""
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
        elif source.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def make_micro(folder: Path) -> Path:
    """A copy of the study's sources whose `config.yaml` is the smallest whole study's: `snakemake` runs it."""
    make_workspace(folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for overlay in (ROOT / "presets" / "tiny.yaml", MICRO):
        update_config(config, yaml.safe_load(overlay.read_text()))
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def run_command(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in `folder`; standard error is merged into standard output."""
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": SEARCH_PATH},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def snakemake(folder: Path, *arguments: str, overlays: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the tiny study in `folder`, with further overlays of the configuration."""
    return run_command(folder, "snakemake", "--cores", "2", "--configfile", "presets/tiny.yaml", *overlays, *arguments)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A fresh copy of the study's sources."""
    return make_workspace(tmp_path / "study")


def made_once(root: Path, name: str, make: Callable[[Path], Path], run: Run) -> Path:
    """A folder with a finished study, made by the first test that wants it, of all processes that run tests."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, finished = root / name / "study", root / f"{name}.finished"
    with FileLock(root / f"{name}.lock"):
        if not finished.exists():
            done = run(make(folder))
            assert done.returncode == 0, done.stdout[-6000:]
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny study. Tests must not change it; copy it first."""
    return made_once(tmp_path_factory.getbasetemp(), "tiny", make_workspace, snakemake)


@pytest.fixture(scope="session")
def micro_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study of the smallest kind. Tests must not change it; copy it first."""

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        return run_command(folder, "snakemake", "--cores", "2")

    return made_once(tmp_path_factory.getbasetemp(), "micro", make_micro, run)


@pytest.fixture
def tiny_copy(tiny_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished tiny study, Snakemake's records included, to be tampered with."""
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with a pretrained model and its text."""
    if not (SHARED_DATA / "stories260K").is_dir():
        pytest.skip("no ../shared/data beside the checkout: the study on a pretrained model is not tested")
    return SHARED_DATA
