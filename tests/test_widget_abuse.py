"""What Mallory tries at the widget's door, besides what test_widget.py shows: nothing is stored.

Where a form is refused, the same one made honestly is taken: no test here passes because the
form lacked something else.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import altcha
import pytest
from flask import Flask
from itsdangerous import Signer

from prefcenter import config, links
from prefcenter.consent import breaker, sites, spent
from prefcenter.database import db, writing
from prefcenter.links import Purpose
from prefcenter.web import embed, form_token, widget, work
from tests import mallory
from tests.cast import BOB, rows
from tests.shop_door import SHOP, Door, door
from tests.test_limits import together

__all__ = ["door"]  # the fixture


# Tokens


def test_one_token_in_two_hands_at_once(app: Flask, door: Door) -> None:
    """SEC-22: ten parallel uses, each with another number, and one row."""
    forms = [door.form() for _ in range(3)]
    answers: list[tuple[int, str]] = []

    def press(form: dict[str, str], number: str) -> None:
        headers = {"Origin": SHOP, "Accept": "application/json", "Host": "prefs.test"}
        answer = app.test_client(use_cookies=False).post(
            "/o/shop", data=form | {"number": number}, headers=headers
        )
        answers.append((answer.status_code, answer.json["status"] if answer.json else ""))

    for turn, form in enumerate(forms, 1):
        numbers = [f"+1202555{turn}{n:03d}" for n in range(10)]
        assert together(app, [partial(press, form, number) for number in numbers]) == []
        db.session.rollback()
        assert len(rows()["signup"]) == len(rows()["spent"]) == turn
    assert sorted(answers) == [(200, "sent")] * 3 + [(400, "stale")] * 27


def test_a_token_of_another_purpose(door: Door) -> None:
    """SEC-9: what the same secret signs for something else says nothing here."""
    form, now = door.form(), door.clock.now()
    body = form["form_token"].rpartition(".")[0].encode()
    secret = config.current().secret_keys[0]
    others = [links.make(purpose, links.new_link_id(), now=now) for purpose in Purpose]
    for salt in ("itsdangerous.Signer", "cookie-session", "prefcenter", "prefcenter.work"):
        for derivation in ("hmac", "django-concat", "none"):
            signer = Signer(secret, salt, key_derivation=derivation, digest_method=hashlib.sha256)
            others.append(signer.sign(body).decode())
    assert not [other for other in others if door.takes(form | {"form_token": other})]
    assert door.takes(form)


def test_a_used_token_is_remembered_until_its_age_refuses_it(door: Door) -> None:
    """The senders forget used tokens now and then: never one that would be good again."""
    form = door.form()
    assert door.takes(form)
    made = door.clock.now() - mallory.AGE
    for seconds, why in ((3_599, "sent before"), (3_600, "sent before"), (3_601, "too long")):
        door.clock.moment = made + timedelta(seconds=seconds)
        with writing():
            spent.forget(now=door.clock.now())
            db.session.commit()
        answer = door.post(form)
        assert answer.status_code == 400 and answer.json is not None
        assert why in answer.json["message"]
    assert len(rows()["signup"]) == 1


def test_a_token_that_is_repeated_waits_for_no_writer(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One token's work would else buy any number of writes, and a clock of what senders do."""
    form = door.form()
    assert door.takes(form)
    monkeypatch.setattr(widget, "begin_write", _never)
    answer = door.post(form)
    assert answer.status_code == 400 and answer.json is not None
    assert "sent before" in answer.json["message"]


def test_a_form_of_the_step_is_no_form_of_the_script(door: Door) -> None:
    """Who has one kind of token cannot make the other of it: the way is signed."""
    form = door.form()
    for way in ("step", "frame"):
        changed = form["form_token"].replace(".script.", f".{way}.")
        assert changed != form["form_token"]
        assert not door.takes(form | {"form_token": changed, "work": ""})
    assert door.takes(form)


# The proof of work


def _said(form: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(form["work"]))
    return found


