"""The report in a real browser: it shows, filters and fits, and runs nothing it was told."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic
from reports import hostile_page, hostile_rows, written

from longdata.prompt_template import PAPERS_BORDER

pytestmark = pytest.mark.soak

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens a report; fails the test when the page complains or asks for anything."""
    wrong: list[str] = []
    contexts: list[Any] = []

    def opened(
        path: Path, at: str = "", *, width: int = 1280, height: int = 900, **more: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda asked: asked.url.startswith("file:") or wrong.append(f"asked for {asked.url}"),
        )
        page.goto(f"{path.as_uri()}{at}")
        if more.get("java_script_enabled", True):
            page.wait_for_function(
                "() => document.getElementById('count').textContent.includes('exam')"
            )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


def marked(page: Any) -> list[str]:
    """The evidence as it is highlighted: the text of each passage, in order."""
    found: list[str] = page.evaluate(
        """() => {
            const texts = [];
            for (const mark of document.querySelectorAll("#context mark"))
                for (const e of mark.dataset.evidence.split(" "))
                    texts[e] = (texts[e] ?? "") + mark.textContent;
            return texts;
        }"""
    )
    return found


def test_every_example_opens_with_its_evidence_highlighted_and_in_view(
    open_page: Open, tmp_path: Path
) -> None:
    rows = [*synthetic.rows(4, paragraphs=60), *hostile_rows()]
    page = open_page(written(tmp_path, rows))
    for row in rows:
        page.evaluate(f"location.hash = '{row['id']}'")
        page.wait_for_function(
            "text => document.getElementById('question').textContent === text", arg=row["question"]
        )
        if row["evidence"]:
            page.wait_for_selector("#context mark.now")
        wanted = ["".join(e["text"].split("\n\n")) for e in row["evidence"]]
        page.wait_for_function(
            "wanted => document.querySelectorAll('.tick').length === wanted", arg=len(wanted)
        )
        assert marked(page) == wanted
        assert page.inner_text("#answer").split() == row["answer"].split()
        for number in range(1, len(wanted) + 1):
            label = f"Evidence {number} of {len(wanted)}"
            assert page.inner_text("#evidence-label") == label
            inside = page.evaluate(
                """() => {
                    const view = document.getElementById("context").getBoundingClientRect();
                    const mark = document.querySelector("mark.now").getBoundingClientRect();
                    return mark.top >= view.top && mark.bottom <= view.bottom;
                }"""
            )
            assert inside
            view, tick = page.evaluate(
                """() => [".view", ".tick.now"].map((part) => {
                    const box = document.querySelector(`#map ${part}`).getBoundingClientRect();
                    return [box.left, box.right];
                })"""
            )
            assert view[0] - 4 <= tick[0] <= tick[1] <= view[1] + 4
            page.keyboard.press("n")


def test_hostile_texts_are_shown_and_nothing_of_them_runs(open_page: Open, tmp_path: Path) -> None:
    [row] = hostile_rows()
    page = open_page(hostile_page(tmp_path), f"#{row['id']}")
    page.wait_for_selector("#context mark.now")
    assert page.text_content("#question") == row["question"]
    assert page.text_content("#answer") == row["answer"]
    assert page.text_content("#context") == "".join(row["context"].split("\n\n"))
    assert row["sources"][0]["title"] in page.text_content("#source")
    assert page.locator("#list .item strong").first.text_content() == row["question"]
    assert page.locator("#reader script, #list script, #overview script").count() == 0


