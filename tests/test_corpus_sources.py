"""Sources: installed packages, files, and the checks that read no text."""

import itertools
import os
import subprocess
import sys

import pandas as pd
import pytest

from coact.corpus.sources import KINDS, check_sources, files, get_labels, get_shares
from coact.corpus.sources.installed import extract_docstrings, strip_docstrings
from coact.errors import ConfigError

MODULE = '''"""Module.

    Indented.
"""
# a comment
import os


class Empty(Exception):
    """Only a docstring."""


def f(x):  # kept
    """F, with é."""; y = "é"; """not a docstring"""
    if x:
        async def g():
            r\'\'\'G.\'\'\'

            return y
    try:
        pass
    except OSError:
        class H: "H."
    return lambda: "not this"
'''


def files_source(pattern, **changes):
    source = {"name": "files", "kind": "files", "share": 1, "glob": str(pattern), "format": "auto", "column": "text"}
    return {**source, "separator": None, **changes}


def installed_source(packages, content="docstrings", **changes):
    return {"name": "docs", "kind": "installed", "share": 1, "packages": packages, "content": content, **changes}


def probes_source(contexts=("dna", "greek"), **changes):
    return {"name": "probes", "kind": "probes", "share": 1, "contexts": list(contexts), "seed": 0, **changes}


