"""The explorer of large dictionaries: writing its files, opening the page with a card, searching, in a real Chromium.

Real dictionaries of many features are made of one of a finished study, its tables set one after another as often as it
takes; features keep their text and their graph, so files are as large per feature as they really are.

    python benchmarks/benchmark_explorer.py --results results [--column main/topk-x2-s0] [--features 2048 16384]

Prints, per number of features, the seconds of writing the files, their size and that of the page, and as medians the
seconds until the page shows a card that its address names, and until a search has changed the list.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from coact.interpretation.cards import Tables

CHROMIUM = shutil.which("chromium")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
OF_GRAPH = ("nodes", "edges", "communities")
OF_CONTEXTS = ("contexts", "lens", "effects", "steering", "explanations", "rules")


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results of a study")
    parser.add_argument("--column", default="main/topk-x2-s0")
    parser.add_argument("--tokenizer", default="corpus")
    parser.add_argument("--features", nargs="+", type=int, default=[2048, 16384])
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def read_tables(results: Path, column: str) -> "Tables":
    """The tables of a column's cards."""
    from coact.interpretation.cards import Tables

    return Tables.read(
        {
            name: str(results / ("graphs" if name in OF_GRAPH else "interpretation") / column / f"{name}.parquet")
            for name in Tables.names()
        }
    )


def enlarge(tables: "Tables", features: int) -> "Tables":
    """Tables of a dictionary of so many features: those of one, repeated, the last copy cut off."""
    from coact.interpretation.cards import Tables

    own = len(tables.features)
    return Tables(**{name: _repeat(getattr(tables, name), own, features, "edges" in name) for name in Tables.names()})


def _repeat(table: pd.DataFrame, own: int, features: int, edges: bool) -> pd.DataFrame:
    parts = []
    for offset in range(0, features, own):
        numbers = ["source", "target"] if edges else ["feature"]
        part = table.assign(**{name: table[name] + offset for name in numbers})
        if "similar" in part:
            part["similar"] = [(others + offset) % features for others in table["similar"]]
        if "community" in part:
            part["community"] = part["community"] + offset * (part["community"] >= 0)
        parts.append(part[(part[numbers] < features).all(axis=1)])
    return pd.concat(parts, ignore_index=True)


def write(folder: Path, name: str, tables: "Tables", tokenizer: Path) -> tuple[Path, float]:
    """The page and its files, and the seconds of making the latter."""
    from coact.corpus.tokenizer import load_tokenizer, token_bytes
    from coact.explorer.files import contents, write_column
    from coact.explorer.neighbourhoods import Neighbourhoods
    from coact.explorer.page import make_page
    from coact.interpretation.cards import Cards

    spell = partial(token_bytes, load_tokenizer(tokenizer))
    start = time.perf_counter()
    graphs = Neighbourhoods(tables.edges, tables.communities["community"].to_numpy(), 24, 100, 300)
    part = folder / "explorer" / name
    part.mkdir(parents=True)
    write_column(part, name, Cards(tables, spell), graphs, len(tables.features), 32)
    seconds = time.perf_counter() - start
    page = folder / "explorer.html"
    columns = [{"name": name, "control": False, **next(iter(contents([part])))}]
    page.write_text(make_page(ROOT / "report" / "explorer", "Benchmark", columns, 0), encoding="utf-8")
    return page, seconds


def measure(browser: "Browser", page: Path, features: int, rounds: int) -> tuple[float, float]:
    """Median seconds until a card is shown, and until a search has changed the list."""
    from playwright.sync_api import expect

    opened, searched = [], []
    for number in range(rounds):
        tab = browser.new_context().new_page()
        feature = (7919 * (number + 1)) % features
        start = time.perf_counter()
        tab.goto(f"{page.as_uri()}#feature={feature}")
        tab.get_by_role("heading", name=f"Feature {feature}", exact=False).first.wait_for()
        opened.append(time.perf_counter() - start)
        before = tab.locator("#found").inner_text()
        start = time.perf_counter()
        tab.fill("#query", "the")
        expect(tab.locator("#found")).not_to_have_text(before)
        searched.append(time.perf_counter() - start)
        tab.context.close()
    return statistics.median(opened), statistics.median(searched)


def main() -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    arguments = parse_arguments()
    if CHROMIUM is None:
        sys.exit("error: chromium is not installed (Debian: apt-get install chromium)")
    tables = read_tables(arguments.results, arguments.column)
    tokenizer = arguments.results / "tokenizers" / arguments.tokenizer
    print("| features | edges | writing, s | files, MB | page, MB | opening with a card, s | search, s |")
    print("|---|---|---|---|---|---|---|")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        for features in arguments.features:
            with tempfile.TemporaryDirectory() as folder:
                large = enlarge(tables, features)
                page, seconds = write(Path(folder), arguments.column, large, tokenizer)
                size = sum(file.stat().st_size for file in (Path(folder) / "explorer").rglob("*.js")) / 1e6
                opened, searched = measure(browser, page, features, arguments.rounds)
                sizes = f"{size:,.0f} | {page.stat().st_size / 1e6:.1f}"
                row = f"{features:,} | {len(large.edges):,} | {seconds:.1f} | {sizes} | {opened:.2f} | {searched:.3f}"
                print(f"| {row} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
