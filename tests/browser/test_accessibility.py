"""Every state of every customer page: axe, small screens, large text, direction (DESIGN 8)."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import axe
from tests.browser.shop import Shop
from tests.browser.states import STATES

# A made sheet, because the pages' policy allows no style of others (WCAG 1.4.12's figures).
_SPACED = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
    word-spacing: .16em !important } p { margin-block-end: 2em !important }`);
  document.adoptedStyleSheets = [sheet];
}"""
_LARGE = (
    "() => { document.adoptedStyleSheets = []; document.documentElement.style.fontSize = '200%' }"
)
# What is pressed, but for links in running text, which WCAG 2.5.8 leaves out too.
SMALL = """() => [...document.querySelectorAll("button, .button, .tap, .row, summary, [type=tel]")]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44)
  .map((e) => `${e.getBoundingClientRect().height} px: ${e.outerHTML.slice(0, 80)}`)"""


def faults(page: Page) -> Iterator[str]:
    """Of a customer's page: axe's, and whatever needs room that a small screen has not."""
    yield from axe.faults(page)
    page.set_viewport_size({"width": 320, "height": 640})
    for name, change in (("", None), ("spaced", _SPACED), ("200 %", _LARGE)):
        if change:
            page.evaluate(change)
        yield from axe.sideways(page, f"320 {name}")


@pytest.mark.parametrize("state", STATES)
def test_the_page_is_for_everybody(shop: Shop, page: Page, state: str) -> None:
    STATES[state](shop, page)
    small = page.evaluate(SMALL)
    assert [*small, *faults(page)] == []
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page).to_have_title(f"{_expected_title(page)} – Marlow Books")


def _expected_title(page: Page) -> str:
    """DESIGN section 2: the heading, and "Error: " first where something is wrong."""
    wrong = page.locator(".note.alert").count() > 0
    return ("Error: " if wrong else "") + page.locator("h1").inner_text()


def test_right_to_left_mirrors_and_fits(shop: Shop, page: Page, number: str) -> None:
    """No language of ours runs this way yet; the pages are ready for one."""
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(shop.alice(number))
    page.evaluate("() => { document.documentElement.dir = 'rtl' }")
    boxes = {
        name: page.locator(css).first.bounding_box()
        for name, css in {
            "brand": "header strong",
            "language": "header a",
            "tick": ".row input",
            "words": ".row span",
            "dot": ".dot",
            "status": ".state .near",
        }.items()
    }
    left = {name: box["x"] for name, box in boxes.items() if box}
    assert left["language"] < left["brand"]
    assert left["words"] < left["tick"]
    assert left["status"] < left["dot"]
    assert [*axe.sideways(page, "right to left")] == []
    digits = page.locator("main b").first
    expect(digits).to_have_text(number[-4:])
    expect(digits).to_have_attribute("dir", "ltr")
