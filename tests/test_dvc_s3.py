"""Results kept on S3's interface: pushed from one clone, pulled into another; moto serves it on this machine."""

import shutil
import socket
from contextlib import closing
from pathlib import Path

import pytest

from repositories import artefacts, cloned, commit, run, under_git

moto_server = pytest.importorskip("moto.server", reason="moto is not installed: no remote on S3's interface to try")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: no remote on S3's interface to try")


@pytest.fixture
def bucket(monkeypatch):
    """A bucket; DVC takes its keys from the environment, as on a user's machine."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{port}"
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="study")
    yield address
    server.stop()


def test_a_study_is_pushed_to_s3_and_pulled_elsewhere(micro_study, bucket, tmp_path):
    folder = under_git(Path(shutil.copytree(micro_study, tmp_path / "study")))
    run(folder, "dvc", "commit", "--force")
    run(folder, "dvc", "remote", "add", "--default", "store", "s3://study/results")
    run(folder, "dvc", "remote", "modify", "store", "endpointurl", bucket)
    commit(folder, "Results")
    run(folder, "dvc", "push")
    stored = boto3.client("s3", endpoint_url=bucket).list_objects_v2(Bucket="study")
    assert stored["KeyCount"] > 100
    clone = cloned(folder, tmp_path / "clone")
    assert artefacts(clone) == artefacts(folder)
    assert "Nothing to be done" in run(clone, "snakemake", "-n")
