"""The second factor: set up, asked for, each code once, never skipped by a reset (SEC-41)."""

import re
from datetime import datetime

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import create_app
from prefcenter.database import db, writing
from prefcenter.models_staff import Role, Staff, StaffSession
from prefcenter.staff import accounts, passwords, second_factor, sessions, signing_in, throttle
from tests.conftest import BASE, Browser, Clock, settings_for
from tests.staff_room import PASSWORD, hire, log, press, sign_in, stranger

PAGE = "/admin/account/second-factor"
CODE = re.compile(r"<li>([a-z2-7-]{19})</li>")


def set_up(browser: Browser, now: datetime) -> tuple[pyotp.TOTP, list[str]]:
    """Scan the square, type the code, write down the recovery codes."""
    page = browser.get(PAGE).text
    assert 'src="data:image/svg+xml' in page
    offer = re.search(r'name="offer" value="([^"]+)"', page)
    shown = re.search(r'<span class="mono" dir="ltr">([A-Z2-7 ]+)</span>', page)
    assert offer and shown
    totp = pyotp.TOTP(shown[1].replace(" ", ""))
    data = {"offer": offer[1], "code": totp.at(now), "password": PASSWORD}
    answer = press(browser, PAGE, data)
    assert answer.status_code == 200, answer.text
    return totp, CODE.findall(answer.text)


def knock(app: Flask, name: str = "dana", password: str = PASSWORD) -> tuple[Browser, str]:
    browser = stranger(app)
    answer = press(browser, "/admin/sign-in", {"name": name, "password": password})
    assert answer.status_code == 303
    return browser, answer.headers["Location"]


def code_of(totp: pyotp.TOTP, now: Clock, steps: int) -> str:
    """What a phone shows whose clock is so many half minutes wrong."""
    return totp.generate_otp(totp.timecode(now.now()) + steps)


def type_code(browser: Browser, code: str) -> int:
    return press(browser, "/admin/second-factor", {"code": code}).status_code


def is_in(browser: Browser) -> bool:
    return browser.get("/admin/account").status_code == 200


def dana() -> Staff:
    db.session.rollback()
    return db.session.scalars(sa.select(Staff).where(Staff.name == "dana")).one()


def test_dana_sets_it_up_and_is_asked_from_then_on(app: Flask, now: Clock) -> None:
    browser, other = sign_in(app), sign_in(app)
    totp, codes = set_up(browser, now.now())
    assert len(set(codes)) == 10
    assert is_in(browser)
    assert not is_in(other)
    assert [entry.staff_name for entry in log("second_factor_on")] == ["dana"]

    now.forward(minutes=1)
    again, there = knock(app)
    assert there == "/admin/second-factor"
    assert again.get("/admin/account").headers["Location"] == "/admin/second-factor"
    assert again.get("/admin/new-password").headers["Location"] == "/admin/second-factor"
    assert again.get(PAGE).headers["Location"] == "/admin/second-factor"
    assert press(again, PAGE + "/off", {"password": PASSWORD}).status_code == 401
    assert type_code(again, "000000") == 422
    assert log("signed_in") == []
    code = totp.at(now.now())
    assert type_code(again, f"{code[:3]} {code[3:]}") == 303
    assert is_in(again)
    assert [entry.details["with"] for entry in log("signed_in")] == ["password and code"]


def test_a_code_works_once(app: Flask, now: Clock) -> None:
    """Neither again, nor an older one after it: somebody looked over Dana's shoulder."""
    totp, _codes = set_up(sign_in(app), now.now())
    first, _there = knock(app)
    assert type_code(first, totp.at(now.now())) == 422  # used to set it up
    now.forward(seconds=30)
    code = totp.at(now.now())
    assert type_code(first, code) == 303
    second, _there = knock(app)
    assert type_code(second, code) == 422
    assert type_code(second, code_of(totp, now, -1)) == 422
    assert not is_in(second)


@pytest.mark.parametrize(("steps", "status"), [(-2, 422), (-1, 303), (0, 303), (1, 303), (2, 422)])
def test_a_phone_may_be_half_a_minute_wrong(
    app: Flask, now: Clock, steps: int, status: int
) -> None:
    totp, _codes = set_up(sign_in(app), now.now())
    now.forward(minutes=5)
    browser, _there = knock(app)
    assert type_code(browser, code_of(totp, now, steps)) == status


