"""Categories, sites, keys, webhooks, staff, alarms and the admin log in a real browser: both
widths and colours, scripts on and off, and nothing that axe or the policy complains about."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.consent import api_keys, catalog, ledger, people, sites
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import Breaker, BreakerScope, ConsentEvent, EventKind, Source
from prefcenter.models_staff import Role
from prefcenter.models_webhooks import ParkedNotice, WebhookEndpoint
from prefcenter.sms import alarms
from prefcenter.staff import accounts, activity
from prefcenter.staff.passwords import OneTime
from prefcenter.upkeep import endpoints, notice_standing
from tests.browser.office import PHONE, Office, audit, shoot

Enter = Callable[..., Page]
SITE = "/admin/sites/web-shop"
WEBHOOK = "/admin/webhooks/crm"
PATHS = (
    "/admin/categories",
    "/admin/categories/add",
    "/admin/categories/offers/change",
    "/admin/categories/offers/retire",
    "/admin/sites",
    "/admin/add-site",
    SITE,
    f"{SITE}/change",
    f"{SITE}/disable",
    f"{SITE}/rotate",
    f"{SITE}/preview",
    "/admin/keys",
    "/admin/keys/1/revoke",
    "/admin/staff",
    "/admin/add-staff",
    "/admin/activity",
    "/admin/activity?who=nobody",
    "/admin/activity?from=yesterday",
    "/admin/alarms",
    "/admin/webhooks",
    WEBHOOK,
    f"{WEBHOOK}/rotate",
    f"{WEBHOOK}/disable",
)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server of its own, because what is saved here would change what others see."""
    office = Office(tmp_path_factory.mktemp("office"))
    with office.shop.app.app_context(), writing():
        _furnish()
        db.session.commit()
    yield office
    office.shop.close()


def _furnish() -> None:
    """Something of each kind, long words among them."""
    now = clock.now()
    origins = ["https://shop.example", f"https://{'long-' * 9}name.shop.example:8443"]
    more = {"about": {"en": "news about books", "es": "novedades de libros"}, "color": "#aa2211"}
    sites.add("web-shop", "Web shop", origins=origins, now=now, **more)
    sites.add("till", "Till", origins=["https://till.example"], now=now)
    sites.disable(sites.by_slug("till"), now=now)
    sites.rotate(sites.by_slug("till"), keep=timedelta(days=30), now=now)
    catalog.add("talks", "Talks and readings " * 4, description="Twice a month " * 12, age_gate=18)
    retired = catalog.add("maps", "Maps")
    retired.retired_at = now
    api_keys.make("web-shop", ["write", "decide"], now=now)
    accounts.add("grace", Role.EDITOR, OneTime("x", "x"), by="dana", now=now)
    alarms.start(alarms.MISSED_TEXTS, "No text could come in from 13:00 to 14:00 UTC.", now=now)
    until = now + timedelta(hours=9)
    label = "one block of 10,000 numbers in US, +1202…"
    row = {"label": label, "tripped_at": now, "until": until}
    db.session.add(Breaker(scope=BreakerScope.PREFIX, key="0" * 64, **row))
    hook, _secret = endpoints.add(f"https://crm.example/{'long-' * 40}", after=0, now=now)
    hook.public_id = "crm"
    _give_up(hook)
    details = {"name": ["Sales", "Sales and offers"], "origins": [origins, origins[:1]]}
    for _number in range(60):
        activity.record("cron", "site_changed", subject="web-shop", details=details, now=now)


