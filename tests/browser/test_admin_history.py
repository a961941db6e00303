"""The history and the exports in a real browser: both widths and colours, scripts on and off."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.consent import by_hand, people
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.consent.ledger import Proof, record
from prefcenter.database import db, writing
from prefcenter.models import EventKind, Source
from prefcenter.models_exports import Export, ExportKind, ExportState
from prefcenter.models_staff import Role
from tests.browser.office import Office, audit, shoot

Enter = Callable[..., Page]
EVIL = '<img src=x onerror="alert(1)"> \u202e =cmd|calc'
both_ways = pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A shop with some people, of whom one has a long history."""
    office = Office(tmp_path_factory.mktemp("history"))
    link = office.shop.alice(office.shop.number(), "offers", "events")
    office.shop.post(
        link, {"shown": ["offers", "events"], "categories": "events", "frequency": "1/week"}
    )
    with office.shop.app.app_context(), writing():
        now = clock.now()
        for _ in range(60):
            proof = Proof(source=Source.WIDGET, detail="shop", language="en")
            person = people.enrol(office.shop.number(), "US", "en", now=now)
            changes = {"requested": ["offers"], "request_expires_at": now.isoformat()}
            record(person, EventKind.REQUESTED, proof, now=now, changes=changes)
        by_hand.revoke(person, Wish(Channel.LETTER, now, EVIL, "Dana"), now=now)
        db.session.commit()
    yield office
    office.shop.close()


@pytest.fixture
def enter(office: Office, browser: Browser) -> Iterator[Enter]:
    def come_in(role: Role = Role.OWNER, **options: Any) -> Page:
        return office.enter(browser, role, **options)

    yield come_in
    office.leave()


def note_export(office: Office, state: ExportState, done: int) -> None:
    with office.shop.app.app_context(), writing():
        now = clock.now()
        db.session.add(
            Export(
                kind=ExportKind.LEDGER,
                format="csv",
                by="dana",
                reason=EVIL,
                filters={"what": "revoked"},
                state=state,
                rows_done=done,
                rows_total=5_000_000,
                started_at=now,
                seen_at=now,
            )
        )
        db.session.commit()


def test_every_page_is_for_everybody(office: Office, enter: Enter) -> None:
    """Shows 2 and 7."""
    for state in ExportState:
        note_export(office, state, 1_234_567)
    page, faults = enter(), []
    for name, place in (
        ("history", "/admin/history"),
        ("history-filtered", "/admin/history?what=revoked&from=2026-01-01&by=Dana"),
        ("history-wrong", "/admin/history?from=2026-02-01&to=2026-01-01&action=x"),
        ("history-nothing", "/admin/history?to=2020-01-01"),
        ("exports", "/admin/exports"),
    ):
        page.goto(place)
        for fold in page.locator("main details").all():
            fold.evaluate("(fold) => { fold.open = true }")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        faults += [f"{name}: {fault}" for fault in audit(page)]
        shoot(page, name)
    page.goto("/admin/history")
    page.get_by_label("Number, or its last four digits").fill("9999")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No number ends with or contains 9999.")).to_be_visible()
    faults += [f"search: {fault}" for fault in audit(page)]
    shoot(page, "history-search")
    assert faults == []