def test_a_recovery_code_works_once(app: Flask, now: Clock) -> None:
    _totp, codes = set_up(sign_in(app), now.now())
    first, _there = knock(app)
    assert type_code(first, codes[3].upper().replace("-", " ")) == 303
    second, _there = knock(app)
    assert type_code(second, codes[3]) == 422
    assert type_code(second, codes[4]) == 303
    assert "8 recovery codes left" in second.get(PAGE).text
    used = [(entry.staff_name, entry.details) for entry in log("recovery_code_used")]
    assert used == [("dana", {"name": "dana", "left": left}) for left in (9, 8)]


def test_neither_secret_nor_codes_can_be_read_in_the_database(app: Flask, now: Clock) -> None:
    totp, codes = set_up(sign_in(app), now.now())
    kept = str([dana().totp_secret, dana().recovery_hashes, [vars(entry) for entry in log()]])
    assert totp.secret not in kept
    assert not [code for code in codes if code in kept or code.replace("-", "") in kept]


def test_new_codes_end_the_old_ones(app: Flask, now: Clock) -> None:
    browser = sign_in(app)
    _totp, old = set_up(browser, now.now())
    assert press(browser, "/admin/account/recovery-codes", {"password": "x"}).status_code == 422
    answer = press(browser, "/admin/account/recovery-codes", {"password": PASSWORD})
    new = CODE.findall(answer.text)
    assert len(new) == 10 and not set(new) & set(old)
    assert not [code for code in new if code in browser.get(PAGE).text]
    other, _there = knock(app)
    assert type_code(other, old[0]) == 422
    assert type_code(other, new[0]) == 303


def test_a_reset_of_the_password_does_not_skip_it(app: Flask, now: Clock) -> None:
    totp, _codes = set_up(sign_in(app), now.now())
    now.forward(minutes=1)
    password = passwords.one_time()
    staff_id = dana().id
    with writing():
        accounts.reset(accounts.by_id(staff_id), password, by="test", now=now.now())
        db.session.commit()
    browser, there = knock(app, password=password.text)
    assert there == "/admin/second-factor"
    assert browser.get("/admin/new-password").headers["Location"] == "/admin/second-factor"
    good = {"new_password": "nine grey herons walking", "again": "nine grey herons walking"}
    assert press(browser, "/admin/new-password", good).status_code == 401
    assert type_code(browser, totp.at(now.now())) == 303
    assert browser.get("/admin/account").headers["Location"] == "/admin/new-password"
    assert press(browser, "/admin/new-password", good).status_code == 303
    assert is_in(browser)


def test_a_half_session_that_ended_meanwhile_does_not_become_whole(app: Flask, now: Clock) -> None:
    """Whoever knew the old password types the code while an owner resets it."""
    totp, _codes = set_up(sign_in(app), now.now())
    now.forward(minutes=1)
    staff_id, visitor, password = dana().id, throttle.Visitor("203.0.113.9"), passwords.one_time()
    with writing():
        token = sessions.start(accounts.by_id(staff_id), whole=False, now=now.now())
        db.session.commit()
    half = sessions.find(token, now=now.now())
    assert half
    with writing():
        accounts.reset(accounts.by_id(staff_id), password, by="test", now=now.now())
        db.session.commit()
    with writing():
        assert signing_in.complete(half, totp.at(now.now()), visitor, now=now.now()) is None
        db.session.commit()
    assert db.session.scalars(sa.select(StaffSession)).all() == []
    assert log("signed_in") == []


def test_an_old_square_does_not_replace_a_factor_that_is_on(app: Flask, now: Clock) -> None:
    """Whoever has the password and a browser left open: neither is the second factor."""
    browser = sign_in(app)
    offer = re.search(r'name="offer" value="([^"]+)"', browser.get(PAGE).text)
    assert offer
    secret = second_factor.offered(offer[1], sessions.worker_of(dana()), now=now.now())
    assert secret
    set_up(browser, now.now())
    before = dana()
    code = pyotp.TOTP(secret).at(now.now())
    answer = press(browser, PAGE, {"offer": offer[1], "code": code, "password": PASSWORD})
    assert (answer.status_code, "is on already" in answer.text) == (409, True)
    after = dana()
    assert (after.totp_secret, after.recovery_hashes) == (
        before.totp_secret,
        before.recovery_hashes,
    )
    assert is_in(browser)
    assert len(log("second_factor_on")) == 1


def test_an_owner_takes_it_off_and_the_log_says_so(app: Flask, now: Clock) -> None:
    browser = sign_in(app)
    set_up(browser, now.now())
    olga = sign_in(app, Role.OWNER, "olga")
    worker, staff_id = sessions.worker_of(hire("olga", Role.OWNER)), dana().id
    with writing():
        accounts.drop_second_factor(accounts.by_id(staff_id), by=worker, now=now.now())
        db.session.commit()
    assert not is_in(browser)
    assert is_in(olga)
    _browser, there = knock(app)
    assert there == "/admin/"
    [entry] = log("second_factor_off")
    assert (entry.staff_name, entry.subject) == ("olga", dana().public_id)


