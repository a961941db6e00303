"""The door of the people who work here: what signs in, what does not, and where it leads."""

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask, session
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from prefcenter import clock, create_app
from prefcenter.database import db, writing
from prefcenter.models_staff import Role, Staff, StaffSession
from prefcenter.staff import accounts, passwords, sessions
from prefcenter.web import entering
from tests.cast import rows
from tests.conftest import Browser, Clock, settings_for
from tests.staff_room import (
    PASSWORD,
    carry,
    dana_owner,
    form,
    hire,
    log,
    press,
    sign_in,
    stranger,
    token,
    vic_viewer,
)

COOKIE = "prefcenter_admin"


NEW = "nine grey herons walking"


def knock(browser: Browser, name: str, password: str = PASSWORD, **more: str) -> TestResponse:
    """Fill in the page and press "Sign in"."""
    return press(browser, "/admin/sign-in", {"name": name, "password": password, **more})


def test_dana_signs_in_and_sees_the_page_that_she_wanted(app: Flask, now: Clock) -> None:
    hire("dana", Role.OWNER)
    browser = stranger(app)
    sent_away = browser.get("/admin/history?what=opt-out")
    assert sent_away.status_code == 303
    page = browser.get(sent_away.headers["Location"])
    wanted = re.search(r'name="next" value="([^"]+)"', page.text)
    assert wanted and wanted[1] == "/admin/history?what=opt-out"

    answer = knock(browser, "Dana ", next=wanted[1])

    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/history?what=opt-out")
    assert browser.get("/admin/account").status_code == 200
    [entry] = log("signed_in")
    assert (entry.staff_name, entry.role) == ("dana", "owner")


def test_nobody_is_there_before_somebody_was_let_in(app: Flask) -> None:
    """SEC-41: no default account."""
    assert db.session.scalars(sa.select(Staff)).all() == []
    for name in ("owner", "admin", "root", "demo", ""):
        assert knock(stranger(app), name, "password").status_code == 422


def test_a_wrong_password_and_an_unknown_name_look_the_same(app: Flask, now: Clock) -> None:
    hire("dana")
    pages = set()
    for name, password in (("dana", "not this one"), ("nobody", PASSWORD), ("dana", "")):
        answer = knock(stranger(app), name, password)
        plain = re.sub(r'value="[^"]*"', "", answer.text)
        pages.add((answer.status_code, plain, answer.headers["Content-Security-Policy"]))
        assert "Location" not in answer.headers
    assert len(pages) == 1


