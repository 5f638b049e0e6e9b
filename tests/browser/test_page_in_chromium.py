"""The page in a real browser: nothing is fetched, nothing complains, every figure is drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.html import render
from klarsyn.tables import whole_files

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"desktop": 1180, "phone": 390}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: install it (Debian: apt-get install chromium)."
    with sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    report, context = build_report(open_base("ketamine_depression"), "en")
    whole_files(folder, render(report, context.words))
    return folder / "index.html"


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_page_opens_quietly_and_draws_every_figure(
    browser: Any, page_file: Path, width: int
) -> None:
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("console", lambda m: said.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda r: asked.append(r.url) if not r.url.startswith("data:") else None)
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    figures = page.locator("[data-figure]").count()
    assert figures >= 10
    assert page.locator("[data-drawn] svg").count() == figures
    assert page.locator('[data-figure] svg:not([aria-label])[role="img"]').count() == 0
    assert said == []
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_page_shows_its_figures_without_scripts(browser: Any, page_file: Path) -> None:
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 1180, "height": 900}
    )
    page = context.new_page()
    page.goto(page_file.as_uri())
    pictures = page.locator("figure img")
    assert pictures.count() >= 10
    assert all(pictures.nth(i).get_attribute("alt") for i in range(pictures.count()))
    assert page.locator("figure img").first.bounding_box()["width"] > 300
    context.close()


def test_hovering_a_trial_shows_its_numbers_and_source(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    square = page.locator("#fig-effect-day1 svg .mark-symbol path[tabindex], "
                          "#fig-effect-day1 svg .mark-symbol path").first  # fmt: skip
    square.scroll_into_view_if_needed()
    square.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible", timeout=10_000)
    text = page.locator("#vg-tooltip-element").inner_text()
    assert "Source" in text
    assert "Effect" in text
    page.close()
