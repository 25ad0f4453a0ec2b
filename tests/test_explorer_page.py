"""The explorer's page in a real Chromium, opened from disk."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from coact.explorer.files import contents, write_column
from coact.explorer.neighbourhoods import Neighbourhoods
from coact.explorer.page import make_page
from coact.interpretation.cards import Cards
from conftest import ROOT
from synthetic_cards import make_tables, spell

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
# A sandbox needs privileges that containers lack; the rest keeps the browser from looking for a network.
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
FEATURES, MANY = 40, 2048
NAMES = ("main/topk", "main/neurons")


def make_explorer(folder: Path, sizes: dict[str, int]) -> Path:
    """A page with its data beside it."""
    parts = []
    for name, features in sizes.items():
        tables = make_tables(features, seed=len(parts))
        graphs = Neighbourhoods(tables.edges, tables.communities["community"].to_numpy(), 8, 20, 60)
        part = folder / "explorer" / name
        part.mkdir(parents=True)
        write_column(part, name, Cards(tables, spell), graphs, features, 32)
        parts.append(part)
    columns = [
        {"name": name, "control": name == "main/neurons", **index}
        for name, index in zip(sizes, contents(parts), strict=True)
    ]
    page = folder / "explorer.html"
    page.write_text(make_page(ROOT / "report" / "explorer", "A <b>study</b>", columns, 0), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a page with two dictionaries."""
    return make_explorer(tmp_path_factory.mktemp("explorer"), dict(zip(NAMES, (FEATURES, 6), strict=True))).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in which no script fails and nothing is refused or asked for beyond files."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
    )
    yield page
    context.close()
    assert wrong == []


def title(page: Page):
    return page.locator("#card h2")


def test_search_filters_and_sorts(page, address):
    page.goto(address)
    expect(page.locator("#found")).to_have_text(f"{FEATURES - 1} of {FEATURES} features")  # one is dead
    page.select_option("#state", "all")
    expect(page.locator("#found")).to_have_text(f"{FEATURES} of {FEATURES} features")
    page.fill("#query", "17")
    expect(page.locator(".row .number").first).to_have_text("17")
    page.fill("#query", "no such token")
    expect(page.locator("#found")).to_have_text(f"0 of {FEATURES} features")
    page.fill("#query", "")
    page.select_option("#sort", "frequency")
    shares = [float(text.split()[0]) for text in page.locator(".row .value").all_inner_texts() if text]
    assert shares == sorted(shares, reverse=True)
    page.select_option("#sort", "kurtosis")
    expect(page.locator(".row .number").first).to_have_text("1")  # the only one that has a kurtosis
    page.select_option("#community", "1")
    expect(page.locator("#found")).to_have_text(re.compile("^(19|20) of"))
    page.fill("#least", "99")
    expect(page.locator("#found")).to_have_text(f"0 of {FEATURES} features")


def test_a_click_opens_a_card_and_its_links_lead_on(page, address):
    page.goto(address)
    page.locator(".row").nth(3).click()
    expect(title(page)).to_have_text("Feature 3")
    assert page.evaluate("location.hash") == "#feature=3&sae=main/topk"
    link = page.locator("#card table a").first
    other = link.inner_text()
    link.click()
    expect(title(page)).to_have_text(f"Feature {other}")
    page.go_back()
    expect(title(page)).to_have_text("Feature 3")


def test_a_link_leads_to_a_feature_in_its_dictionary(page, address):
    page.goto(f"{address}#feature=37")
    expect(title(page)).to_have_text("Feature 37")
    expect(page.locator('.row[aria-selected="true"] .number')).to_have_text("37")
    page.goto(f"{address}#feature=2&sae=main/neurons")
    expect(title(page)).to_have_text("Feature 2")
    expect(page.locator("#card .note").first).to_have_text("of main/neurons, a control")
    page.goto(f"{address}#feature=99&sae=main/neurons")
    expect(page.locator("#card")).to_have_text("main/neurons has features 0 to 5; the address names 99.")
    page.goto(f"{address}#feature=1&sae=none/<b>")
    expect(page.locator("#card")).to_contain_text("This study has no dictionary none/")


def test_another_dictionary_is_chosen(page, address):
    page.goto(address)
    page.select_option("#column", "main/neurons")
    expect(page.locator("#found")).to_have_text("5 of 6 features")