def test_an_unknown_name_costs_the_same_work(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEC-41: one scrypt of the same strength for every answer, and no password in the clear."""
    worked = []
    real_check, real_make = passwords.check_password_hash, passwords.generate_password_hash

    def check(hidden: str, password: str) -> bool:
        worked.append(hidden.split("$")[0])
        return real_check(hidden, password)

    def make(password: str, method: str) -> str:
        worked.append(method)
        return real_make(password, method)

    with writing():
        dana = accounts.add("dana", Role.VIEWER, passwords.one_time(), by="test", now=clock.now())
        gone = accounts.add("gone", Role.OWNER, passwords.one_time(), by="test", now=clock.now())
        gone.disabled_at = clock.now()
        db.session.commit()
    monkeypatch.setattr(passwords, "check_password_hash", check)
    monkeypatch.setattr(passwords, "generate_password_hash", make)
    for name in (dana.name, gone.name, "nobody"):
        worked.clear()
        knock(stranger(app), name, "not this one")
        assert worked == [passwords.METHOD], name
    worked.clear()
    knock(stranger(app), dana.name, "x" * 5_000)
    assert worked == [passwords.METHOD]


def test_what_was_typed_stays_but_for_the_password(app: Flask) -> None:
    page = knock(stranger(app), 'dana"><b>', "hunter2 hunter2", next="/admin/sites").text
    assert 'value="dana&#34;&gt;&lt;b&gt;"' in page
    assert 'value="/admin/sites"' in page
    assert "hunter2" not in page


def test_a_failure_names_neither_what_was_typed_nor_a_password(app: Flask) -> None:
    """People type their password into the field of the name."""
    dana = hire("dana")
    knock(stranger(app), "my secret password")
    knock(stranger(app), "dana", "my secret password")
    first, second = log("sign_in_failed")
    assert "secret" not in str([vars(first), vars(second)])
    assert (first.subject, second.subject) == ("", dana.public_id)


@pytest.mark.parametrize("how", ["add", "reset", "enable"])
def test_a_one_time_password_ends_after_a_week(app: Flask, now: Clock, how: str) -> None:
    """With the answer to a wrong one; one's own does not end."""
    hire("dana")
    password = passwords.one_time()
    with writing():
        if how == "add":
            name = accounts.add("eve", Role.VIEWER, password, by="test", now=now.now()).name
        else:
            dana, name = accounts.find("dana"), "dana"
            assert dana
            getattr(accounts, how)(dana, password, by="test", now=now.now())
        db.session.commit()
    now.forward(days=7, seconds=-1)
    browser = stranger(app)
    assert knock(browser, name, password.text).status_code == 303
    now.forward(seconds=1)
    late, wrong = (knock(stranger(app), name, one) for one in (password.text, "not this one"))
    assert (late.status_code, wrong.status_code) == (422, 422)
    assert "do not belong together" in late.text
    assert [entry.details["what"] for entry in log("sign_in_failed")] == ["password", "password"]
    own = {"new_password": NEW, "again": NEW}
    assert press(browser, "/admin/new-password", own).status_code == 303
    now.forward(days=8)
    assert knock(stranger(app), name, NEW).headers["Location"] == "/admin/"


def test_a_one_time_password_opens_one_page_only(app: Flask, now: Clock) -> None:
    """Whoever told it has seen it, so it is changed before anything else."""
    password = passwords.one_time()
    with writing():
        accounts.add("eve", Role.OWNER, password, by="test", now=now.now())
        db.session.commit()
    browser = stranger(app)
    answer = knock(browser, "eve", password.text, next="/admin/sites")
    assert answer.headers["Location"] == "/admin/new-password"
    for path in ("/admin/", "/admin/account", "/admin/staff", "/admin/account/second-factor"):
        assert browser.get(path).headers["Location"] == "/admin/new-password"
    assert press(browser, "/admin/account/password").status_code == 401
    assert press(browser, "/admin/account", {"language": "es"}).status_code == 401

    for bad in ("short", "marlow books", "111111111111111", password.text, "eve-eve-eve-eve"):
        tried = press(browser, "/admin/new-password", {"new_password": bad, "again": bad})
        assert tried.status_code == 422, bad
        assert bad not in tried.text
    twice = {"new_password": PASSWORD, "again": PASSWORD + "x"}
    assert press(browser, "/admin/new-password", twice).status_code == 422
    good = {"new_password": PASSWORD, "again": PASSWORD}
    assert press(browser, "/admin/new-password", good).headers["Location"] == "/admin/sites"

    assert browser.get("/admin/account").status_code == 200
    assert knock(stranger(app), "eve", password.text).status_code == 422
    assert knock(stranger(app), "eve").headers["Location"] == "/admin/"


def test_signing_in_leaves_nothing_of_the_cookie_from_before(app: Flask) -> None:
    """Fixation: what a stranger put into the browser is not what gets in."""
    hire("dana")
    browser = stranger(app)
    before = form(browser, "/admin/sign-in")
    carry(browser, "planted-by-mallory")
    assert knock(browser, "dana").status_code == 303
    with browser.session_transaction("/admin/") as kept:
        assert kept["_user_id"] != "planted-by-mallory"
    carried = stranger(app)
    carry(carried, "planted-by-mallory")
    assert carried.get("/admin/account").status_code == 303
    assert browser.post("/admin/sign-out", data=before).status_code == 403


def test_the_cookie_holds_a_token_whose_hash_alone_is_stored(app: Flask) -> None:
    browser = dana_owner(app)
    with browser.session_transaction("/admin/") as kept:
        secret = kept["_user_id"]
    assert len(secret) >= 43
    assert secret not in str(rows())
    [row] = db.session.scalars(sa.select(StaffSession)).all()
    assert row.token_sha256 != secret


def https_app(database_url: str, tmp_path: object) -> Flask:
    settings = settings_for(database_url, tmp_path, PUBLIC_URL="https://prefs.test")  # type: ignore[arg-type]  # text settings
    app = create_app(settings)
    app.test_client_class = Browser
    return app


def test_over_https_the_cookie_has_every_protection(app: Flask, tmp_path: object) -> None:
    """SEC-42."""
    hire("dana")
    secure = https_app(app.config["SQLALCHEMY_DATABASE_URI"], tmp_path)
    with secure.app_context():
        browser = stranger(secure)
        base = {"base_url": "https://prefs.test"}
        page = browser.get("/admin/sign-in", **base)
        made = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert made
        data = {"csrf_token": made[1], "name": "dana", "password": PASSWORD}
        headers = {"Origin": "https://prefs.test", "Referer": "https://prefs.test/"}
        answer = browser.post("/admin/sign-in", data=data, headers=headers, **base)
        assert answer.status_code == 303
        cookies = answer.headers.getlist("Set-Cookie")
        db.session.remove()
        db.engine.dispose()
    assert len(cookies) == 2
    for cookie in cookies:
        name, *words = [part.strip() for part in cookie.split(";")]
        assert name.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(words)
        assert not [word for word in words if word.startswith("Domain")]


def test_customer_pages_set_and_read_no_cookie(app: Flask) -> None:
    """Also where somebody who works here looks at one."""
    for browser in (stranger(app), dana_owner(app)):
        for path in ("/", "/sent", "/terms", "/nothing-here"):
            answer = browser.get(path)
            assert "Set-Cookie" not in answer.headers, path
            assert "Cookie" not in answer.headers.get("Vary", ""), path


def test_there_is_no_session_outside_of_admin(app: Flask) -> None:
    """What a customer page would put into one is an error, not a cookie."""
    for path, none in (("/", True), ("/administration", True), ("/admin/", False)):
        with app.test_request_context(path):
            here = session._get_current_object()  # type: ignore[attr-defined]  # Flask's documented way
            assert app.session_interface.is_null_session(here) is none


# --- forged requests (SEC-43)


def unsafe(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/admin") and "POST" in (rule.methods or ()):
            first = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule)  # one of a few words
            yield re.sub(r"<[^>]+>", "1", first)


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://prefs.test.evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: "-".join(headers.values()))
def test_no_button_works_from_another_website(app: Flask, headers: dict[str, str]) -> None:
    """Every POST under /admin, with a CSRF token that is good: it may have leaked."""
    hire("dana", Role.OWNER)
    browser = dana_owner(app)
    before, data = rows(), token(browser)
    seen = 0
    for path in unsafe(app):
        seen += 1
        assert browser.post(path, data=data, headers=headers).status_code == 403, path
    assert seen > 8
    assert rows() == before


def test_no_button_works_without_the_token_of_its_session(app: Flask) -> None:
    browser, other = dana_owner(app), dana_owner(app)
    before = rows()
    for bad in ({}, {"csrf_token": ""}, {"csrf_token": "forged"}, token(other)):
        for path in unsafe(app):
            answer = browser.post(path, data={"name": "dana", "password": PASSWORD, **bad})
            assert answer.status_code == 403, path
    assert rows() == before


def test_a_sign_in_page_that_was_open_for_days_is_shown_afresh(app: Flask) -> None:
    hire("dana")
    browser = stranger(app)
    answer = browser.post("/admin/sign-in", data={"name": "dana", "password": PASSWORD})
    assert answer.status_code == 403
    assert 'value="dana"' in answer.text
    again = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert again
    data = {"csrf_token": again[1], "name": "dana", "password": PASSWORD}
    assert browser.post("/admin/sign-in", data=data).status_code == 303


# --- where it leads (SEC-45)


@given(st.text(max_size=60) | st.from_regex(r"[/\\]{1,3}[a-z.%/\\@:2Ff]{0,20}", fullmatch=True))
@example("//evil.example")
@example("/\\evil.example")
@example("\\\\evil.example")
@example("/admin//evil.example")
@example("/admin/..//evil.example")
@example("/admin\\@evil.example")
@example("/%2F%2Fevil.example")
@example("/admin/%2e%2e/x")
@example("https://evil.example/admin/")
@example("javascript:alert(1)")
@example("/admin/\r\nSet-Cookie: a=b")
@example("/administration")
@example("@evil.example/admin/")
@example("/admin.evil.example")
@example("/admin?next=//evil.example")
def test_next_never_leads_away(text: str) -> None:
    path = entering.own_path(text)
    there = urlsplit(urljoin("https://prefs.test/admin/sign-in", path))
    assert (there.scheme, there.netloc) == ("https", "prefs.test")
    assert there.path == "/admin" or there.path.startswith("/admin/")
    assert "\\" not in path and "//" not in path.partition("?")[0]
    assert path.isprintable() and path.isascii()


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/people/Ab-_9", "/admin/history?from=2026-01-01&by=a%20b"]
)
def test_next_leads_to_pages_of_ours(path: str) -> None:
    assert entering.own_path(path) == path


