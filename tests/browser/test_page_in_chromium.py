"""The page in a real browser: nothing is fetched, nothing complains, every figure is drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
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


PHONE = {"width": 390, "height": 844}
ORANGE = "rgb(213, 94, 0)"


def opened(browser: Any, page_file: Path, viewport: dict[str, int]) -> Any:
    page = browser.new_page(viewport=viewport)
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    return page


def test_the_four_answers_stand_in_the_first_screen_of_a_phone(
    browser: Any, page_file: Path
) -> None:
    page = opened(browser, page_file, PHONE)
    cards = page.locator(".card")
    assert cards.count() == 4
    last = cards.nth(3).bounding_box()
    assert last["y"] + last["height"] <= PHONE["height"]
    page.close()


def test_pointing_at_a_trial_marks_the_subsets_that_hold_it(browser: Any, page_file: Path) -> None:
    page = opened(browser, page_file, {"width": 1180, "height": 900})
    figure = page.locator("#fig-subsets svg")
    figure.scroll_into_view_if_needed()
    fills = (
        "svg => [...svg.querySelectorAll('.mark-symbol path')].map(p => getComputedStyle(p).fill)"
    )
    before = figure.evaluate(fills)
    name = figure.get_by_text("Chen 2023", exact=True)
    box = name.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.wait_for_timeout(400)
    after = figure.evaluate(fills)
    # Seven trials: 120 sets of two or more, of which 2^6 - 1 hold a given one.
    assert len(before) == len(after) == 120
    assert before.count(ORANGE) == 0
    assert after.count(ORANGE) == 63
    page.close()


def test_a_phone_cuts_no_label_of_the_relapse_figure(browser: Any, page_file: Path) -> None:
    page = opened(browser, page_file, PHONE)
    said = page.locator("#fig-relapse svg").text_content()
    assert "antidepressant" in said
    assert "…" not in said
    page.close()


def test_a_table_row_on_a_phone_is_a_list_with_its_headers(browser: Any, page_file: Path) -> None:
    page = opened(browser, page_file, PHONE)
    cell = page.locator("#table-findings tbody td").first
    label = cell.evaluate("c => getComputedStyle(c, '::before').content")
    assert "Trials, patients" in label
    assert page.locator("#table-findings").bounding_box()["width"] <= PHONE["width"]
    page.close()


def test_headings_skip_no_level_and_every_table_has_a_name(browser: Any, page_file: Path) -> None:
    page = opened(browser, page_file, PHONE)
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert max(b - a for a, b in pairwise(levels)) <= 1
    unnamed = page.evaluate(
        "[...document.querySelectorAll('section.question table')].filter(t => !document"
        ".getElementById(t.getAttribute('aria-labelledby'))).length"
    )
    assert unnamed == 0
    page.close()


def test_paper_gets_the_wide_figures_and_tables(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 680, "height": 900})
    page.emulate_media(media="print")
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    row = page.locator("#table-findings tbody tr").first
    assert row.evaluate("r => getComputedStyle(r).display") == "table-row"
    wide = page.locator("#fig-choices svg").get_attribute("viewBox")
    assert float(wide.split()[2]) > 800
    page.close()
