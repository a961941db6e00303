"""Signing in with a real browser: both widths and colours, scripts on and off."""

from collections.abc import Iterator

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from prefcenter.staff import accounts, passwords, second_factor
from tests import staff_room
from tests.browser.office import Office, audit

NEW = "nine grey herons walking"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("door"))
    yield office
    office.shop.close()


@pytest.fixture
def door(office: Office, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser in which nobody is signed in; `door.param` says whether scripts run."""
    context = browser.new_context(
        base_url=office.shop.url,
        locale="en-US",
        reduced_motion="reduce",
        java_script_enabled=getattr(request, "param", True),
    )
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def hired(office: Office, name: str, role: Role = Role.OWNER) -> str:
    """Somebody new; gives their one-time password."""
    with office.shop.app.app_context():
        password = passwords.one_time()
        with writing():
            accounts.add(name, role, password, by="test", now=clock.now())
            db.session.commit()
        db.session.remove()
    return password.text


def knock(page: Page, name: str, password: str) -> None:
    page.goto("/admin/sites")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("door", [True, False], indirect=True, ids=["scripts", "no-scripts"])
def test_dana_comes_in_for_the_first_time(
    office: Office, door: Page, request: pytest.FixtureRequest
) -> None:
    """From the one-time password over her own one to the page she wanted, and out again."""
    name = f"dana-{request.node.callspec.id}"
    told = hired(office, name)
    knock(door, name, "not this one")
    expect(door.get_by_role("alert")).to_contain_text("do not belong together")
    expect(door.get_by_label("Name")).to_have_value(name)
    knock(door, name, told)
    expect(door.get_by_role("heading", level=1)).to_have_text("Choose your password")
    door.get_by_label("New password").fill("short")
    door.get_by_label("The same again").fill("short")
    door.get_by_role("button", name="Keep this password").click()
    expect(door.get_by_text("Use at least 12 characters.")).to_be_visible()
    door.get_by_label("New password").fill(NEW)
    door.get_by_label("The same again").fill(NEW)
    door.get_by_role("button", name="Keep this password").click()
    expect(door).to_have_url(f"{office.shop.url}/admin/sites")

    door.goto("/admin/account/second-factor")
    secret = door.locator("span.mono").inner_text().replace(" ", "")
    door.get_by_label("2. Type the six digits").fill(pyotp.TOTP(secret).at(clock.now()))
    door.get_by_label("3. Type your password again").fill(NEW)
    door.get_by_role("button", name="Turn it on").click()
    expect(door.locator("ol.codes li")).to_have_count(10)
    recovery = door.locator("ol.codes li").first.inner_text()

    door.get_by_role("button", name="Sign out").click()
    expect(door.get_by_role("heading", level=1)).to_have_text("You are signed out")
    knock(door, name, NEW)
    expect(door.get_by_role("heading", level=1)).to_have_text("Your second factor")
    door.get_by_label("Code").fill(recovery)
    door.get_by_role("button", name="Go on").click()
    expect(door).to_have_url(f"{office.shop.url}/admin/sites")


def test_every_page_at_the_door_is_for_everybody(office: Office, door: Page) -> None:
    told = hired(office, "alma")
    faults = []
    for path in ("/admin/sign-in", "/admin/signed-out"):
        door.goto(path)
        faults += [f"{path}: {fault}" for fault in audit(door)]
    knock(door, "alma", "not this one")
    faults += [f"refused: {fault}" for fault in audit(door)]
    knock(door, "alma", told)
    faults += [f"new password: {fault}" for fault in audit(door)]
    assert faults == []


def test_the_account_pages_are_for_everybody(office: Office, browser: Browser) -> None:
    page = office.enter(browser, Role.VIEWER)
    faults = []
    for path in ("/admin/account", "/admin/account/second-factor"):
        page.goto(path)
        faults += [f"{path}: {fault}" for fault in audit(page)]
    page.goto("/admin/keys")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your role may not do that")
    faults += [f"not allowed: {fault}" for fault in audit(page)]
    assert faults == []
    office.faults = [fault for fault in office.faults if "status of 403" not in fault]
    office.leave()


def test_the_second_factor_pages_are_for_everybody(office: Office, door: Page) -> None:
    with office.shop.app.app_context():
        staff = staff_room.hire("fay")
        with writing():
            staff = accounts.by_id(staff.id)
            staff.totp_secret = second_factor._sealed(pyotp.random_base32(), clock.now())
            db.session.commit()
        db.session.remove()
    knock(door, "fay", staff_room.PASSWORD)
    expect(door.get_by_label("Code")).to_be_visible()
    faults = [f"code: {fault}" for fault in audit(door)]
    assert faults == []
