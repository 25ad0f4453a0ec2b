"""Which modules of the package a script depends on, found by reading its imports.

A workflow rule declares them as inputs, so that a changed module makes the rules that use it run again.
"""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def modules_of(script: str) -> list[str]:
    """Paths, relative to the folder above `workflow_scripts`, of a script and of all it imports from `coact`.

    Args:
        script: file name of an adapter in `workflow_scripts/`, for example "build_graph.py".
    """
    found: set[Path] = set()
    queue = [ROOT / script]
    while queue:
        path = queue.pop()
        if path not in found:
            found.add(path)
            queue.extend(_imports(path))
    return sorted(str(path.relative_to(ROOT.parent)) for path in found)


@functools.cache
def _imports(path: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Name) and node.id == "__path__":  # a package that goes through its own folder
            package = ".".join(path.parent.relative_to(ROOT).parts)
            names += [f"{package}.{file.stem}" for file in path.parent.glob("*.py")]
    return tuple(file for name in names if name.split(".")[0] == "coact" for file in _files(name))


def _files(name: str) -> list[Path]:
    parts = name.split(".")
    packages = [ROOT.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    return [path for path in [*packages, ROOT.joinpath(*parts).with_suffix(".py")] if path.is_file()]