@pytest.mark.parametrize("bad", ["//evil.example", "/\\evil.example", "https://evil.example"])
def test_a_sign_in_with_a_foreign_next_leads_home(app: Flask, bad: str) -> None:
    hire("dana")
    browser = stranger(app)
    assert browser.get("/admin/sign-in?" + urlencode({"next": bad})).status_code == 200
    assert knock(browser, "dana", next=bad).headers["Location"] == "/admin/"
    signed_in = browser.get("/admin/sign-in?" + urlencode({"next": bad}))
    assert signed_in.headers["Location"] == "/admin/"


def test_somebody_who_is_not_signed_in_is_led_to_the_page(app: Flask) -> None:
    browser = stranger(app)
    assert browser.get("/admin/sites").headers["Location"] == "/admin/sign-in?next=%2Fadmin%2Fsites"
    pressed = browser.post("/admin/account", data=token(browser))
    assert (pressed.status_code, "/admin/sign-in" in pressed.text) == (401, True)
    headers = {"HX-Request": "true", "HX-Current-URL": "http://prefs.test/admin/history?q=1"}
    part = browser.get("/admin/history", headers=headers)
    assert part.status_code == 401
    assert part.headers["HX-Redirect"] == "/admin/sign-in?next=%2Fadmin%2Fhistory%3Fq%3D1"
    elsewhere = {"HX-Request": "true", "HX-Current-URL": "https://evil.example/admin/x"}
    assert browser.get("/admin/history", headers=elsewhere).headers["HX-Redirect"] in (
        "/admin/sign-in?next=%2Fadmin%2Fx",
    )
    for half in ("http://[", "http://[::1"):
        odd = {"HX-Request": "true", "HX-Current-URL": half}
        assert browser.get("/admin/", headers=odd).status_code == 401


