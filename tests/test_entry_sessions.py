"""Sessions end when they should, for whoever holds a copy of the cookie, too (SEC-42)."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock
from prefcenter.database import begin_write, db, write_connection, writing
from prefcenter.models import ApiKey
from prefcenter.models_staff import Role, Staff, StaffSession
from prefcenter.staff import accounts, passwords, sessions
from prefcenter.web import guards
from tests.cast import rows
from tests.conftest import Browser, Clock
from tests.staff_room import (
    PASSWORD,
    carry,
    dana_owner,
    eve_editor,
    hire,
    log,
    press,
    sign_in,
    stranger,
)

NEW = "nine grey herons walking"


def copy_of(browser: Browser) -> Browser:
    """Mallory's browser, with the same cookies."""
    mallory = stranger(browser.application)
    cookie = browser.get_cookie("prefcenter_admin")
    assert cookie
    mallory.set_cookie("prefcenter_admin", cookie.value)
    return mallory


def is_in(browser: Browser) -> bool:
    answer = browser.get("/admin/account")
    assert answer.status_code in (200, 303)
    if answer.status_code == 303:
        pressed = press(browser, "/admin/account", {"language": "en"})
        assert pressed.status_code == 401
    return answer.status_code == 200


def test_a_copied_cookie_is_nobody_after_log_out(app: Flask) -> None:
    browser = dana_owner(app)
    browser.get("/admin/account")
    mallory = copy_of(browser)
    assert is_in(mallory)
    answer = press(browser, "/admin/sign-out")
    assert answer.headers["Location"] == "/admin/signed-out"
    assert "signed out" in browser.get("/admin/signed-out").text
    assert not is_in(mallory)
    assert not is_in(browser)
    assert [entry.staff_name for entry in log("signed_out")] == ["dana"]


def test_a_copied_cookie_is_nobody_after_a_new_password(app: Flask) -> None:
    browser = dana_owner(app)
    browser.get("/admin/account")
    mallory, other = copy_of(browser), dana_owner(app)
    data = {"password": PASSWORD, "new_password": NEW, "again": NEW}
    assert press(browser, "/admin/account/password", data).status_code == 303
    assert is_in(browser)
    assert not is_in(mallory)
    assert not is_in(other)
    [entry] = log("password_changed")
    assert NEW not in str(vars(entry)) and PASSWORD not in str(vars(entry))


def test_only_who_knows_the_password_changes_it(app: Flask, now: Clock) -> None:
    browser = dana_owner(app)
    data = {"password": "a guess of mallory", "new_password": NEW, "again": NEW}
    before = db.session.scalars(sa.select(Staff.password_hash)).one()
    for _try in range(10):
        assert press(browser, "/admin/account/password", data).status_code == 422
    late = press(browser, "/admin/account/password", data)
    assert (late.status_code, int(late.headers["Retry-After"]) <= 901) == (429, True)
    db.session.rollback()
    assert db.session.scalars(sa.select(Staff.password_hash)).one() == before
    now.forward(minutes=15)
    data["password"] = PASSWORD
    assert press(browser, "/admin/account/password", data).status_code == 303


@pytest.mark.parametrize("what", ["role", "disable", "reset", "everywhere"])
def test_whatever_changes_an_account_ends_its_sessions(app: Flask, now: Clock, what: str) -> None:
    dana, browser = dana_owner(app), eve_editor(app)
    second = eve_editor(app)
    assert is_in(browser) and is_in(second)
    if what == "everywhere":
        press(browser, "/admin/account/sign-out-everywhere")
    else:
        password = passwords.one_time()
        with writing():
            eve = accounts.find("eve")
            assert eve
            if what == "role":
                accounts.change_role(eve, Role.VIEWER, by="test", now=now.now())
            elif what == "disable":
                accounts.disable(eve, by="test", now=now.now())
            else:
                accounts.reset(eve, password, by="test", now=now.now())
            db.session.commit()
    assert not is_in(browser)
    assert not is_in(second)
    assert is_in(dana)


def test_a_role_that_was_lowered_counts_at_once(app: Flask) -> None:
    """Also where a session should have been left: the role is read with each request."""
    browser = dana_owner(app)
    with writing():
        db.session.execute(sa.update(Staff).values(role=Role.VIEWER))
        db.session.commit()
    assert browser.get("/admin/staff").status_code == 403


def meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[Staff], object]) -> None:
    """The next write of a page waits until this was done to Dana's account."""
    real = guards.begin_write

    def late() -> None:
        monkeypatch.setattr(guards, "begin_write", real)
        with writing():
            dana = accounts.find("dana")
            assert dana
            change(dana)
            db.session.commit()
        real()

    monkeypatch.setattr(guards, "begin_write", late)