def _give_up(hook: WebhookEndpoint) -> None:
    """More notices than the page shows, with a reason that is one long word."""
    now, proof = clock.now(), Proof(source=Source.SMS)
    person = people.enrol("+12025550143", "US", "en", now=now)
    asked = {"requested": ["offers"], "request_expires_at": (now + timedelta(days=3)).isoformat()}
    ledger.record(person, EventKind.REQUESTED, proof, now=now, changes=asked)
    ledger.record(person, EventKind.CONFIRMED, proof, now=now, changes={"added": ["offers"]})
    for _number in range(notice_standing.SHOWN + 1):  # of which the tests tell some again
        ledger.record(person, EventKind.CHANGED, proof, now=now, changes={})
    told = {"endpoint_id": hook.id, "person_id": person.id, "parked_at": now, "dead_at": now}
    error = f"It answered 500: {'long-' * 18}word"
    mine = sa.select(ConsentEvent.id).where(ConsentEvent.person_id == person.id)
    for event in db.session.scalars(mine.where(ConsentEvent.kind != EventKind.REQUESTED)):
        db.session.add(ParkedNotice(event_id=event, attempts=20, last_error=error, **told))
        hook.told_event_id = event


@pytest.fixture
def enter(office: Office, browser: Browser) -> Iterator[Enter]:
    def make(role: Role = Role.OWNER, **options: Any) -> Page:
        return office.enter(browser, role, **options)

    yield make
    office.leave()


@pytest.mark.parametrize("path", PATHS)
def test_the_page_is_for_everybody(enter: Enter, path: str) -> None:
    page = enter()
    page.goto(path)
    assert audit(page) == []
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    shoot(page, path.removeprefix("/admin/").replace("/", "-").replace("?", "-"))


@pytest.mark.parametrize("path", ["/admin/categories", "/admin/sites", SITE, "/admin/alarms"])
def test_somebody_who_only_looks_has_the_same_page(enter: Enter, path: str) -> None:
    page = enter(Role.VIEWER)
    page.goto(path)
    assert audit(page) == []
    expect(page.locator("main form[method=post]")).to_have_count(0)


def test_a_refused_form_is_for_everybody_too(enter: Enter) -> None:
    page = enter()
    page.goto(f"{SITE}/change")
    page.get_by_label("Websites").fill("shop.example")
    page.get_by_label("Colour", exact=True).fill("red")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title("Error: Change Web shop – Marlow Books")
    expect(page.get_by_label("Websites")).to_have_value("shop.example")
    expect(page.get_by_label("Websites")).to_have_attribute("aria-invalid", "true")
    assert audit(page) == []
    shoot(page, "sites-refused")


# --- order, with and without scripts


@pytest.mark.parametrize("scripts", [True, False])
def test_a_category_moves_by_keyboard(enter: Enter, scripts: bool) -> None:
    page = enter(Role.EDITOR, java_script_enabled=scripts)
    page.goto("/admin/categories")
    before = _order(page, scripts)
    page.get_by_role("button", name=f"Move {before[1]} up").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("is in place 1.")
    after = _order(page, scripts)
    assert after[:2] == [before[1], before[0]]
    if scripts:
        down = page.get_by_role("button", name=f"Move {before[1]} down")
        expect(down).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("is in place 2.")
        expect(page.get_by_role("button", name=f"Move {before[1]} down")).to_be_focused()
        assert audit(page) == []


def _order(page: Page, scripts: bool) -> list[str]:
    """The names in their order; without scripts a page cannot be asked by one."""
    rows = page.locator("table").first.locator("tbody tr")
    return [rows.nth(at).locator("b").first.inner_text() for at in range(rows.count())]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_category_comes_back_in_place(enter: Enter, scripts: bool) -> None:
    page = enter(Role.EDITOR, java_script_enabled=scripts)
    page.goto("/admin/categories/in-stock/change")
    page.get_by_role("link", name="Retire").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Retire Back in stock?")
    page.get_by_role("button", name="Retire").click()
    expect(page.get_by_role("status")).to_contain_text("Back in stock is retired.")
    page.get_by_role("button", name="Bring back Back in stock").click()
    expect(page.get_by_role("status")).to_contain_text("Back in stock is offered again.")
    expect(page.get_by_role("button", name="Move Back in stock up")).to_be_visible()


# --- a site


