"""The five pages of /dev/widget in a browser: the widget is drawn and usable in each of them."""

import pytest
from playwright.sync_api import Page, expect

from prefcenter import clock
from prefcenter.consent import sites
from prefcenter.database import db, writing
from prefcenter.web.preview import DEMO, HOSTS, KINDS
from tests.browser import axe
from tests.browser.shop import Shop
from tests.browser.test_accessibility import faults

PRESS = "Text me a link to confirm"


@pytest.fixture(scope="module", autouse=True)
def demo(shop: Shop) -> None:
    with shop.app.app_context(), writing():
        if sites.find(DEMO, now=clock.now()) is None:
            sites.add(DEMO, "Demo", origins=["http://localhost:8000"], now=clock.now())
            db.session.commit()


@pytest.mark.parametrize("number", range(1, len(HOSTS) + 1))
def test_the_widget_is_drawn_whole_in_each_host(page: Page, number: int) -> None:
    page.goto(f"/dev/widget/{number}?site={DEMO}")
    button = page.get_by_role("button", name=PRESS)
    expect(button).to_be_visible()
    for width in (320, 1280):
        assert [*axe.faults(page, widths=(width,))] == []
        box = button.bounding_box()
        assert box and box["height"] >= 48 and 0 <= box["x"] <= width - box["width"]


@pytest.mark.parametrize("kind", KINDS)
def test_all_five_are_on_the_list_and_work_there(page: Page, kind: str) -> None:
    page.goto(f"/dev/widget?site={DEMO}&kind={kind}")
    for number in range(1, len(HOSTS) + 1):
        host = page.frame_locator("iframe").nth(number - 1)
        inner = host.frame_locator("iframe") if kind == "frame" else host
        expect(inner.get_by_role("button", name=PRESS)).to_be_visible()


def test_the_list_is_for_everybody(page: Page) -> None:
    page.goto(f"/dev/widget?site={DEMO}")
    expect(page.get_by_role("heading", level=1)).to_have_text("The widget in pages of others")
    assert [*faults(page)] == []


def test_so_is_the_page_without_a_site(page: Page) -> None:
    page.goto("/dev/widget?site=nobody")
    expect(page.get_by_text("There is no enabled site with the key nobody")).to_be_visible()
    assert [*faults(page)] == []


def test_alice_signs_up_in_the_strictest_of_them(shop: Shop, page: Page, number: str) -> None:
    page.goto(f"/dev/widget/5?site={DEMO}")
    page.get_by_role("textbox", name="Mobile number").fill(number)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name=PRESS).click()
    expect(page.get_by_role("heading", name="Look at your phone")).to_be_visible()
    assert shop.texted(number, "/c/") and len(shop.texts(number)) == 1