@pytest.mark.parametrize(
    ("what", "status"), [("disable", 401), ("signed out", 401), ("role", 403), ("nothing", 200)]
)
def test_who_loses_the_right_while_waiting_to_write_is_refused(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch, what: str, status: int
) -> None:
    """SEC-42: at once, also for a request that was on its way."""
    browser = dana_owner(app)
    hire("olga", Role.OWNER)
    changes: dict[str, Callable[[Staff], object]] = {
        "disable": lambda dana: accounts.disable(dana, by="test", now=now.now()),
        "signed out": lambda dana: sessions.end_all(dana.id),
        "role": lambda dana: setattr(dana, "role", Role.EDITOR),
        "nothing": lambda _dana: None,
    }
    meanwhile(monkeypatch, changes[what])
    answer = press(browser, "/admin/keys", {"name": "web-shop", "scopes": "export"})
    assert answer.status_code == status
    assert len(db.session.scalars(sa.select(ApiKey)).all()) == (status == 200)
    assert len(log("key_added")) == (status == 200)


def test_who_is_shut_out_while_choosing_a_password_stays_out(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = dana_owner(app)
    hire("olga", Role.OWNER)
    data = {"password": PASSWORD, "new_password": NEW, "again": NEW}
    meanwhile(monkeypatch, lambda dana: accounts.disable(dana, by="test", now=now.now()))
    assert press(browser, "/admin/account/password", data).status_code == 401
    assert not is_in(browser)
    assert log("password_changed") == []


def test_a_session_idles_out(app: Flask, now: Clock) -> None:
    browser = dana_owner(app)
    for _visit in range(3):
        now.forward(minutes=29)
        assert is_in(browser)
    now.forward(minutes=30)
    assert not is_in(browser)


@pytest.mark.settings(ADMIN_IDLE_MINUTES="5", ADMIN_SESSION_HOURS="1")
def test_a_session_ages_out_however_busy(app: Flask, now: Clock) -> None:
    browser = dana_owner(app)
    for _visit in range(14):
        now.forward(minutes=4)
        assert is_in(browser)
    now.forward(minutes=4)
    assert not is_in(browser)


def test_a_get_changes_nothing_but_the_time_of_the_visit(app: Flask, now: Clock) -> None:
    """INV-8: no row but that one, and that one once a minute."""
    browser = dana_owner(app)
    before = rows()
    now.forward(seconds=59)
    browser.get("/admin/account")
    assert rows() == before
    now.forward(seconds=1)
    browser.get("/admin/account")
    after = rows()
    assert {name for name in after if after[name] != before[name]} == {"staff_session"}
    [seen] = db.session.scalars(sa.select(StaffSession.seen_at)).all()
    assert seen == now.now()
    db.session.rollback()
    now.forward(seconds=59)
    for method in ("GET", "HEAD", "OPTIONS"):
        browser.open("/admin/account", method=method)
    assert rows() == after


def test_a_busy_database_keeps_nobody_from_a_page(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = dana_owner(app)
    now.forward(minutes=5)

    def locked() -> None:
        raise sa.exc.OperationalError("flock", None, TimeoutError("database is locked"))

    monkeypatch.setattr(sessions, "write_connection", locked)
    assert browser.get("/admin/account").status_code == 200


def test_sessions_that_are_over_are_forgotten(app: Flask, now: Clock) -> None:
    dana_owner(app)
    now.forward(hours=13)
    sign_in(app, name="vic")
    begin_write()
    sessions.forget(now=now.now())
    db.session.commit()
    assert len(db.session.scalars(sa.select(StaffSession)).all()) == 1


@pytest.mark.parametrize("bad", ["", "x", "\udcff", "' OR 1=1 --", "a" * 5_000])
def test_a_token_that_is_none_is_nobody(app: Flask, bad: str) -> None:
    dana_owner(app)
    assert sessions.find(bad, now=clock.now()) is None
    if bad.isascii():
        mallory = stranger(app)
        carry(mallory, bad)
        assert mallory.get("/admin/account").status_code == 303


def test_a_cookie_that_was_signed_by_somebody_else_is_nobody(app: Flask) -> None:
    browser = dana_owner(app)
    cookie = browser.get_cookie("prefcenter_admin")
    assert cookie
    for value in (cookie.value[:-3] + "AAA", cookie.value.replace(".", "", 1), "", "." * 40):
        mallory = stranger(app)
        mallory.set_cookie("prefcenter_admin", value)
        assert mallory.get("/admin/account").status_code == 303


def test_the_admin_log_cannot_be_edited(app: Flask) -> None:
    """SEC-44: also not with plain SQL, by whoever has the database's password."""
    press(dana_owner(app), "/admin/sign-out")
    before = rows()["staff_action"]
    assert before
    statements = [
        "UPDATE staff_action SET action = 'nothing'",
        "DELETE FROM staff_action",
        "INSERT OR REPLACE INTO staff_action SELECT * FROM staff_action",
    ]
    if db.engine.dialect.name == "postgresql":
        statements[-1] = "TRUNCATE staff_action"
    for statement in statements:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), write_connection() as raw:
            raw.execute(sa.text(statement))
    assert rows()["staff_action"] == before


def test_hire_is_only_for_tests(app: Flask) -> None:
    """The quick hash of the tests is not what accounts get."""
    assert not hire("dana").password_hash.startswith(passwords.METHOD)
    assert passwords.one_time().hidden.startswith(passwords.METHOD + "$")
