"""`prefcenter admin`: the first account is made here, and secrets are printed once (SEC-46)."""

import json
import re

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.database import db, writing
from prefcenter.models_staff import Role, Staff
from prefcenter.staff import passwords
from tests import terminal
from tests.cast import rows
from tests.staff_room import dana_owner, hire, log, press, stranger
from tests.terminal import Run
from tests.watching import listening

SECRET = re.compile(r"(?:[a-z2-9]{4}-){3}[a-z2-9]{4}")


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def account(name: str) -> Staff:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(Staff).where(Staff.name == name)).one()


def test_the_first_owner_is_made_and_signs_in(app: Flask, run: Run) -> None:
    with listening() as heard:
        result = run("admin", "add", "Dana", "--role", "owner")
    assert result.exit_code == 0, result.output
    password = result.stdout.strip()
    assert SECRET.fullmatch(password)
    assert "shown this once and works until 2026-12-01 15:00 UTC" in result.stderr
    assert password not in str(rows()) and password not in str(heard)
    data = {"name": "dana", "password": password}
    answer = press(stranger(app), "/admin/sign-in", data)
    assert answer.headers["Location"] == "/admin/new-password"
    [entry] = log("staff_added")
    assert entry.staff_name.startswith("command (")
    assert entry.staff_id is None


def test_a_second_account_of_a_name_is_refused(run: Run) -> None:
    hire("dana")
    result = run("admin", "add", "dana", "--role", "viewer")
    assert (result.exit_code, "choose another name" in result.output) == (1, True)
    assert not SECRET.search(result.output)
    assert run("admin", "add", "eve", "--role", "king").exit_code == 2
    assert run("admin", "add", "eve").exit_code == 2


def test_the_list_shows_who_may_sign_in_and_no_secret(run: Run) -> None:
    assert "Nobody may sign in" in run("admin", "list").output
    hire("dana", Role.OWNER)
    run("admin", "add", "eve", "--role", "editor")
    run("admin", "add", "vic", "--role", "viewer")
    run("admin", "disable", "vic")
    lines = run("admin", "list").output.splitlines()
    assert lines[0] == "dana: owner, without second factor"
    assert lines[1] == "eve: editor, without second factor, one-time password not changed yet"
    assert lines[2].startswith("vic: viewer, without second factor, disabled 2026-11-24 15:00 UTC")
    found = json.loads(run("admin", "list", "--json").output)
    assert [(row["name"], row["role"]) for row in found] == [
        ("dana", "owner"), ("eve", "editor"), ("vic", "viewer"),
    ]  # fmt: skip
    assert found[0]["one_time_until"] is None
    assert found[1]["one_time_until"] == "2026-12-01T15:00:00+00:00"
    assert not [key for key in found[0] if "hash" in key or "secret" in key]


def test_the_last_owner_is_kept(run: Run) -> None:
    hire("dana", Role.OWNER)
    for words in (["disable", "dana"], ["role", "dana", "--role", "viewer"]):
        result = run("admin", *words)
        assert (result.exit_code, "only owner" in result.output) == (1, True)
    assert account("dana").role is Role.OWNER


def test_a_role_is_changed_and_sessions_end(app: Flask, run: Run) -> None:
    browser = dana_owner(app)
    hire("olga", Role.OWNER)
    assert run("admin", "role", "dana", "--role", "viewer").output == "dana is viewer now.\n"
    assert browser.get("/admin/account").status_code == 303
    assert account("dana").role is Role.VIEWER


def test_shutting_out_and_letting_in_again(app: Flask, run: Run) -> None:
    hire("dana", Role.OWNER)
    hire("eve")
    assert run("admin", "disable", "eve").exit_code == 0
    result = run("admin", "enable", "eve")
    data = {"name": "eve", "password": result.stdout.strip()}
    assert press(stranger(app), "/admin/sign-in", data).status_code == 303


def test_a_reset_keeps_the_second_factor_unless_told(run: Run) -> None:
    hire("dana", Role.OWNER)
    dana = account("dana")
    with writing():
        db.session.execute(sa.update(Staff).values(totp_secret="sealed", recovery_hashes=["x"]))
        db.session.commit()
    before = dana.password_hash
    result = run("admin", "reset", "dana")
    assert SECRET.fullmatch(result.stdout.strip())
    after = account("dana")
    assert (after.totp_secret, after.one_time) == ("sealed", True)
    assert after.password_hash != before
    assert passwords.fits(result.stdout.strip(), after.password_hash)
    run("admin", "reset", "dana", "--second-factor")
    assert account("dana").totp_secret is None
    assert [entry.action for entry in log()] == [
        "password_reset", "password_reset", "second_factor_off",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [["reset"], ["disable"], ["enable"], ["role", "--role", "owner"]])
def test_nobody_of_that_name_is_one_sentence(run: Run, words: list[str]) -> None:
    result = run("admin", words[0], "mallory", *words[1:])
    assert result.exit_code == 1
    assert "There is nobody called 'mallory'" in result.output
    assert "Traceback" not in result.output and not SECRET.search(result.stdout)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_demo_makes_an_owner_once(run: Run) -> None:
    first = run("demo", "--people", "0").output
    found = re.search(r"one-time password (\S+)", first)
    assert found and SECRET.fullmatch(found[1])
    assert f"{found[1]} until 2026-12-01 15:00 UTC\n" in first
    owner = account("owner")
    assert (owner.role, owner.one_time) == (Role.OWNER, True)
    assert passwords.fits(found[1], owner.password_hash)
    assert "one-time" not in run("demo", "--people", "0").output
