"""Guessing at passwords and codes gets slow, and never keeps the owner out (SEC-41)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.database import db, writing
from prefcenter.models import Tally
from prefcenter.models_staff import Role
from prefcenter.staff import accounts, passwords, signing_in, throttle
from tests.conftest import Browser, Clock
from tests.staff_room import PASSWORD, hire, log, press, sign_in, stranger

HOME_OF_DANA, HOME_OF_MALLORY = "203.0.113.7", "198.51.100.66"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that nobody has cost a fifth of a second each; here they are tried by the hundred."""
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")


def at(app: Flask, address: str) -> Browser:
    """A browser somewhere."""
    browser = stranger(app)
    browser.environ_base["REMOTE_ADDR"] = address
    return browser


def guess(browser: Browser, name: str = "dana", password: str = "a guess") -> int:
    data = {"name": name, "password": password}
    return press(browser, "/admin/sign-in", data).status_code


@pytest.mark.parametrize("path", ["/admin/sign-in", "/admin/account/password"])
def test_a_try_that_was_not_looked_at_does_not_count(
    app: Flask, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    browser = sign_in(app, Role.VIEWER, "dana")
    before = sorted(db.session.execute(sa.select(Tally.scope, Tally.count)).all())
    db.session.rollback()

    def busy(*_: object) -> bool:
        raise passwords.Busy

    monkeypatch.setattr(passwords, "fits", busy)
    who = browser if "account" in path else at(app, HOME_OF_DANA)
    answer = press(who, path, {"name": "dana", "password": PASSWORD})
    assert answer.status_code == 503
    after = sorted(db.session.execute(sa.select(Tally.scope, Tally.count)).all())
    assert [row for row in after if row[1]] == [row for row in before if row[1]]


def test_ten_guesses_and_then_a_wait(app: Flask, now: Clock) -> None:
    hire("dana")
    mallory = at(app, HOME_OF_MALLORY)
    assert [guess(mallory) for _try in range(11)] == [422] * 10 + [429]
    data = {"name": "dana", "password": PASSWORD}
    late = press(mallory, "/admin/sign-in", data)  # the right one, but too late
    assert late.status_code == 429
    assert 0 < int(late.headers["Retry-After"]) <= 901
    assert "Try again in" in late.text and 'value="dana"' in late.text
    now.forward(minutes=15)
    assert guess(mallory, password=PASSWORD) == 303


def test_the_wait_is_the_same_for_a_name_that_nobody_has(app: Flask) -> None:
    mallory = at(app, HOME_OF_MALLORY)
    assert [guess(mallory, "nobody") for _try in range(11)] == [422] * 10 + [429]


def test_one_network_cannot_try_many_names(app: Flask, now: Clock) -> None:
    """Passwords that many people have, tried on everybody; IPv6 gives a home 2^64 addresses."""
    found = [guess(at(app, f"2001:db8::{n:x}"), f"name{n}") for n in range(41)]
    assert found == [422] * 40 + [429]


def test_mallory_cannot_lock_dana_out(app: Flask, now: Clock) -> None:
    """From one place or from a hundred: where Dana has signed in before, she still can."""
    hire("dana", Role.OWNER)
    dana = at(app, HOME_OF_DANA)
    assert guess(dana, password=PASSWORD) == 303
    press(dana, "/admin/sign-out")
    for n in range(101):
        guess(at(app, f"192.0.2.{n}"))
    assert guess(at(app, HOME_OF_MALLORY)) == 429
    assert guess(at(app, HOME_OF_DANA), password=PASSWORD) == 429  # a browser she never used
    assert guess(dana, password=PASSWORD) == 303


def test_mallory_at_danas_own_network_cannot_either(app: Flask) -> None:
    hire("dana")
    dana, mallory = at(app, HOME_OF_DANA), at(app, HOME_OF_DANA)
    assert guess(dana, password=PASSWORD) == 303
    press(dana, "/admin/sign-out")
    for n in range(60):
        guess(mallory, f"name{n % 6}")
    assert guess(mallory) == 429
    assert guess(dana, password=PASSWORD) == 303


def test_a_new_one_time_password_lets_strangers_try_again(app: Flask, now: Clock) -> None:
    """Dana, with a new laptop while Mallory attacks, asks whoever runs the server."""
    hire("dana", Role.OWNER)
    for n in range(101):
        guess(at(app, f"192.0.2.{n}"))
    password = passwords.one_time()
    assert guess(at(app, HOME_OF_DANA), password=password.text) == 429
    with writing():
        dana = accounts.find("dana")
        assert dana
        accounts.reset(dana, password, by="test", now=now.now())
        db.session.commit()
    assert guess(at(app, HOME_OF_DANA), password=password.text) == 303


def test_the_cookie_of_a_browser_counts_for_its_name_alone(app: Flask) -> None:
    """Eve's browser is no other way to guess at Dana's password; and it is limited as well."""
    hire("eve")
    hire("dana")
    eve = at(app, HOME_OF_DANA)
    assert guess(eve, "eve", PASSWORD) == 303
    press(eve, "/admin/sign-out")
    assert [guess(eve, "dana") for _try in range(11)] == [422] * 10 + [429]
    assert [guess(eve, "eve") for _try in range(11)] == [422] * 10 + [429]


def test_a_known_browser_is_known_by_its_cookie(app: Flask) -> None:
    hire("dana")
    dana = at(app, HOME_OF_DANA)
    guess(dana, password=PASSWORD)
    cookie = dana.get_cookie("prefcenter_admin-browser")
    assert cookie and cookie.value


def test_a_forged_cookie_of_a_browser_is_none(app: Flask) -> None:
    hire("dana")
    mallory = at(app, HOME_OF_MALLORY)
    statuses = []
    for n in range(12):
        value = f"WyJkYW5hIiwieCJd.aaaaaa.{n:027d}"
        mallory.set_cookie("prefcenter_admin-browser", value)
        statuses.append(guess(mallory))
    assert statuses == [422] * 10 + [429] * 2


def test_good_sign_ins_use_nothing_up(app: Flask) -> None:
    """An office of fifty behind one address."""
    hire("dana")
    assert [guess(at(app, HOME_OF_DANA), password=PASSWORD) for _try in range(50)] == [303] * 50


def test_failures_cannot_fill_the_log(app: Flask, now: Clock) -> None:
    """It keeps everything for ever, so strangers write in it within reason."""
    for n in range(120):
        guess(at(app, f"192.0.2.{n}"), f"name{n}")
    assert len(log("sign_in_failed")) == 50
    now.forward(minutes=15)
    guess(at(app, HOME_OF_MALLORY))
    assert len(log("sign_in_failed")) == 51


def test_counters_hold_neither_names_nor_addresses(app: Flask) -> None:
    guess(at(app, HOME_OF_MALLORY), "dana")
    kept = str([(row.scope, row.key) for row in db.session.scalars(sa.select(Tally))])
    assert "dana" not in kept and HOME_OF_MALLORY not in kept


@contextmanager
def second_factor(name: str, now: Clock) -> Iterator[pyotp.TOTP]:
    from prefcenter.staff import second_factor as rules

    secret = pyotp.random_base32()
    with writing():
        staff = accounts.find(name)
        assert staff
        staff.totp_secret = rules._sealed(secret, now.now())
        db.session.commit()
    yield pyotp.TOTP(secret)


def test_codes_cannot_be_guessed_either(app: Flask, now: Clock) -> None:
    """Mallory knows the password: six codes a quarter of an hour, twelve from everywhere."""
    hire("dana")
    with second_factor("dana", now) as totp:
        tried = []
        for n in range(4):
            mallory = at(app, f"192.0.2.{n}")
            assert guess(mallory, password=PASSWORD) == 303
            for _try in range(7):
                answer = press(mallory, "/admin/second-factor", {"code": "000000"})
                tried.append(answer.status_code)
        assert tried.count(422) == 12
        assert tried[:7] == [422] * 6 + [429]
        now.forward(minutes=15)
        dana = at(app, HOME_OF_DANA)
        assert guess(dana, password=PASSWORD) == 303
        code = totp.at(now.now())
        assert press(dana, "/admin/second-factor", {"code": code}).status_code == 303


def test_a_known_browser_types_its_code_whatever_strangers_do(app: Flask, now: Clock) -> None:
    hire("dana")
    dana = at(app, HOME_OF_DANA)
    assert guess(dana, password=PASSWORD) == 303
    press(dana, "/admin/sign-out")
    with second_factor("dana", now) as totp:
        for n in range(3):
            mallory = at(app, f"192.0.2.{n}")
            guess(mallory, password=PASSWORD)
            for _try in range(6):
                press(mallory, "/admin/second-factor", {"code": "000000"})
        assert guess(dana, password=PASSWORD) == 303
        code = totp.at(now.now())
        assert press(dana, "/admin/second-factor", {"code": code}).status_code == 303


def test_a_password_that_changed_meanwhile_lets_nobody_in(app: Flask, now: Clock) -> None:
    """Checking takes a fifth of a second, in which it may have been reset."""
    hire("dana")
    visitor = throttle.Visitor(HOME_OF_DANA)
    right = signing_in.look("dana", PASSWORD, now=now.now())
    assert right
    password = passwords.one_time()
    with writing():
        dana = accounts.find("dana")
        assert dana
        accounts.reset(dana, password, by="test", now=now.now())
        db.session.commit()
    with writing():
        assert signing_in.admit(right, "dana", visitor, now=now.now()) is None


def test_the_window_is_a_quarter_of_an_hour_of_the_clock(app: Flask, now: Clock) -> None:
    now.forward(minutes=14, seconds=59)
    with writing():
        for _try in range(10):
            throttle.count_password("x", throttle.Visitor("1"), now=now.now())
        with pytest.raises(throttle.TooManyTries) as late:
            throttle.count_password("x", throttle.Visitor("1"), now=now.now())
        assert late.value.seconds == 2
        later = now.now() + timedelta(seconds=1)
        throttle.count_password("x", throttle.Visitor("1"), now=later)