def test_colours_are_drawn_while_they_are_typed(enter: Enter) -> None:
    page = enter(Role.EDITOR)
    page.goto(f"{SITE}/change")
    expect(page.locator('#theme rect[fill="#aa2211"]')).to_have_count(1)
    field = page.get_by_label("Colour", exact=True)
    field.fill("#0044cc")
    expect(page.locator('#theme rect[fill="#0044cc"]')).to_have_count(1)
    expect(field).to_be_focused()
    field.fill("#00")
    expect(page.locator("#theme")).to_contain_text("Write a colour like")


def test_without_scripts_a_button_draws_them(enter: Enter) -> None:
    page = enter(Role.EDITOR, java_script_enabled=False)
    page.goto(f"{SITE}/change")
    page.get_by_label("Colour", exact=True).fill("#0044cc")
    page.get_by_role("button", name="Show the colours").click()
    expect(page.locator('#theme rect[fill="#0044cc"]')).to_have_count(1)
    page.goto(SITE)
    expect(page.locator('#theme rect[fill="#aa2211"]')).to_have_count(1)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_logo_is_uploaded(enter: Enter, scripts: bool) -> None:
    page = enter(Role.EDITOR, java_script_enabled=scripts)
    page.goto(f"{SITE}/change")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><path d="M0 0h9v9z"/></svg>'
    page.get_by_label("Logo", exact=True).set_input_files(
        {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": svg + b" " * scripts}
    )
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("img", name="Web shop")).to_be_visible()


def test_lines_are_copied_with_a_press(enter: Enter) -> None:
    page = enter(Role.EDITOR)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(SITE)
    page.get_by_role("button", name="Copy").first.click()
    expect(page.locator("#live")).to_have_text("Copied")
    assert "<prefcenter-optin" in page.evaluate("navigator.clipboard.readText()")


def test_the_widget_is_drawn_in_each_host(enter: Enter) -> None:
    page = enter(Role.VIEWER)
    page.goto(f"{SITE}/preview")
    for number in range(5):
        frame = page.frame_locator("iframe.host").nth(number)
        page.locator("iframe.host").nth(number).scroll_into_view_if_needed()
        expect(frame.get_by_role("button", name="Text me a link to confirm")).to_be_visible()


# --- keys, staff, log


@pytest.mark.parametrize("scripts", [True, False])
def test_a_key_is_shown_once_and_revoked(enter: Enter, scripts: bool) -> None:
    page, name = enter(java_script_enabled=scripts), f"till-{scripts}"
    page.goto("/admin/keys")
    page.get_by_label("Name").fill(name)
    page.get_by_role("checkbox", name="write").check()
    page.get_by_role("button", name="Make a key").click()
    secret = page.get_by_label("Secret").input_value()
    assert secret.startswith("pck_")
    if scripts:
        assert audit(page) == []
        shoot(page, "keys-made")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("body")).not_to_contain_text(secret)
    page.get_by_role("link", name=f"Revoke {name}").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} is revoked.")


@pytest.mark.parametrize("scripts", [True, False])
def test_somebody_is_let_in_and_shut_out(enter: Enter, scripts: bool) -> None:
    page, name = enter(java_script_enabled=scripts), f"heidi-{scripts}".lower()
    page.goto("/admin/staff")
    page.get_by_role("link", name="Add somebody").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("radio", name="Editor").check()
    page.get_by_role("button", name="Add").click()
    assert len(page.get_by_label("One-time password").input_value()) == 19
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name=name).click()
    if scripts:
        assert audit(page) == []
        shoot(page, "staff-person")
    page.get_by_role("link", name="Shut out").click()
    page.get_by_role("button", name="Shut out").click()
    expect(page.get_by_role("status")).to_contain_text("cannot sign in any more")


