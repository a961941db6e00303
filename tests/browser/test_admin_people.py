"""Numbers, one person's page, certificates and reviews in a real browser: both widths and
colours, scripts on and off, and nothing that axe or the policy complains about."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.consent import inbound
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from prefcenter.sms import alarms, inbox
from prefcenter.sms.webhook import InboundText
from prefcenter.upkeep import finding
from prefcenter.upkeep.certificate_check import examine
from tests.browser.office import Office, audit, shoot

Enter = Callable[..., Page]
HOSTILE = "I didn't sign up for this <img src=x onerror=alert(1)> \u202e 202-555-0199"
both_ways = pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
ACTS = ("revoke", "link", "deliverability", "owner", "erase", "number", "certificate")


def text_in(office: Office, number: str, text: str) -> None:
    """A text of this number, worked as the door works it."""
    now = clock.now()
    came = InboundText(
        message_id=str(uuid.uuid4()), number=number, ours="+12025550100", text=text, said_at=now
    )
    with office.shop.app.app_context(), writing():
        [row] = inbox.store([(came, now)])
        assert row is not None
        inbound.handle(row, now=now)
        db.session.commit()


def page_of(office: Office, number: str) -> str:
    """The address of somebody's page."""
    with office.shop.app.app_context():
        [found] = finding.find(finding.Wanted(number=number))
        return f"/admin/people/{found.public_id}"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("people"))
    yield office
    office.shop.close()


@pytest.fixture
def number(office: Office) -> str:
    """Somebody subscribed, with changes and texts behind them."""
    number = office.shop.number()
    link = office.shop.alice(number, "offers", "events")
    office.shop.post(
        link, {"shown": ["offers", "events"], "categories": "events", "frequency": "1/week"}
    )
    text_in(office, number, "Do you open on Sunday? <b>Please</b> answer")
    return number


@pytest.fixture
def enter(office: Office, browser: Browser) -> Iterator[Enter]:
    def come_in(role: Role = Role.OWNER, **options: Any) -> Page:
        return office.enter(browser, role, **options)

    yield come_in
    office.leave()


def test_every_page_is_for_everybody(office: Office, enter: Enter, number: str) -> None:
    """Shows 2 and 7."""
    text_in(office, number, HOSTILE)
    with office.shop.app.app_context(), writing():
        inbox.keep_unreadable("inbound", b'{"from":1,\x00}', "not JSON", now=clock.now())
        alarms.start(alarms.UNREADABLE, now=clock.now())
        db.session.commit()
    me = page_of(office, number)
    page = enter()
    looks = ["/admin/people", me, f"{me}?on=2026-01-01", f"{me}?on=x", "/admin/review"]
    faults = []
    for place in [*looks, *(f"{me}/{act}" for act in ACTS)]:
        page.goto(place)
        for fold in page.locator("main details").all():
            fold.evaluate("(fold) => { fold.open = true }")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        faults += [f"{place}: {fault}" for fault in audit(page)]
        shoot(page, re.sub(r"\W+", "-", place.replace(me, "person"))[1:])
    assert faults == []


