"""Repositories of the Hugging Face Hub: a revision pinned to a commit, and its files in the Hub's own cache.

In: a repository and a revision. Out: the commit, the sizes of its files, and the folder of its snapshot. Every failure
is one line that names the key, the repository, and what to do.

Endpoint, token, cache and offline mode come from the environment alone (HF_ENDPOINT, HF_TOKEN, HF_HOME or HF_HUB_CACHE,
HF_HUB_OFFLINE). A download that breaks off goes on where it was. Nothing that is downloaded is run.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from coact.errors import ConfigError, StudyError, first_line

MOST_NAMES = 12  # in a message
KINDS = {"model": "models--", "dataset": "datasets--"}
KEYS = {"model": "name", "dataset": "path"}  # of the configuration that names a repository, where `fetch` is not told

Result = TypeVar("Result")


class Snapshot(NamedTuple):
    """A repository at a commit.

    Attributes:
        name, revision: as asked for.
        commit: 40 hexadecimal digits.
        files: name -> bytes, of those that were asked for.
        folder: where they are cached.
    """

    name: str
    revision: str
    commit: str
    files: dict[str, int]
    folder: Path

    def record(self) -> dict[str, Any]:
        """All but the folder, which is of this machine."""
        return {key: value for key, value in self._asdict().items() if key != "folder"}


def fetch(
    kind: str, name: str, revision: str, patterns: Sequence[str], key: str, *, folder: str = "", named: str = ""
) -> Snapshot:
    """Pin a revision and download its files, as far as the cache lacks them.

    Without a network, and in offline mode, what is cached of that revision is taken.

    Args:
        kind: "model" or "dataset".
        name: of the repository: owner/name, or a name alone.
        revision: a branch, a tag or a commit.
        patterns: of the files wanted, those in folders within left out.
        key: the key of the configuration of what is fetched.
        folder: that they are in, empty for the repository itself.
        named: what its key is followed by where the repository is named; "name" of models and "path" of data sets.
    Raises:
        ConfigError: there is no such repository or revision, or it is gated or private.
        StudyError: the Hub cannot be reached or does not answer, and the cache has not got it.
    """
    from huggingface_hub import snapshot_download

    inside = f"{folder}/" if folder else ""

    def download() -> Path:
        wanted = {"allow_patterns": [inside + pattern for pattern in patterns], "ignore_patterns": [f"{inside}*/*"]}
        return Path(snapshot_download(name, repo_type=kind, revision=revision, **wanted))

    found = asking(download, kind, name, revision, key, named)
    paths = [path for path in sorted((found / folder).rglob("*")) if path.is_file()]
    return Snapshot(name, revision, found.name, {str(p.relative_to(found)): p.stat().st_size for p in paths}, found)


def fetch_file(name: str, revision: str, file: str, key: str, named: str) -> Path:
    """One file of a model repository; a cached one is taken without asking whether its branch has moved on.

    Args: as of `fetch`; file: its path in the repository.
    Raises:
        ConfigError, StudyError: as by `fetch`, and where the repository has no such file.
    """
    from huggingface_hub import hf_hub_download

    cached = cached_file(name, revision, file)
    return cached or Path(
        asking(lambda: hf_hub_download(name, file, revision=revision), "model", name, revision, key, named, file)
    )


def cached_file(name: str, revision: str, file: str) -> Path | None:
    """A file of a model repository, if it is cached. Args: as of `fetch_file`."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, file, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def pin(kind: str, name: str, revision: str, key: str) -> str:
    """The commit that a revision is at.

    Args, Raises: as for `fetch`.
    """
    from huggingface_hub import HfApi

    return asking(lambda: HfApi().repo_info(name, repo_type=kind, revision=revision).sha, kind, name, revision, key)


def asking(
    ask: Callable[[], Result], kind: str, name: str, revision: str, key: str, named: str = "", file: str = ""
) -> Result:
    """What `ask` gives; the errors of huggingface_hub as one line each. Args: as of `fetch` and `fetch_file`."""
    from httpx2 import TransportError  # what huggingface_hub speaks HTTP with
    from huggingface_hub import constants, errors

    place, about = f"{key}.{named or KEYS[kind]}: '{name}'", f"at {constants.ENDPOINT}"
    token = "the token in HF_TOKEN may not read it" if os.environ.get("HF_TOKEN") else "HF_TOKEN is not set"
    try:
        return ask()
    except errors.HFValidationError as error:
        raise ConfigError(f"{place} is no name of a repository ({first_line(error).rstrip('.')})") from None
    except errors.GatedRepoError:
        raise ConfigError(f"{place} is gated {about}, and {token}; ask for access on its page") from None
    except errors.RepositoryNotFoundError:
        raise ConfigError(f"{place}: there is no such {kind} {about}, or it is private and {token}") from None
    except errors.RevisionNotFoundError:
        known = _revisions(kind, name)
        raise ConfigError(f"{key}.revision: found '{revision}', which '{name}' does not have{known}") from None
    except errors.RemoteEntryNotFoundError:
        raise ConfigError(f"{place} has no file '{file}' at revision '{revision}'") from None
    except errors.HfHubHTTPError as error:
        raise StudyError(f"{place}: {_status(error)} {about}; what is complete is kept, run the same again") from None
    except errors.OfflineModeIsEnabled:
        raise StudyError(f"{place}: HF_HUB_OFFLINE is set, and the Hub is needed to fetch it") from None
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            return asking(lambda: _raise(cause), kind, name, revision, key, named, file)
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"the Hub {about} cannot be reached"
        raise StudyError(f"{place}: {why}, and {_in_cache(kind, name, revision)}") from None
    except (
        OSError,
        TransportError,
    ) as error:  # of downloads that are not what they should be, of disks, of the network
        raise StudyError(
            f"{place}: the download broke off ({first_line(error).rstrip('.')}); what is complete is kept, run the same"
            " again"
        ) from None


def _raise(error: Exception) -> Any:
    raise error


def _status(error: Any) -> str:
    response = error.response
    if response.status_code == 429:
        after = response.headers.get("Retry-After")
        return f"too many requests (429{f', asked to wait {after} s' if after else ''})"
    return f"the Hub answers {response.status_code}"


def _revisions(kind: str, name: str) -> str:
    """Branches and tags, where the Hub tells."""
    from httpx2 import TransportError
    from huggingface_hub import HfApi, errors

    try:
        found = HfApi().list_repo_refs(name, repo_type=kind)
    except (errors.HfHubHTTPError, TransportError, OSError):
        return ""
    names = [ref.name for ref in (*found.branches, *found.tags)]
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f"; it has {', '.join(names[:MOST_NAMES])}{more}, and commits"


def _in_cache(kind: str, name: str, revision: str) -> str:
    """What there is of a repository without the Hub."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / (KINDS[kind] + name.replace("/", "--"))
    refs = sorted(str(path.relative_to(folder / "refs")) for path in (folder / "refs").rglob("*") if path.is_file())
    commits = sorted(path.name for path in (folder / "snapshots").glob("*"))
    if not commits:
        return f"nothing of it is cached in {constants.HF_HUB_CACHE}"
    return f"revision '{revision}' is not cached; there are {', '.join([*refs, *commits][:MOST_NAMES])}"
