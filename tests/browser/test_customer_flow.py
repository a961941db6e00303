"""From the form to the way out, as people see it: by mouse, by keyboard, scripts on and off."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from prefcenter.links import Purpose
from tests.browser.shop import Shop, until

NewContext = Callable[..., BrowserContext]


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def news(page: Page, *words: str) -> None:
    """The note says so, and has the focus, so that it is read out."""
    note = page.locator(".note")
    for part in words:
        expect(note).to_contain_text(part)
    expect(note).to_be_focused()


def press(page: Page, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_alice_signs_up_confirms_chooses_pauses_leaves_and_returns(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto("/")
    page.get_by_label("Sales and offers").check()
    page.get_by_label("Mobile number").fill(number[2:])
    page.get_by_label("I agree").check()
    press(page, "Text me a link to confirm")
    heading(page, "Look at your phone")
    expect(page.locator("main")).to_contain_text(f"the number ending {number[-4:]}")

    shop.texted(number, "/c/")
    page.goto("/dev/outbox")
    page.get_by_role("region", name=number).get_by_role("link").click()
    heading(page, "Get texts from Marlow Books?")
    expect(page.get_by_role("listitem")).to_have_text("Sales and offersAbout 2 texts a month")
    press(page, "Yes, text me")
    heading(page, "Your texts are on")

    page.get_by_label("Sales and offers").uncheck()
    page.get_by_label("Events near you").check()
    page.get_by_label("Once a week").check()
    press(page, "Save changes")
    news(page, "Saved", "You will get Events near you, once a week at most.")
    expect(page.get_by_label("Sales and offers")).not_to_be_checked()
    expect(page.get_by_label("Once a week")).to_be_checked()
    expect(page).to_have_title("Choose your texts – Marlow Books")

    press(page, "1 week")
    news(page, "Paused", "No texts until", "Your choices are kept.")
    expect(page.locator(".state")).to_contain_text("Texts are paused until")
    press(page, "Start again now")
    news(page, "Your break is over", "You will get Events near you, once a week at most.")

    press(page, "Stop all texts")
    news(page, "Done. No more texts.", "If that was a mistake, press “Start texts again”.")
    heading(page, "You get no texts from us")
    expect(page.locator("main")).to_contain_text("agree to get recurring")
    press(page, "Start texts again")
    news(page, "Texts are on again", "You will get Events near you, once a week at most.")
    expect(page.locator(".state")).to_contain_text("Texts are on")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_nothing_ticked_says_so_beside_the_boxes_and_keeps_the_other_choices(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto(shop.alice(number, "offers"))
    page.get_by_label("Sales and offers").uncheck()
    page.get_by_label("Once a month").check()
    press(page, "Save changes")
    news(page, "Nothing is ticked", "press “Stop all texts” below")
    expect(page).to_have_title("Error: Choose your texts – Marlow Books")
    expect(page.locator("#categories-error")).to_have_text("Tick at least one kind of text")
    expect(page.get_by_label("Once a month")).to_be_checked()
    page.get_by_role("link", name="Tick at least one kind of text").click()
    expect(page.get_by_label("Sales and offers")).to_be_in_viewport()
    page.get_by_label("New books").check()
    press(page, "Save changes")
    news(page, "Saved", "You will get New books, once a month at most.")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_a_wrong_number_is_explained_and_nothing_typed_is_lost(
    shop: Shop, new_context: NewContext, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto("/")
    page.get_by_label("New books").check()
    field = page.get_by_label("Mobile number")
    field.fill("202 555")
    press(page, "Text me a link to confirm")
    expect(page.locator(".note")).to_contain_text("Nothing was sent yet")
    expect(page.locator("#number-error")).to_contain_text("That number is too short")
    expect(page.locator("#consent-error")).to_have_text("Tick the box if you agree to get texts")
    expect(field).to_have_value("202 555")
    expect(field).to_be_focused()
    expect(page.get_by_label("New books")).to_be_checked()
    expect(page).to_have_title("Error: Get texts from Marlow Books – Marlow Books")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_bob_says_that_was_not_me(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto(shop.bob(number))
    press(page, "No, that was not me")
    heading(page, "We will not text you")
    expect(page.get_by_role("status")).to_contain_text(number[-4:])


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_an_old_tab_cannot_undo_a_stop_by_text(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    """DESIGN rule 7: a save never turns texts back on."""
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto(shop.alice(number))
    shop.stop_by_text(number)
    page.get_by_label("New books").check()
    press(page, "Save changes")
    heading(page, "You texted STOP")
    news(page, "Nothing was saved", "You texted STOP after this page was opened")
    expect(page.get_by_role("button")).to_have_count(0)


def test_the_page_speaks_spanish_and_stays_so_after_a_save(
    shop: Shop, page: Page, number: str
) -> None:
    page.goto(shop.alice(number, "offers"))
    page.get_by_role("link", name="Español").click()
    heading(page, "Elija sus mensajes")
    page.get_by_label("Actos cerca de usted").check()
    page.locator("button.go").click()
    expect(page.locator(".note")).to_contain_text("Rebajas y ofertas y Actos cerca de usted")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.reload()
    heading(page, "Elija sus mensajes")


def test_the_link_to_the_other_language_always_leads_to_a_page(
    shop: Shop, new_context: NewContext, number: str
) -> None:
    """Also from the answer to a button, whose own address has no page."""
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/sent?to=0143")
    page.get_by_role("link", name="Español").click()
    expect(page.locator("main")).to_contain_text("0143")
    shop.alice(number)
    page.goto(shop.link(number, Purpose.UNSUBSCRIBE))
    shop.stop_by_text(number)
    press(page, "Save changes")
    heading(page, "You texted STOP")
    page.get_by_role("link", name="Español").click()
    expect(page.locator("h1")).to_contain_text("STOP")
    expect(page.locator("html")).to_have_attribute("lang", "es")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_alice_unsubscribes_but_takes_fewer_first(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    shop.alice(number, "offers")
    page.goto(shop.link(number, Purpose.UNSUBSCRIBE))
    heading(page, "Stop texts from Marlow Books")
    page.get_by_label("Once a month").check()
    press(page, "Save changes")
    news(page, "Saved", "You will get Sales and offers, once a month at most.")
    press(page, "Stop all texts")
    news(page, "Done. No more texts.")
    heading(page, "You get no texts from us")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_alice_finds_her_old_link_and_is_texted_a_new_one(
    shop: Shop, new_context: NewContext, number: str, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    number_gap = shop.settings.number_gap_minutes
    shop.alice(number)
    shop.age_texts(number, minutes=number_gap)
    page.goto(shop.link(number, Purpose.MANAGE, days_old=31))
    heading(page, "This link is too old")
    press(page, "Text me a new link")
    heading(page, "Look at your phone")
    until(lambda: "new link" in shop.texts(number)[-1], "the new link")
    page.goto(shop.texted(number, "/p/"))
    heading(page, "Choose your texts")


class Keys:
    """Somebody who has only a keyboard."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def to(self, wanted: Locator) -> None:
        """Tab until there; every stop on the way must be seen to have the focus."""
        focused = self.page.locator(":focus")
        for _ in range(40):
            if wanted.evaluate("(element) => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
            if focused.count():
                assert focused.evaluate(_RING) == "solid 3px", focused.evaluate(
                    "(e) => e.outerHTML"
                )
        raise AssertionError(f"Tab never came to {wanted}")

    def tick(self, label: str) -> None:
        self.to(self.page.get_by_label(label))
        self.page.keyboard.press("Space")

    def press(self, label: str) -> None:
        self.to(self.page.get_by_role("button", name=label, exact=True))
        self.page.keyboard.press("Enter")


_RING = "(e) => { const s = getComputedStyle(e); return `${s.outlineStyle} ${s.outlineWidth}`; }"


def test_all_of_it_by_keyboard_alone(shop: Shop, page: Page, number: str) -> None:
    keys = Keys(page)
    page.goto("/")
    keys.tick("Sales and offers")
    keys.to(page.get_by_label("Mobile number"))
    page.keyboard.type(number)
    keys.tick("I agree")
    keys.press("Text me a link to confirm")
    heading(page, "Look at your phone")

    page.goto(shop.texted(number, "/c/"))
    keys.press("Yes, text me")
    heading(page, "Your texts are on")
    keys.tick("New books")
    keys.to(page.get_by_label("Whenever there is news"))
    page.keyboard.press("ArrowDown")
    keys.press("Save changes")
    news(page, "Saved", "You will get Sales and offers and New books, once a week at most.")
    keys.press("1 month")
    news(page, "Paused")
    keys.press("Start again now")
    news(page, "Your break is over")
    keys.press("Stop all texts")
    news(page, "Done. No more texts.")
    keys.press("Start texts again")
    news(page, "Texts are on again")


def test_two_taps_from_the_text_to_done(shop: Shop, page: Page, number: str) -> None:
    """DESIGN's budget: the link and one button, whether to confirm or to stop."""
    page.goto(shop.bob(number))
    press(page, "Yes, text me")
    heading(page, "Your texts are on")
    page.goto(shop.texted(number, "/p/"))
    press(page, "Stop all texts")
    heading(page, "You get no texts from us")
    expect(page.locator("main")).to_contain_text("Texts are off")