def test_the_policy_stops_a_script_that_got_in_and_every_connection(
    browser: Any, tmp_path: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(written(tmp_path, synthetic.rows(1)).as_uri())
    refused = page.evaluate(
        """async () => {
            const script = document.createElement("script");
            script.textContent = "globalThis.ran = true";
            document.body.append(script);
            const asked = await fetch("http://127.0.0.1:9/").catch(() => "refused");
            return [globalThis.ran === undefined, asked];
        }"""
    )
    assert refused == [True, "refused"]
    context.close()


def test_filters_and_search_choose_the_examples_and_can_be_cleared(
    open_page: Open, tmp_path: Path
) -> None:
    rows = list(synthetic.rows(8))
    page = open_page(written(tmp_path, rows))

    def count() -> str:
        text: str = page.inner_text("#count")
        return text

    assert count() == "48 examples"
    page.select_option("#filter-kind", "speaker")
    speakers = sum(row["question_kind"] == "speaker" for row in rows)
    assert count() == f"{speakers} of 48 examples"
    page.select_option("#filter-split", "test")
    both = [r for r in rows if r["question_kind"] == "speaker" and r["split"] == "test"]
    assert count() == f"{len(both)} of 48 examples"
    page.click("#reset")
    page.locator("#count", has_text=re.compile("^48 examples$")).wait_for()
    page.fill("#search", "what OF 3.1")
    page.wait_for_function(
        "() => document.getElementById('count').textContent === '3 of 48 examples'"
    )
    assert page.locator("#list .item").count() == 3
    page.fill("#search", "")
    page.select_option("#filter-ctx", "16384")
    assert count() == "24 of 48 examples"
    page.click("#reset")
    page.click("button.bar[data-filter=kind][data-value=count]")
    assert page.input_value("#filter-kind") == "count"
    assert page.get_attribute("button.bar[data-value=count]", "aria-pressed") == "true"


def test_keys_walk_through_the_examples_and_typing_in_the_search_does_not(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page(written(tmp_path, synthetic.rows(4)))
    ids = page.evaluate("[...document.querySelectorAll('.item')].map(a => a.hash)")
    for expected in (ids[0], ids[1], ids[2]):
        page.keyboard.press("j")
        page.wait_for_function("hash => location.hash === hash", arg=expected)
    page.keyboard.press("k")
    page.wait_for_function("hash => location.hash === hash", arg=ids[1])
    assert page.get_attribute(".item[aria-current]", "href") == ids[1]
    page.keyboard.press("/")
    page.wait_for_function("() => document.activeElement.id === 'search'")
    page.keyboard.type("jjkk")
    assert page.evaluate("location.hash") == ids[1]
    assert page.input_value("#search") == "jjkk"


def test_a_link_to_an_example_opens_it(open_page: Open, tmp_path: Path) -> None:
    rows = list(synthetic.rows(8))
    row = rows[-1]
    page = open_page(written(tmp_path, rows), f"#{row['id']}")
    page.wait_for_selector("#reader:not([hidden])")
    assert page.inner_text("#question") == row["question"]
    assert page.get_attribute("#permalink", "href") == f"#{row['id']}"
    page.go_back() if page.evaluate("history.length > 2") else page.evaluate("location.hash = ''")
    page.wait_for_selector("#overview", state="visible")


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_fits_its_window_and_a_phone_shows_one_thing_at_a_time(
    width: int, open_page: Open, tmp_path: Path
) -> None:
    path = hostile_page(tmp_path)
    page = open_page(path, width=width)
    [row] = hostile_rows()
    for hash, pane in (("", "#overview"), ("examples", "#list-pane"), (row["id"], "#reader")):
        page.evaluate(f"location.hash = '{hash}'")
        page.wait_for_selector(pane, state="visible")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width < 700:
            panes = page.locator("#overview, #list-pane, #reader")
            visible = [panes.nth(i).is_visible() for i in range(3)]
            assert visible.count(True) == 1
        for selector in ("#overview", "#reader", "#context", "#list"):
            wide = page.evaluate(
                """s => {
                    const node = document.querySelector(s);
                    return node.scrollWidth - node.clientWidth;
                }""",
                selector,
            )
            assert wide <= 0, (pane, selector)


# Elements whose text and background differ by less than 4.5 : 1, as WCAG 2 computes it.
LOW_CONTRAST = """() => {
    const parts = (text) => text.match(/[\\d.]+/g).map(Number);
    const linear = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
    const light = (text) => {
        const [r, g, b] = parts(text).map(linear);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const texts = "p, a, span, strong, b, h2, mark, dt, dd, th, td, button:enabled, output, kbd";
    const low = [];
    for (const node of document.querySelectorAll(texts + ", #answer")) {
        if (!node.offsetParent || !node.textContent.trim()) continue;
        let under = node;
        while (parts(getComputedStyle(under).backgroundColor)[3] === 0) under = under.parentElement;
        const one = light(getComputedStyle(node).color);
        const other = light(getComputedStyle(under).backgroundColor);
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) low.push([node.tagName, node.className, ratio]);
    }
    return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_background_differ_enough_to_read(
    scheme: str, open_page: Open, tmp_path: Path
) -> None:
    [row] = hostile_rows()
    page = open_page(hostile_page(tmp_path), f"#{row['id']}", color_scheme=scheme)
    page.wait_for_selector("#context mark.now")
    assert page.evaluate(LOW_CONTRAST) == []


def test_every_control_has_a_name(open_page: Open, tmp_path: Path) -> None:
    [row] = hostile_rows()
    page = open_page(hostile_page(tmp_path), f"#{row['id']}")
    page.wait_for_selector("#context mark.now")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button,select,input,a,[role=region],[role=img]")]
            .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label")))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_without_script_the_overview_is_there_and_the_page_says_what_is_not(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page(written(tmp_path, synthetic.rows(4)), java_script_enabled=False)
    assert page.locator(".totals").is_visible()
    assert page.locator(".columns svg").is_visible()
    assert "needs JavaScript" in page.inner_text("#list-pane")


def test_a_browser_that_cannot_unpack_says_so(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context()
    context.add_init_script("delete globalThis.DecompressionStream")
    page = context.new_page()
    page.goto(written(tmp_path, synthetic.rows(1)).as_uri())
    page.wait_for_selector("#trouble", state="visible")
    assert "too old to unpack" in page.inner_text("#trouble")
    context.close()


def test_three_thousand_long_examples_stay_usable(open_page: Open, tmp_path: Path) -> None:
    path = written(tmp_path, synthetic.rows(50, windows=10, per_window=6, paragraphs=1000))
    assert path.stat().st_size < 40e6
    page = open_page(path)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 2000
    assert page.inner_text("#count") == "3,000 examples"
    assert page.locator("#list .item").count() < 40
    page.evaluate("document.getElementById('list').scrollTop = 1e9")
    page.wait_for_function(
        "() => document.querySelector('.item:last-child').ariaPosInSet === '3000'"
    )
    page.locator(".item").last.click()
    page.wait_for_selector("#context mark, #context p")


def test_two_papers_are_named_where_each_begins_and_the_border_stands_between(
    open_page: Open, tmp_path: Path
) -> None:
    pairs = synthetic.pair_rows()
    page = open_page(written(tmp_path, [*synthetic.rows(2), *pairs]), f"#{pairs[0]['id']}")
    page.wait_for_selector("#context mark.now")
    assert page.inner_text("#source") == (
        "All of “On Groups” by B. Author (2020) and “On Rivers” by B. Author (2020)"
    )
    order = page.evaluate(
        """() => [...document.querySelectorAll("#context > .paper, #context > .border")]
            .map((node) => node.textContent)"""
    )
    assert order == ["On Groups", PAPERS_BORDER.strip(), "On Rivers"]
    assert marked(page) == [e["text"] for e in pairs[0]["evidence"]]
    papers = page.evaluate(
        """() => [...document.querySelectorAll("#context mark")].map((mark) => {
            const border = document.querySelector("#context .border");
            return Boolean(border.compareDocumentPosition(mark) & Node.DOCUMENT_POSITION_FOLLOWING);
        })"""
    )
    assert papers == [False, True]
    page.select_option("#filter-document", label="On Groups / On Rivers (2)")
    page.select_option("#filter-kind", "comparison")
    assert page.inner_text("#count") == "2 of 14 examples"
    assert page.evaluate(LOW_CONTRAST) == []
    page.evaluate(f"location.hash = '{next(synthetic.rows(1))['id']}'")
    page.wait_for_function("() => document.getElementById('source').textContent.includes('Book')")
    page.wait_for_selector("#context mark.now")
    assert page.locator("#context .paper, #context .border").count() == 0


def test_a_page_with_short_rows_lists_the_long_ones(open_page: Open, tmp_path: Path) -> None:
    rows = [*synthetic.rows(2), *synthetic.short_rows(9)]
    page = open_page(written(tmp_path, rows))
    assert page.inner_text("#count") == "12 examples"
    assert "short" not in page.inner_text("#filter-kind")
    assert "9 short instructions are mixed into" in page.inner_text("#overview")
