"""Keys of the API: kept as a hash, shown once, revoked at once (SEC-39)."""

import base64
import hashlib
import json
import re

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from prefcenter.models import ApiKey
from tests import terminal
from tests.cast import rows
from tests.conftest import Clock
from tests.terminal import Run
from tests.watching import listening

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SECRET = re.compile(r"pck_[A-Za-z0-9_-]{43}\Z")


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def made(now: Clock, name: str = "web-shop", *scopes: str) -> str:
    """A key of Bob's, who runs the web shop."""
    with writing():
        secret = api_keys.make(name, scopes or ("write",), now=now.now())
        db.session.commit()
    return secret


# --- making and finding


def test_bobs_key_is_found_by_its_secret_and_by_nothing_else(app: Flask, now: Clock) -> None:
    secret = made(now, "web-shop", "write", "decide")
    key = api_keys.find(secret)
    assert key is not None
    assert (key.name, sorted(key.scopes)) == ("web-shop", ["decide", "write"])
    assert key.last_used_at is None
    mallory = [
        "", "pck_", secret[:-1], secret + "A", secret.swapcase(), f" {secret}", secret[4:],
        hashlib.sha256(secret.encode()).hexdigest(), "web-shop", "%", "pck_%", "\udcff", "x" * 10**6,
    ]  # fmt: skip
    assert [api_keys.find(guess) for guess in mallory] == [None] * len(mallory)


def test_the_secret_has_256_bits_and_is_nowhere_in_the_database(app: Flask, now: Clock) -> None:
    """A stolen table opens nothing."""
    secret, other = made(now), made(now, "till")
    assert secret != other
    for one in (secret, other):
        assert SECRET.match(one)
        assert len(base64.urlsafe_b64decode(one.removeprefix("pck_") + "=")) == 32
        assert one not in str(rows()) and one.removeprefix("pck_") not in str(rows())
    stored = set(db.session.scalars(sa.select(ApiKey.secret_sha256)))
    assert stored == {hashlib.sha256(one.encode()).hexdigest() for one in (secret, other)}


def test_a_revoked_key_is_refused_from_then_on(app: Flask, now: Clock) -> None:
    secret, other = made(now), made(now, "till")
    with writing():
        assert api_keys.revoke("web-shop", now=now.now())
        assert not api_keys.revoke("web-shop", now=now.now()), "once"
        assert not api_keys.revoke("nobody", now=now.now())
        db.session.commit()
    assert api_keys.find(secret) is None
    assert api_keys.find(other) is not None, "another key keeps working"


def test_a_key_is_revoked_also_where_the_clock_went_back(app: Flask, now: Clock) -> None:
    """REL-15: the host that revoked it may be minutes fast."""
    secret = made(now)
    with writing():
        api_keys.revoke("web-shop", now=now.now())
        db.session.commit()
    now.forward(minutes=-5)
    assert api_keys.find(secret) is None


def test_finding_a_key_writes_nothing(app: Flask, now: Clock) -> None:
    """INV-8: the check before a GET must not write."""
    secret = made(now)
    before = rows()
    api_keys.find(secret)
    api_keys.find("pck_wrong")
    assert rows() == before


def test_the_last_use_is_noted_at_most_once_a_minute(app: Flask, now: Clock) -> None:
    secret = made(now)
    noted = []
    for _ in range(5):
        with writing():
            key = api_keys.find(secret)
            assert key is not None
            api_keys.touch(key, now=now.now())
            db.session.commit()
        noted.append(db.session.scalar(sa.select(ApiKey.last_used_at)))
        db.session.rollback()
        now.forward(seconds=25)
    first = noted[0]
    assert first is not None
    assert [(one - first).seconds for one in noted if one] == [0, 0, 0, 75, 75]


def test_two_calls_at_once_note_one_use(app: Flask, now: Clock) -> None:
    """Both have read the row before either wrote: the database decides."""
    secret = made(now)
    key = api_keys.find(secret)
    assert key is not None
    first = now.now()
    for _ in range(2):
        with writing():
            api_keys.touch(key, now=now.now())
            db.session.commit()
        now.forward(seconds=30)
    assert db.session.scalar(sa.select(ApiKey.last_used_at)) == first


@on_sqlite
@pytest.mark.parametrize(
    ("name", "scopes", "sentence"),
    [
        ("", ["write"], "A key has a name of 1 to 80 characters"),
        ("x" * 81, ["write"], "A key has a name of 1 to 80 characters"),
        ("a\x1b[2Kb", ["write"], "A key has a name of 1 to 80 characters"),
        ("web-shop", [], "A key needs at least one scope; scopes are decide, write"),
        ("web-shop", ["write", "all"], "There is no scope all; scopes are decide, write"),
        ("old", ["write"], "There is, or was, a key old already"),
    ],
)
def test_a_key_that_cannot_be_is_refused_in_a_sentence(
    app: Flask, now: Clock, name: str, scopes: list[str], sentence: str
) -> None:
    made(now, "old")
    with writing(), pytest.raises(ValueError, match=sentence):
        api_keys.make(name, scopes, now=now.now())
    assert len(api_keys.every()) == 1


# --- the commands


def test_an_operator_makes_lists_and_revokes_a_key(run: Run, now: Clock) -> None:
    with listening() as heard:
        result = run("key", "add", "web-shop", "--scope", "write, decide")
    assert result.exit_code == 0, result.output
    secret = result.stdout.strip()
    assert SECRET.match(secret), "standard output holds the secret alone"
    assert result.stderr.startswith("Keep it now")
    assert secret not in heard.getvalue() + result.stderr, "INV-10"

    now.forward(hours=1)
    with writing():
        key = api_keys.find(secret)
        assert key is not None
        api_keys.touch(key, now=now.now())
        db.session.commit()
    listed = run("key", "list").output
    assert listed == "web-shop: decide,write, last used 2026-11-24 16:00 UTC\n"
    [row] = json.loads(run("key", "list", "--json").output)
    assert row == {
        "name": "web-shop",
        "scopes": ["decide", "write"],
        "created_at": "2026-11-24T15:00:00+00:00",
        "last_used_at": "2026-11-24T16:00:00+00:00",
        "revoked_at": None,
    }
    assert run("key", "revoke", "web-shop").output == "Revoked web-shop.\n"
    assert api_keys.find(secret) is None
    assert run("key", "list").output.endswith(", revoked 2026-11-24 16:00 UTC\n")


@on_sqlite
def test_what_fails_says_so_and_exits_with_1(run: Run) -> None:
    assert run("key", "list").output == "There is no key.\n"
    result = run("key", "revoke", "web-shop")
    assert result.exit_code == 1
    assert "There is no key web-shop that works; see `prefcenter key list`." in result.output
    result = run("key", "add", "web-shop", "--scope", "everything")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        "There is no scope everything; scopes are decide, write, read, export, attest."
        in result.output
    )
    assert run("key", "add", "web-shop").exit_code == 2, "no scope is no default"
