"""The editor of texts and the 10DLC page in a real browser: both widths and colours, scripts on
and off, and nothing that axe or the policy complains about."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models import TextKind
from prefcenter.models_staff import Role
from prefcenter.sms import versions, wording
from tests.browser.office import DESK, PHONE, Office, audit

HELP = "/admin/texts/help/en"
GOOD = "{brand}: ask us at {support}. {frequency}. Msg & data rates may apply. STOP ends all texts"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server of its own, because what is saved here would change what others read."""
    office = Office(tmp_path_factory.mktemp("office"))
    yield office
    office.shop.close()


@pytest.fixture
def enter(office: Office, browser: Browser) -> Iterator[Callable[..., Page]]:
    def make(role: Role = Role.EDITOR, **options: Any) -> Page:
        return office.enter(browser, role, **options)

    yield make
    office.leave()


def reset(office: Office, kind: str = "help") -> None:
    """The shipped words again, whatever a test before saved."""
    with office.shop.app.app_context(), writing():
        newest = versions.history(kind, "en", most=1)
        body = wording.shipped(TextKind(kind), "en")
        after = newest[0].number if newest else 0
        if newest and newest[0].body != body:
            versions.save(kind, "en", body, after=after, by="eve", now=clock.now())
            db.session.commit()


@pytest.mark.parametrize(
    "path",
    [
        "/admin/texts",
        HELP,
        "/admin/texts/which/es",
        "/admin/texts/consent_signup/en",
        "/admin/campaign",
    ],
)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_the_page_is_for_everybody(enter: Callable[..., Page], path: str, role: Role) -> None:
    page = enter(role)
    page.goto(path)
    assert audit(page) == []


@pytest.mark.parametrize("words", [GOOD + " ’ and “so” 📚", "nothing that it needs"])
def test_a_refused_text_is_for_everybody_too(enter: Callable[..., Page], words: str) -> None:
    page = enter()
    page.goto(HELP)
    page.get_by_label("Words").fill(words + " {")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("alert")).to_contain_text("These words cannot be saved")
    expect(page.get_by_label("Words")).to_have_value(words + " {")
    assert audit(page) == []


def test_the_counter_follows_the_typing(enter: Callable[..., Page], office: Office) -> None:
    page = enter(viewport=PHONE)
    page.goto(HELP)
    count, box = page.locator("#count"), page.get_by_label("Words")
    expect(count).to_contain_text("1 part")
    box.fill(GOOD + "’")
    expect(count).to_contain_text("2 parts")
    expect(count).to_contain_text("UCS-2")
    expect(page.locator("#live")).to_contain_text("2 parts")
    expect(page.locator("#sample")).to_contain_text("Marlow Books: ask us")
    box.press_sequentially(" more")
    expect(page.locator("#sample")).to_contain_text("’ more")
    expect(box).to_be_focused()
    assert box.input_value() == GOOD + "’ more"


@pytest.mark.parametrize("scripts", [True, False])
def test_one_press_replaces_a_dear_character_and_another_saves(
    enter: Callable[..., Page], office: Office, scripts: bool
) -> None:
    reset(office)
    page = enter(viewport=PHONE, java_script_enabled=scripts)
    page.goto(HELP)
    page.get_by_label("Words").fill(GOOD.replace("ask us", "it’s “us”"))
    if not scripts:
        page.get_by_role("button", name="Check", exact=True).click()
    page.get_by_role("button", name="Use ' instead").click()
    expect(page.get_by_label("Words")).to_have_value(GOOD.replace("ask us", "it's “us”"))
    page.get_by_role("button", name="Replace all of them").click()
    expect(page.get_by_label("Words")).to_have_value(GOOD.replace("ask us", 'it\'s "us"'))
    expect(page.locator("#count")).to_contain_text("1 part")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("status").first).to_contain_text("saved and in force")
    expect(page.locator("#versions li").first).to_contain_text("editor")
    page.get_by_role("button", name="Back to the shipped words").click()
    expect(page.get_by_label("Words")).to_have_value(wording.shipped(TextKind.HELP, "en"))


def test_a_consent_text_says_what_is_missing_while_it_is_typed(enter: Callable[..., Page]) -> None:
    page = enter(viewport=DESK)
    page.goto("/admin/texts/consent_signup/en")
    expect(page.locator("#count")).to_contain_text("complete")
    box = page.get_by_label("Words")
    box.fill(box.input_value().replace("automated ", ""))
    missing = page.locator("#check .needs li", has_text="missing")
    expect(missing).to_have_count(1)
    expect(missing).to_contain_text("Say that the texts are automated.")


def test_the_campaign_is_copied_and_noted(enter: Callable[..., Page], office: Office) -> None:
    page = enter(viewport=DESK)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/admin/campaign")
    page.locator("#sample1-card").get_by_role("button", name="Copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Marlow Books: confirm our texts") and "STOP" in copied
    page.get_by_role("button", name="It is all registered like this").click()
    expect(page.get_by_role("status").first).to_contain_text("Noted as registered")
    page.locator("#sample1-card").get_by_label("What is registered").fill("Other words")
    page.get_by_role("button", name="Note as registered").click()
    expect(page.locator("#differ")).to_contain_text("What is registered differs")
    expect(page.locator("#sample1-card")).to_contain_text("differs")
    assert audit(page) == []
