"""The overview in a real browser: both widths and colours, scripts on and off, axe."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.upkeep import recount
from tests.browser.office import Office, audit, shoot
from tests.histories import Teller, tell

Enter = Callable[..., Page]
PATHS = (
    "/admin/",
    "/admin/?period=12w&compare=no",
    "/admin/?period=12m&country=US",
    "/admin/?place=nowhere",
    "/admin/?period=own&from=2020-01-01&to=2020-01-01",
    "/admin/?period=own&from=x&to=y",
    "/admin/health",
)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A shop with some months behind it, and a server of its own."""
    office = Office(tmp_path_factory.mktemp("office"))
    with office.shop.app.app_context():
        tell(Teller(3, clock.now() - timedelta(days=90)), [], 270)
        recount.recount()
        db.session.remove()
    yield office
    office.shop.close()


@pytest.fixture
def enter(office: Office, browser: Browser) -> Iterator[Enter]:
    def make(**options: Any) -> Page:
        return office.enter(browser, Role.VIEWER, **options)

    yield make
    office.leave()


@pytest.mark.parametrize("path", PATHS)
def test_the_page_is_for_everybody(enter: Enter, path: str) -> None:
    page = enter()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert audit(page) == []
    shoot(page, re.sub(r"\W+", "_", path).strip("_"))


def test_a_filter_changes_only_the_results_and_the_address(enter: Enter) -> None:
    page = enter()
    page.goto("/admin/")
    period = page.get_by_label("Period")
    period.focus()
    period.select_option("12w")
    expect(page).to_have_url(re.compile(r"period=12w"))
    expect(page.get_by_role("heading", name="Confirmed and stopped, each week")).to_be_visible()
    expect(period).to_be_focused()
    page.reload()
    expect(period).to_have_value("12w")
    days = page.locator("#overview-days").text_content()
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"period=own"))
    assert page.locator("#overview-days").text_content() != days


def test_without_scripts_the_button_shows_the_same(enter: Enter) -> None:
    page = enter(java_script_enabled=False)
    page.goto("/admin/")
    page.get_by_label("Period").select_option("12m")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Confirmed and stopped, each month")).to_be_visible()
    expect(page.locator("html")).to_have_count(1)
    page.locator("summary", has_text="Show the figures as a table").click()
    expect(page.locator(".scroll tbody tr")).to_have_count(12)


def test_the_strip_comes_again_by_itself(enter: Enter) -> None:
    page = enter()
    page.clock.install()
    page.goto("/admin/")
    with page.expect_response("**/admin/health") as answer:
        page.clock.fast_forward(31_000)
    assert answer.value.ok
    expect(page.locator("#health .health")).to_have_count(1)


def test_every_bar_says_its_figures(enter: Enter) -> None:
    page = enter()
    page.goto("/admin/")
    titles = page.locator(".chart").first.locator("g > title")
    assert titles.count() == 30
    assert re.match(r".+: \d+ confirmed, \d+ stopped", titles.first.text_content() or "")
    chart = page.get_by_role("img", name="Confirmed and stopped, each day")
    box, frame = chart.bounding_box(), page.locator(".chart").first.bounding_box()
    assert box and frame and box["width"] > 0.7 * frame["width"]