def _packed(said: object) -> str:
    return base64.b64encode(json.dumps(said).encode()).decode()


def _cheaper(**changes: object) -> Callable[[Door, dict[str, str]], str]:
    """The challenge with other parameters, solved at that price; the signature stays ours."""

    def change(_door: Door, form: dict[str, str]) -> str:
        said = _said(form)
        parameters = said["challenge"]["parameters"] | changes
        parameters = {name: value for name, value in parameters.items() if value is not None}
        asked = altcha.Challenge.from_dict(said["challenge"] | {"parameters": parameters})
        solution = altcha.solve_challenge(asked)
        assert solution is not None
        return _packed({"challenge": asked.to_dict(), "solution": solution.to_dict()})

    return change


def _signed_at_home(_door: Door, form: dict[str, str]) -> str:
    nonce = form_token.nonce_of(form["form_token"])
    made = altcha.create_challenge(
        "SHA-256", 1, counter=0, data={"n": nonce}, hmac_secret="guess", hmac_key_secret="guess"
    )
    return mallory.solved(made.to_dict())


def _unsigned(_door: Door, form: dict[str, str]) -> str:
    nonce = form_token.nonce_of(form["form_token"])
    return mallory.solved(
        altcha.create_challenge("SHA-256", 1, counter=0, data={"n": nonce}).to_dict()
    )


def _stolen(door: Door, _form: dict[str, str]) -> str:
    return door.form(BOB)["work"]


def _renamed(door: Door, form: dict[str, str]) -> str:
    """Somebody else's work with this token's nonce written over it."""
    said = _said(door.form(BOB))
    nonce = form_token.nonce_of(form["form_token"])
    said["challenge"]["parameters"]["data"] = {"n": nonce}
    return _packed(said)


def _not_done(_door: Door, form: dict[str, str]) -> str:
    return _packed(_said(form) | {"solution": {"counter": 0, "derivedKey": "00" * 32}})


def _half_done(_door: Door, form: dict[str, str]) -> str:
    """The half of the key that the challenge itself tells."""
    said = _said(form)
    told = said["challenge"]["parameters"]["keyPrefix"]
    return _packed(said | {"solution": {"counter": 0, "derivedKey": told + "00" * 16}})


BAD_WORK: dict[str, Callable[[Door, dict[str, str]], str]] = {
    "another algorithm": _cheaper(algorithm="SHA-256", cost=1, keyPrefix=""),
    "one round": _cheaper(cost=1, keyPrefix=""),
    "nothing to find": _cheaper(keyPrefix=""),
    "no signed answer": _cheaper(keySignature=None),
    "signed at home": _signed_at_home,
    "unsigned": _unsigned,
    "stolen": _stolen,
    "renamed": _renamed,
    "not done": _not_done,
    "half done": _half_done,
}


@pytest.mark.parametrize("bad", BAD_WORK)
def test_work_that_was_not_done_for_this_form(door: Door, bad: str) -> None:
    """SEC-31; the token is not spent by it."""
    form = door.form()
    forged = BAD_WORK[bad](door, form)
    assert not door.takes(form | {"work": forged})
    page = door.post(form | {"work": forged}, headers={"Accept": "text/html"})
    assert page.status_code == 200 and "One more step" in page.text
    assert door.takes(form)


def test_work_as_old_as_its_token_or_done_twice(door: Door) -> None:
    form = door.form()
    assert door.takes(form)
    assert not door.takes(form | {"number": BOB})
    assert not door.takes(door.form(BOB) | {"work": form["work"]})
    old = door.form()
    door.clock.forward(minutes=61)
    assert not door.takes(old)
    assert not door.takes(door.form() | {"work": old["work"]})
    assert door.takes(door.form())


