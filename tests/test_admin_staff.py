"""/admin/staff: an owner lets people in, changes what they may, and shuts them out."""

import re
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.test import TestResponse

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models_staff import Role, Staff, StaffSession
from prefcenter.staff import passwords
from tests import staff_room
from tests.cast import Town, rows
from tests.conftest import Browser
from tests.settings_room import HOSTILE, calm, errors, kept, refuses, said, value_of
from tests.staff_room import dana_owner, eve_editor, hire, log, press, vic_viewer
from tests.test_limits import together

STAFF, ADD = "/admin/staff", "/admin/add-staff"
MINE: dict[str, object] = {"password": staff_room.PASSWORD}
PASSWORD = re.compile(r"\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing takes a fifth of a second on purpose; here it is not what is tried."""
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")


@pytest.fixture
def dana(town: Town) -> Browser:
    return dana_owner(town)


def account(name: str) -> Staff:
    db.session.rollback()
    db.session.expire_all()
    found = db.session.scalars(sa.select(Staff).where(Staff.name == name)).one()
    db.session.rollback()
    return found


def page_of(name: str) -> str:
    return f"{STAFF}/{account(name).public_id}"


def sessions_of(name: str) -> int:
    staff = account(name)
    query = sa.select(sa.func.count()).where(StaffSession.staff_id == staff.id)
    found = db.session.scalar(query.select_from(StaffSession)) or 0
    db.session.rollback()
    return found


def told(answer: TestResponse) -> str:
    """The one-time password on a page."""
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    [password] = set(PASSWORD.findall(answer.text))
    return password


def test_dana_lets_somebody_in_and_sees_the_password_once(dana: Browser) -> None:
    answer = press(dana, ADD, {"name": "Grace", "role": "editor"})
    password, until = told(answer), 'datetime="2026-12-01T15:00:00Z"'
    assert until in answer.text and until in dana.get(page_of("grace")).text
    grace = account("grace")
    assert (grace.role, grace.one_time) == (Role.EDITOR, True)
    assert check_password_hash(grace.password_hash, password)
    assert password not in str(rows())
    for path in (STAFF, page_of("grace"), "/admin/activity"):
        assert not PASSWORD.search(dana.get(path).text), path
    [entry] = log("staff_added")
    assert (entry.staff_name, entry.subject) == ("dana", grace.public_id)
    assert entry.details == {"name": "grace", "role": "editor"}


@pytest.mark.parametrize("name", ["", " ", "dana", "DANA", "a b", "-x", "x" * 81, HOSTILE])
def test_a_name_that_cannot_be_is_said_beside_the_field(dana: Browser, name: str) -> None:
    before = kept()
    answer = press(dana, ADD, {"name": name, "role": "editor"})
    assert len(errors(answer)) == 1
    assert value_of(answer, "name") == name.strip()
    assert re.search(r'value="editor"[^>]* checked', answer.text)
    assert not PASSWORD.search(answer.text)
    assert kept() == before
    calm(answer)


def test_the_same_role_changes_nothing_and_says_so(dana: Browser, town: Town) -> None:
    eve_editor(town)
    page = said(press(dana, f"{page_of('eve')}/role", {"role": "editor"}), dana)
    assert "That is so already." in page
    assert sessions_of("eve") == 1 and log("staff_changed") == []


def test_without_a_role_somebody_only_looks(dana: Browser) -> None:
    for role in ("", "root"):
        told(press(dana, ADD, {"name": f"grace{role}", "role": role}))
        assert account(f"grace{role}").role is Role.VIEWER


def test_another_role_ends_their_sessions_at_once(dana: Browser, town: Town) -> None:
    eve = eve_editor(town)
    assert eve.get("/admin/categories/add").status_code == 200
    page = said(press(dana, f"{page_of('eve')}/role", {"role": "viewer"}), dana)
    assert "eve has another role now." in page
    assert (account("eve").role, sessions_of("eve")) == (Role.VIEWER, 0)
    assert eve.get("/admin/categories").status_code == 303, "to sign in"
    [entry] = log("staff_changed")
    assert entry.details == {"name": "eve", "role": "viewer", "before": "editor"}


@pytest.mark.parametrize("role", ["", "root", HOSTILE])
def test_no_role_that_there_is_not(dana: Browser, town: Town, role: str) -> None:
    eve_editor(town)
    before = kept()
    answer = press(dana, f"{page_of('eve')}/role", {"role": role})
    assert errors(answer) == ["Choose a role of the list."]
    assert kept() == before


def test_there_is_always_an_owner(dana: Browser) -> None:
    before, path = kept(), page_of("dana")
    answer = press(dana, f"{path}/role", {"role": "viewer"})
    assert "only owner" in errors(answer)[0]
    answer = press(dana, f"{path}/disable")
    assert (answer.status_code, "only owner" in answer.text) == (409, True)
    assert kept() == before


def test_of_two_owners_who_shut_each_other_out_one_is_left(dana: Browser, app: Flask) -> None:
    """Each holds their own session and ends the other's: they do so one by one."""
    for turn in range(5):
        names = (f"alma{turn}", f"berta{turn}")
        owners = {name: staff_room.sign_in(app, Role.OWNER, name) for name in names}
        answers: list[int] = []

        def shut_out(by: str, whom: str, owners: dict[str, Browser], to: list[int]) -> None:
            to.append(press(owners[by], f"{page_of(whom)}/disable").status_code)

        calls = [partial(shut_out, *pair, owners, answers) for pair in (names, names[::-1])]
        assert together(app, calls) == []
        assert sorted(answers) == [303, 401], "one has done it, the other is nobody by now"
        assert len([name for name in names if account(name).disabled_at is None]) == 1


@pytest.mark.parametrize("act", ["disable", "reset", "factor"])
def test_each_asks_first(dana: Browser, town: Town, act: str) -> None:
    eve_editor(town)
    before = kept()
    page = dana.get(f"{page_of('eve')}/{act}")
    assert page.status_code == 200 and "eve" in page.text
    calm(page)
    assert kept() == before


def test_somebody_is_shut_out_and_let_in_again(dana: Browser, town: Town) -> None:
    eve, path = eve_editor(town), page_of("eve")
    old = account("eve").password_hash
    assert "cannot sign in any more" in said(press(dana, f"{path}/disable"), dana)
    assert account("eve").disabled_at is not None and sessions_of("eve") == 0
    assert eve.get("/admin/categories").status_code == 303
    assert "That is so already." in said(dana.get(f"{path}/disable"), dana)
    assert "That is so already." in said(press(dana, f"{path}/reset", MINE), dana)
    assert "Let in again" in dana.get(path).text
    told(press(dana, f"{path}/enable", MINE))
    eve_again = account("eve")
    assert eve_again.disabled_at is None and eve_again.one_time
    assert eve_again.password_hash != old, "the former password stays closed"
    assert [len(log(f"staff_{way}")) for way in ("disabled", "enabled")] == [1, 1]


def test_a_new_password_keeps_the_second_factor(dana: Browser, town: Town) -> None:
    """SEC-41: a reset is no way past it."""
    eve_editor(town)
    with writing():
        eve = db.session.scalars(sa.select(Staff).where(Staff.name == "eve")).one()
        eve.totp_secret = "kept encrypted"
        db.session.commit()
    password = told(press(dana, f"{page_of('eve')}/reset", MINE))
    eve = account("eve")
    assert eve.one_time and check_password_hash(eve.password_hash, password)
    assert eve.totp_secret == "kept encrypted" and sessions_of("eve") == 0
    assert "no second factor now" in said(press(dana, f"{page_of('eve')}/factor", MINE), dana)
    assert account("eve").totp_secret is None
    assert len(log("password_reset")) == len(log("second_factor_off")) == 1


def test_too_many_passwords_at_once_is_said_and_nothing_is_lost(
    dana: Browser, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve_editor(town)

    def busy() -> None:
        raise passwords.Busy

    monkeypatch.setattr(passwords, "one_time", busy)
    before = kept()
    for path in (ADD, f"{page_of('eve')}/reset"):
        answer = press(dana, path, {"name": "grace", "role": "editor", **MINE})
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert "Try again in a few seconds" in answer.text
    assert kept() | {"tally": []} == before  # of the count of tries an empty row stays


@pytest.mark.parametrize("typed", ["", "not hers"])
def test_a_browser_left_open_makes_no_owner_and_opens_no_account(
    dana: Browser, town: Town, typed: str
) -> None:
    eve_editor(town)
    people = rows()["staff"]
    acts = [f"{page_of('eve')}/{act}" for act in ("reset", "factor")]
    for path in (ADD, *acts):
        answer = press(dana, path, {"name": "grace", "role": "owner", "password": typed})
        assert errors(answer) == ["Your password is not right. Nothing was changed."]
        assert not PASSWORD.search(answer.text)
        calm(answer)
    assert rows()["staff"] == people and sessions_of("eve") == 1
    told(press(dana, ADD, {"name": "grace", "role": "owner", **MINE}))
    assert account("grace").role is Role.OWNER
    answer = press(dana, f"{page_of('eve')}/role", {"role": "owner", "password": typed})
    assert errors(answer) == ["Your password is not right. Nothing was changed."]
    assert account("eve").role is Role.EDITOR
    press(dana, f"{page_of('eve')}/role", {"role": "owner", **MINE})
    assert account("eve").role is Role.OWNER
    press(dana, f"{page_of('eve')}/disable")
    answer = press(dana, f"{page_of('eve')}/enable", {"password": typed})
    assert errors(answer) == ["Your password is not right. Nothing was changed."]
    assert account("eve").disabled_at is not None


def test_only_an_owner_comes_here(town: Town, dana: Browser) -> None:
    hire("grace")
    path = page_of("grace")
    acts = [f"{path}/{act}" for act in ("disable", "enable", "reset", "factor")]
    for role in (Role.VIEWER, Role.EDITOR):
        refuses(town, role, gets=[STAFF, ADD, path, *acts], posts=[ADD, f"{path}/role", *acts])


def test_an_unknown_account_is_404(dana: Browser) -> None:
    for name in ("nobody", "x" * 60, "a%00b"):
        assert dana.get(f"{STAFF}/{name}").status_code == 404
        assert dana.get(f"{STAFF}/{name}/disable").status_code == 404
        for act in ("role", "disable", "reset"):
            assert press(dana, f"{STAFF}/{name}/{act}").status_code == 404
    assert dana.get(f"{page_of('dana')}/dance").status_code == 404


def test_the_list_says_who_may_what(dana: Browser, town: Town) -> None:
    vic_viewer(town)
    page = dana.get(STAFF)
    calm(page, shows="vic")
    assert "Viewer" in page.text and "you" in page.text


def test_hostile_names_from_elsewhere_are_only_words(dana: Browser, app: Flask) -> None:
    """No page takes such a name; a row written by hand must not hurt either (SEC-38)."""
    with writing():
        db.session.add(
            Staff(
                name=HOSTILE[:80],
                role=Role.VIEWER,
                password_hash=generate_password_hash("x", method="scrypt:1024:8:1"),
                one_time=False,
                recovery_hashes=[],
                language="en",
                shortcuts=True,
                created_at=clock.now(),
            )
        )
        db.session.commit()
    path = page_of(HOSTILE[:80])
    for one in (STAFF, path, *(f"{path}/{act}" for act in ("disable", "reset", "factor"))):
        calm(dana.get(one), shows=HOSTILE[:80])
    calm(press(dana, f"{path}/reset"), shows=HOSTILE[:80])


def test_looking_changes_nothing(dana: Browser) -> None:
    before, path = kept(), page_of("dana")
    for one in (STAFF, ADD, path, f"{path}/reset", f"{path}/enable"):
        dana.get(one)
    with dana.session_transaction("/admin/"):
        pass
    assert kept() == before