def test_the_keyboard_is_enough(page, address):
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type("x")
    page.keyboard.press("ArrowDown")  # from the search to the list
    page.keyboard.press("ArrowDown")
    first = title(page).inner_text()
    page.keyboard.press("ArrowDown")
    expect(title(page)).not_to_have_text(first)
    page.keyboard.press("End")
    expect(page.locator('.row[aria-selected="true"]')).to_be_in_viewport()
    last = page.evaluate("document.getElementById('list').getAttribute('aria-activedescendant')")
    assert last == page.locator(".row").last.get_attribute("id")


def test_the_graph_is_drawn_and_its_nodes_lead_on(page, address):
    page.goto(f"{address}#feature=20&sae=main/topk")
    page.wait_for_selector(".graph .bk-Figure")
    assert drawn(page)[0][0] == "20"
    name, x, y = next(node for node in drawn(page) if node[0] != "20")
    page.mouse.click(x, y)
    expect(title(page)).to_have_text(f"Feature {name}")


def test_the_graph_of_the_community_is_drawn(page, address):
    page.goto(f"{address}#feature=20&sae=main/topk")
    page.wait_for_selector(".graph .bk-Figure")
    page.get_by_role("button", name="Its community").click()
    note = page.locator("#card .note", has_text=re.compile("of (19|20) features"))
    expect(note).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.graph .bk-Figure').length === 1")
    assert note.inner_text().startswith(f"{len(drawn(page))} of")


def drawn(page: Page) -> list[tuple[str, float, float]]:
    """Names and places in the window of the nodes on view."""
    return page.evaluate(
        """async () => {
            const plot = Bokeh.documents.at(-1).roots()[0];
            const view = [...Bokeh.index.roots].find((found) => found.model === plot);
            await view.ready;
            const {x, y, name} = plot.renderers[1].data_source.data;
            const frame = view.frame_view ?? view.frame;
            const box = view.canvas_view.el.getBoundingClientRect();
            return Array.from(name, (text, i) => [
                text, box.left + frame.x_scale.compute(x[i]), box.top + frame.y_scale.compute(y[i])]);
        }"""
    )


def test_a_dead_feature_says_so(page, address):
    page.goto(f"{address}#feature={FEATURES - 1}")
    expect(page.locator("#card")).to_contain_text("It is dead")
    expect(page.locator("#card")).to_contain_text("It has no neighbours")


def test_hostile_text_is_shown_and_not_obeyed(page, address):
    page.goto(address)
    for feature in range(7):
        page.goto(f"{address}#feature={feature}&sae=main/topk")
        expect(title(page)).to_have_text(f"Feature {feature}")
        assert page.locator("#card script, #list script, #card img").count() == 0
    expect(page.locator(".examples").first).to_contain_text("<script>alert(1)</script>")
    assert page.locator("h1").inner_text() == "A <b>study</b>"
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page.content()
    assert max(map(len, page.locator(".piece").all_inner_texts())) <= 41


def test_scripts_of_others_do_not_run(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.evaluate(
        """() => {
            document.addEventListener("securitypolicyviolation", () => { window.refused = true });
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }"""
    )
    page.wait_for_function("window.refused")
    assert page.evaluate("window.ran") is None
    page.close()


def test_data_that_is_not_there_is_missed_by_name(browser, address, tmp_path):
    alone = tmp_path / "explorer.html"
    alone.write_text(Path(address.removeprefix("file://")).read_text(encoding="utf-8"), encoding="utf-8")
    page = browser.new_page()
    page.goto(f"{alone.as_uri()}#feature=3")
    expect(page.locator("#card .error")).to_contain_text(
        "explorer/main/topk/features-00000.js cannot be loaded: it belongs beside this page."
    )
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_narrow_windows_and_follows_the_colour_scheme(browser, address, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{address}#feature=1")
    page.wait_for_selector(".graph .bk-Figure")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", shown))) < 128 * 3) == (scheme == "dark")
    page.close()


def test_two_thousand_features_are_listed_and_only_those_in_sight_are_in_the_page(page, tmp_path):
    page.goto(make_explorer(tmp_path, {"main/topk": MANY}).as_uri())
    expect(page.locator("#found")).to_have_text(f"{MANY - 1:,} of {MANY:,} features")
    assert page.locator(".row").count() < 60
    page.evaluate("document.getElementById('list').scrollTop = 1e9")
    expect(page.locator(".row", has_text=str(MANY - 2))).to_be_visible()