@pytest.mark.parametrize(
    "parameters",
    [
        {"algorithm": "PBKDF2/SHA-512", "keyPrefix": "", "cost": 10**9},
        {"algorithm": "SCRYPT", "cost": 2**24, "memoryCost": 2**20},
        {"algorithm": "ARGON2ID", "memoryCost": 2**30, "cost": 2**20},
        {"cost": 10**9},
        {"keyLength": 2**31 - 1},
        {"keySignature": ""},
        {"expiresAt": -1},
        {"salt": "00" * 1_500},
        {"data": {"n": "x" * 3_000}},
    ],
    ids=lambda parameters: "-".join(parameters),
)
def test_a_dear_answer_costs_us_nothing(
    door: Door, parameters: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No derivation at all, whatever the answer names: ours are checked by a signature."""
    form, good = door.form(), door.form(BOB)
    said = _said(form)
    said["challenge"]["parameters"] |= parameters
    for name in ("pbkdf2_hmac", "scrypt", "new"):
        monkeypatch.setattr(f"altcha.v2.hashlib.{name}", _never)
    monkeypatch.setattr("altcha.v2._select_derive_key", _never)
    assert not door.takes(form | {"work": _packed(said)})
    assert door.takes(good)  # also the honest one is checked without


def _never(*_: object, **__: object) -> None:
    raise AssertionError("this costs too much for a form that is not taken")


def test_work_is_looked_at_after_the_token(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of forms without a good token costs no more than its signature."""
    form = door.form()
    monkeypatch.setattr(work, "is_done", _never)
    for token in ("", "x", form["form_token"][:-1], form["form_token"].replace("shop", "blog")):
        assert not door.takes(form | {"form_token": token})


# Keys


def test_a_disabled_site_is_gone_at_every_address_at_once(door: Door) -> None:
    """SEC-21: also under its former key, for browsers that have a copy, and for open forms."""
    with writing():
        new = sites.rotate(sites.by_slug("shop"), keep=timedelta(days=7), now=door.clock.now())
        db.session.commit()
    form, digest = door.form(), embed.made(door.place(new)).digest
    paths = (".js", f".{digest}.js", "", "/poster")
    gets = [f"/w/{key}{path}" for key in ("shop", new) for path in paths]
    gets += [f"/o/{key}/{path}" for key in ("shop", new) for path in ("challenge", "sent?to=0143")]

    def statuses() -> set[int]:
        copy = {"If-None-Match": f'W/"{digest}"', "Origin": SHOP}
        return {door.browser.get(path, headers=copy).status_code for path in gets}

    assert statuses() <= {200, 304}
    with writing():
        sites.disable(sites.by_slug("shop"), now=door.clock.now())
        db.session.commit()
    before = rows()
    assert statuses() == {404}
    for key in ("shop", new):
        for headers in ({"Origin": SHOP}, {"Origin": "https://mallory.example"}, {}):
            answer = door.browser.post(f"/o/{key}", data=form, headers=headers)
            assert answer.status_code == 404
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert rows() == before
    with writing():
        sites.enable(sites.by_slug("shop"))
        db.session.commit()
    assert statuses() <= {200, 304}
    assert door.takes(form)


# Looking changes nothing


def test_looking_a_thousand_times_writes_nothing(door: Door) -> None:
    """INV-8: challenges are free to ask for, at rest and when the breaker is near or open."""
    door.town.bob()
    person = door.town.person(BOB)
    addresses = (
        "/o/shop/challenge",
        "/w/shop",
        "/w/shop.js",
        "/o/shop/sent?to=0143",
        "/w/shop/poster",
    )

    def look(times: int) -> set[int]:
        before, seen = rows(), set()
        for _ in range(times):
            for address in addresses:
                for call in (door.browser.get, door.browser.head):
                    seen.add(call(address, headers={"Origin": SHOP}).status_code)
        assert rows() == before
        return seen

    assert look(50) == {200}
    for asks in (35, 30):
        with writing():
            for _ in range(asks):
                breaker.note(person, "shop", now=door.clock.now())
            db.session.commit()
        assert look(5) == {200}
    assert breaker.strained("shop", now=door.clock.now())
    with writing():
        assert not breaker.lets_pass(BOB, "US", "shop", now=door.clock.now())
        db.session.commit()
    assert look(5) == {200}