@pytest.mark.parametrize("scripts", [True, False])
def test_given_up_notices_are_for_everybody_and_told_again(enter: Enter, scripts: bool) -> None:
    page = enter() if scripts else _without_scripts(enter())
    page.goto(WEBHOOK)
    rows = page.locator("tbody .jk")
    expect(rows).to_have_count(notice_standing.SHOWN)
    expect(page.locator("main")).to_contain_text("It answered 500: long-long-")
    assert audit(page) == []
    shoot(page, f"webhooks-crm-given-up-{scripts}")
    left = page.get_by_text(f"The newest {notice_standing.SHOWN} of")
    expect(left).to_be_visible()
    last = rows.last.locator(".mono").inner_text()
    page.get_by_role("button", name=f"Tell it again {last}").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("1 is told again.")
    expect(page.locator("main")).not_to_contain_text(last)


@pytest.mark.parametrize("scripts", [True, False])
def test_the_secret_of_a_webhook_is_shown_once(enter: Enter, scripts: bool) -> None:
    page = enter() if scripts else _without_scripts(enter())
    page.goto("/admin/webhooks")
    page.get_by_label("Address").fill(f"https://8.8.8.8/{scripts}?{'long-' * 40}")
    page.get_by_role("button", name="Add").click()
    secret = page.get_by_label("Secret").input_value()
    assert secret.startswith("whsec_")
    expect(page.get_by_role("heading", level=1)).to_have_text("The secret of the webhook")
    expect(page.get_by_role("button", name="Copy")).to_have_count(1 if scripts else 0)
    assert audit(page) == []
    shoot(page, f"webhooks-made-{scripts}")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("body")).not_to_contain_text(secret)
    page.get_by_role("link", name="New secret").click()
    page.get_by_role("button", name="secret").click()
    expect(page.get_by_text("The secret before it also signs")).to_be_visible()
    assert page.get_by_label("Secret").input_value() != secret
    assert audit(page) == []


def _without_scripts(page: Page) -> Page:
    """As it is where no script of ours arrives; axe is a script, so the browser must run some."""
    page.route(
        "**",
        lambda asked: (
            asked.fulfill(body="", content_type="text/javascript")
            if asked.request.resource_type == "script"
            else asked.continue_()
        ),
    )
    return page


def test_the_log_is_filtered_in_place_and_reads_on(enter: Enter) -> None:
    page = enter(Role.VIEWER)
    page.goto("/admin/activity")
    expect(page.locator("tbody .jk")).to_have_count(50)
    page.get_by_role("link", name="Older entries").click()
    expect(page.locator("tbody .jk").nth(50)).to_be_visible()
    page.get_by_label("Who").fill("nobody")
    page.get_by_label("Who").press("Tab")
    expect(page.get_by_text("Nothing in the log is like this.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]who=nobody\b"))
    page.reload()
    expect(page.get_by_label("Who")).to_have_value("nobody")


def test_the_log_without_scripts(enter: Enter) -> None:
    page = enter(Role.VIEWER, java_script_enabled=False, viewport=PHONE)
    page.goto("/admin/activity")
    page.get_by_role("link", name="Older entries").click()
    page.get_by_role("link", name="Back to the newest").click()
    page.get_by_label("What").select_option("Changed a site")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody .jk")).to_have_count(50)


@pytest.mark.parametrize("scripts", [True, False])
def test_an_alarm_is_acknowledged(office: Office, enter: Enter, scripts: bool) -> None:
    with office.shop.app.app_context(), writing():
        alarms.start(alarms.MISSED_TEXTS, "No text could come in.", now=clock.now())
        db.session.commit()
    page = enter(Role.EDITOR, java_script_enabled=scripts)
    page.goto("/admin/alarms")
    alarm = page.locator("#alarm-missed_texts")  # nothing but this ends it
    alarm.get_by_role("button", name="Acknowledge").click()
    expect(alarm.locator(".error")).to_contain_text("Say in a few words")
    alarm.get_by_label("What you saw and did").fill("Looked in the provider's list.")
    alarm.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("The alarm has ended.")
    expect(alarm).to_have_count(0)
