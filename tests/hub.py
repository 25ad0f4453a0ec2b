"""A stand-in for the Hugging Face Hub on 127.0.0.1: repositories with revisions, and every way to fail.

As far as `huggingface_hub` and `transformers` ask: repository info, trees, refs, and files by HEAD and GET with ETag,
redirects to where large files lie, and ranges. The real clients run against it by HF_ENDPOINT; nothing is patched.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from conftest import ROOT, SEARCH_PATH

API = re.compile(
    r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+|[^/]+)/(?P<what>revision|tree|refs|paths-info)"
    r"(?:/(?P<revision>[^/?]+))?(?:/(?P<path>.+))?"
)
FILE = re.compile(r"/(?P<datasets>datasets/)?(?P<name>[^/]+/[^/]+|[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
BLOB = re.compile(r"/blobs/(?P<etag>\w+)")
LARGE = 4096  # bytes from which on a file lies elsewhere, as with LFS


@dataclass
class Repository:
    """Files at each commit, and what branches and tags point to.

    Attributes:
        commits: commit -> file -> bytes.
        branches: name -> commit.
        token: without it the repository is gated, if it has one.
    """

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    token: str | None = None


@dataclass
class Hub:
    """The server's repositories, what was asked of it, and what it is to answer instead.

    Attributes:
        asked: (method, path, Range header) of every request.
        failures: called with the handler before every request; one that returns True has answered.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    failures: list[Callable[["Handler"], bool]] = field(default_factory=list)
    address: str = ""

    def add(self, name: str, folder: Path, branch: str = "main", token: str | None = None) -> str:
        """A commit of the files in a folder; returns its number."""
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        digest = hashlib.sha1(usedforsecurity=False)
        for file, data in sorted(files.items()):
            digest.update(file.encode() + data)
        commit = digest.hexdigest()
        found = self.repositories.setdefault(name, Repository({}, {}, token))
        found.commits[commit] = files
        found.branches[branch] = commit
        return commit

    def paths(self, method: str) -> list[str]:
        """What was asked for by a method."""
        return [path for kind, path, _ in self.asked if kind == method]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        pass

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        if any(failure(self) for failure in self.hub.failures):
            return
        for pattern, give in ((API, self.give_api), (BLOB, self.give_blob), (FILE, self.give_file)):
            if match := pattern.fullmatch(path):
                give(match)
                return
        self.fail(404)

    def fail(self, status: int, code: str | None = None, **headers: str) -> None:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send(status, b"", more | ({"X-Error-Code": code} if code else {}))

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def find(self, match: re.Match[str]) -> tuple[Repository, str] | None:
        """The repository and the commit that are asked for, or None after an answer that says what is wrong."""
        found = self.hub.repositories.get(match["name"])
        if found is None:
            return self.fail(401, "RepoNotFound")
        if found.token and self.headers.get("Authorization") != f"Bearer {found.token}":
            return self.fail(401 if "Authorization" not in self.headers else 403, "GatedRepo")
        revision = match["revision"] or "main"
        commit = found.branches.get(revision, revision)
        if commit not in found.commits:
            return self.fail(404, "RevisionNotFound")
        return found, commit

    def give_api(self, match: re.Match[str]) -> None:
        if not (found := self.find(match)):
            return
        repository, commit = found
        files = repository.commits[commit]
        if match["what"] == "refs":
            refs = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": at}
                for name, at in repository.branches.items()
            ]
            answer = {"branches": refs, "tags": [], "converts": []}
        elif match["what"] == "tree":
            recursive = "recursive=true" in self.path.lower()
            answer = list(entries(files, f"{match['path']}/" if match["path"] else "", recursive))
            if match["path"] and not answer:
                self.fail(404, "EntryNotFound")
                return
        elif match["what"] == "paths-info":
            asked = self.asked_paths()
            answer = [entry for entry in entries(files, "", True) if entry["path"] in asked]
        else:
            siblings = [{"rfilename": name} for name in files]
            answer = {"id": match["name"], "sha": commit, "siblings": siblings, "private": False}
            answer |= {"tags": [], "downloads": 0}
        self.send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def asked_paths(self) -> list[str]:
        """What the body of a POST names."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        return json.loads(body)["paths"] if body.startswith("{") else parse_qs(body).get("paths", [])

    def give_file(self, match: re.Match[str]) -> None:
        if not (found := self.find(match)):
            return
        repository, commit = found
        data = repository.commits[commit].get(match["file"])
        if data is None:
            self.fail(404, "EntryNotFound")
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag(data)}"', "Accept-Ranges": "bytes"}
        if len(data) < LARGE:
            self.give(data, headers)
            return
        headers |= {"X-Linked-Etag": f'"{etag(data)}"', "X-Linked-Size": str(len(data))}
        # Large files lie on another host, to which the client does not follow to ask what they are.
        elsewhere = self.hub.address.replace("127.0.0.1", "localhost")
        self.send(302, b"", headers | {"Location": f"{elsewhere}/blobs/{etag(data)}"})

    def give_blob(self, match: re.Match[str]) -> None:
        for repository in self.hub.repositories.values():
            for files in repository.commits.values():
                for data in files.values():
                    if etag(data) == match["etag"]:
                        self.give(data, {"ETag": f'"{etag(data)}"', "Accept-Ranges": "bytes"})
                        return
        self.fail(404)

    def give(self, data: bytes, headers: dict[str, str]) -> None:
        """A file, or the rest of it."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked and int(asked[1]) < len(data):
            first = int(asked[1])
            last = min(int(asked[2] or len(data) - 1), len(data) - 1)
            span = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            self.send(206, data[first : last + 1], headers | span)
        else:
            self.send(200, data, headers)


