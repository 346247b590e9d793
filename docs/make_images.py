"""Pictures of a report for the documentation, taken by Chromium without a network.

    python docs/make_images.py my-dataset --out docs/images

writes report.png (desktop), report-overview.png, report-dark.png and report-phone.png. Needs
playwright (in the extra `dev`) and Debian's `chromium`, or another one named by --chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def main() -> None:
    """Take the pictures that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="a folder that longqa build wrote")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--search", default="", help="words that the example shown must hold")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    report = options.dataset.resolve() / "report.html"
    if not report.is_file() or options.chromium is None:
        sys.exit(f"got {options.dataset} and {options.chromium}; need report.html and a chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=ARGUMENTS.split()
        )

        def take(name: str, *, size: dict[str, int], at: str, scheme: Any = "light") -> None:
            scale = 2 if size is PHONE else 1
            context = browser.new_context(
                viewport=size, color_scheme=scheme, device_scale_factor=scale
            )
            page = context.new_page()
            page.goto(f"{report.as_uri()}{at}")
            page.locator("#count", has_text="examples").wait_for(state="attached")
            if at:
                page.wait_for_selector("mark.now")
                page.wait_for_timeout(400)  # the highlight's colour moves
            page.screenshot(path=options.out / name)
            context.close()

        example = _example(browser, report, options.search)
        take("report.png", size=DESKTOP, at=example)
        take("report-overview.png", size=DESKTOP, at="")
        take("report-dark.png", size=DESKTOP, at=example, scheme="dark")
        take("report-phone.png", size=PHONE, at=example)
        browser.close()


def _example(browser: Any, report: Path, search: str) -> str:
    """The address of the first example that holds these words and has evidence."""
    page = browser.new_page()
    page.goto(report.as_uri())
    page.locator("#count", has_text="examples").wait_for(state="attached")
    page.fill("#search", search)
    page.wait_for_timeout(300)  # the search waits for the end of typing
    for address in page.locator("#list .item").evaluate_all("items => items.map(a => a.hash)"):
        page.goto(f"{report.as_uri()}{address}")
        page.locator("#context p:not(.small)").first.wait_for()
        if page.locator("mark.now").count():
            page.close()
            return str(address)
    sys.exit(f"got --search {search!r}; allowed: words of an example with evidence")


if __name__ == "__main__":
    main()
