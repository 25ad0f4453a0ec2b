"""Docstrings or code of Python packages that are installed in the environment.

Real prose and code that every machine with the same environment has, without a download. Packages are found by
their import name and never imported. Tests (folders `tests` or `test`, modules `test_*.py`, `*_test.py`,
`conftest.py`) are left out: they are long, repetitive and hold next to no prose.
"""

import ast
import importlib.util
import inspect
import re
import tokenize
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np

from coact.corpus.documents import Document
from coact.errors import ConfigError

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# What definitions can lie in. Expressions, the bulk of a tree, are not entered.
BLOCKS = (
    *DOCUMENTED,
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith),
    *(ast.Try, ast.TryStar, ast.ExceptHandler, ast.Match, ast.match_case),
)
PARTS = ("body", "handlers", "cases", "orelse", "finalbody")
TEST_FOLDERS = {"tests", "test"}
TEST_MODULE = re.compile(r"(test_.*|.*_test|conftest)\.py")


def check(spec: dict[str, Any]) -> None:
    """Refuse packages that are not installed or hold no Python modules.

    Raises:
        ConfigError: names the source and the package.
    """
    for package in spec["packages"]:
        _find_roots(spec["name"], package)


def get_labels(spec: dict[str, Any]) -> list[str]:
    """The one label of the source: its name."""
    return [spec["name"]]


def describe(spec: dict[str, Any]) -> dict[str, Any]:
    """The packages with the versions of the distributions that hold them (Python's own for its library)."""
    distributions = metadata.packages_distributions()
    return {
        "content": spec["content"],
        "packages": {
            package: {name: metadata.version(name).split("+")[0] for name in sorted(set(distributions[package]))}
            if package in distributions
            else {"python": python_version()}
            for package in spec["packages"]
        },
    }


def read_documents(spec: dict[str, Any], seed: int) -> Iterator[Document]:
    """Yield one document per module, all packages mixed, in an order drawn with `seed`.

    With content "docstrings" a document is all docstrings of a module in their order, cleaned of indentation, with
    a blank line between them. With content "code" it is the source without its docstrings, comments and layout
    kept. Modules that do not parse, and those without text, are passed over.

    Raises:
        ConfigError: a package is not installed.
    """
    extract = {"docstrings": extract_docstrings, "code": strip_docstrings}[spec["content"]]
    modules = {}
    for package in spec["packages"]:
        modules.update(_list_modules(spec["name"], package))
    names = sorted(modules)
    for index in np.random.default_rng(seed).permutation(len(names)):
        text = _extract(modules[names[index]], extract)
        if text:
            yield Document(text, spec["name"], spec["name"], names[index])


def extract_docstrings(source: str) -> str:
    """The docstrings of a module's source in their order, cleaned, a blank line between them.

    Raises:
        SyntaxError, ValueError: `source` is not Python.
    """
    nodes = _documented_nodes(ast.parse(source))
    return "\n\n".join(text for node in nodes if (text := inspect.cleandoc(node.body[0].value.value).strip()))


def strip_docstrings(source: str) -> str:
    """A module's source without its docstrings; comments and layout stay, and it still parses.

    A docstring that is the only statement of a class or function becomes `pass`.

    Raises:
        SyntaxError, ValueError: `source` is not Python.
    """
    source = re.sub(r"\r\n?", "\n", source)
    # The positions in the tree are lines as Python's tokenizer counts them, and bytes within a line.
    lines = source.encode().split(b"\n")
    for node in reversed(_documented_nodes(ast.parse(source))):
        _cut_docstring(lines, node)
    return b"\n".join(line for line in lines if line is not None).decode().strip("\n") + "\n"


def _cut_docstring(lines: list[bytes | None], node: ast.AST) -> None:
    """Take the docstring of `node` out of `lines`; a line that is gone becomes None."""
    docstring = node.body[0]
    first, last = docstring.lineno - 1, docstring.end_lineno - 1
    head, tail = lines[first][: docstring.col_offset], lines[last][docstring.end_col_offset :]
    tail = re.sub(rb"^\s*;\s*", b"", tail)  # a statement that follows on the same line
    if len(node.body) == 1 and not isinstance(node, ast.Module):
        head += b"pass"
    for line in range(first, last + 1):
        lines[line] = None
    if (head + tail).strip():
        lines[first] = head + tail


def _documented_nodes(tree: ast.Module) -> list[ast.AST]:
    """The nodes of `tree` that have a docstring, in the order of the source."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        if not isinstance(node, BLOCKS):
            continue
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            found.append(node)
        stack.extend(child for part in reversed(PARTS) for child in reversed(getattr(node, part, ())))
    return found


def _extract(path: Path, extract: Callable[[str], str]) -> str:
    try:
        with tokenize.open(path) as file:
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's modules
            text = extract(source)
        text.encode()  # a docstring with half of a surrogate pair is not text
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return text if text.strip() else ""


def _list_modules(source: str, package: str) -> dict[str, Path]:
    """Modules of `package` by their path from the folder that holds the package."""
    modules = {}
    for root in _find_roots(source, package):
        for path in [root] if root.is_file() else root.rglob("*.py"):
            parts = path.relative_to(root.parent).parts
            if not TEST_FOLDERS.intersection(parts[1:-1]) and not TEST_MODULE.fullmatch(parts[-1]):
                modules["/".join(parts)] = path
    return modules


def _find_roots(source: str, package: str) -> list[Path]:
    """The folders of `package`, or the file of a single module, without importing it."""
    # A dotted name would import the package that it lies in.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None:
        raise ConfigError(
            f"corpus.sources: {source}: package {package!r} is not installed; packages are named as in 'import'"
            " (sklearn, not scikit-learn), without dots"
        )
    places = spec.submodule_search_locations or ([spec.origin] if spec.has_location else [])
    roots = [Path(place) for place in places]
    if not any(root.suffix == ".py" or any(root.rglob("*.py")) for root in roots):
        raise ConfigError(f"corpus.sources: {source}: package {package!r} holds no Python modules")
    return roots