def entries(files: dict[str, bytes], prefix: str, recursive: bool) -> Iterator[dict[str, object]]:
    """A tree's files and folders below a prefix."""
    below = {name: data for name, data in files.items() if name.startswith(prefix)}
    folders = {name[: name.index("/", len(prefix))] for name in below if "/" in name[len(prefix) :]}
    if recursive:
        parts = [name.split("/")[:-1] for name in below]
        folders = {"/".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}
    for folder in sorted(folders):
        yield {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
    for name, data in below.items():
        if recursive or "/" not in name[len(prefix) :]:
            yield {"type": "file", "path": name, "size": len(data), "oid": etag(data)}


def etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """The server, while the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = Hub(address=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- clients


def in_process(script: str, arguments: list[str], begins: str, **environment: str) -> dict[str, object]:
    """What a script prints last, in a process of its own, which reads its environment as jobs do."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    plain = {"PYTHONPATH": str(ROOT / "workflow_scripts"), "HF_HUB_ETAG_TIMEOUT": "2", "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=kept | plain | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        assert "\n" not in found["error"]
        assert found["error"].startswith(begins)
    return found


def run(folder: Path, hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Snakemake in a workspace, on the tiny preset and hub.yaml, with the server as the Hub."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"PATH": SEARCH_PATH}
    environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "home")}
    command = ["snakemake", "--cores", "2", "--configfile", "presets/tiny.yaml", "hub.yaml", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )


# --- failures


def always(status: int, code: str | None = None, **headers: str) -> Callable[[Handler], bool]:
    """Every request is answered so."""

    def failure(handler: Handler) -> bool:
        handler.fail(status, code, **headers)
        return True

    return failure


def first(times: int, failure: Callable[[Handler], bool], path: str = "") -> Callable[[Handler], bool]:
    """The first requests whose path has a part fail so, later ones do not."""
    left = [times]

    def limited(handler: Handler) -> bool:
        if path not in handler.path or not left[0]:
            return False
        left[0] -= 1
        return failure(handler)

    return limited


def truncated(share: float) -> Callable[[Handler], bool]:
    """Of a blob only a share of the bytes announced is sent, then the connection ends."""

    def failure(handler: Handler) -> bool:
        match = BLOB.fullmatch(urlsplit(handler.path).path)
        if handler.command != "GET" or not match:
            return False
        data = next(
            data
            for repository in handler.hub.repositories.values()
            for files in repository.commits.values()
            for data in files.values()
            if etag(data) == match["etag"]
        )
        begun = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
        rest = data[int(begun[1]) if begun else 0 :]
        handler.send_response(206 if begun else 200)
        handler.send_header("Content-Length", str(len(rest)))
        if begun:
            handler.send_header("Content-Range", f"bytes {begun[1]}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(rest[: int(share * len(rest))])
        handler.wfile.flush()
        handler.close_connection = True
        return True

    return failure


def slow(seconds: float) -> Callable[[Handler], bool]:
    """Every request waits."""

    def failure(_: Handler) -> bool:
        time.sleep(seconds)
        return False

    return failure
