"""The development outbox by mouse, keyboard and finger: reading and replying as on a phone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.shop import Shop, until
from tests.browser.test_accessibility import SMALL, faults

NewContext = Callable[..., BrowserContext]
_TWO_FRAMES = "() => new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(d)))"
both_ways = pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])


def thread(page: Page, number: str) -> Locator:
    return page.get_by_role("region", name=number)


def box(page: Page, number: str) -> Locator:
    return thread(page, number).get_by_role("textbox")


def send(page: Page, number: str, text: str) -> None:
    box(page, number).fill(text)
    thread(page, number).get_by_role("button", name="Send", exact=True).click()


def last_bubble(page: Page, number: str) -> Locator:
    return thread(page, number).get_by_role("listitem").last


def top(page: Page, number: str) -> float:
    """Where the box stands in the window."""
    found = box(page, number).bounding_box()
    assert found
    return found["y"]


def see(page: Page, locator: Locator, text: str) -> None:
    """Wait for words; without scripts the page is loaded again until they are there."""

    def there() -> bool:
        if text in " ".join((locator.text_content() or "").split()):
            return True
        page.get_by_role("link", name="Refresh").click()
        return False

    if page.evaluate("() => typeof htmx") == "object":
        expect(locator).to_contain_text(text)
    else:
        until(there, text)


@both_ways
def test_alice_replies_and_watches_the_thread(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    shop.alice(number)
    page.goto("/dev/outbox")
    send(page, number, "Do you open on Sunday?")
    see(page, last_bubble(page, number), "no command · nothing changed · no answer")
    expect(box(page, number)).to_have_value("")
    thread(page, number).get_by_role("button", name="HELP", exact=True).click()
    see(page, last_bubble(page, number), "help@marlow.example")
    thread(page, number).get_by_role("button", name="STOP", exact=True).click()
    see(page, last_bubble(page, number), "your STOP is done")
    expect(thread(page, number)).to_contain_text("taken as STOP · stopped · answered by us")
    see(page, last_bubble(page, number), "unsubscribed · sent")


@both_ways
def test_a_stranger_texts_and_a_number_that_cannot_be_read_keeps_the_form(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto("/dev/outbox")
    other = thread(page, "Text as another phone")
    other.get_by_label("Its number").fill("202 555")
    other.get_by_label("Text", exact=True).fill("help")
    other.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("We cannot read that number")
    expect(page).to_have_title("Error: Texts that would have been sent – Marlow Books")
    expect(other.get_by_label("Its number")).to_have_value("202 555")
    expect(other.get_by_label("Its number")).to_be_focused()
    expect(other.get_by_label("Text", exact=True)).to_have_value("help")
    other.get_by_label("Its number").fill(number)
    other.get_by_role("button", name="Send").click()
    see(page, last_bubble(page, number), "help@marlow.example")
    expect(other.get_by_label("Its number")).to_have_value("")
    expect(page.get_by_role("region").first.get_by_role("heading")).to_have_text(number)


def test_what_is_being_typed_and_the_focus_stay_while_texts_come_in(
    shop: Shop, page: Page, number: str
) -> None:
    """From the same phone and from another, which then takes the first place."""
    shop.alice(number)
    page.goto("/dev/outbox")
    box(page, number).click()
    page.keyboard.type("Hello the")
    page.keyboard.press("ArrowLeft")
    shop.post("/dev/outbox/reply", {"number": number, "text": "HELP"})
    expect(last_bubble(page, number)).to_contain_text("help@marlow.example")
    expect(box(page, number)).to_be_focused()

    other = shop.number()
    shop.post("/dev/outbox/reply", {"number": other, "text": "HELP"})
    expect(last_bubble(page, other)).to_contain_text("help@marlow.example")
    expect(page.get_by_role("region").first.get_by_role("heading")).to_have_text(other)
    expect(box(page, number)).to_be_focused()

    before = top(page, number)
    shop.post("/dev/outbox/reply", {"number": number, "text": "back on top"})
    expect(page.get_by_role("region").first.get_by_role("heading")).to_have_text(number)
    expect(box(page, number)).to_be_focused()
    expect(box(page, number)).to_be_in_viewport()
    page.evaluate(_TWO_FRAMES)
    assert top(page, number) == pytest.approx(before, abs=2)
    page.keyboard.type("r")
    expect(box(page, number)).to_have_value("Hello thre")


def test_a_press_keeps_what_stands_in_other_boxes_and_moves_on_to_the_next_text(
    shop: Shop, page: Page, number: str
) -> None:
    other = shop.number()
    shop.alice(number)
    shop.alice(other)
    page.goto("/dev/outbox")
    box(page, other).fill("half a sen")
    page.get_by_label("Its number").fill("202")
    send(page, number, "HELP")
    expect(last_bubble(page, number)).to_contain_text("help@marlow.example")
    expect(page.get_by_role("region").first.get_by_role("heading")).to_have_text(number)
    expect(box(page, number)).to_be_focused()
    expect(box(page, number)).to_have_value("")
    expect(box(page, number)).to_be_in_viewport()
    expect(box(page, other)).to_have_value("half a sen")
    expect(page.get_by_label("Its number")).to_have_value("202")
    expect(page).to_have_url(f"{shop.url}/dev/outbox")


def test_an_impatient_double_press_sends_one_text(shop: Shop, page: Page, number: str) -> None:
    shop.alice(number)
    page.goto("/dev/outbox")
    before = len(shop.rows()["inbound"])
    thread(page, number).get_by_role("button", name="HELP", exact=True).dblclick()
    expect(last_bubble(page, number)).to_contain_text("help@marlow.example")
    assert len(shop.rows()["inbound"]) == before + 1


def test_enter_sends_what_stands_in_the_box(shop: Shop, page: Page, number: str) -> None:
    shop.alice(number)
    page.goto("/dev/outbox")
    box(page, number).fill("help")
    box(page, number).press("Enter")
    expect(thread(page, number)).to_contain_text("taken as HELP")
    expect(box(page, number)).to_have_value("")


def test_an_empty_text_is_explained_for_as_long_as_it_takes(
    shop: Shop, page: Page, number: str
) -> None:
    """Refreshing itself, the page must not take the words away."""
    shop.alice(number)
    page.goto("/dev/outbox")
    thread(page, number).get_by_role("button", name="Send", exact=True).click()
    error = thread(page, number).get_by_text("Write a text first")
    expect(error).to_be_visible()
    expect(box(page, number)).to_be_focused()
    shop.post("/dev/outbox/reply", {"number": number, "text": "HELP"})
    expect(last_bubble(page, number)).to_contain_text("help@marlow.example")
    expect(error).to_be_visible()
    send(page, number, "hello")
    expect(thread(page, number)).to_contain_text("hello")
    expect(error).to_have_count(0)


def test_with_several_numbers_of_ours_one_is_chosen(tmp_path: Path, browser: Browser) -> None:
    shop = Shop(tmp_path, SENDER="+12025550100,+12025550101")
    try:
        page, number = browser.new_page(base_url=shop.url), shop.number()
        shop.alice(number)
        page.goto("/dev/outbox")
        ours = thread(page, number).get_by_label("To our number")
        expect(ours).to_have_value("+12025550100")
        ours.select_option("+12025550101")
        send(page, number, "HELP")
        expect(last_bubble(page, number)).to_contain_text("from +12025550101")
        expect(ours).to_have_value("+12025550101")
        assert [*page.evaluate(SMALL), *faults(page)] == []
        page.close()
    finally:
        shop.close()


def test_the_conversation_is_for_everybody(shop: Shop, page: Page, number: str) -> None:
    shop.alice(number)
    for text in ("مرحبا", "x" * 300, "STOP", "START"):
        shop.post("/dev/outbox/reply", {"number": number, "text": text})
    page.goto("/dev/outbox")
    page.get_by_label("Its number").fill("202")
    thread(page, "Text as another phone").get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert [*page.evaluate(SMALL), *faults(page)] == []


def test_our_texts_stand_on_one_side_and_theirs_on_the_other_in_both_directions(
    shop: Shop, page: Page, number: str
) -> None:
    shop.alice(number)
    for text in ("hello", "مرحبا"):
        shop.post("/dev/outbox/reply", {"number": number, "text": text})
    page.goto("/dev/outbox")
    card = thread(page, number)
    for direction in ("ltr", "rtl"):
        page.evaluate(f"() => {{ document.documentElement.dir = '{direction}' }}")
        middle = 180
        for side, here in (("ours", direction == "rtl"), ("theirs", direction == "ltr")):
            for bubble in card.locator(f".{side} .bubble").all():
                at = bubble.bounding_box()
                assert at
                assert (at["x"] + at["width"] / 2 > middle) is here, (direction, side)
