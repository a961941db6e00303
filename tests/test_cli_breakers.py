"""`prefcenter breaker`, as an operator types it after Mallory signed up numbers of others."""

import json

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import breaker, people
from prefcenter.database import db, writing
from prefcenter.models import Alarm, Breaker
from prefcenter.phone import prefix
from tests import terminal
from tests.cast import ALICE, rows
from tests.conftest import Clock
from tests.terminal import Run

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SENDS = 60
SPANISH = "+34612345678"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def lets_pass(now: Clock, number: str = ALICE, country: str = "US", site: str = "blog") -> bool:
    with writing():
        passes = breaker.lets_pass(number, country, site, now=now.now())
        db.session.commit()
    return passes


@pytest.fixture
def tripped(app: Flask, now: Clock) -> None:
    """Mallory asks for sixty Spanish numbers on the web shop's form; nobody confirms."""
    with writing():
        for n in range(SENDS):
            person = people.enrol(f"+3461234{n:04d}", "ES", "es", now=now.now())
            breaker.note(person, "web-shop", now=now.now())
        db.session.commit()
    assert not lets_pass(now, SPANISH, "ES", "web-shop")
    assert lets_pass(now), "elsewhere nothing stops"


def test_an_operator_sees_what_tripped(run: Run, tripped: None) -> None:
    result = run("breaker", "list")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 3, "the block, the site and the country"
    assert any("site web-shop, since 2026-11-24 15:00 UTC, until " in line for line in lines)
    assert any("country ES, since" in line for line in lines)
    assert prefix(SPANISH) not in result.output, "a block of numbers is masked (SEC-7)"
    found = json.loads(run("breaker", "list", "--json").output)
    assert {row["scope"] for row in found} == {"prefix", "site", "country"}
    assert all(set(row) == {"id", "scope", "label", "tripped_at", "until"} for row in found)


def test_closed_breakers_let_texts_pass_and_end_the_alarm(
    run: Run, tripped: None, now: Clock
) -> None:
    assert db.session.scalars(sa.select(Alarm.name)).all()
    ids = [row["id"] for row in json.loads(run("breaker", "list", "--json").output)]
    now.forward(minutes=1)
    for breaker_id in ids:
        assert not lets_pass(now, SPANISH, "ES", "web-shop")
        result = run("breaker", "close", str(breaker_id), "--by", " Dana ")
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"Closed {breaker_id}: ")
    assert run("breaker", "list").output == "No breaker is open.\n"
    assert json.loads(run("breaker", "list", "--json").output) == []
    assert lets_pass(now, SPANISH, "ES", "web-shop"), "and counting begins anew"
    assert db.session.scalars(sa.select(Alarm.name)).all() == []
    assert set(db.session.scalars(sa.select(Breaker.closed_by))) == {"Dana"}


@on_sqlite
@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("999", "--by", "Dana"), 1, "No breaker 999 is open; see `prefcenter breaker list`."),
        (("1", "--by", " "), 1, "--by is a name of 1 to 80 characters."),
        (("1", "--by", "x" * 81), 1, "--by is a name of 1 to 80 characters."),
        (("1", "--by", "D\x1b[2J"), 1, "--by is a name of 1 to 80 characters."),
        (("1",), 2, "Missing option '--by'"),
        (("0", "--by", "Dana"), 2, "Invalid value for 'ID'"),
        (("9" * 30, "--by", "Dana"), 2, "Invalid value for 'ID'"),
        (("site", "--by", "Dana"), 2, "Invalid value for 'ID'"),
    ],
)
def test_what_cannot_be_closed_is_refused(
    run: Run, tripped: None, words: tuple[str, ...], code: int, sentence: str
) -> None:
    before = rows()
    result = run("breaker", "close", *words)
    assert result.exit_code == code
    assert sentence in result.output
    assert rows() == before


@on_sqlite
def test_one_whose_time_is_over_cannot_be_closed_again(run: Run, tripped: None, now: Clock) -> None:
    [first, *_] = json.loads(run("breaker", "list", "--json").output)
    now.forward(days=30)
    result = run("breaker", "close", str(first["id"]), "--by", "Dana")
    assert result.exit_code == 1
    assert run("breaker", "list").output == "No breaker is open.\n"