@both_ways
def test_filters_go_into_the_address(office: Office, enter: Enter, scripts: bool) -> None:
    page = enter(Role.VIEWER, java_script_enabled=scripts)
    page.goto("/admin/history")
    what = page.get_by_label("What", exact=True)
    what.focus()
    what.select_option("revoked")
    if not scripts:
        page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(r"/admin/history\?(from=&to=&)?what=revoked"))
    expect(page.locator("tr.jk")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 change")
    expect(page.locator("tr.jk")).to_contain_text("Stopped all texts")
    if scripts:
        expect(what).to_be_focused()
        assert page.url.endswith("/admin/history?what=revoked")
    page.reload()
    expect(page.get_by_label("What", exact=True)).to_have_value("revoked")


@both_ways
def test_older_changes(office: Office, enter: Enter, scripts: bool) -> None:
    page = enter(Role.VIEWER, java_script_enabled=scripts)
    page.goto("/admin/history")
    expect(page.locator("tr.jk")).to_have_count(50)
    page.get_by_role("link", name="Older changes").click()
    if scripts:
        expect(page.locator("tr.jk")).to_have_count(64)
        expect(page.get_by_role("link", name="Older changes")).to_have_count(0)
    else:
        expect(page.locator("tr.jk")).to_have_count(14)
        page.get_by_role("link", name="Newer changes").click()
        expect(page.locator("tr.jk")).to_have_count(50)


@both_ways
def test_a_number_stands_in_no_address(office: Office, enter: Enter, scripts: bool) -> None:
    number = office.shop.number()
    office.shop.alice(number)
    page = enter(Role.VIEWER, java_script_enabled=scripts)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/admin/history")
    page.get_by_label("Number, or its last four digits").fill(number)
    page.get_by_role("button", name="Find").click()
    expect(page.locator("tr.jk")).to_have_count(2)
    expect(page.get_by_text("Only of")).to_contain_text(number[-4:])
    assert not [address for address in addresses if number[2:] in address]
    page.get_by_role("link", name="Show everybody").click()
    expect(page.locator("tr.jk")).to_have_count(50)


def test_keys_and_news(office: Office, enter: Enter) -> None:
    page = enter(Role.VIEWER)
    page.clock.install()
    page.goto("/admin/history")
    page.keyboard.press("/")
    expect(page.get_by_label("Number, or its last four digits")).to_be_focused()
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.jk").nth(1).locator("a")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("tr.jk").first.locator("a")).to_be_focused()
    office.shop.alice(office.shop.number())
    page.clock.run_for(21_000)
    news = page.get_by_role("link", name=re.compile("2 new changes"))
    expect(news).to_be_visible()
    expect(page.locator("tr.jk").first.locator("a")).to_be_focused()
    news.click()
    expect(page.locator("tr.jk").first).to_contain_text("Said yes")


@both_ways
def test_an_export_comes_as_a_file_and_is_listed(
    office: Office, enter: Enter, scripts: bool
) -> None:
    page = enter(java_script_enabled=scripts)
    page.goto("/admin/history?what=revoked")
    page.locator("#export summary").click()
    page.get_by_label("Why do you need it?").fill("an audit")
    with page.expect_download() as coming:
        page.locator("#export").get_by_role("button", name="Download").click()
    rows = list(csv.reader(io.StringIO(coming.value.path().read_text("utf-8-sig"), newline="")))
    assert [row[5] for row in rows] == ["what", "revoked"]
    assert EVIL in rows[1]
    page.goto("/admin/exports")
    expect(page.locator("tr.jk").first).to_contain_text("an audit")
    expect(page.locator("tr.jk").first).to_contain_text("Done")


def test_filters_that_changed_without_a_reload_are_those_of_the_export(
    office: Office, enter: Enter
) -> None:
    page = enter()
    page.goto("/admin/history")
    page.get_by_label("What", exact=True).select_option("revoked")
    expect(page.locator("tr.jk")).to_have_count(1)
    page.locator("#export summary").click()
    page.get_by_label("Why do you need it?").fill("an audit")
    with page.expect_download() as coming:
        page.locator("#export").get_by_role("button", name="Download").click()
    assert len(coming.value.path().read_text("utf-8-sig").splitlines()) == 2


def test_progress_comes_by_itself(office: Office, enter: Enter) -> None:
    note_export(office, ExportState.RUNNING, 10)
    page = enter(Role.VIEWER)
    page.goto("/admin/exports")
    row = page.locator("tr.jk").first
    expect(row).to_contain_text("10 of 5,000,000")
    with office.shop.app.app_context(), writing():
        db.session.query(Export).filter(Export.state == ExportState.RUNNING).update(
            {"state": ExportState.DONE, "rows_done": 5_000_000}
        )
        db.session.commit()
    expect(row).to_contain_text("Done")
    expect(page.locator("#files[hx-get]")).to_have_count(0)