@both_ways
def test_a_number_is_found_and_stands_in_no_address(
    office: Office, enter: Enter, number: str, scripts: bool
) -> None:
    page = enter(Role.VIEWER, java_script_enabled=scripts)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/admin/people")
    page.get_by_label("Number, or its last four digits").fill(number)
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(f"{office.shop.url}{page_of(office, number)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(number[-4:])
    assert not [address for address in addresses if number[2:] in address]


def test_while_it_is_typed_results_come_and_the_field_keeps_the_focus(
    office: Office, enter: Enter, number: str
) -> None:
    page = enter(Role.VIEWER)
    page.goto("/admin/people")
    page.keyboard.press("/")
    field = page.get_by_label("Number, or its last four digits")
    expect(field).to_be_focused()
    page.keyboard.type(number[-4:], delay=30)
    expect(page.locator("#found")).to_contain_text("Found")
    expect(field).to_be_focused()
    assert audit(page) == []
    page.keyboard.press("Escape")
    page.locator("#found a").first.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/people/[\w-]{22}$"))


@both_ways
def test_was_it_subscribed(office: Office, enter: Enter, number: str, scripts: bool) -> None:
    """Show 3, with the date picker of the browser."""
    page = enter(Role.VIEWER, java_script_enabled=scripts)
    page.goto(page_of(office, number))
    today = f"{clock.now():%Y-%m-%d}"
    page.get_by_label("Day").fill(today)
    page.get_by_role("button", name="Look").click()
    answer = page.locator("#answer-text")
    expect(answer).to_contain_text("Yes, it was subscribed.")
    expect(answer).to_contain_text("Said yes")
    page.get_by_label("Day").fill("2026-01-05")
    page.get_by_label("Time").fill("10:00")
    page.get_by_role("button", name="Look").click()
    expect(answer).to_contain_text("Nothing is known of this number from before then.")
    expect(page.get_by_label("Day")).to_have_value("2026-01-05")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


@both_ways
def test_a_call_is_recorded(office: Office, enter: Enter, number: str, scripts: bool) -> None:
    page = enter(Role.EDITOR, java_script_enabled=scripts)
    page.goto(page_of(office, number))
    page.get_by_role("link", name="Record that they want no texts").click()
    page.get_by_label("They phoned").check()
    page.get_by_label("What did they say?").fill("Please stop")
    page.get_by_label("Received on").fill("2031-01-01")
    page.get_by_role("button", name="Stop all texts").click()
    expect(page.get_by_text("That has not come yet.")).to_be_visible()
    expect(page.get_by_label("What did they say?")).to_have_value("Please stop")
    page.get_by_label("Received on").fill(f"{clock.now():%Y-%m-%d}")
    page.get_by_label("At", exact=True).fill("00:00")
    page.get_by_role("button", name="Stop all texts").click()
    expect(page.get_by_role("status").first).to_contain_text("All texts are off")
    expect(page.locator(".timeline li").first).to_contain_text("Stopped all texts")
    expect(page.locator("main")).to_contain_text("They phoned")
    assert not scripts or audit(page) == []  # axe is a script


def test_the_whole_number_is_shown_once(office: Office, enter: Enter, number: str) -> None:
    page = enter()
    page.goto(page_of(office, number))
    page.get_by_role("link", name="Show the full number").click()
    page.get_by_label("Why do you do this?").fill("The police asked")
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_label("Number", exact=True)).to_have_value(re.compile(number[-4:]))
    assert audit(page) == []
    shoot(page, "number-shown")
    page.get_by_role("link", name="Back to the person").click()
    expect(page.locator("main")).not_to_contain_text(number[2:])
    expect(page.locator(".timeline li").first).to_contain_text("Showed a whole number")


@both_ways
def test_a_certificate_is_taken_and_is_whole(
    office: Office, enter: Enter, number: str, scripts: bool, tmp_path: Path
) -> None:
    """Show 4."""
    page = enter(java_script_enabled=scripts)
    page.goto(page_of(office, number))
    page.get_by_role("link", name="Certificate").click()
    page.get_by_label("Who needs it, and what for?").fill("The court")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the file").click()
    file = tmp_path / "certificate.json"
    download.value.save_as(file)
    assert examine(file.read_bytes())[0] == []
    page.get_by_role("button", name="Show the page to print").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Certificate of consent")
    if scripts:
        assert audit(page) == []
        shoot(page, "certificate-page")
    page.emulate_media(media="print")
    expect(page.locator("header.side")).not_to_be_visible()
    expect(page.get_by_text("import hashlib, json, sys")).to_be_visible()


@both_ways
def test_a_doubtful_text_is_decided(
    office: Office, enter: Enter, number: str, scripts: bool
) -> None:
    text_in(office, number, HOSTILE)
    page = enter(Role.EDITOR, java_script_enabled=scripts)
    page.goto("/admin/review")
    case = page.locator("article").filter(has_text=number[-4:])
    expect(case).to_contain_text("<img src=x onerror=alert(1)>")
    expect(case).to_contain_text("10 business days left")
    case.get_by_label("What do you know, and from where?").fill("I rang")
    case.get_by_role("button", name="It was not").click()
    expect(page.locator("main")).to_contain_text("It is put back as it was.")
    expect(page.locator("article").filter(has_text=number[-4:])).to_have_count(0)
    page.goto(page_of(office, number))
    expect(page.locator(".with-side > .cards .kv").first).to_contain_text("Texts on")


@both_ways
def test_a_long_story_is_read_on(office: Office, enter: Enter, number: str, scripts: bool) -> None:
    for turn in range(45):
        text_in(office, number, f"Question {turn}?")
    page = enter(Role.VIEWER, java_script_enabled=scripts)
    page.goto(page_of(office, number))
    expect(page.locator(".timeline")).to_contain_text("Question 44?")
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".timeline")).to_contain_text("Asked for texts")
    expect(page.get_by_text("Question 44?")).to_have_count(1 if scripts else 0)
    assert not scripts or audit(page) == []