def read(source, seed=0):
    return list(KINDS[source["kind"]].read_documents(source, seed))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `toypackage` that fails on import."""
    modules = {
        "__init__.py": '"""The package."""\nraise RuntimeError("imported")\n',
        "a.py": '"""A."""\ndef f():\n    """F."""\n',
        "sub/b.py": '"""B."""\nx = 1  # one\n',
        "sub/latin.py": '# -*- coding: latin-1 -*-\n"""caf\xe9"""\n'.encode("latin-1"),
        "bare.py": "x = 1\n",
        "broken.py": '"""Broken."""\ndef (\n',
        "tests/test_a.py": '"""A test."""\n',
        "test_b.py": '"""A test."""\n',
        "conftest.py": '"""A test."""\n',
    }
    for name, text in modules.items():
        path = tmp_path / "toypackage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.syspath_prepend(tmp_path)
    return "toypackage"


def test_docstrings_are_taken_in_order_and_cleaned():
    assert extract_docstrings(MODULE) == "\n\n".join(
        ["Module.\n\nIndented.", "Only a docstring.", "F, with é.", "G.", "H."]
    )


def test_code_loses_its_docstrings_and_nothing_else():
    assert strip_docstrings(MODULE) == (
        "# a comment\n"
        "import os\n\n\n"
        "class Empty(Exception):\n"
        "    pass\n\n\n"
        "def f(x):  # kept\n"
        '    y = "é"; """not a docstring"""\n'
        "    if x:\n"
        "        async def g():\n\n"
        "            return y\n"
        "    try:\n"
        "        pass\n"
        "    except OSError:\n"
        "        class H: pass\n"
        '    return lambda: "not this"\n'
    )


def test_code_with_other_line_ends():
    assert strip_docstrings('"""A\r\nB"""\r\nx = 1\r\n') == "x = 1\n"


def test_installed_reads_modules_without_importing(package):
    documents = {document.origin: document for document in read(installed_source([package]))}
    assert "toypackage" not in sys.modules
    assert {origin: document.text for origin, document in documents.items()} == {
        "toypackage/__init__.py": "The package.",
        "toypackage/a.py": "A.\n\nF.",
        "toypackage/sub/b.py": "B.",
        "toypackage/sub/latin.py": "café",
    }
    assert {(document.source, document.label) for document in documents.values()} == {("docs", "docs")}
    code = {document.origin: document.text for document in read(installed_source([package], "code"))}
    assert code["toypackage/sub/b.py"] == "x = 1  # one\n"
    assert code["toypackage/a.py"] == "def f():\n    pass\n"


def test_installed_order_depends_on_the_seed_alone(package):
    orders = [[document.origin for document in read(installed_source([package]), seed)] for seed in (0, 0, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1
    assert len({frozenset(order) for order in orders}) == 1


def test_installed_names_a_missing_package():
    for name in ("no_such_package", "scipy.stats", "scikit-learn"):
        with pytest.raises(ConfigError, match=f"docs: package '{name}' is not installed"):
            check_sources([installed_source([name])])
    with pytest.raises(ConfigError, match="package 'sys' holds no Python modules"):
        check_sources([installed_source(["sys"])])


def test_installed_gives_versions():
    described = KINDS["installed"].describe(installed_source(["numpy", "json"]))
    assert described["packages"]["numpy"] == {"numpy": __import__("numpy").__version__}
    assert list(described["packages"]["json"]) == ["python"]


def test_text_files_whole_and_by_separator(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone<|end|>two\r\n<|end|>")
    (tmp_path / "sub" / "b.txt").write_text("three", encoding="utf-8")
    whole = {document.origin: document.text for document in read(files_source(tmp_path / "**" / "*.txt"))}
    assert whole == {"a.txt": "one<|end|>two\r\n<|end|>", "sub/b.txt": "three"}
    parts = read(files_source(tmp_path / "**" / "*.txt", separator="<|end|>"))
    assert {document.origin: document.text for document in parts} == {
        "a.txt:1": "one",
        "a.txt:2": "two\r\n",
        "a.txt:3": "",
        "sub/b.txt:1": "three",
    }
    assert read(files_source(tmp_path / "a.txt"))[0].origin == "a.txt"


def test_separator_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 3)
    (tmp_path / "a.txt").write_text("ä--bc----d", encoding="utf-8")
    assert [document.text for document in read(files_source(tmp_path / "a.txt", separator="--"))] == [
        "ä",
        "bc",
        "",
        "d",
    ]
    (tmp_path / "a.txt").write_bytes(b"ab--cd--e\xff")
    with pytest.raises(ConfigError, match=r"a\.txt: not UTF-8 text \(byte 0xff at offset 9\)"):
        read(files_source(tmp_path / "a.txt", separator="--"))


def test_files_are_drawn_by_seed_and_read_lazily(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(str(number))
    orders = {tuple(document.text for document in read(files_source(tmp_path / "*.txt"), seed)) for seed in range(5)}
    assert len(orders) > 1
    assert read(files_source(tmp_path / "*.txt"), 3) == read(files_source(tmp_path / "*.txt"), 3)
    documents = KINDS["files"].read_documents(files_source(tmp_path / "*.txt"), 0)
    next(documents)
    for path in tmp_path.iterdir():
        path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        next(documents)


def test_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"text": null}\n{"text": "zwölf", "n": 1}\n', encoding="utf-8")
    assert [(document.origin, document.text) for document in read(files_source(path))] == [
        ("a.jsonl:1", "one"),
        ("a.jsonl:4", "zwölf"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "b"', r"a\.jsonl:2: not JSON"),
        (b'{"body": "b", "n": 1}', r"a\.jsonl:2: no key 'text' \(found keys 'body', 'n'\)"),
        (b'["b"]', r"a\.jsonl:2: no key 'text' \(found list\)"),
        (b'{"text": 7}', r"a\.jsonl:2: key 'text' holds int; expected text"),
        (b'{"text": "\\ud800"}', r"a\.jsonl:2: key 'text' holds half of a surrogate pair"),
        (b'{"text": "\xff"}', r"a\.jsonl: not UTF-8 text \(byte 0xff at offset 26\)"),
    ],
)
def test_json_lines_that_are_wrong(tmp_path, line, message):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "one"}\n' + line + b"\n")
    with pytest.raises(ConfigError, match=message):
        read(files_source(tmp_path / "a.jsonl"))


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"n": [1, 2, 3], "body": ["one", None, "three"]}).to_parquet(path)
    found = read(files_source(path, column="body"))
    assert [(document.origin, document.text) for document in found] == [
        ("a.parquet:1", "one"),
        ("a.parquet:3", "three"),
    ]
    with pytest.raises(ConfigError, match=r"a\.parquet: no column 'text'; the columns are 'n', 'body'"):
        read(files_source(path))
    with pytest.raises(ConfigError, match=r"a\.parquet: column 'n', row 1 holds int; expected text"):
        read(files_source(path, column="n"))
    path.write_bytes(b"PAR1 this is not Parquet")
    with pytest.raises(ConfigError, match=r"a\.parquet: not a whole Parquet file"):
        read(files_source(path))


def test_glob_that_matches_nothing(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(ConfigError, match=r"files: glob '.*\.txt' matches no file"):
        check_sources([files_source(tmp_path / "*.txt")])


def test_shares_and_names():
    sources = [
        probes_source(share=3),
        installed_source(["json"], share=1),
        installed_source(["none"], share=0, name="x"),
    ]
    check_sources(sources)
    assert get_shares(sources) == {"probes": 0.75, "docs": 0.25}
    assert get_labels(sources) == ["dna", "greek", "docs"]
    with pytest.raises(ConfigError, match="the shares sum to 0"):
        check_sources([probes_source(share=0)])
    with pytest.raises(ConfigError, match="2 sources have the name 'probes'"):
        check_sources([probes_source(), probes_source()])
    with pytest.raises(ConfigError, match="the name 'dna' is also a context of the probes 'probes'"):
        check_sources([probes_source(), installed_source(["json"], name="dna")])
    with pytest.raises(ConfigError, match="docs has kind 'web'; known kinds: files, huggingface, installed, probes"):
        check_sources([installed_source(["json"], kind="web")])


def test_probes_take_turns_and_do_not_depend_on_each_other():
    both = list(itertools.islice(KINDS["probes"].read_documents(probes_source(), 0), 4))
    assert [document.label for document in both] == ["dna", "greek", "dna", "greek"]
    assert [document.origin for document in both] == ["dna/1", "greek/1", "dna/2", "greek/2"]
    alone = list(itertools.islice(KINDS["probes"].read_documents(probes_source(["greek"]), 5), 2))
    assert [document.text for document in alone] == [both[1].text, both[3].text]
    other = next(KINDS["probes"].read_documents(probes_source(["greek"], seed=1), 0))
    assert other.text != alone[0].text


def test_checks_import_nothing_heavy():
    sources = [installed_source(["json"]), probes_source(["dna"])]
    code = (
        "import sys; from coact.corpus.sources import check_sources; import coact.corpus.collect;"
        f"check_sources({sources!r});"
        "print([name for name in ('pandas', 'pyarrow', 'babel', 'transformers', 'torch') if name in sys.modules])"
    )
    code = code.replace("import coact.corpus.collect;", "import coact.corpus.collect;")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.strip() == "[]"
