"""Compiled loops and their cache."""

import ast
import importlib
import inspect
import pkgutil

import pytest
from numba.core.dispatcher import Dispatcher

import coact

MODULES = sorted(module.name for module in pkgutil.walk_packages(coact.__path__, "coact."))


def imported_names(module):
    """Names that a module takes from other modules of this project."""
    statements = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)]
    found = [node for node in statements if (node.module or "").startswith("coact")]
    return {alias.asname or alias.name for node in found for alias in node.names}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_a_cached_function_hangs_on_its_own_file_alone(name):
    """Numba's cache does not see that another file has changed: the loops of before would go on running."""
    module = importlib.import_module(name)
    foreign = imported_names(module)
    for value in vars(module).values():
        if isinstance(value, Dispatcher) and value.py_func.__module__ == name:
            assert not foreign & set(value.py_func.__code__.co_names), value.py_func.__name__
