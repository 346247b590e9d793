"""The report in a real browser: it fits a desk and a phone, by day and by night, and asks for
nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from longeval_runs import all_runs

from longeval.report import write_report

pytestmark = pytest.mark.soak

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    out = folder / "report.html"
    write_report(all_runs(folder), out, command="longeval report")
    return out


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_shows_its_pictures_and_asks_for_nothing(
    browser: Any, report: Path, size: dict[str, int], scheme: str
) -> None:
    wrong: list[str] = []
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda said: wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda asked: asked.url.startswith(("file:", "data:")) or wrong.append(asked.url),
    )
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    pictures = page.evaluate(
        """async () => Promise.all([...document.images].map(async image => {
            await image.decode();
            return [image.naturalWidth, image.width, image.getBoundingClientRect().right];
        }))"""
    )
    assert len(pictures) == 8
    for natural, shown, right in pictures:
        assert 200 < shown <= natural and right <= size["width"]
    assert {natural < 700 for natural, _, _ in pictures} == {size is PHONE} or size is DESK
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(25, 23, 20)"
    assert dark == (scheme == "dark")
    page.click("nav a[href='#comparison']")
    assert page.evaluate(
        "document.getElementById('comparison').getBoundingClientRect().top < innerHeight"
    )
    assert not page.locator("details .facts").first.is_visible()
    page.locator("#settings summary").first.click()
    assert page.locator("#settings .facts").first.is_visible()
    context.close()
    assert wrong == []