def test_turning_it_off_needs_the_password(app: Flask, now: Clock) -> None:
    browser = sign_in(app)
    set_up(browser, now.now())
    assert press(browser, PAGE + "/off", {"password": "a guess"}).status_code == 422
    assert dana().totp_secret
    assert press(browser, PAGE + "/off", {"password": PASSWORD}).status_code == 303
    assert dana().totp_secret is None
    assert dana().recovery_hashes == []


def test_setting_it_up_needs_the_password_and_a_code_of_that_square(app: Flask, now: Clock) -> None:
    browser, eve = sign_in(app), sign_in(app, Role.VIEWER, "eve")
    offer = re.search(r'name="offer" value="([^"]+)"', browser.get(PAGE).text)
    assert offer
    worker = sessions.worker_of(dana())
    secret = second_factor.offered(offer[1], worker, now=now.now())
    assert secret
    good = {"offer": offer[1], "code": pyotp.TOTP(secret).at(now.now()), "password": PASSWORD}
    for bad in ({"password": "a guess"}, {"code": "000000"}, {"offer": "forged"}, {"offer": ""}):
        answer = press(browser, PAGE, {**good, **bad})
        assert answer.status_code == 422, bad
        if "offer" not in bad:
            assert f'value="{offer[1]}"' in answer.text  # the square stays the one scanned
    assert press(eve, PAGE, good).status_code == 422  # Dana's square
    now.forward(hours=1, seconds=1)
    good["code"] = pyotp.TOTP(secret).at(now.now())  # right, but the square is too old
    assert press(sign_in(app), PAGE, good).status_code == 422
    assert dana().totp_secret is None


@pytest.mark.settings(ADMIN_TOTP_FOR="owner,editor")
def test_a_role_that_needs_it_gets_no_page_without(app: Flask, now: Clock) -> None:
    viewer = sign_in(app, Role.VIEWER, "vic")
    assert is_in(viewer)
    hire("dana", Role.OWNER)
    browser, there = knock(app)
    assert there == PAGE
    for path in ("/admin/", "/admin/account", "/admin/staff"):
        assert browser.get(path).headers["Location"] == PAGE
    assert press(browser, "/admin/account", {"language": "en"}).status_code == 401
    assert press(browser, PAGE + "/off", {"password": PASSWORD}).status_code == 401
    set_up(browser, now.now())
    assert is_in(browser)
    off = press(browser, PAGE + "/off", {"password": PASSWORD})
    assert off.status_code == 409
    assert dana().totp_secret


def test_a_half_session_lasts_ten_minutes(app: Flask, now: Clock) -> None:
    totp, _codes = set_up(sign_in(app), now.now())
    browser, _there = knock(app)
    now.forward(minutes=10)
    assert type_code(browser, totp.at(now.now())) == 401
    halves = sa.select(StaffSession).where(StaffSession.whole.is_(False))
    assert len(db.session.scalars(halves).all()) == 1
    knock(app)
    db.session.rollback()
    assert len(db.session.scalars(halves).all()) == 1  # the old one was forgotten


def test_keys_can_be_changed_under_it(app: Flask, now: Clock, tmp_path: object) -> None:
    """SECRET_KEYS rotate: old ones still open it, each use moves it to the newest."""
    totp, codes = set_up(sign_in(app), now.now())
    url, old = app.config["SQLALCHEMY_DATABASE_URI"], BASE["PREFCENTER_SECRET_KEYS"]
    new = "0123456789abcdef" * 4

    def with_keys(keys: str, code: str) -> int:
        other = create_app(settings_for(url, tmp_path, SECRET_KEYS=keys))  # type: ignore[arg-type]  # text settings
        other.test_client_class = Browser
        with other.app_context():
            browser, _there = knock(other)
            status = type_code(browser, code)
            db.session.remove()
            db.engine.dispose()
        return status

    now.forward(minutes=1)
    assert with_keys(new, totp.at(now.now())) == 422  # the key is gone: closed, not open
    assert with_keys(new, codes[0]) == 303  # what recovery codes are for
    now.forward(minutes=1)
    assert with_keys(f"{new},{old}", totp.at(now.now())) == 303
    now.forward(minutes=1)
    assert with_keys(new, totp.at(now.now())) == 303