def test_too_many_at_once_wait_instead_of_taking_the_memory(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire("dana")
    monkeypatch.setattr(passwords, "_PATIENCE", 0.01)
    held = [passwords._AT_ONCE.acquire(), passwords._AT_ONCE.acquire()]
    try:
        answer = knock(stranger(app), "dana")
    finally:
        for _turn in held:
            passwords._AT_ONCE.release()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert knock(stranger(app), "dana").status_code == 303


def test_the_account_page_speaks_the_language_that_was_chosen(app: Flask) -> None:
    browser = vic_viewer(app)
    data = {"language": "es", "zone": "Europe/Madrid"}
    answer = press(browser, "/admin/account", data)
    assert answer.headers["Location"] == "/admin/account"
    page = browser.get("/admin/account").text
    assert '<html lang="es"' in page
    vic = db.session.scalars(sa.select(Staff).where(Staff.name == "vic")).one()
    assert (vic.language, vic.zone, vic.shortcuts) == ("es", "Europe/Madrid", False)
    press(browser, "/admin/account", data)  # changes nothing, so it is no entry
    [entry] = log("account_changed")
    changed = {
        "language": ["en", "es"],
        "zone": [None, "Europe/Madrid"],
        "shortcuts": [True, False],
    }
    assert (entry.staff_name, entry.details) == ("vic", {"name": "vic", **changed})
    for bad in ({"language": "xx", "zone": ""}, {"language": "en", "zone": "../etc/passwd"}):
        assert press(browser, "/admin/account", bad).status_code == 422


@pytest.mark.settings(TIME_ZONE="America/New_York")
def test_who_chose_no_zone_has_that_of_the_business(app: Flask, now: Clock) -> None:
    hire("dana")
    with writing():
        dana = accounts.find("dana")
        assert dana is not None
        secret = sessions.start(dana, whole=True, now=now.now())
        db.session.commit()
    found = sessions.find(secret, now=now.now() + timedelta(minutes=1))
    assert found and found.worker.zone == "America/New_York"


def test_a_reload_after_sign_in_is_not_a_second_page(app: Flask) -> None:
    """Somebody who is signed in and opens the sign-in page goes on."""
    browser = sign_in(app, Role.EDITOR, "eve")
    answer = browser.get("/admin/sign-in?next=/admin/texts")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/texts")
