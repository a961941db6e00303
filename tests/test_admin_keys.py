"""/admin/keys: an owner makes keys for programs; a secret is seen once and kept nowhere."""

import re

import pytest

from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from tests.cast import Town, rows
from tests.conftest import Browser, Clock
from tests.settings_room import HOSTILE, calm, errors, kept, refuses, said, value_of
from tests.staff_room import dana_owner, log, press

KEYS = "/admin/keys"
SECRET = re.compile(r"pck_[A-Za-z0-9_-]{43}")


@pytest.fixture
def dana(town: Town) -> Browser:
    return dana_owner(town)


def make(dana: Browser, name: str = "web-shop", *scopes: str) -> str:
    answer = press(dana, KEYS, {"name": name, "scopes": list(scopes or ("write", "decide"))})
    assert answer.status_code == 200
    [secret] = set(SECRET.findall(answer.text))
    return secret


def key_id(name: str = "web-shop") -> int:
    db.session.rollback()
    return next(key.id for key in api_keys.every() if key.name == name)


def test_the_secret_is_in_one_answer_and_nowhere_else(dana: Browser) -> None:
    answer = press(dana, KEYS, {"name": "web-shop", "scopes": ["write", "decide"]})
    [secret] = set(SECRET.findall(answer.text))
    assert answer.headers["Cache-Control"] == "no-store"
    key = api_keys.find(secret)
    assert key is not None and key.scopes == {"write", "decide"}
    assert secret not in str(rows())
    for path in (KEYS, "/admin/activity", f"{KEYS}/{key.id}/revoke"):
        page = dana.get(path)
        assert not SECRET.search(page.text), path
    with dana.session_transaction("/admin/") as cookie:
        assert secret not in str(dict(cookie))
    [entry] = log("key_added")
    assert (entry.staff_name, entry.subject) == ("dana", "web-shop")
    assert entry.details == {"scopes": ["decide", "write"]}


def test_pressed_twice_makes_no_second_key(dana: Browser) -> None:
    make(dana)
    answer = press(dana, KEYS, {"name": "web-shop", "scopes": ["write"]})
    assert errors(answer) == ["There is, or was, a key of this name. Choose another."]
    assert not SECRET.search(answer.text)
    assert len(api_keys.every()) == 1


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"name": "", "scopes": ["write"]}, "1 to 80"),
        ({"name": "x" * 81, "scopes": ["write"]}, "1 to 80"),
        ({"name": "till"}, "at least one"),
        ({"name": "till", "scopes": ["all"]}, "at least one"),
        ({"name": "till", "scopes": ["write", HOSTILE]}, "at least one"),
    ],
)
def test_what_cannot_be_made_is_said_beside_its_field(
    dana: Browser, form: dict[str, object], word: str
) -> None:
    before = kept()
    answer = press(dana, KEYS, form)
    [sentence] = errors(answer)
    assert word in sentence
    assert value_of(answer, "name") == form["name"]
    if form.get("scopes") == ["write"]:
        assert 'value="write" checked' in answer.text
    assert kept() == before


def test_revoking_asks_first_and_works_at_once(dana: Browser, now: Clock) -> None:
    secret, before = make(dana), kept()
    page = dana.get(f"{KEYS}/{key_id()}/revoke")
    assert "refused from this moment on" in page.text
    assert kept() == before
    assert "web-shop is revoked." in said(press(dana, f"{KEYS}/{key_id()}/revoke"), dana)
    assert api_keys.find(secret) is None
    assert [entry.subject for entry in log("key_revoked")] == ["web-shop"]
    assert "was revoked before" in said(dana.get(f"{KEYS}/{key_id()}/revoke"), dana)
    press(dana, f"{KEYS}/{key_id()}/revoke")
    assert len(log("key_revoked")) == 1
    assert "Revoked" in dana.get(KEYS).text


def test_when_it_was_last_used(dana: Browser, now: Clock) -> None:
    make(dana)
    assert "Never" in dana.get(KEYS).text
    with writing():
        key = api_keys.every()[0]
        key.last_used_at = now.now()
        db.session.commit()
    page = dana.get(KEYS).text
    assert "Never" not in page and 'datetime="2026-11-24T15:00:00Z"' in page


def test_only_an_owner_comes_here(town: Town, dana: Browser) -> None:
    make(dana)
    path = f"{KEYS}/{key_id()}/revoke"
    for role in (Role.VIEWER, Role.EDITOR):
        refuses(town, role, gets=[KEYS, path], posts=[KEYS, path])


@pytest.mark.parametrize("number", ["0", "99", "99999999999999999999999", "x", "-1"])
def test_an_unknown_key_is_404(dana: Browser, number: str) -> None:
    assert dana.get(f"{KEYS}/{number}/revoke").status_code == 404
    assert press(dana, f"{KEYS}/{number}/revoke").status_code == 404


def test_hostile_words_are_only_words(dana: Browser) -> None:
    """SEC-38."""
    name = HOSTILE[:80]
    calm(press(dana, KEYS, {"name": name, "scopes": ["write"]}), shows=name)
    for path in (KEYS, f"{KEYS}/{key_id(name)}/revoke", "/admin/activity"):
        calm(dana.get(path), shows=name)


def test_without_a_key_the_page_says_so(dana: Browser) -> None:
    page = dana.get(KEYS)
    calm(page, shows="No key yet")
