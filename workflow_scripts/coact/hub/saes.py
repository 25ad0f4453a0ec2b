"""SAEs of the Hub: where one lies, its configuration before it is fetched, and its files.

In: the settings of a family of kind `import` that has a `repository`, or a `release` of SAELens. Out: the same settings
with the `path` of files in the Hub's cache, as if they had been on disk. Releases are looked up in the table of the
`sae-lens` package, which is read and not imported.
"""

import functools
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from coact.artefacts import read_json
from coact.errors import ConfigError
from coact.hub.repositories import Snapshot, fetch, fetch_file
from coact.imported import FOLDERS, MODEL_KWARGS, config_beside, describe

TABLE = "pretrained_saes.yaml"
OPTIONAL_FILES = ("activation_scaler.json",)  # beside an SAE of SAELens
MOST_NAMES = 12  # in a message


class Place(NamedTuple):
    """Where an SAE lies on the Hub.

    Attributes:
        repository, revision: which repository, and which of its revisions.
        path: of the folder or file in it, "." for the repository itself.
        named: the key that names the repository.
        model_kwargs: what SAELens says that the model has to be loaded with.
    """

    repository: str
    revision: str
    path: str
    named: str
    model_kwargs: dict[str, Any]


def on_hub(settings: Mapping[str, Any]) -> bool:
    """Whether a family's SAE comes from the Hub."""
    return settings["repository"] is not None or settings["release"] is not None


def name_of(settings: Mapping[str, Any]) -> str:
    """What messages call the SAE of a family."""
    if settings["release"] is not None:
        return f"{settings['release']}/{settings['id']}"
    return "/".join(filter(None, (settings["repository"], settings["path"])))


def place_of(settings: Mapping[str, Any], key: str) -> Place:
    """Where the SAE of a family lies.

    Raises:
        ConfigError: its release is not known, or is of a kind that cannot be read here.
    """
    if settings["release"] is None:
        return Place(settings["repository"], settings["revision"], settings["path"] or ".", "repository", {})
    table, asked = _table(key), settings["release"]
    if asked not in table:
        raise ConfigError(
            f"{key}.release: '{asked}' is none of the {len(table)} releases of SAELens{_like(asked, table)}"
        )
    release = table[asked]
    if release.get("conversion_func"):
        raise ConfigError(
            f"{key}.release: '{asked}' is in the format '{release['conversion_func']}', expected SAELens's own; save"
            " it by SAELens (save_model), and import the folder by path"
        )
    paths = {entry["id"]: entry["path"] for entry in release["saes"]}
    if settings["id"] not in paths:
        raise ConfigError(f"{key}.id: '{settings['id']}' is none of '{asked}'{_like(settings['id'], paths)}")
    overrides = release.get("config_overrides") or {}
    if overrides.get("normalize_activations") not in (None, "none"):
        raise ConfigError(
            f"{key}.release: '{asked}' has inputs normalised by '{overrides['normalize_activations']}', expected none;"
            " that cannot be folded into the weights"
        )
    kwargs = overrides.get("model_from_pretrained_kwargs") or {}
    return Place(release["repo_id"], settings["revision"], paths[settings["id"]], "release", kwargs)


def described(settings: Mapping[str, Any], pin: Path, key: str) -> dict[str, Any]:
    """What the SAE says of itself, see `coact.imported.describe`, before it is fetched and after.

    Args:
        settings: of the family.
        pin: the file of rule fetch_sae, which need not be there.
        key: the key of the configuration that names the family.
    Raises:
        ConfigError, StudyError: there is no such SAE, or the Hub cannot be asked.
    """
    asked = fetched_settings(settings)
    known = read_json(pin) if pin.is_file() else {}
    if known.get("asked") == asked:
        return known["described"]
    place = place_of(settings, key)
    folder, (config, _) = _files(settings["format"], place)
    found = fetch_file(place.repository, place.revision, str(folder / config), key, place.named)
    path = found.parent / PurePosixPath(place.path).relative_to(folder)
    return describe_at(settings, path, key, whole=False)


def describe_at(settings: Mapping[str, Any], path: Path, key: str, *, whole: bool = True) -> dict[str, Any]:
    """What the SAE says of itself, and its release of the model that it is of.

    Args:
        settings: of the family.
        path: where it is cached.
        key: the key of the configuration that names the family.
        whole: whether the weights have to be there too.
    """
    found = describe({**settings, "path": str(path)}, key, whole=whole)
    kwargs = place_of(settings, key).model_kwargs
    return found | {"metadata": found["metadata"] | ({MODEL_KWARGS: kwargs} if kwargs else {})}


def fetched_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say where an SAE lies, and in what format."""
    return {name: settings[name] for name in ("format", "path", "repository", "release", "id", "revision")}


def fetch_sae(settings: Mapping[str, Any], key: str, commit: str | None = None) -> tuple[Snapshot, Path]:
    """Fetch an SAE.

    Args:
        settings: of the family.
        key: the key of the configuration that names it.
        commit: that it is pinned to, if it is.
    Returns:
        What was fetched, and where it lies: a folder, or a file.
    Raises:
        ConfigError, StudyError: there is no such SAE, or the Hub cannot be asked.
    """
    place = place_of(settings, key)
    folder, names = _files(settings["format"], place)
    asked = {"folder": "" if str(folder) == "." else str(folder), "named": place.named}
    patterns = (*names, *OPTIONAL_FILES) if settings["format"] == "sae_lens" else names
    found = fetch("model", place.repository, commit or place.revision, patterns, key, **asked)
    wanted = {str(folder / name) for name in names}
    missing = sorted(wanted - set(found.files))
    if missing:
        raise ConfigError(f"{key}.{place.named}: '{place.repository}' has no {' and no '.join(missing)}")
    files = {name: size for name, size in found.files.items() if name in wanted or name.endswith(OPTIONAL_FILES)}
    return found._replace(revision=place.revision, files=files), found.folder / place.path


def sae_settings(settings: Mapping[str, Any], source: Sequence[str], key: str) -> Mapping[str, Any]:
    """The settings of a family with the `path` of its files.

    Args:
        settings: of the family.
        source: of one from the Hub, the file of rule fetch_sae alone.
        key: the key of the configuration that names it.
    """
    if not on_hub(settings):
        return settings
    return {**settings, "path": str(fetch_sae(settings, key, read_json(source[0])["commit"])[1])}


def _files(kind: str, place: Place) -> tuple[PurePosixPath, tuple[str, str]]:
    """The folder that the files of a format lie in, and their names: configuration, weights."""
    path = PurePosixPath(place.path)
    if kind == "nanda":
        return path.parent, (config_beside(path).name, path.name)
    return path, FOLDERS[kind]


@functools.cache
def _table(key: str) -> dict[str, Any]:
    """SAELens's table of releases, as the installed package has it."""
    import yaml

    package = find_spec("sae_lens")
    places = [] if package is None else [Path(place) / TABLE for place in package.submodule_search_locations or []]
    for path in places:
        if path.is_file():
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    raise ConfigError(
        f"{key}.release: the table of releases is in the package sae-lens, which is not installed; install it without"
        " what it depends on (pip install --no-deps sae-lens), or name repository and path"
    )


def _like(asked: str | None, known: Mapping[str, Any]) -> str:
    """Names that begin like it."""
    names = [name for name in known if asked and name[:4] == asked[:4]][:MOST_NAMES] or list(known)[:MOST_NAMES]
    return f"; there are {', '.join(names)}{', ...' if len(names) < len(known) else ''}"
