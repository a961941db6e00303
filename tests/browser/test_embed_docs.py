"""docs/embed.md: its style sheet and its scripts do what the text beside them says."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.consent import sites
from prefcenter.database import db, writing
from tests.browser import hosts
from tests.browser.hosts import Website
from tests.browser.shop import Shop
from tests.test_embed_docs import HERE, blocks

SITE = "guide"


@pytest.fixture(scope="module")
def website(shop: Shop) -> Iterator[Website]:
    found = Website()
    with shop.app.app_context(), writing():
        sites.add(SITE, "Guide", origins=[found.url], now=clock.now())
        db.session.commit()
    yield found
    found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Alice's phone, on which the guide's pages are opened."""
    with closing(
        browser.new_context(viewport={"width": 360, "height": 740}, locale="en-US")
    ) as context:
        context.set_default_timeout(6_000)
        yield context.new_page()


def own(text: str, shop: Shop) -> str:
    """A block of the guide with the reader's own prefcenter and site."""
    assert HERE in text
    return text.replace(HERE, shop.url).replace("web-shop", SITE)


def test_the_style_sheet_and_the_news_of_a_sign_up(
    shop: Shop, website: Website, page: Page, number: str
) -> None:
    css = "".join(blocks("css"))
    news, _height = blocks("js")
    page.goto(
        website.page(
            own(blocks("html")[0], shop),
            head=f"<style>{css}</style><script>{news}</script>",
        )
    )
    element = page.locator("prefcenter-optin")
    expect(element.locator("[part=box]")).to_have_css("background-color", "rgb(255, 250, 240)")
    expect(element.locator("[part=box]")).to_have_css("border-radius", "4px")
    expect(element.locator("[part=box]")).to_have_css("border-width", "2px")
    for part in ("input", "button"):
        expect(element.locator(f"[part={part}]")).to_have_css("border-radius", "4px")
    expect(element.locator("[part=error]").first).to_have_css("font-style", "italic")
    hosts.fill(page, number)
    hosts.press(page)
    hosts.see_sent(page, number)
    signed_up = page.evaluate("document.body.dataset.signedUp")
    assert len(signed_up) == 36 and number[-4:] not in page.url
    assert len(shop.texts(number)) <= 1 and shop.texted(number, "/c/")


def test_the_frame_is_as_high_as_what_is_in_it(shop: Shop, website: Website, page: Page) -> None:
    _news, height = blocks("js")
    frame = own(blocks("html")[1], shop)
    page.goto(website.page(frame, head=f"<script>{own(height, shop)}</script>"))
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("button", name=hosts.BUTTON)).to_be_visible()
    expect(page.locator("iframe")).not_to_have_attribute("height", "680")
    fits = """() => innerHeight >= document.documentElement.offsetHeight"""
    frame_page = page.frames[1]
    frame_page.wait_for_function(fits)
    inside.get_by_role("button", name=hosts.BUTTON).click()  # errors make it higher
    expect(inside.get_by_text("Tick the box")).to_be_visible()
    frame_page.wait_for_function(fits)


def test_a_height_from_anybody_else_is_ignored(shop: Shop, website: Website, page: Page) -> None:
    """From the page itself, and from a frame of Mallory's beside ours."""
    _news, height = blocks("js")
    says = "postMessage({ type: 'prefcenter:height', height: 9999 }, '*')"
    mallory = website.page(f"<script>parent.{says}; parent.{says}</script>")
    frames = f'{own(blocks("html")[1], shop)}<iframe id="mallory" src="{mallory}"></iframe>'
    page.goto(website.page(frames, head=f"<script>{own(height, shop)}</script>"))
    ours = page.locator("iframe").first
    expect(ours).not_to_have_attribute("height", "680")
    page.evaluate(f"() => new Promise((d) => {{ onmessage = d; {says}; frames[1].{says} }})")
    assert page.locator("#mallory").get_attribute("height") is None
    assert ours.get_attribute("height") != "9999"


def test_the_plain_form_of_the_guide_works(
    shop: Shop, website: Website, page: Page, number: str
) -> None:
    """The words of the guide are those of its own site; so the reader gets the new words first."""
    page.goto(website.page(own(blocks("html")[2], shop)))
    hosts.fill(page, number)
    hosts.press(page)
    expect(
        page.get_by_text("This text has changed. Read it again and tick the box").last
    ).to_be_visible()
    assert page.get_by_role("textbox", name="Mobile number").input_value() == hosts.typed(number)


def test_field_mode_adds_three_fields_with_a_tick(
    shop: Shop, website: Website, page: Page, number: str
) -> None:
    form = f'<form action="/taken">{own(blocks("html")[3], shop)}<button>Order</button></form>'
    for tick, names in ((False, []), (True, ["sms_number", "sms_consent", "sms_text_version"])):
        page.goto(website.page(form))
        expect(page.locator("prefcenter-optin [part=input]")).to_be_visible()
        page.get_by_role("textbox", name="Mobile number").fill(number)
        page.get_by_role("checkbox").set_checked(tick)
        sent = page.evaluate("[...new FormData(document.forms[0]).keys()]")
        assert sent == names
